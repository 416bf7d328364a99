"""Wider values: an age becomes a band, an address its city or province, a day its year."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from deid.text.addresses.gazetteer import places_in
from deid.text.days import number_of, read_day
from deid.text.kinds import MARKS, Kind
from deid.text.lists import simplified
from deid.text.lists.divisions import Division, Level, divisions_called
from deid.text.operators.setting import Found, Setting

_OLDEST: Final = 90
"""45 CFR 164.514(b)(2)(i)(C): ages over 89, and years that say them, are told as one."""

_NUMBER: Final = re.compile("[0-9]{1,3}")
_WRITTEN_NUMBER: Final = re.compile("[一二三四五六七八九十百零]{1,6}")


class Generalise:
    """Leaves what is wider, or as wide already; the mark where nothing wider is known.

    Args:
        to: ``year`` or ``month`` of days, ``province`` or ``city`` of addresses and places.
        years: of a band of ages.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, to: str = "", years: int = 5) -> None:
        self._to, self._years = to, years

    def replace(self, found: Found, setting: Setting) -> str:  # noqa: ARG002 - as every operator
        """Return the wider value."""
        wider = None
        if found.kind is Kind.AGE:
            wider = self._band(found.folded)
        elif found.kind is Kind.DATE:
            wider = self._part_of_day(found.folded)
        elif found.kind in (Kind.ADDRESS, Kind.PLACE):
            wider = self._division(found.folded)
        return MARKS[found.kind] if wider is None else wider

    def _band(self, text: str) -> str | None:
        age = _age(text)
        if age is None:
            return None
        if age >= _OLDEST:
            return f"{_OLDEST}+"
        low = age // self._years * self._years
        return f"{low}-{min(low + self._years, _OLDEST) - 1}"

    def _part_of_day(self, text: str) -> str | None:
        day = read_day(text)
        if day is None or day.year is None or day.year <= datetime.now(UTC).year - _OLDEST:
            return None  # no year, or one that says of whoever was born in it that they are 90 by now
        return f"{day.year}年{day.month}月" if self._to == "month" else f"{day.year}年"

    def _division(self, text: str) -> str | None:
        told = list(_narrowed(simplified(text)))
        provinces = {one.province or one.name for one in told}
        if len(provinces) != 1:
            return None
        cities = {one.city or (one.name if one.level is Level.CITY else "") for one in told}
        province = provinces.pop()
        return province + (cities.pop() if self._to == "city" and len(cities) == 1 else "")


def _narrowed(text: str) -> Iterator[Division]:
    """Yield the divisions that the names at the beginning of an address can all lie in, the narrowest ones."""
    told: tuple[Division, ...] = ()
    for place in places_in(text):
        candidates = divisions_called(text[place.start : place.end])
        within = tuple(one for one in candidates if not told or any(_holds(wide, one) for wide in told))
        told = within or told
    yield from told


def _holds(wide: Division, one: Division) -> bool:
    return wide.name in (one.province, one.city)


def _age(text: str) -> int | None:
    if (figures := _NUMBER.search(text)) is not None:
        return int(figures.group())
    written = _WRITTEN_NUMBER.search(text)
    if written is None:
        return None
    return _OLDEST if "百" in written.group() or written.group().startswith("九十") else _written_age(written.group())


def _written_age(written: str) -> int:
    tens, ten, ones = written.partition("十")
    return (number_of(tens or "一") * 10 if ten else 0) + (number_of(ones or "零") if ten else number_of(tens))
