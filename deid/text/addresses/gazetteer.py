"""Where the names of divisions and well-known places stand in a text."""

from collections.abc import Iterator
from functools import cache
from operator import add
from typing import Final, NamedTuple

from deid.text.lists import segment
from deid.text.lists.divisions import Level, Spelling, Strength, spellings
from deid.text.lists.reading import alternation, sections_of
from deid.text.names.evidence import is_han

_AROUND: Final = 4
"""Characters on both sides of a short name that are segmented with it."""

_NO_DIVISION: Final = {"市": frozenset("场面值委价"), "区": frozenset("域间别块"), "县": frozenset("令")}
"""What a name of a division does not end before: 北京市场 is no city."""


class Place(NamedTuple):
    """A name of a place in a text."""

    start: int
    end: int
    level: Level
    strength: Strength


class _Name(NamedTuple):
    name: str
    spelling: Spelling


@cache
def _by_beginning() -> dict[str, list[_Name]]:
    """Return the names by their first two characters, the longer ones first."""
    found: dict[str, list[_Name]] = {}
    for name, spelling in sorted(spellings().items(), key=lambda pair: -len(pair[0])):
        found.setdefault(name[:2], []).append(_Name(name, spelling))
    return found


def places_in(text: str) -> list[Place]:
    """Return the names of places in a text in simplified characters: disjoint, the first and longest ones."""
    beginnings = _by_beginning()
    places: list[Place] = []
    end = 0
    for start, pair in enumerate(map(add, text, text[1:])):
        if pair in beginnings and start >= end:
            for name, (level, strength) in beginnings[pair]:
                if text.startswith(name, start) and not _goes_on(text, start + len(name)):
                    end = start + len(name)
                    places.append(Place(start, end, level, strength))
                    break
    return places


def _goes_on(text: str, end: int) -> bool:
    return text[end : end + 1] in _NO_DIVISION.get(text[end - 1], ())


def stands_alone(text: str, place: Place) -> bool:
    """Whether a name says by itself that it is a place: a full one, or a short one that is a word where it stands."""
    if place.strength <= Strength.PART:
        return False
    return place.strength is Strength.FULL or is_whole(text, place.start, place.end)


def is_whole(text: str, start: int, end: int) -> bool:
    """Whether a stretch begins and ends where words do, or is one with the 人 behind it."""
    left, right = start, end
    while left > max(0, start - _AROUND) and is_han(text[left - 1]):
        left -= 1
    while right < min(len(text), end + _AROUND) and is_han(text[right]):
        right += 1
    words = segment(text, left, right)
    ends = (end, end + 1) if text[end : end + 1] == "人" else (end,)
    return any(word[0] == start for word in words) and any(word[1] in ends for word in words)


@cache
def products() -> str:
    """Return a pattern of what a place only names the sort of: ham, tea, ginseng."""
    return alternation(sections_of("place_names.txt")["product"])


def chains_of(places: list[Place], text: str) -> Iterator[list[Place]]:
    """Yield the places that follow each other directly, or with a space or a sign between them."""
    chain: list[Place] = []
    for place in places:
        if chain and not _is_joint(text[chain[-1].end : place.start], chain[-1], place):
            yield chain
            chain = []
        chain.append(place)
    if chain:
        yield chain


def _is_joint(between: str, before: Place, place: Place) -> bool:
    """Whether what stands between two places joins them; a sign does where a narrower one follows in full."""
    if len(between) > 2 or between.strip(" ,，-/·"):  # noqa: PLR2004 - a sign and a space
        return False
    return between.strip() == "" or (place.level > before.level and place.strength is Strength.FULL)
