"""Numbers of the subject's: whole in any spelling, masked, by their last digits behind a cue."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from deid.text.kinds import Kind
from deid.text.own.forms import Form, Page, Place, is_digit, is_letter, number_value

_SURE: Final = 9
"""Digits from which on a number is found wherever it stands, also within a longer one."""

_COUNT: Final = "[2-8一二三四五六七八两](?:位数?字?|个数字?)"
_LEADS_ON: Final = "(?:号码|数字)?[是为的:： \"'“「(]{0,4}\\Z"
_BEHIND_A_CUE: Final = re.compile(
    rf"(?:尾号|尾数|末尾|尾巴|[后末]几位|(?:最后|[后末])的?{_COUNT}"
    r"|last ?(?:four|six|[468])?(?: digits?)?|ending(?: in| with)?|ends? (?:in|with))" + _LEADS_ON
)
_BEFORE_A_CUE: Final = re.compile(
    r"[)”\"」]?[ ]?(?:结尾|尾号|收尾|那个(?:手机)?号|的(?:手机|电话|身份证|银行)?(?:卡|号|手机))"
)
_BEHIND_A_FIRST: Final = re.compile(
    rf"(?:(?:最前|[前头])的?{_COUNT}|号段|开头|first ?(?:three|six|[3-8])(?: digits?)?)" + _LEADS_ON
)
_CUE_REACH: Final = 24

_MASKS: Final = "*x＊○●×•·.#_-"
_MASKED_BEFORE: Final = re.compile(
    rf"(?P<head>[0-9]{{0,10}})(?P<mask>[ ]?[{re.escape(_MASKS)}][{re.escape(_MASKS)} ]{{1,14}})\Z"
)
_MASK_REACH: Final = 24
_LEAST_HEAD: Final = 2

_PREFIXES: Final = ("0086", "86", "0")


_UNIT: Final = re.compile(
    r" ?(?:元|块|钱|次|个|天|岁|人|年|月|日|片|粒|mg|g|ml|ug|iu|u/|mmol|umol|ng|pg|cm|mm|kg|%|℃|×|\^|步|米|公里|万|亿"
    r"|例|拷贝|copies|毫|微|单位)"
)
"""What makes a number a quantity."""


class OwnNumber:
    """One number whose length is that of its kind.

    Args:
        value: the number, with or without separators.
        kind, source: of its hits.
        tails: how many of the last digits are found behind a cue.
        heads: how many of the first ones are.
        more: further ways to write it.
    """

    def __init__(
        self,
        value: str,
        kind: Kind,
        source: str,
        *,
        tails: Sequence[int] = (4,),
        heads: Sequence[int] = (),
        more: Sequence[str] = (),
    ) -> None:
        self.kind, self.source = kind, source
        self._value = number_value(value)
        if kind is Kind.MOBILE and len(self._value) > 11:  # noqa: PLR2004 - with the country's number
            self._value = self._value[-11:]
        self._tails = [self._value[-count:] for count in tails if count < len(self._value)]
        self._heads = [self._value[:count] for count in heads if count < len(self._value)]
        self._more = [one for one in map(number_value, more) if one]

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the number or a part of it stands."""
        form = page.numbers
        for value in (self._value, *self._more):
            for place in form.places(value) if value else ():
                if len(value) >= _SURE or is_bounded(page, place):
                    yield _with_prefix(form, place), place.end
        for tail in self._tails:
            yield from self._ends(page, tail)
        for head in self._heads:
            for place in form.places(head):
                cue = _BEHIND_A_FIRST.search(page.plain, max(0, place.start - _CUE_REACH), place.start)
                if cue is not None and not is_digit(page.plain, place.end):
                    yield place.start, place.end

    def _ends(self, page: Page, tail: str) -> Iterator[tuple[int, int]]:
        """Yield the last digits behind a mask or a cue."""
        for place in page.numbers.places(tail):
            start = self._masked_from(page.figures.plain, place)
            if start is not None:
                yield start, place.end
            elif _is_tail(page, place):
                yield place.start, place.end

    def _masked_from(self, figures: str, place: Place) -> int | None:
        """Return where a number begins whose middle is masked: 138****8000."""
        if is_digit(figures, place.end):
            return None
        mask = _MASKED_BEFORE.search(figures, max(0, place.start - _MASK_REACH), place.start)
        if mask is None or len(mask["head"]) < _LEAST_HEAD:
            is_starred = mask is not None and set(mask["mask"]) <= set("*＊") and not mask["head"]
            return mask.start() if mask is not None and is_starred and len(mask["mask"]) > _LEAST_HEAD else None
        return mask.start() if self._value.startswith(mask["head"]) else None


def _with_prefix(form: Form, place: Place) -> int:
    for prefix in _PREFIXES:
        at = place.at - len(prefix)
        if at >= 0 and form.text.startswith(prefix, at) and form.is_near(place.at) and not is_digit(form.text, at - 1):
            start = form.origin(at)
            return start - (form.plain[start - 1 : start] in ("+", "(", "＋"))
    return place.start


def _is_tail(page: Page, place: Place) -> bool:
    if is_digit(page.plain, place.start - 1) or is_digit(page.plain, place.end):
        return False
    if _BEHIND_A_CUE.search(page.plain, max(0, place.start - _CUE_REACH), place.start):
        return True
    return _BEFORE_A_CUE.match(page.plain, place.end) is not None and not is_letter(page.plain, place.start - 1)


def is_bounded(page: Page, place: Place) -> bool:
    """Whether a number stands alone: no digit, letter or decimal point goes on with it, and no unit follows."""
    text, start, end = page.plain, place.start, place.end
    if is_digit(text, start - 1) or is_digit(text, end) or is_letter(text, start - 1) or is_letter(text, end):
        return False
    if text[start - 1 : start] in (".", "/", "-", "~") and is_digit(text, start - 2):
        return False
    if text[end : end + 1] in (".", "/", "-", "~", "^") and is_digit(text, end + 1):
        return False
    return _UNIT.match(text, end) is None
