"""One spelling for every digit, letter and separator, with the way back to the original offsets.

People write identifiers with full-width digits, keycap emoji, zero-width characters and typographic dashes. Patterns
are matched on the folded text; every span is reported in offsets of the text as it was given.
"""

import re
import unicodedata
from typing import Final, NamedTuple

from deid.text.kinds import MARKS

_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u30fc\ufe58\ufe63\uff0d"
"""Hyphens, dashes, the minus sign and the katakana length mark, which input methods offer as a dash."""

_KEPT: Final = "，！；？"
"""Full-width punctuation that ends a sentence part; its ASCII form would be taken for a part of a web address."""

_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me"})
"""Format characters (zero-width, direction, soft hyphen), combining marks, enclosing keycaps; Unicode chapter 4.5."""

_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul fillers: letters by category, blank on the screen."""


_DIGITS: Final = frozenset("0123456789")


_BRACKET: Final = re.compile(
    rf"〔(?:{'|'.join(sorted(mark[1:-1] for mark in MARKS.values()))})(?:·[A-Z2-7]{{4,26}})?〕|[〔〕]"
)
"""A mark of ours, or a bracket of somebody else's, between which anything may stand."""


class _FoldTable(dict[int, str]):
    """What each code point becomes; filled as characters are met, for ``str.translate``.

    Attributes:
        moving: the characters met so far that become none or several, so that what follows them moves.
        counting: those that are no digits and become some, such as ①, ² and ½.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moving: set[str] = set()
        self.counting: set[str] = set()

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        folded = _fold(character)
        if len(folded) != 1:
            self.moving.add(character)
        if unicodedata.category(character) != "Nd" and not _DIGITS.isdisjoint(folded):
            self.counting.add(character)
        self[code_point] = folded
        return folded


def _fold(character: str) -> str:
    if character in _KEPT:
        return character
    if character in _DASHES:
        return "-"
    if character in _FILLERS or unicodedata.category(character) in _INVISIBLE:
        return ""
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    plain = "".join(part for part in unicodedata.normalize("NFKC", character) if not unicodedata.combining(part))
    digit = unicodedata.digit(character, None)
    return str(digit) if digit is not None and plain == character and not character.isascii() else plain


_TABLE: Final = _FoldTable()

_PLAIN_RANGES: Final = ((" ", "~"), ("\u4e00", "\u9fff"))
_PLAIN_SIGNS: Final = "\n\r\t、。《》“”‘’·" + _KEPT
_OTHERS: Final = re.compile(f"[^{''.join(f'{first}-{last}' for first, last in _PLAIN_RANGES)}{_PLAIN_SIGNS}]")
"""What may fold to something else; most texts hold none of it, and finding that out costs a tenth of folding them."""


_KEYCAP_SIGN: Final = "\u20e3"
_KEYCAP: Final = re.compile(f"[0-9]\ufe0f?{_KEYCAP_SIGN}")
"""A digit on a key, which folds to one character."""

_FEW: Final = 16
"""Characters up to which it is quicker to replace each than to translate all."""


class Folded(NamedTuple):
    """A folded text and where each of its characters came from; hidden from repr.

    Attributes:
        text: the text to match on.
        origins: for each folded character the index of its original one; None when nothing moved.
        original_length: characters of the original.
        apart: the text, as long as it is, with spaces for ①, ², keycaps and the like: they may be digits of a number
            or stand before it in a list. None where there are none.
    """

    text: str
    origins: tuple[int, ...] | None
    original_length: int
    apart: str | None = None

    def __repr__(self) -> str:
        return f"Folded(original_length={self.original_length})"

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the original offsets of ``text[start:end]``, with the invisible characters that follow it.

        Args:
            start: the first folded character of the stretch.
            end: one past its last; the stretch is not empty.
        """
        if self.origins is None:
            return start, end
        last = self.origins[end - 1] + 1
        following = self.origins[end] if end < len(self.origins) else self.original_length
        return self.origins[start], max(last, following)


def fold(text: str) -> Folded:
    """Fold a text character by character.

    Compatibility forms become plain ones (NFKC, Unicode UAX 15, applied to each character alone, without composing
    neighbours), digits of every script, black circled ones too, become 0 to 9, dashes become ``-``, invisible
    characters go. Brackets like those of our marks become others, so that nothing hides in what looks like a mark.
    """
    if "〔" in text or "〕" in text:
        text = _BRACKET.sub(_not_ours, text)
    others = frozenset(_OTHERS.findall(text))
    if not others:
        return Folded(text, None, len(text))
    folded = _replaced(text, others)
    apart = _apart(text, others)
    if _TABLE.moving.isdisjoint(others):
        return Folded(folded, None, len(text), apart)
    return Folded(folded, tuple(_origins(text)), len(text), apart)


def _not_ours(match: re.Match[str]) -> str:
    found = match.group()
    return found if len(found) > 1 else {"〔": "【", "〕": "】"}[found]


def _apart(text: str, others: frozenset[str]) -> str | None:
    """Fold with spaces in the place of what counts as a digit and is none."""
    if _TABLE.counting.isdisjoint(others) and _KEYCAP_SIGN not in others:
        return None
    signs = _TABLE.counting & others
    spaced = text.translate({ord(sign): " " * len(_TABLE[ord(sign)]) for sign in signs})
    return _KEYCAP.sub(" ", spaced).translate(_TABLE)


def _replaced(text: str, others: frozenset[str]) -> str:
    """Fold the few characters that differ by themselves, where that leaves none that would be folded again."""
    if len(others) > _FEW or _OTHERS.search("".join([_TABLE[ord(character)] for character in others])) is not None:
        return text.translate(_TABLE)
    for character in others:
        text = text.replace(character, _TABLE[ord(character)])
    return text


def _origins(text: str) -> list[int]:
    """Return where each folded character came from, stretch by stretch between those that move what follows."""
    origins: list[int] = []
    begun = 0
    for index, character in enumerate(text):
        if character in _TABLE.moving:
            origins.extend(range(begun, index))
            origins.extend([index] * len(_TABLE[ord(character)]))
            begun = index + 1
    origins.extend(range(begun, len(text)))
    return origins
