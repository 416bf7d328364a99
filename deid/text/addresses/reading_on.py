"""Reads an address part by part: a division, a name with a suffix, or a number with what it counts."""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import Place
from deid.text.addresses.grammar import (
    BARE,
    BUILDING,
    BUILT,
    CODE,
    CROSSING,
    GAP,
    NAME,
    NUMBERED,
    PAIR,
    ROOM,
    TAIL,
    suffixes,
)
from deid.text.addresses.naming import LONGEST, is_plausible
from deid.text.lists.divisions import Strength

_MOST_PARTS: Final = 24

_AHEAD_OF_NUMBERS: Final = 8
"""Characters behind a name in which the number stands that lets one expect it."""

_WIDE: Final = frozenset("市县区旗州")
"""Suffixes of divisions that the gazetteer does not have."""

_HOUSES: Final = re.compile("[栋幢座楼门#]|单元|号[楼院房]")
"""Units behind which the number of a flat may stand bare."""

_FLATS: Final = frozenset(("栋", "幢", "座", "单元", "号楼", "#", "#楼", "室", "flat"))
_FLOORS: Final = frozenset(("楼", "层"))
_PLAIN: Final = frozenset(("", "road", "name", "号楼", "座", "楼", "层"))
"""Units that also lead the way within a hospital."""


class Reach(IntEnum):
    """How fine the finest part is."""

    NOTHING = 0
    DIVISION = 1
    SETTLEMENT = 2
    ROAD = 3
    HOUSE = 4


class Address(NamedTuple):
    """What was read.

    Attributes:
        end: of the last part.
        reach: of the finest one.
        flats: how many numbers of buildings, stairs and flats it has.
    """

    end: int
    reach: Reach
    flats: int


class _Part(NamedTuple):
    end: int
    reach: Reach
    unit: str = ""


def read_on(text: str, start: int, places: Mapping[int, Place], before: Reach = Reach.NOTHING) -> Address:
    """Read as many parts as follow each other from a place on.

    Args:
        text: simplified Chinese.
        start: where the first part begins.
        places: of the text by their start.
        before: what was read directly before; a division, or nothing.
    """
    end, reach, units = start, before, [""]
    for _ in range(_MOST_PARTS):
        part = _next(text, end, places, reach, units[-1]) or _behind_gap(text, end, places, reach)
        if part is None:
            break
        end = part.end
        units.append(part.unit)
        reach = max(reach, part.reach)
    return Address(end, reach, _flats(units))


def _flats(units: list[str]) -> int:
    """Return how many numbers lead into a building; those of floors only where a building or stairs precede."""
    flats = sum(unit in _FLATS for unit in units)
    return flats + (flats > 0 and any(unit in _FLOORS for unit in units) and not _PLAIN.issuperset(units))


def _behind_gap(text: str, place: int, places: Mapping[int, Place], reach: Reach) -> _Part | None:
    """Return the part behind a space; behind a sign only one that says by itself that it belongs to an address."""
    gap = GAP.match(text, place)
    if gap is None:
        return None
    part = _next(text, gap.end(), places, min(reach, Reach.DIVISION) if "，" in gap.group() else reach, "")
    if part is None or gap.group().isspace():
        return part
    has_number = any(map(str.isdigit, text[gap.end() : part.end + 2]))
    here = places.get(gap.end())
    return part if has_number or (here is not None and here.strength is Strength.FULL) else None


def _next(text: str, place: int, places: Mapping[int, Place], reach: Reach, unit: str) -> _Part | None:
    if place >= len(text):
        return None
    here = places.get(place)
    if here is not None and here.strength is Strength.FULL:
        return _Part(here.end, Reach.DIVISION)
    part = _numbered(text, place, reach, unit) or _named(text, place, reach, unit) or _built(text, place, reach)
    if part is None and here is not None and reach < Reach.HOUSE:
        return _Part(here.end, Reach.DIVISION)
    return part or _special(text, place, unit)


def _special(text: str, place: int, unit: str) -> _Part | None:
    """Return the second of two roads that meet, or the part of a village."""
    pattern = CROSSING if unit == "road" else TAIL if unit == "name" and text[place - 1] in "村屯寨庄" else None
    match = pattern.match(text, place) if pattern else None
    return _Part(match.end(), Reach.SETTLEMENT, "name") if match else None


def _numbered(text: str, place: int, reach: Reach, unit: str) -> _Part | None:
    """Return a number with what it counts; a bare one where the part before lets one expect it."""
    match = NUMBERED.match(text, place)
    if match is not None and (reach > Reach.DIVISION or BUILDING.match(text, place)):
        return _Part(match.end(), Reach.HOUSE, match.group("unit"))
    for bare in _bare(unit):
        match = bare.match(text, place)
        if match is not None:
            return _Part(match.end(), Reach.HOUSE, "flat")
    return None


def _bare(unit: str) -> tuple[re.Pattern[str], ...]:
    """Return how a number without a unit may be written behind what a unit or a suffix has ended."""
    if _HOUSES.search(unit):
        return (ROOM, CODE)
    if unit == "road":
        return (BARE,)
    return (PAIR, CODE) if unit == "name" or unit.startswith("号") else ()


def _named(text: str, place: int, reach: Reach, unit: str) -> _Part | None:
    """Return the shortest name with a suffix that begins here and is plausible."""
    run = NAME.match(text, place)
    end = run.end() if run else place
    if end == place:
        return None
    patterns = suffixes()
    best: _Part | None = None
    kinds = [(patterns.road, Reach.ROAD), (patterns.settled, Reach.SETTLEMENT), (patterns.counted, Reach.SETTLEMENT)]
    if unit.startswith("号"):
        kinds.append((patterns.body, Reach.SETTLEMENT))
    for pattern, fine in kinds:
        suffix = _suffix(text, place, end if best is None else min(end, best.end - 1), pattern, reach)
        if suffix is not None:
            wide = suffix.group() in _WIDE and pattern is patterns.settled
            is_road = fine is Reach.ROAD
            best = _Part(suffix.end(), Reach.DIVISION if wide else fine, "road" if is_road else "name")
    return best


def _suffix(text: str, place: int, end: int, pattern: re.Pattern[str], reach: Reach) -> re.Match[str] | None:
    """Return the first suffix with which a name that begins here is plausible, and that ends in time."""
    is_counted = pattern is suffixes().counted
    for match in pattern.finditer(text, place, min(end + _AHEAD_OF_NUMBERS, len(text))):
        if match.end() > end or match.start() - place > LONGEST:
            return None
        if match.start() > place if is_counted else is_plausible(text, place, match, is_inside=reach > Reach.NOTHING):
            return match
    return None


def _built(text: str, place: int, reach: Reach) -> _Part | None:
    match = BUILT.match(text, place) if reach > Reach.NOTHING else None
    return _Part(match.end(), Reach.SETTLEMENT, "name") if match else None
