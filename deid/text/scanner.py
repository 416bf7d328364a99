"""One pass over a text for all identifiers: only the islands that could hold one are read closely.

In Chinese text digits and Latin letters are islands; nearly all of it is skipped by one compiled pattern.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from deid.text.identifiers import ACROSS, IDENTIFIERS, Identifier
from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

ALPHABET: Final = " -~·。转分机"
"""What identifiers are written with, as the inside of a character class: printable ASCII, the middle dot, the full stop
that is typed for a dot in addresses, and the words before an extension."""

_ISLAND: Final = re.compile(f"[{ALPHABET}]{{6,}}+")
"""The shortest identifier is an address such as ``a@b.cn``."""

_CLUE: Final = re.compile(
    r"@|://|[A-Za-z]\.[A-Za-z]|::|(?:[0-9]{1,3}\.){3}|(?:[0-9][^0-9]*+){6}|[A-Za-z0-9_-]{24}|(?:[0-9A-Fa-f]{2}[:-]){5}",
    re.IGNORECASE,
)
"""No identifier has fewer than six digits, unless it is an address of some kind."""

_NO_DIGITS: Final = re.compile("[^0-9]+")


def islands(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of a folded text that could hold an identifier."""
    for island in _ISLAND.finditer(text):
        if _CLUE.search(text, island.start(), island.end()) is not None:
            yield island.span()


def scan(text: str, identifiers: Sequence[Identifier] = IDENTIFIERS) -> Iterator[Hit]:
    """Yield the hits of all identifiers in a folded text; they may overlap."""
    for start, end in islands(text):
        island = text[start:end]
        digits = len(_NO_DIGITS.sub("", island))
        for identifier in identifiers:
            if identifier.digits <= digits and identifier.sign in island:
                yield from identifier.hits(text, start, end)


class Scanner:
    """All structured identifiers as one finder."""

    name = "structured"
    languages = frozenset(("zh", "en"))

    def __init__(self, identifiers: Sequence[Identifier] = IDENTIFIERS, across: Sequence[Identifier] = ACROSS) -> None:
        self._identifiers, self._across = identifiers, across
        self.kinds: frozenset[Kind] = frozenset(one.kind for one in (*identifiers, *across)) | {Kind.FAX}

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all identifiers; they may overlap."""
        if reading.has_codes:
            yield from self._in_figures(reading)
        if (digits := reading.digits) is not None:
            yield from scan(digits, self._identifiers)

    def _in_figures(self, reading: Reading) -> Iterator[Hit]:
        yield from scan(reading.text, self._identifiers)
        if reading.has_han:
            for identifier in self._across:
                yield from identifier.hits(reading.text, 0, len(reading.text))
