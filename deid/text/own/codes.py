"""Numbers of records and accounts: letters and leading zeros may be missing, short ones need a word before them."""

import re
from collections.abc import Collection, Iterator
from typing import Final

from deid.text.kinds import Kind
from deid.text.lists import english
from deid.text.own.forms import Page, Place, is_digit, is_letter, name_value, number_value, plain_form
from deid.text.own.numbers import is_bounded

_CODE: Final = re.compile("(?P<prefix>[a-z]{0,8}?)(?P<zeros>0*)(?P<core>[0-9][0-9a-z]*)")
_ALONE: Final = 6
"""Digits, zeros included, from which on a number is one of a record without a word for it."""

_SHORTEST: Final = 2

_LABEL: Final = re.compile(
    r"(?:号码?|编号|号是|病历|病案|住院|门诊|就诊|登记|卡号?|档案|床|id|no\.?|number|mrn|pid|#|num)[是为:： (#.]{0,4}\Z"
)
_LABEL_REACH: Final = 14
_LETTERS_BEFORE: Final = re.compile(r"(?:(?<![a-z])(?:no|id|mrn|pid|num|number|nr)\.?)\Z")


class RecordNumber:
    """One number of a record.

    Args:
        value: with letters and zeros, as it is written in the record.
        kind, source: of its hits.
    """

    def __init__(self, value: str, kind: Kind, source: str) -> None:
        self.kind, self.source = kind, source
        self._value = number_value(value)
        read = _CODE.fullmatch(self._value)
        self._prefix, self._core = (read["prefix"], read["core"]) if read else ("", "")

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the number stands."""
        form = page.numbers
        if len(self._core) < _SHORTEST:
            yield from (
                (place.start, place.end)
                for place in form.places(self._value)
                if len(self._value) >= _ALONE and is_bounded(page, place)
            )
            return
        for place in form.places(self._core):
            wide = self._widened(page, place)
            is_told = wide.to - wide.at >= _ALONE or _is_labelled(page, wide)
            if is_told and (is_bounded(page, wide) or self._is_after_letters(page, wide)):
                yield wide.start, wide.end

    def _widened(self, page: Page, place: Place) -> Place:
        """Return a place with the zeros and the letters of the number before it."""
        form, at = page.numbers, place.at
        while at > 0 and form.text[at - 1] == "0" and form.is_near(at):
            at -= 1
        prefix = len(self._prefix)
        is_there = prefix > 0 and form.text.endswith(self._prefix, 0, at) and form.is_near(at)
        if is_there and not is_letter(page.plain, form.origin(at - prefix) - 1):
            at -= prefix
        return form.place(at, place.to)

    def _is_after_letters(self, page: Page, place: Place) -> bool:
        """Whether what stands glued before the number is a word for one: mrn123456."""
        if is_digit(page.plain, place.end) or is_letter(page.plain, place.end):
            return False
        return _LETTERS_BEFORE.search(page.plain, max(0, place.start - _LABEL_REACH), place.start) is not None


def _is_labelled(page: Page, place: Place) -> bool:
    return _LABEL.search(page.plain, max(0, place.start - _LABEL_REACH), place.start) is not None


_SIGNS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_JOINTS: Final = frozenset(".-+")
_APP: Final = re.compile("(?<![a-z0-9_])(?:vx|wx|v|qq|we ?chat|weixin|e?-?mail)\\Z")
"""A word for the kind of account, glued to it."""

_APP_REACH: Final = 9
_LONG_USER: Final = 5
_ALONE_DIGITS: Final = 7
"""Digits of an account that is found without a word for it."""

_GENERIC: Final = frozenset(
    ("info", "admin", "service", "support", "contact", "hello", "mail", "office", "sales", "webmaster", "noreply")
)
"""Users of addresses that are nobody's in particular."""

_HOST: Final = re.compile(r"[ ]{0,2}(?:@|\(at\)|\[at\]|#|艾特)[ ]{0,2}(?:[a-z0-9-]{1,63}[.。 ]{1,2}){1,5}[a-z]{2,12}")


class Account:
    """An e-mail address or the name of an account.

    Args:
        value: as it is written.
        kind, source: of its hits.
        known: values that are found without it, as a mobile number before the host.
    """

    def __init__(self, value: str, kind: Kind, source: str, known: Collection[str] = ()) -> None:
        self.kind, self.source = kind, source
        self._value = plain_form(value.strip())
        self._user = self._value.partition("@")[0]
        self._is_plain = self._user.isdigit() or len(self._user) < _LONG_USER or self._user in _GENERIC
        self._tight = name_value(self._user)
        self._is_known = self._tight in known
        self._is_number = not self._is_known and self._tight.isdigit() and len(self._tight) >= _ALONE_DIGITS

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the address, or what stands before its host, stands."""
        whole = page.whole
        for place in whole.places(self._value) if len(self._value) >= _LONG_USER else ():
            if not _is_longer(page.plain, place):
                yield place.start, place.end
        for place in whole.places(self._user):
            end = None if _is_longer(page.plain, place) else self._end(page, place)
            if end is not None:
                yield place.start, end
        if self._is_number:
            for place in page.numbers.places(self._tight):
                if is_bounded(page, place):
                    yield place.start, place.end

    def _end(self, page: Page, place: Place) -> int | None:
        """Return where the address ends that a user begins; None where the user is not enough."""
        host = _HOST.match(page.plain, place.end)
        if host is not None and "@" in self._value:
            return host.end()
        return place.end if self._is_number or not (self._is_known or self._is_word()) else None

    def _is_word(self) -> bool:
        return self._is_plain or (self._user.isalpha() and english.is_word(self._user))


def _is_longer(text: str, place: Place) -> bool:
    """Whether the account goes on on either side: then it is another's."""
    before, behind = text[max(0, place.start - 2) : place.start], text[place.end : place.end + 2]
    if _goes_on(behind):
        return True
    return _goes_on(before[::-1]) and _APP.search(text, max(0, place.start - _APP_REACH), place.start) is None


def _goes_on(next_two: str) -> bool:
    return next_two[next_two[:1] in _JOINTS :][:1] in _SIGNS
