"""Persons, places and organisations of English text as one finder, which judges each run of capitals once."""

from collections.abc import Iterator
from typing import Final

from deid.text.english.context import ACTS
from deid.text.english.letters import with_capitals
from deid.text.english.names import PLAIN_TITLES, persons
from deid.text.english.organisations import organisation
from deid.text.english.places import places_in
from deid.text.english.prose import english_stretches
from deid.text.english.reversed_names import reversed_names
from deid.text.english.runs import Run, runs
from deid.text.kinds import Kind
from deid.text.lists.english import cue, given_names, is_word, places, surnames
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
            yield from reversed_names(reading.text, start, end)


def _in_english(text: str, start: int, end: int) -> Iterator[Hit]:
    """Yield all hits; in text without capitals, or of nothing else, only those of listed names or behind a cue."""
    capitalised = with_capitals(text, _stays_small)
    for run in runs(capitalised or text, start, end):
        for hit in _hits(run):
            if capitalised is None or hit.score >= _LEAST_WITHOUT_CAPITALS:
                yield hit


def _stays_small(word: str, previous: str) -> bool:
    """Whether a word is an ordinary one, and no surname behind a given name or a title."""
    if not is_word(word) and word not in cue("no_names"):
        return False
    is_behind_name = previous in given_names() or previous in PLAIN_TITLES
    return not (is_behind_name and word in surnames() and not ACTS.match(f" {word}"))


def _is_ordinary(run: Run) -> bool:
    """Whether it is one ordinary word that begins a sentence, as most capitals are."""
    word = run.tokens[0].plain
    if len(run.tokens) > 1 or not run.opens_sentence or run.after.startswith((",", " &", " and")):
        return False
    if word in cue("no_names"):
        return True
    return is_word(word) and not (word in surnames() or word in given_names() or word in places())


def _hits(run: Run) -> Iterator[Hit]:
    if _is_ordinary(run):
        return
    firm = organisation(run)
    if firm is not None:
        yield firm
        return
    named = list(places_in(run))
    yield from named
    for hit in persons(run):
        if not any(place.start <= hit.start and hit.end <= place.end for place in named):
            yield hit
