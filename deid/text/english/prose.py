"""Where English is written within Chinese text: elsewhere the rules for English text are not asked."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.english.letters import LETTER
from deid.text.reading import Reading

_PROSE: Final = re.compile(rf"[ -~‘’“”–\n\t{LETTER}]{{24,}}+")
_SMALL_WORDS: Final = re.compile("(?<![A-Za-z])[a-z]{2,}(?![A-Za-z])")
_LEAST_WORDS: Final = 3
"""Within Chinese, English is read where this many small words stand together."""


def english_stretches(reading: Reading) -> Iterator[tuple[int, int]]:
    """Yield start and end of each stretch that is English; the whole of a text without Chinese."""
    if not reading.has_han:
        yield 0, len(reading.text)
        return
    for match in _PROSE.finditer(reading.text):
        if sum(1 for _ in _SMALL_WORDS.finditer(match.group())) >= _LEAST_WORDS:
            yield match.span()
