"""What is a word and how common: a light segmentation for stretches of a few characters around a candidate.

Costs are ten times the negative natural logarithm of a word's share of running text, at most 255; the cheapest path
over a stretch is its likeliest reading as words. Not meant for whole documents.
"""

from functools import cache
from typing import Final

from deid.text.lists.reading import costs_of, known_names, lines_of

LONGEST: Final = 5
"""Characters of the longest word that is listed."""

MEDICAL: Final = 115
"""The highest cost of a word of ``medical_words.txt``: about one in a hundred thousand."""

UNKNOWN: Final = 160
"""The cost of a character that no list has: about one in ten million."""


@cache
def word_costs() -> dict[str, int]:
    """Return every listed word with its cost, single characters included; names of persons are not listed."""
    costs = costs_of(lines_of("words.txt"))
    for word in " ".join(lines_of("medical_words.txt")).split():
        costs[word] = min(costs.get(word, MEDICAL), MEDICAL)
    for name in known_names():
        costs.pop(name, None)
    return costs


def is_word(text: str) -> bool:
    """Whether a stretch of simplified Chinese is one listed word."""
    return text in word_costs()


def path_cost(text: str, start: int = 0, end: int | None = None) -> int:
    """Return the cost of the cheapest reading of ``text[start:end]`` as words.

    Args:
        text: simplified Chinese; other characters count as unknown ones.
        start: the first character of the stretch.
        end: one past its last; the stretch should have at most some twenty characters.
    """
    return _paths(text, start, len(text) if end is None else end)[-1][0]


def segment(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return start and end of each word on the cheapest path over ``text[start:end]``, in offsets of ``text``."""
    position = len(text) if end is None else end
    paths = _paths(text, start, position)
    words: list[tuple[int, int]] = []
    while position > start:
        previous = paths[position - start][1]
        words.append((previous, position))
        position = previous
    words.reverse()
    return words


def _paths(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return for each place from start to end the cost of the best path to it and where its last word begins."""
    costs = word_costs()
    paths = [(0, start)]
    for place in range(start + 1, end + 1):
        best, begin = paths[place - 1 - start][0] + costs.get(text[place - 1], UNKNOWN), place - 1
        for earlier in range(max(start, place - LONGEST), place - 1):
            cost = costs.get(text[earlier:place])
            if cost is not None and cost + paths[earlier - start][0] < best:
                best, begin = cost + paths[earlier - start][0], earlier
        paths.append((best, begin))
    return paths
