"""Runs of capitalised words, as which names of all sorts are written, and what is around them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

from deid.text.english import context
from deid.text.english.letters import CAPITAL, LETTER
from deid.text.lists.english import cue
from deid.text.lists.reading import alternation

_WORD: Final = (
    rf"(?:[{CAPITAL}]\.(?:-?[{CAPITAL}]\.)*|St\.|[dDlLoO]['’][{CAPITAL}][{LETTER}]{{0,40}}"
    rf"|[{CAPITAL}][{LETTER}]{{0,60}}(?:['’-][{LETTER}]{{1,60}}){{0,4}}(?![{LETTER}0-9]))"
)


@cache
def _run() -> re.Pattern[str]:
    particle = f"(?:{alternation(cue('particles'))}) "
    return re.compile(
        rf"(?<![{LETTER}0-9_@#/])(?:{particle}){{0,2}}{_WORD}(?: {{1,2}}(?:{particle}){{0,2}}{_WORD}){{0,9}}"
    )


_PART: Final = re.compile(r"[^ ]+")

_SENTENCE: Final = re.compile(r"(?:\A|[.!?:;\n\r\t•*|>\"“”(\[-]|--)[ \"“”'‘’(\[]{0,3}\Z")
_ABBREVIATION: Final = re.compile(
    rf"(?:(?<![{LETTER}])(?:[A-Za-z]|mrs?|ms|dr|prof|st|vs|no|jr|sr|rev|gen|sen|lt|sgt|capt)\.) ?\Z", re.IGNORECASE
)

BEFORE: Final = 48
AFTER: Final = 40
"""Characters around a run that are looked at."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a run; hidden from repr.

    Attributes:
        start, end: in the text, without a possessive ending.
        plain: in small letters, without dots.
    """

    start: int
    end: int
    plain: str = field(repr=False)
    written: str = field(repr=False)
    is_possessive: bool

    @property
    def is_initial(self) -> bool:
        """Whether it is one letter, or several with dots."""
        return len(self.plain) == 1 or (self.written.endswith(".") and self.plain != "st")

    @property
    def is_capitals(self) -> bool:
        """Whether all letters are capitals, so that it may be an abbreviation."""
        return len(self.plain) > 1 and self.written.isupper()


@dataclass(frozen=True)
class Run:
    """Neighbouring capitalised words in one line; hidden from repr.

    Attributes:
        tokens: at least one.
    """

    text: str = field(repr=False)
    tokens: tuple[Token, ...] = field(repr=False)

    @property
    def start(self) -> int:
        """The first character."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """One past the last."""
        return self.tokens[-1].end

    @cached_property
    def before(self) -> str:
        """What stands before it, in small letters."""
        return self.text[max(0, self.start - BEFORE) : self.start].lower()

    @cached_property
    def after(self) -> str:
        """What stands behind it, as written."""
        return self.text[self.end : self.end + AFTER]

    @cached_property
    def opens_sentence(self) -> bool:
        """Whether a capital is usual at this place, whatever the word."""
        before = self.text[max(0, self.start - 8) : self.start]
        if not before:
            return self.start == 0
        return _SENTENCE.search(before) is not None and _ABBREVIATION.search(before) is None

    @cached_property
    def is_introduced(self) -> bool:
        """Whether a cue for a person's name stands before it."""
        return context.NAMING.search(self.before) is not None

    @cached_property
    def is_in_place(self) -> bool:
        """Whether a preposition or verb of place stands before it."""
        return context.IN_PLACE.search(self.before) is not None

    def part(self, begin: int, end: int) -> "Run":
        """Return the run of the tokens from begin to end."""
        if begin == 0 and end == len(self.tokens):
            return self
        return Run(self.text, self.tokens[begin:end])


def runs(text: str, start: int, end: int) -> Iterator[Run]:
    """Yield the runs of ``text[start:end]`` in order."""
    for match in _run().finditer(text, start, end):
        yield Run(text, tuple(_tokens(match)))


def _tokens(match: re.Match[str]) -> Iterator[Token]:
    for part in _PART.finditer(match.group()):
        written = part.group()
        is_possessive = written.endswith(("'s", "’s"))
        length = len(written) - 2 * is_possessive
        start = match.start() + part.start()
        plain = written[:length].replace(".", "").replace("’", "'").lower()
        yield Token(start, start + length, plain, written[:length], is_possessive)
