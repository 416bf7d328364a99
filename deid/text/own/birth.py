"""The subject's birth date in every form in which days are written."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from deid.text.days import WrittenDay, written_days
from deid.text.kinds import Kind
from deid.text.own.forms import Page, is_digit

_CUE: Final = re.compile(
    r"(?:生日|出生(?:日期|年月|于|在)?|生于|诞辰|born(?: on)?|birthday|dob|date of birth|birth ?date)[是为在:： (]{0,4}"
    r"(?:公历|阳历|农历|阴历)?[^0-9一二三四五六七八九十\n。]{0,2}\Z"
)
_CUE_REACH: Final = 20
_BEHIND: Final = re.compile(r"[ ]?(?:出生|生日|过生日|生的?(?![病气产])|生人|born)")


class BirthDate:
    """The days on which the subject may have been born, as records say.

    Args:
        days: one, or several where records differ.
    """

    kind = Kind.DATE
    source = "record.birth_date"

    def __init__(self, days: Iterable[date]) -> None:
        self._days = frozenset(days)
        self._short = [f"{day:%y%m%d}" for day in self._days]

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the day stands; without its year or its day only where birth is spoken of."""
        text = page.plain
        for found in written_days(text):
            if found.year is not None and found.day is not None:
                if not self._days.isdisjoint(found.dates()):
                    yield found.start, found.end
            elif self._is_part(found) and _is_of_birth(text, found.start, found.end):
                yield found.start, found.end
        for short in self._short:
            for place in page.whole.places(short):
                alone = not is_digit(text, place.start - 1) and not is_digit(text, place.end)
                if alone and _is_of_birth(text, place.start, place.end):
                    yield place.start, place.end

    def _is_part(self, found: WrittenDay) -> bool:
        if found.day is None:
            return any((day.year, day.month) == (found.year, found.month) for day in self._days)
        return any((day.month, day.day) == (found.month, found.day) for day in self._days)


def _is_of_birth(text: str, start: int, end: int) -> bool:
    return bool(_CUE.search(text, max(0, start - _CUE_REACH), start) or _BEHIND.match(text, end))


def birth_date_in(id_number: str) -> date | None:
    """Return the birth date that a resident identity number of 15 or 18 characters says, or None."""
    digits = id_number[6:14] if len(id_number) == 18 else f"19{id_number[6:12]}"  # noqa: PLR2004 - GB 11643
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
