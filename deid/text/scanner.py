"""One pass over a text for all identifiers: only the islands that could hold one are read closely.

In Chinese text digits and Latin letters are islands; nearly all of it is skipped by one compiled pattern.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from deid.text.identifiers import IDENTIFIERS, Identifier
from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

ALPHABET: Final = " -~·。转分机"
"""What identifiers are written with, as the inside of a character class: printable ASCII, the middle dot, the full stop
that is typed for a dot in addresses, and the words before an extension."""

_ISLAND: Final = re.compile(f"[{ALPHABET}]{{6,}}+")
"""The shortest identifier is an address such as ``a@b.cn``."""

_CLUE: Final = re.compile(r"@|://|www\.|(?:[0-9][^0-9]*+){7}", re.IGNORECASE)
"""No identifier has fewer than seven digits, unless it has an @ or a web prefix."""


def islands(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of a folded text that could hold an identifier."""
    for island in _ISLAND.finditer(text):
        if _CLUE.search(text, island.start(), island.end()) is not None:
            yield island.span()


def scan(text: str, identifiers: Sequence[Identifier] = IDENTIFIERS) -> Iterator[Hit]:
    """Yield the hits of all identifiers in a folded text; they may overlap."""
    for start, end in islands(text):
        for identifier in identifiers:
            yield from identifier.hits(text, start, end)


class Scanner:
    """All structured identifiers as one finder."""

    name = "structured"
    languages = frozenset(("zh", "en"))

    def __init__(self, identifiers: Sequence[Identifier] = IDENTIFIERS) -> None:
        self._identifiers = identifiers
        self.kinds: frozenset[Kind] = frozenset(identifier.kind for identifier in identifiers)

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all identifiers; they may overlap."""
        return scan(reading.text, self._identifiers)
