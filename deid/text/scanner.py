"""One pass over a text for all identifiers: only the islands that could hold one are read closely.

In Chinese text digits and Latin letters are islands; nearly all of it is skipped by one compiled pattern.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from deid.text.identifiers import ACROSS, IDENTIFIERS, Identifier, broken_in
from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

ALPHABET: Final = " -~·。转分机"
"""What identifiers are written with, as the inside of a character class: printable ASCII, the middle dot, the full stop
that is typed for a dot in addresses, and the words before an extension."""

_ISLAND: Final = re.compile(f"[{ALPHABET}]{{6,}}+")
"""The shortest identifier is an address such as ``a@b.cn``."""

_CLUE: Final = re.compile(
    r"@|://|[A-Za-z]\.[A-Za-z]|::|(?:[0-9]{1,3}\.){3}|(?:[0-9][^0-9]*+){6}|[A-Za-z0-9_-]{24}|(?:[0-9A-Fa-f]{2}[:-]){5}"
    "|[1-9][A-Z][0-9A-Z][0-9][- ]?[A-Z][0-9A-Z][0-9][- ]?[A-Z]",
    re.IGNORECASE,
)
"""No identifier has fewer than six digits, unless it is an address of some kind, or the number of a Medicare
beneficiary, of which five may do."""

_DIGITS: Final = re.compile("[0-9]+")
_LETTER: Final = re.compile("[A-Za-z]")
_MOST: Final = 32
"""More digits than any identifier asks for."""


def islands(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch of a folded text that could hold an identifier."""
    for island in _ISLAND.finditer(text):
        if _CLUE.search(text, island.start(), island.end()) is not None:
            yield island.span()


class _Worthwhile:
    """Which identifiers are worth trying on a stretch, by what it is made of; few sorts of stretches there are."""

    def __init__(self, identifiers: Sequence[Identifier]) -> None:
        self._identifiers = identifiers
        self._known: dict[tuple[int, int, bool], Sequence[Identifier]] = {}

    def on(self, island: str) -> Sequence[Identifier]:
        """Return those whose needs it meets, signs left out."""
        runs = [len(run) for run in _DIGITS.findall(island)]
        made_of = (min(sum(runs), _MOST), min(max(runs, default=0), _MOST), _LETTER.search(island) is not None)
        known = self._known.get(made_of)
        if known is None:
            known = self._known[made_of] = tuple(one for one in self._identifiers if _meets(one, *made_of))
        return known


def _meets(identifier: Identifier, digits: int, run: int, has_letter: bool) -> bool:  # noqa: FBT001
    return identifier.digits <= digits and identifier.run <= run and (has_letter or not identifier.has_letter)


class Scanner:
    """All structured identifiers as one finder."""

    name = "structured"
    languages = frozenset(("zh", "en"))

    def __init__(self, identifiers: Sequence[Identifier] = IDENTIFIERS, across: Sequence[Identifier] = ACROSS) -> None:
        self._worthwhile, self._across = _Worthwhile(identifiers), across
        self.kinds: frozenset[Kind] = frozenset(one.kind for one in (*identifiers, *across)) | {Kind.FAX}

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Return the hits of all identifiers; they may overlap."""
        in_figures = self._in_figures(reading) if reading.has_codes else iter(())
        digits = reading.digits
        return in_figures if digits is None else chain(in_figures, self._scan(digits))

    def _in_figures(self, reading: Reading) -> Iterator[Hit]:
        yield from self._scan(reading.text)
        yield from broken_in(reading.text)
        if reading.has_han:
            for identifier in self._across:
                if identifier.sign in reading.text:
                    yield from identifier.hits(reading.text, 0, len(reading.text))

    def _scan(self, text: str) -> Iterator[Hit]:
        for start, end in islands(text):
            island = text[start:end]
            for identifier in self._worthwhile.on(island):
                if identifier.sign in island:
                    yield from identifier.hits(text, start, end)
