"""How likely characters are in given names, by their place: costs as in ``deid.text.lists.words``."""

from functools import cache
from typing import NamedTuple

from deid.text.lists.reading import costs_of, lines_of


class GivenNames(NamedTuple):
    """Costs of the characters of given names.

    Attributes:
        first, second: of a given name of two characters.
        only: of a given name of one.
    """

    first: dict[str, int]
    second: dict[str, int]
    only: dict[str, int]


@cache
def given_names() -> GivenNames:
    """Return the costs by place."""
    slots: dict[str, list[str]] = {slot: [] for slot in GivenNames._fields}
    for line in lines_of("given.txt"):
        slot, _, costs = line.partition("\t")
        slots[slot].append(costs)
    return GivenNames(*(costs_of(lines, None) for lines in slots.values()))
