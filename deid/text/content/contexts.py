"""Whether something stands near a hit: what a rule asks for, and what makes a claim none."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from deid.text.content.page import Page
from deid.text.content.rules import Condition, ContentKind, Context, Reach, Side

_SIDES: Final = {
    Side.BEFORE: (Side.BEFORE,),
    Side.AFTER: (Side.AFTER,),
    Side.BOTH: (Side.BEFORE, Side.AFTER),
    Side.INSIDE: (Side.INSIDE,),
}


def holds_on_page(condition: Condition, page: Page) -> bool:
    """Say whether what a condition asks for stands anywhere on the page."""
    if condition.patterns is not None and condition.patterns.search(page.text):
        return True
    return any(kind in condition.identifiers for _, _, kind in page.places)


def holds(condition: Condition, page: Page, start: int, end: int) -> bool:
    """Say whether what a condition asks for stands near ``page.text[start:end]``, or inside where it says so."""
    for begin, finish in _stretches(condition, page, start, end):
        if condition.patterns is not None and condition.patterns.search(page.text, begin, finish):
            return True
        if condition.identifiers and _has_identifier(condition, page, begin, finish):
            return True
    return False


def excuse_of(contexts: Sequence[Context], page: Page, start: int, end: int, kind: ContentKind) -> str | None:
    """Return the name of the context that makes a claim at ``page.text[start:end]`` none; None where it is one."""
    for context in contexts:
        if kind not in context.kinds:
            continue
        for sign, unless in zip(context.signs, context.unless, strict=True):
            if any(_excuses(sign, unless, page, place) for place in _stretches(sign, page, start, end)):
                return context.name
    return None


def _excuses(sign: Condition, unless: re.Pattern[str] | None, page: Page, place: tuple[int, int]) -> bool:
    if sign.patterns is None or not sign.patterns.search(page.text, *place):
        return False
    return unless is None or unless.search(page.text, *place) is None


def _stretches(condition: Condition, page: Page, start: int, end: int) -> Iterator[tuple[int, int]]:
    first, last = _bounds(condition.reach, page, start, end)
    for side in _SIDES[condition.side]:
        match side:
            case Side.BEFORE:
                yield max(first, start - condition.characters), start
            case Side.INSIDE:
                yield start, end
            case _:
                yield end, min(last, end + condition.characters)


def _bounds(reach: Reach, page: Page, start: int, end: int) -> tuple[int, int]:
    match reach:
        case Reach.CLAUSE:
            return page.clause_around(start, end)
        case Reach.SENTENCE:
            return page.sentence_around(start, end)
        case Reach.NEAR | Reach.PAGE:
            return 0, len(page.text)


def _has_identifier(condition: Condition, page: Page, begin: int, finish: int) -> bool:
    first, last = bisect_left(page.places, (begin,)), bisect_left(page.places, (finish,))
    return any(kind in condition.identifiers and end <= finish for _, end, kind in page.places[first:last])
