"""Letters of the alphabets that have capitals, as the inside of character classes."""

import re
from collections.abc import Callable
from typing import Final

_RANGES: Final = ((0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x250), (0x370, 0x530), (0x1E00, 0x1F00))
"""Latin, Greek, Cyrillic; Unicode blocks."""

_LETTERS: Final = [chr(code) for first, last in _RANGES for code in range(first, last) if chr(code).isalpha()]


def _class(letters: list[str]) -> str:
    """Return the letters as ranges."""
    ranges: list[list[str]] = []
    for letter in letters:
        if ranges and ord(letter) == ord(ranges[-1][1]) + 1:
            ranges[-1][1] = letter
        else:
            ranges.append([letter, letter])
    return "".join(first if first == last else f"{first}-{last}" for first, last in ranges)


CAPITAL: Final = _class([letter for letter in _LETTERS if letter.isupper()])
SMALL: Final = _class([letter for letter in _LETTERS if not letter.isupper()])
LETTER: Final = _class(_LETTERS)

_TELLING: Final = re.compile(rf"[{CAPITAL}][{SMALL}]|(?<![{LETTER}])[A-HJ-Z](?![{LETTER}])")
"""A capital before a small letter, or by itself but for the first person."""
_SMALL_WORDS: Final = re.compile(rf"[{SMALL}]{{2}}[^{LETTER}]{{1,40}}[{SMALL}]{{2}}")
_SMALL_WORD: Final = re.compile(rf"(?<![{LETTER}])[{SMALL}]+(?![{LETTER}])")
_ANY_WORD: Final = re.compile(rf"[{LETTER}]+")
_ANY_SMALL: Final = re.compile(f"[{SMALL}]")
_TWO_WORDS: Final = re.compile(rf"[{CAPITAL}]{{2}}[^{LETTER}]{{1,40}}[{CAPITAL}]{{2}}")


def with_capitals(text: str, stays_small: Callable[[str, str], bool] = lambda _, __: False) -> str | None:
    """Return a text of small letters, but for abbreviations, or of capitals as if each word began with a capital.

    Args:
        stays_small: says of a word and the one before it, in small letters, that it would be written so in a sentence.
    Returns:
        a text as long; None where capitals tell something, or where there is nothing to tell.
    """
    if _TELLING.search(text) is None and _SMALL_WORDS.search(text) is not None:
        words = _SMALL_WORD
    elif _ANY_SMALL.search(text) is None and _TWO_WORDS.search(text) is not None:
        words = _ANY_WORD
    else:
        return None

    previous = ""

    def capitalised(word: re.Match[str]) -> str:
        nonlocal previous
        small = word.group().lower()
        stays, previous = stays_small(small, previous), small
        return small if stays else small[0].upper() + small[1:]

    titled = words.sub(capitalised, text)
    return titled if len(titled) == len(text) else None
