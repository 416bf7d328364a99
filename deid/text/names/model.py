"""The cost of reading a stretch as a full name, beside which the cost of reading it as words is held.

Costs are those of ``deid.text.lists.words``: ten times the negative natural logarithm of a share.
"""

from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.given_names import given_names
from deid.text.lists.reading import compound_surnames, surname_cost, surname_ranks

A_NAME: Final = 50
"""That a word is the full name of a person: about one in 150 words of running text."""

KNOWN: Final = 125
"""The full name of a public figure."""

COMPOUND_TELLS: Final = 20
"""A surname of two characters is no other word: what it is dearer for as a word, the name is as well, less this."""

_GIVEN_OF_TWO: Final = 2
_GIVEN_OF_ONE: Final = 17
"""Four in five given names have two characters."""

UNSEEN: Final = 110
"""A character that is in no given name of the sources, in a text that says that it is one."""

_COMPOUND: Final = 75


class NameModel(NamedTuple):
    """Costs by character.

    Attributes:
        surnames: of one character or more.
        first, second: characters of a given name of two.
        only: the character of a given name of one.
    """

    surnames: dict[str, int]
    first: dict[str, int]
    second: dict[str, int]
    only: dict[str, int]


@cache
def name_model() -> NameModel:
    """Return the model, made from the lists once."""
    first, second, only = given_names()
    surnames = {surname: surname_cost(rank) for surname, rank in surname_ranks().items()}
    surnames.update(dict.fromkeys(compound_surnames(), _COMPOUND))
    return NameModel(
        surnames,
        {character: cost + _GIVEN_OF_TWO for character, cost in first.items()},
        second,
        {character: cost + _GIVEN_OF_ONE for character, cost in only.items()},
    )
