"""Persons, places and organisations of English text as one finder, which judges each run of capitals once."""

from collections.abc import Iterator
from typing import Final

from deid.text.english.letters import with_capitals
from deid.text.english.names import persons
from deid.text.english.organisations import organisation
from deid.text.english.places import places_in
from deid.text.english.prose import english_stretches
from deid.text.english.runs import Run, runs
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word
from deid.text.reading import Reading
from deid.text.spans import Hit

_LEAST_WITHOUT_CAPITALS: Final = 0.6


class EnglishNameFinder:
    """Persons, places and organisations."""

    name = "english_names"
    kinds = frozenset((Kind.PERSON, Kind.PLACE, Kind.ORGANIZATION))
    languages = frozenset(("en",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all rules; they may overlap."""
        for start, end in english_stretches(reading):
            yield from _in_english(reading.text, start, end)


def _in_english(text: str, start: int, end: int) -> Iterator[Hit]:
    """Yield all hits; in text that has no capitals, or nothing else, only those that stand on a list or behind a cue."""
    capitalised = with_capitals(text, _stays_small)
    for run in runs(capitalised or text, start, end):
        for hit in _hits(run):
            if capitalised is None or hit.score >= _LEAST_WITHOUT_CAPITALS:
                yield hit


def _stays_small(word: str) -> bool:
    return is_word(word) or word in cue("no_names")


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
