"""A Chinese name in Latin letters: whole in either order, the given name, initials behind a cue."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.lists import english
from deid.text.own.forms import Page, Place, is_letter
from deid.text.own.latin_names import TITLE, TITLE_REACH
from deid.text.own.syllables import syllables

_SURE: Final = 8
"""Letters from which on a name in pinyin is nothing else."""

_SHORTEST: Final = 4
_SHORTEST_GIVEN: Final = 6

_CUE: Final = re.compile(
    r"(?:缩写|首字母|拼音|简称|代号|initials?|姓名|签名|患者|病人|name|署名|昵称)(?:代码|简写|缩写)?"
    r"[是为:= (「\"']{0,4}\Z"
)
_CUE_REACH: Final = 14
_BESIDE: Final = " .-"
_GAP: Final = 4


class PinyinName:
    """One name.

    Args:
        surname, given: in Chinese characters.
    """

    def __init__(self, surname: str, given: str) -> None:
        families, persons = syllables(surname, is_surname=True), syllables(given) if given else []
        self._whole: set[str] = set()
        self._initials: set[str] = set()
        self._given: set[str] = set()
        self._families = {"".join(family) for family in families}
        for family in map("".join, families):
            for person in persons:
                letters = "".join(one[0] for one in person)
                self._whole |= {family + "".join(person), "".join(person) + family}
                self._initials |= {family[0] + letters, letters + family[0], family + letters, letters + family}
        if len(given) > 1:
            self._given = {"".join(person) for person in persons if len("".join(person)) >= _SHORTEST_GIVEN}

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the name stands in Latin letters."""
        form = page.names
        if not any("a" <= sign <= "z" for sign in form.text):
            return
        for letters in self._whole:
            for place in form.places(letters) if len(letters) >= _SHORTEST else ():
                if _is_token(page, place) and (len(letters) >= _SURE or _is_name(page, place, letters)):
                    yield place.start, place.end
        for letters in self._given:
            for place in form.places(letters):
                if _is_token(page, place) and _is_name(page, place, letters):
                    yield place.start, place.end
        yield from self._shortened(page)
        yield from self._addressed(page)

    def _addressed(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield the surname behind an English title."""
        for family in self._families:
            for place in page.whole.places(family):
                title = TITLE.search(page.plain, max(0, place.start - TITLE_REACH), place.start)
                if title is not None and _is_token(page, place):
                    yield place.start, place.end

    def _shortened(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield initials behind a cue."""
        for letters in self._initials:
            for place in page.names.places(letters):
                if _is_token(page, place) and _is_cued(page, place):
                    yield place.start, place.end


def _is_token(page: Page, place: Place) -> bool:
    return not is_letter(page.plain, place.start - 1) and not is_letter(page.plain, place.end)


def _is_name(page: Page, place: Place, letters: str) -> bool:
    """Whether few letters are a name: no English word, and capitals or no other Latin word beside them."""
    written = page.written[place.start : place.end]
    if sum(map(str.isupper, written)) > 1:
        return True
    if place.is_whole and english.is_word(letters):
        return _is_cued(page, place)
    before = page.plain[max(0, place.start - _GAP) : place.start].rstrip(_BESIDE)
    behind = page.plain[place.end : place.end + _GAP].lstrip(_BESIDE)
    return not is_letter(before, len(before) - 1) and not is_letter(behind, 0)


def _is_cued(page: Page, place: Place) -> bool:
    return _CUE.search(page.plain, max(0, place.start - _CUE_REACH), place.start) is not None
