"""Full names in running text: where reading a surname and one or two characters as a name beats every reading as words.

Only stretches of a few characters around candidates are segmented; nearly all surnames that occur in ordinary words
fall at the first comparison, with the cheapest word at the same place.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists import path_cost, word_costs
from deid.text.lists.reading import known_names
from deid.text.lists.words import UNKNOWN
from deid.text.names.evidence import MOST, NEEDED, is_han, may_gain, weigh
from deid.text.names.model import A_NAME, COMPOUND_TELLS, KNOWN, UNSEEN, name_model

_LEFT: Final = 4
_RIGHT: Final = 6
"""Characters around the beginning of a candidate that are segmented with it."""

_LONGER: Final = 15
"""How much less a longer name at the same place may have: what is covered too much is no harm to anybody."""

_NO_WORD: Final = 999


class Name(NamedTuple):
    """A stretch that reads as a full name.

    Attributes:
        margin: how much cheaper than the best reading without it, with what its surroundings add.
    """

    start: int
    end: int
    margin: int


class _Candidate(NamedTuple):
    """A stretch that may be a name: what it costs, and an upper bound of what the best reading as words does."""

    end: int
    cost: int
    words: int


def full_names(text: str) -> list[Name]:
    """Return disjoint names of a text in simplified characters, in order of their start."""
    names: list[Name] = []
    for name in _likely(text):
        if not names or names[-1].end <= name.start:
            names.append(name)
        elif name.margin > names[-1].margin - (_LONGER if name.start == names[-1].start else 0):
            names[-1] = name
    return names


@cache
def _first_of_surnames() -> re.Pattern[str]:
    return re.compile("[" + "".join(sorted({surname[0] for surname in name_model().surnames})) + "](?=[\u4e00-\u9fff])")


def _likely(text: str) -> Iterator[Name]:
    surnames = name_model().surnames
    for match in _first_of_surnames().finditer(text):
        start = match.start()
        pair = text[start : start + 2]
        given = start + 2 if pair in surnames else start + 1
        if given == start + 1 and text[start] not in surnames:
            continue
        for candidate in _candidates(text, start, given):
            margin = _margin(text, start, candidate)
            if margin >= NEEDED:
                yield Name(start, candidate.end, margin)


def _candidates(text: str, start: int, given: int) -> list[_Candidate]:
    """Return the names that may begin here: those that one cheap reading as words does not beat by far."""
    surnames, first, second, only = name_model()
    cost_of = word_costs().get
    surname, left, right = text[start:given], text[given : given + 1], text[given + 1 : given + 2]
    if not is_han(left):
        return []
    alone = cost_of(surname, UNKNOWN)
    base = surnames[surname] + A_NAME if given == start + 1 else alone - COMPOUND_TELLS
    pair = min(cost_of(text[start : given + 1], _NO_WORD), alone + cost_of(left, UNKNOWN))
    found = []
    known = known_names()
    cost = KNOWN if text[start : given + 1] in known else base + only.get(left, UNSEEN)
    if cost < pair + MOST:
        found.append(_Candidate(given + 1, cost, pair))
    cost = KNOWN if text[start : given + 2] in known else base + first.get(left, UNSEEN) + second.get(right, UNSEEN)
    if cost < pair + UNKNOWN + MOST and is_han(right):
        words = min(
            cost_of(text[start : given + 2], _NO_WORD),
            pair + cost_of(right, UNKNOWN),
            alone + cost_of(text[given : given + 2], _NO_WORD),
        )
        if cost < words + MOST:
            found.append(_Candidate(given + 2, cost, words))
    return found


def _margin(text: str, start: int, candidate: _Candidate) -> int:
    """Return how much cheaper the reading as a name is; less than needed as soon as that is certain."""
    end, cost, words = candidate
    gain = words - cost
    if gain < NEEDED and not may_gain(text, start, end):
        return gain
    weight = weigh(text, start, end)
    if gain + weight < NEEDED:
        return gain + weight
    left, right = _reach_left(text, start), max(_reach_right(text, start), end)
    best = path_cost(text, left, right)
    return best - path_cost(text, left, start) - cost - path_cost(text, end, right) + weight


def _reach_left(text: str, place: int) -> int:
    least = max(0, place - _LEFT)
    while place > least and is_han(text[place - 1]):
        place -= 1
    return place


def _reach_right(text: str, place: int) -> int:
    most = min(len(text), place + _RIGHT)
    while place < most and is_han(text[place]):
        place += 1
    return place
