"""Reads the lists that ship; each file is read once, when it is first asked for."""

import math
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

_COMMON: Final = 400
_RARE: Final = 95
"""From this rank on a surname is borne by one person in ten thousand at most."""


def lines_of(name: str) -> list[str]:
    """Return the lines of a list, without empty ones and remarks."""
    lines = (_HERE / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def costs_of(lines: list[str], separator: str | None = " ") -> dict[str, int]:
    """Return the words of lines ``COST<tab>WORD WORD …`` with their costs.

    Args:
        separator: between the words; None when each character is one.
    """
    costs: dict[str, int] = {}
    for line in lines:
        cost, _, words = line.partition("\t")
        costs.update(dict.fromkeys(words.split(separator) if separator else words, int(cost)))
    return costs


def alternation(words: Iterable[str]) -> str:
    """Return a pattern of words, the longer ones first."""
    return "|".join(sorted(map(re.escape, set(words)), key=lambda word: (-len(word), word)))


@cache
def sections_of(name: str) -> dict[str, list[str]]:
    """Return the words of lines ``SECTION<tab>WORD WORD …`` by section."""
    sections: dict[str, list[str]] = {}
    for line in lines_of(name):
        section, _, words = line.partition("\t")
        sections.setdefault(section, []).extend(words.split())
    return sections


@cache
def surname_ranks() -> dict[str, int]:
    """Return the surnames of one character by how common they are, 0 for the commonest."""
    common, _, rare = "\n".join(lines_of("surnames.txt")).partition("\n-\n")
    return {surname: rank for rank, surname in enumerate((common + rare).replace("\n", ""))}


def surname_cost(rank: int) -> int:
    """Return the cost of a surname as in ``deid.text.lists.words``.

    Surnames fall off like a power of their rank: the first three are borne by 7 % each, the fiftieth by 0.4 %.
    """
    return _RARE if rank >= _COMMON else round(-10 * math.log(0.072 / (1 + rank / 5) ** 1.25))


@cache
def compound_surnames() -> frozenset[str]:
    """Return the surnames of two or more characters."""
    return frozenset(" ".join(lines_of("compound_surnames.txt")).split())


@cache
def known_names() -> frozenset[str]:
    """Return names of public figures that statistics would take for words."""
    return frozenset(" ".join(lines_of("known_names.txt")).split())


@cache
def foreign_names() -> frozenset[str]:
    """Return foreign given and family names that are usually written without a middle dot."""
    return frozenset(" ".join(lines_of("foreign_names.txt")).split())
