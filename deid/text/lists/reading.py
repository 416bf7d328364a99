"""Reads the lists that ship; each file is read once, when it is first asked for."""

from functools import cache
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


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


@cache
def surname_ranks() -> dict[str, int]:
    """Return the surnames of one character by how common they are, 0 for the commonest."""
    common, _, rare = "\n".join(lines_of("surnames.txt")).partition("\n-\n")
    return {surname: rank for rank, surname in enumerate((common + rare).replace("\n", ""))}


@cache
def compound_surnames() -> frozenset[str]:
    """Return the surnames of two or more characters."""
    return frozenset(" ".join(lines_of("compound_surnames.txt")).split())
