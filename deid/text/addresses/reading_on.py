"""Reads an address part by part: a division, a name with a suffix, or a number with what it counts."""

import re
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import Place
from deid.text.addresses.grammar import BARE, BUILDING, BUILT, GAP, NAME, NUMBERED, PAIR, ROOM, STOP, suffixes
from deid.text.lists import segment, word_costs
from deid.text.lists.divisions import Strength
from deid.text.lists.reading import sections_of
from deid.text.lists.words import UNKNOWN
from deid.text.names.evidence import is_han

_MOST_PARTS: Final = 24

_FREQUENT: Final = 88
"""Words that are cheaper than this are no names of roads or estates, unless the list says so."""

_LONGEST: Final = 8
_LONGEST_UNCOUNTED: Final = 6
"""Characters of a name without its suffix, where a number follows and where none does."""

_AHEAD: Final = 3

_WIDE: Final = frozenset("市县区旗州")
"""Suffixes of divisions that the gazetteer does not have."""

_BARE: Final = frozenset(("路", "大道", "大街", "街"))
"""Suffixes that may follow a division without a name of their own: 南京路."""

_HOUSES: Final = re.compile("[栋幢座楼#]|单元|号[楼院房]")
"""Units behind which the number of a flat may stand bare."""

_FLATS: Final = frozenset(("栋", "幢", "座", "单元", "号楼", "#", "#楼", "室", "flat"))
_FLOORS: Final = frozenset(("楼", "层"))
_PLAIN: Final = frozenset(("", "road", "号楼", "座", "楼", "层"))
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
    return part if has_number or part.reach is Reach.DIVISION else None


def _next(text: str, place: int, places: Mapping[int, Place], reach: Reach, unit: str) -> _Part | None:
    if place >= len(text):
        return None
    here = places.get(place)
    if here is not None and here.strength is Strength.FULL:
        return _Part(here.end, Reach.DIVISION)
    part = _numbered(text, place, reach, unit) or _named(text, place, reach) or _built(text, place)
    if part is None and here is not None:
        return _Part(here.end, Reach.DIVISION)
    return part


def _numbered(text: str, place: int, reach: Reach, unit: str) -> _Part | None:
    """Return a number with what it counts; a bare one where the part before lets one expect it."""
    match = NUMBERED.match(text, place)
    if match is not None and (reach > Reach.DIVISION or BUILDING.match(text, place)):
        return _Part(match.end(), Reach.HOUSE, match.group("unit"))
    bare = ROOM if _HOUSES.search(unit) else PAIR if unit.startswith("号") else BARE if unit == "road" else None
    match = bare.match(text, place) if bare else None
    return _Part(match.end(), Reach.HOUSE, "flat") if match else None


def _named(text: str, place: int, reach: Reach) -> _Part | None:
    """Return the shortest name with a suffix that begins here and is plausible."""
    run = NAME.match(text, place)
    end = run.end() if run else place
    if end == place:
        return None
    patterns = suffixes()
    best: _Part | None = None
    for pattern, fine in (
        (patterns.road, Reach.ROAD),
        (patterns.settled, Reach.SETTLEMENT),
        (patterns.counted, Reach.SETTLEMENT),
    ):
        for match in pattern.finditer(text, place, end if pattern is not patterns.counted else min(end + 8, len(text))):
            if match.end() > end or match.start() - place > _LONGEST or (best is not None and best.end <= match.end()):
                break
            is_loose = pattern is patterns.counted
            if match.start() > place if is_loose else _is_plausible(text, place, match, reach):
                wide = match.group() in _WIDE and not is_loose
                best = _Part(match.end(), Reach.DIVISION if wide else fine, "road" if fine is Reach.ROAD else "")
                break
    return best


def _built(text: str, place: int) -> _Part | None:
    match = BUILT.match(text, place)
    return _Part(match.end(), Reach.SETTLEMENT) if match else None


def _is_plausible(text: str, start: int, suffix: re.Match[str], before: Reach) -> bool:
    """Whether a name with its suffix is one: a number follows, or it reads as words that names are made of."""
    lists = _lists()
    end = suffix.end()
    if suffix.start() == start:
        is_joined = before > Reach.NOTHING and is_han(text[start - 1])
        return is_joined and (suffix.group() in _BARE or NUMBERED.match(text, end) is not None)
    if text[start:end] in lists.generic:
        return False
    if NUMBERED.match(text, end) is not None:
        return True
    return suffix.start() - start <= _LONGEST_UNCOUNTED and _reads_as_name(text, start, suffix)


def _reads_as_name(text: str, start: int, suffix: re.Match[str]) -> bool:
    lists, costs, end = _lists(), word_costs(), suffix.end()
    reach = end
    while reach < min(len(text), end + _AHEAD) and is_han(text[reach]):
        reach += 1
    words = segment(text, start, reach)
    if all(word_end != end for _, word_end in words):
        return False
    for word_start, word_end in words:
        word = text[word_start:word_end]
        if word_start >= suffix.start():
            break
        if word in lists.stop or (len(word) > 1 and word in lists.generic):
            return False
        if len(word) > 1 and word not in lists.usual and costs.get(word, UNKNOWN) < _FREQUENT:
            return False
    return True


class _Lists(NamedTuple):
    stop: frozenset[str]
    usual: frozenset[str]
    generic: frozenset[str]


@cache
def _lists() -> _Lists:
    sections = sections_of("address_words.txt")
    return _Lists(*(frozenset(sections[section]) for section in _Lists._fields))


def name_begin(text: str, place: int) -> int:
    """Return where the name begins that ends at a place: words are taken from the right while they may belong to it."""
    least = place
    while least > max(0, place - 10) and is_han(text[least - 1]):
        least -= 1
    lists, costs = _lists(), word_costs()
    begin, core = place, 0
    for start, end in reversed(segment(text, least, place)):
        word = text[start:end]
        if word in lists.stop or not _STOPS.isdisjoint(word) or core >= _ENOUGH:
            break
        if len(word) > 1 and word not in lists.usual and costs.get(word, UNKNOWN) < _FREQUENT:
            break
        begin = start
        core += sum(character not in _DIRECTIONS for character in word)
    return begin


_STOPS: Final = frozenset(STOP)
_DIRECTIONS: Final = frozenset("东西南北中前后上下一二三四五六七八九十大小新老")
_ENOUGH: Final = 2
"""Characters of a name beside directions and numbers; nearly all names of roads have two."""
