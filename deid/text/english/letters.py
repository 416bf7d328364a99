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

_CASED: Final = re.compile(rf"[{CAPITAL}][{SMALL}]")
_WORDS: Final = re.compile(rf"[{LETTER}]{{2,}}[^{LETTER}]+[{LETTER}]{{2,}}")


def with_capitals(text: str, stays_small: Callable[[str], bool] = lambda _: False) -> str | None:
    """Return a text whose letters are all small or all capitals as if each word began with a capital.

    Args:
        stays_small: says of a word in small letters that it would be written so within a sentence.
    Returns:
        a text as long; None where capitals tell something, or where there is nothing to tell.
    """
    if _CASED.search(text) is not None or _WORDS.search(text) is None:
        return None

    def capitalised(word: re.Match[str]) -> str:
        small = word.group().lower()
        return small if stays_small(small) else small[0].upper() + small[1:]

    titled = re.sub(rf"[{LETTER}]+", capitalised, text)
    return titled if len(titled) == len(text) else None
