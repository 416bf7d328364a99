"""What may be the name of a road, a town, a village or an estate, by the words that it reads as."""

import re
from functools import cache
from typing import Final, NamedTuple

from deid.text.addresses.grammar import GRAMMAR, NUMBERED, STOP
from deid.text.lists import segment, word_costs
from deid.text.lists.reading import sections_of
from deid.text.lists.words import UNKNOWN
from deid.text.names.evidence import is_han

LONGEST: Final = 8
_LONGEST_UNCOUNTED: Final = 6
"""Characters of a name without its suffix, where a number follows and where none does."""

_FREQUENT: Final = 88
"""Words that are cheaper than this are no names of roads or estates, unless the list says so."""

_COMMON: Final = 105
"""Words with the suffix of a road that are cheaper are no names of roads."""

_PROPER: Final = 118
"""Words that are dearer are hardly any but names."""

_LONGEST_WORD: Final = 4
_SELDOM: Final = frozenset("里同段")
"""Suffixes that end no listed word as the suffix of a road."""

_AHEAD: Final = 3
"""Characters behind a suffix that are segmented with it, to see whether it ends a word."""

_REACH: Final = 10
"""Characters before a suffix in which a name begins."""

_TOWN: Final = re.compile(
    f"(?:镇|乡|街道办事处|街道)[^{STOP}\\W\\d_A-Za-z]{{1,6}}?(?:村|社区|居委会|路|街|大道)(?![由边上口灯])"
)
"""The suffix of a town before that of a village or a road in it."""

_STOPS: Final = frozenset(STOP)
_DIRECTIONS: Final = frozenset("东西南北中前后上下一二三四五六七八九十大小新老")
_ENOUGH: Final = 2
_MOST: Final = 4
"""Characters of a name beside directions and numbers; nearly all names of roads have two."""

_RARE: Final = 75
"""Single characters that are dearer may be a third one of a name."""


class _Lists(NamedTuple):
    stop: frozenset[str]
    usual: frozenset[str]
    generic: frozenset[str]
    zone: frozenset[str]


@cache
def _lists() -> _Lists:
    sections = sections_of("address_words.txt")
    return _Lists(*(frozenset(sections[section]) for section in _Lists._fields))


def is_plausible(text: str, start: int, suffix: re.Match[str], *, is_inside: bool) -> bool:
    """Whether a name with its suffix is one: a number follows, or it reads as words that names are made of.

    Args:
        text: simplified Chinese.
        start: of the name.
        suffix: what it ends with; the name may be nothing where another part directly precedes.
        is_inside: whether something of the address was read before.
    """
    lists = _lists()
    end = suffix.end()
    is_joined = is_inside and is_han(text[start - 1])
    is_counted = NUMBERED.match(text, end) is not None
    if suffix.start() == start:
        return is_joined and (suffix.group() in lists.zone or is_counted)
    if text[start:end] in lists.generic:
        return is_joined and is_counted
    is_town = (is_inside and suffix.group()[0] in "镇乡") or suffix.group().startswith("街道")
    if is_counted or (is_town and _TOWN.match(text, suffix.start())):
        return True
    length = suffix.start() - start
    if length == 1 and not is_inside and suffix.group() in lists.zone:
        return False
    return length <= _LONGEST_UNCOUNTED and _reads_as_name(text, start, suffix)


def _reads_as_name(text: str, start: int, suffix: re.Match[str]) -> bool:
    end = suffix.end()
    reach = end
    while reach < min(len(text), end + _AHEAD) and is_han(text[reach]):
        reach += 1
    words = segment(text, start, reach)
    if all(word_end != end for _, word_end in words):
        return False
    return all(_may_be_of_name(text[first:last]) for first, last in words if first < suffix.start())


def reads_as_proper(text: str, start: int, end: int) -> bool:
    """Whether a stretch reads as words of which each may be in a name, and one is hardly anything else."""
    words = [(first, last) for first, last in segment(text, start, min(len(text), end + _AHEAD - 1)) if first < end]
    inside = [text[first:last] for first, last in words]
    if words[-1][1] != end or not all(map(_may_be_of_name, inside)):
        return False
    is_spelled = len(inside) == end - start
    return is_spelled or any(len(word) > 1 and word_costs().get(word, UNKNOWN) >= _PROPER for word in inside)


def name_begin(text: str, place: int) -> int:
    """Return where the name begins that ends before a suffix: words are taken from the right while they may be of it.

    Args:
        text: simplified Chinese.
        place: where the suffix begins.
    """
    least = place
    while least > max(0, place - _REACH) and is_han(text[least - 1]):
        least -= 1
    begin, core = place, 0
    words = segment(text, least, place)
    while words and _may_be_of_name(text[words[-1][0] : begin]):
        word = text[words[-1][0] : begin]
        if core >= _ENOUGH and not _is_third(word, core):
            break
        begin = words.pop()[0]
        core += sum(character not in _DIRECTIONS for character in word)
    is_edge = least == 0 or not (is_han(text[least - 1]) or text[least - 1] in "〔〕")
    if is_edge and begin - least <= _ENOUGH and all(_may_be_of_name(text[first:last]) for first, last in words):
        return least
    return begin


def is_word_end(text: str, place: int) -> bool:
    """Whether the suffix of one character at a place is rather the end of a common word: 知道, 家里, 相同."""
    lists, costs = _lists(), word_costs()
    for size in range(_LONGEST_WORD - 1, 0, -1):
        word = text[max(0, place - size) : place + 1]
        if word[0] not in _DIRECTIONS and word in lists.generic:
            return True
        if (cost := costs.get(word)) is not None and len(word) > 1 and word[0] not in _DIRECTIONS:
            return cost < _COMMON or word[-1] in _SELDOM
    return False


def _may_be_of_name(word: str) -> bool:
    lists = _lists()
    if word in lists.stop or word in lists.generic or word in GRAMMAR or not _STOPS.isdisjoint(word):
        return False
    return len(word) == 1 or word in lists.usual or word_costs().get(word, UNKNOWN) >= _FREQUENT


def _is_third(word: str, core: int) -> bool:
    return len(word) == 1 and core < _MOST and word_costs().get(word, UNKNOWN) >= _RARE
