"""Persons, places and organisations of English text as one finder, which judges each run of capitals once."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.english.letters import LETTER, with_capitals
from deid.text.english.names import persons
from deid.text.english.organisations import organisation
from deid.text.english.places import places_in
from deid.text.english.runs import Run, runs
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word
from deid.text.reading import Reading
from deid.text.spans import Hit

_PROSE: Final = re.compile(rf"[ -~‘’“”–\n\t{LETTER}]{{24,}}+")
_SMALL_WORDS: Final = re.compile("(?<![A-Za-z])[a-z]{2,}(?![A-Za-z])")
_LEAST_WITHOUT_CAPITALS: Final = 0.6
_LEAST_WORDS: Final = 3
"""Within Chinese, English is read where this many small words stand together."""


class EnglishNameFinder:
    """Persons, places and organisations."""

    name = "english_names"
    kinds = frozenset((Kind.PERSON, Kind.PLACE, Kind.ORGANIZATION))
    languages = frozenset(("en",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all rules; they may overlap."""
        if not reading.has_han:
            yield from _in_english(reading.text)
            return
        prose = [match.span() for match in _PROSE.finditer(reading.text) if _is_english(match.group())]
        if prose:
            for run in runs(reading.text):
                if any(start <= run.start and run.end <= end for start, end in prose):
                    yield from _hits(run)


def _in_english(text: str) -> Iterator[Hit]:
    """Yield all hits; in text that has no capitals, or nothing else, only those that stand on a list or behind a cue."""
    capitalised = with_capitals(text, _stays_small)
    for run in runs(capitalised or text):
        for hit in _hits(run):
            if capitalised is None or hit.score >= _LEAST_WITHOUT_CAPITALS:
                yield hit


def _stays_small(word: str) -> bool:
    return is_word(word) or word in cue("no_names")


def _is_english(stretch: str) -> bool:
    return sum(1 for _ in _SMALL_WORDS.finditer(stretch)) >= _LEAST_WORDS


def _hits(run: Run) -> Iterator[Hit]:
    firm = organisation(run)
    if firm is not None:
        yield firm
        return
    rest = run
    taken = list(places_in(run))
    yield from taken
    for hit in persons(rest):
        if not any(place.start <= hit.start and hit.end <= place.end for place in taken):
            yield hit
