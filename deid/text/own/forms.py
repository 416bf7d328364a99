"""The normal forms of a window in which the subject's own identifiers are looked for, with the way back.

Values and text are brought into the same form, so that a search for a plain string finds every spelling.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

from deid.text.folding import fold
from deid.text.lists import simplified
from deid.text.marks import without_marks
from deid.text.reading import TO_DIGITS, Reading

_ACCENTS: Final = {
    "a": "āáǎàäâ",
    "e": "ēéěèëê",
    "i": "īíǐìï",
    "o": "ōóǒòöô",
    "u": "ūúǔù",
    "v": "ǖǘǚǜü",
    "n": "ñ",
    "x": "×",
}
_CAPITALS: Final = {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
_SMALL: Final = str.maketrans(
    _CAPITALS
    | {sign: plain for plain, signs in _ACCENTS.items() for sign in signs}
    | {sign.upper(): plain for plain, signs in _ACCENTS.items() for sign in signs if len(sign.upper()) == 1}
)

_NAME_GAPS: Final = re.compile(r"[ \t'’._*/·•,-]+")
_NUMBER_GAPS: Final = re.compile(r"[ \t._·•,，、/*:：;()\[\]{}<>~|'\"“”+&#-]+")
_WIDEST_GAP: Final = 3
"""Characters between two of one identifier; what stands further apart does not belong together."""

_SPOKEN_ZERO: Final = re.compile("(?<=[0-9])o+|o+(?=[0-9])")


class Place(NamedTuple):
    """Where a string stands: from ``at`` to ``to`` in the form, from ``start`` to ``end`` in the plain text."""

    at: int
    to: int
    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing that the form leaves out stands inside."""
        return self.to - self.at == self.end - self.start


class Form:
    """A text without what stands between the characters of an identifier.

    Args:
        plain: the text as it is.
        gaps: what is left out; None for nothing.
    """

    def __init__(self, plain: str, gaps: re.Pattern[str] | None = None) -> None:
        self.plain = plain
        self.text = plain if gaps is None else gaps.sub("", plain)
        self._gaps = gaps if len(self.text) < len(plain) else None

    def places(self, value: str) -> Iterator[Place]:
        """Yield where a string stands, overlapping places included."""
        at = self.text.find(value) if value else -1
        while at >= 0:
            to = at + len(value)
            if not self._is_torn(at, to):
                yield Place(at, to, self.origin(at), self.origin(to - 1) + 1)
            at = self.text.find(value, at + 1)

    def origin(self, at: int) -> int:
        """Return where a character of the form stands in the plain text."""
        return at if self._gaps is None else self._origins[at]

    def place(self, at: int, to: int) -> Place:
        """Return the place of a stretch of the form that is not empty."""
        return Place(at, to, self.origin(at), self.origin(to - 1) + 1)

    def is_near(self, at: int) -> bool:
        """Whether the character at ``at`` stands near enough to the one before it."""
        return self.origin(at) - self.origin(at - 1) <= _WIDEST_GAP + 1

    def _is_torn(self, at: int, to: int) -> bool:
        if self._gaps is None or self._origins[to - 1] - self._origins[at] == to - at - 1:
            return False
        return not all(self.is_near(place) for place in range(at + 1, to))

    @cached_property
    def _origins(self) -> list[int]:
        kept: list[int] = []
        position = 0
        for gap in () if self._gaps is None else self._gaps.finditer(self.plain):
            kept.extend(range(position, gap.start()))
            position = gap.end()
        kept.extend(range(position, len(self.plain)))
        return kept


class Page:
    """One window in every form; offsets of all plain texts are those of ``reading.text``.

    Attributes:
        written: as folded, with capitals.
        plain: in simplified characters and small letters without accents, marks made unreadable.
    """

    def __init__(self, reading: Reading) -> None:
        self.written = reading.text
        self.plain = plain_form(without_marks(reading.text))

    @cached_property
    def whole(self) -> Form:
        """Everything that is written."""
        return Form(self.plain)

    @cached_property
    def names(self) -> Form:
        """Without what names are split by."""
        return Form(self.plain, _NAME_GAPS)

    @cached_property
    def figures(self) -> Form:
        """Digits for what they are written as, nothing left out."""
        return Form(digit_form(self.plain))

    @cached_property
    def numbers(self) -> Form:
        """Digits for what they are written as, without what numbers and addresses are split by."""
        return Form(self.figures.plain, _NUMBER_GAPS)


def plain_form(text: str) -> str:
    """Return a folded text of the same length in simplified characters and small letters without accents."""
    return simplified(text).translate(_SMALL)


def digit_form(text: str) -> str:
    """Return a plain text of the same length with digits for what they are written as."""
    return _SPOKEN_ZERO.sub(lambda match: "0" * len(match.group()), text.translate(TO_DIGITS))


def name_value(value: str) -> str:
    """Return a value as it stands in ``Page.names``."""
    return _NAME_GAPS.sub("", plain_form(fold(value).text)).strip()


def number_value(value: str) -> str:
    """Return a value as it stands in ``Page.numbers``."""
    return _NUMBER_GAPS.sub("", digit_form(plain_form(fold(value).text))).strip()


def is_letter(text: str, at: int) -> bool:
    """Whether a small Latin letter stands there."""
    return 0 <= at < len(text) and "a" <= text[at] <= "z"


def is_digit(text: str, at: int) -> bool:
    """Whether a digit stands there."""
    return 0 <= at < len(text) and "0" <= text[at] <= "9"
