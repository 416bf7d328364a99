"""Places in runs of capitalised words: listed ones, and unknown words behind a preposition of place."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.english import context
from deid.text.english.names import is_family, is_given, is_unlisted
from deid.text.english.runs import Run
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word, places
from deid.text.spans import Hit

_LONGEST: Final = 4
_MORE: Final = re.compile(rf",? (?:(?:{'|'.join(sorted(cue('state_codes')))})(?![A-Za-z])|[A-Z][a-z]+)")


def places_in(run: Run) -> Iterator[Hit]:
    """Yield the places that a run names."""
    begin = 0
    while begin < len(run.tokens):
        count = _listed_at(run, begin)
        if count:
            part = run.part(begin, begin + count)
            yield Hit(part.start, part.end, Kind.PLACE, 0.7, checked=False, source="english.place")
        begin += count or 1
    if _is_unknown_place(run):
        yield Hit(run.start, run.end, Kind.PLACE, 0.55, checked=False, source="english.place_cue")


def _listed_at(run: Run, begin: int) -> int:
    """Return how many tokens from there on are the name of a listed place."""
    for count in range(min(_LONGEST, len(run.tokens) - begin), 0, -1):
        part = run.part(begin, begin + count)
        name = " ".join(token.plain for token in part.tokens)
        if name in places() and (count > 1 or _is_meant(run, part)):
            return count
    return 0


def _is_meant(run: Run, part: Run) -> bool:
    """Whether one word that may be a name or an ordinary word, too, stands for the place."""
    token = part.tokens[0]
    is_behind_place = context.IN_PLACE.search(part.before) is not None
    if is_word(token.plain):
        return is_behind_place and len(run.tokens) == 1
    if is_given(token) or is_family(token):
        is_alone = len(run.tokens) == 1 or token is run.tokens[-1]
        return is_alone and (is_behind_place or (not is_given(token) and len(run.tokens) == 1))
    return True


def _is_unknown_place(run: Run) -> bool:
    if context.IN_PLACE.search(run.before) is None or run.tokens[-1].is_possessive:
        return False
    return all(is_unlisted(token) and not is_given(token) for token in run.tokens)
