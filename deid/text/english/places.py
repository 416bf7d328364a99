"""Places in runs of capitalised words: listed ones, and unknown words behind a preposition of place."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.english import context
from deid.text.english.names import is_family, is_given, is_unlisted
from deid.text.english.runs import Run, Token
from deid.text.kinds import Kind
from deid.text.lists.english import countries, cue, is_word, places
from deid.text.lists.reading import alternation
from deid.text.spans import Hit

_LONGEST: Final = 4


@cache
def _more() -> re.Pattern[str]:
    """Return what names the state or country of a town."""
    larger = alternation(name.title() for name in countries() | cue("states"))
    return re.compile(rf",? (?:{alternation(cue('state_codes'))}|{larger})(?![A-Za-z])")


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
    token, is_alone = part.tokens[0], len(run.tokens) == 1
    is_told = part.is_in_place or _is_told_behind(part)
    if is_word(token.plain):
        return is_told and is_alone and not run.opens_sentence
    if token.plain in countries() and not is_given_alone(token):
        return is_alone or is_told
    if is_given(token) or is_family(token):
        ends_run = is_alone or token is run.tokens[-1]
        return ends_run and (is_told or (is_alone and not is_given(token) and not run.is_introduced))
    return True


def is_given_alone(token: Token) -> bool:
    """Whether a country bears a name that many people bear."""
    return token.plain in _PEOPLE_TOO


_PEOPLE_TOO: Final = frozenset(("chad", "jordan", "georgia", "israel"))


def _is_told_behind(part: Run) -> bool:
    return context.PLACE_BEHIND.match(part.after) is not None or _more().match(part.after) is not None


def _is_unknown_place(run: Run) -> bool:
    if any(token.is_possessive or (is_given(token) and token.written[0].isupper()) for token in run.tokens):
        return False
    is_told = run.is_in_place or context.PLACE_BEHIND.match(run.after) is not None
    if not is_told or run.is_introduced:
        return False
    if context.PLACE_BEHIND.match(run.after) is not None:
        return all(is_unlisted(token) or is_family(token) or token.is_initial for token in run.tokens)
    if len(run.tokens) == 1:
        return is_unlisted(run.tokens[0]) and not (is_family(run.tokens[0]) and not is_word(run.tokens[0].plain))
    return any(is_unlisted(token) for token in run.tokens)
