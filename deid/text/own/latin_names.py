"""A name of the subject's that is written in Latin letters."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.kinds import Kind
from deid.text.lists import english
from deid.text.own.forms import Page, Place, is_letter, plain_form

_PART: Final = re.compile("[a-z]+(?:['’-][a-z]+)*")
_GAPS: Final = re.compile("['’-]")
TITLE: Final = re.compile(r"(?<![a-z])(?:mr|mrs|ms|miss|dr|prof|sir|madam)\.? {0,2}\Z")
TITLE_REACH: Final = 8
_SHORTEST: Final = 3


class LatinName:
    """One name of one or more parts, the last the family's.

    Args:
        name: as it is written.
        source: of its hits.
    """

    kind = Kind.PERSON

    def __init__(self, name: str, source: str) -> None:
        self.source = source
        first, comma, second = plain_form(name).partition(",")
        written = f"{second} {first}" if comma else first
        self._parts = [_GAPS.sub("", part) for part in _PART.findall(written)]
        self._whole: set[str] = set()
        if len(self._parts) > 1:
            *given, family = self._parts
            letters = "".join(part[0] for part in given)
            names = ("".join(given), given[0], letters, letters[0])
            self._whole = {one for name in names for one in (name + family, family + name)}

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the name or one of its parts stands."""
        form = page.names
        for letters in self._whole:
            for place in form.places(letters):
                if _is_token(page, place):
                    yield place.start, place.end
        for part in self._parts:
            for place in form.places(part) if len(part) >= _SHORTEST else ():
                if _is_token(page, place) and self._is_theirs(page, place, part):
                    yield place.start, place.end

    def _is_theirs(self, page: Page, place: Place, part: str) -> bool:
        """Whether a part alone is a name: behind a title, or with a capital and no word."""
        if TITLE.search(page.plain, max(0, place.start - TITLE_REACH), place.start):
            return True
        if len(part) <= _SHORTEST or not page.written[place.start].isupper():
            return False
        return not english.is_word(part) or part in english.surnames() or part in english.given_names()


def _is_token(page: Page, place: Place) -> bool:
    return not is_letter(page.plain, place.start - 1) and not is_letter(page.plain, place.end)
