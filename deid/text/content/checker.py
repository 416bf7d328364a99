"""Checks a post or a campaign text against content rules and says what is to be done with it, and why."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from deid.text.content.contexts import excuse_of, holds, holds_on_page
from deid.text.content.page import Page, read_page
from deid.text.content.rules import Action, Author, ContentKind, ContentRules, Reach, Rule, Severity
from deid.text.kinds import Kind
from deid.text.scrubber import TextScrubber
from deid.text.spans import Span, mask
from kernel.catalogue import Label

FindIdentifiers: TypeAlias = Callable[[str], Sequence[Span]]
"""Finds the identifiers of a text; one span of kind ``WITHHELD`` where it could not be judged."""

_MOST: Final = 50
"""Places of words that are told for one rule; of identifiers every one is, for each is masked."""


@dataclass(frozen=True, slots=True)
class ContentHit:
    """A place that breaks a rule, ``text[start:end]`` of the text as it was given.

    Attributes:
        rule: the rule's code.
        kind: of the identifier, where one breaks the rule.
        excuse: the context that makes it none; None where it counts.
    """

    rule: str
    start: int
    end: int
    severity: Severity
    action: Action
    law: str
    article: str
    message: Label
    kind: Kind | None = None
    excuse: str | None = None

    @property
    def explanation(self) -> str:
        """Why it counts or does not, without any of the text."""
        what = f"{self.rule}: {self.message.zh} ({self.law} {self.article})"
        return f"{what}: {self.action.value}" if self.excuse is None else f"{what}: not counted, {self.excuse}"


@dataclass(frozen=True, slots=True)
class ContentVerdict:
    """What is to be done with a text.

    Attributes:
        hits: that count, by place. excused: places that would break a rule elsewhere.
        action: the severest of the hits'.
        rules_hash: of the rules.
    """

    hits: tuple[ContentHit, ...]
    excused: tuple[ContentHit, ...]
    action: Action
    rules_hash: str
    _spans: tuple[Span, ...] = field(default=(), repr=False)

    @property
    def is_blocked(self) -> bool:
        """Whether nobody may let it pass."""
        return self.action is Action.BLOCK

    def explain(self) -> list[str]:
        """Return one line a hit, those that do not count included; none holds any of the text."""
        ordered = sorted((*self.hits, *self.excused), key=lambda hit: (hit.start, hit.rule))
        return [f"{hit.start}-{hit.end} {hit.explanation}" for hit in ordered]

    def masked(self, text: str) -> str:
        """Return the text with a mark for each identifier that is to be masked."""
        return mask(text, self._spans)


class ContentChecker:
    """Checks texts; safe to share between threads.

    Args:
        rules: of the pack.
        find: finds identifiers; a scrubber of this package unless given.
    """

    def __init__(self, rules: ContentRules, find: FindIdentifiers | None = None) -> None:
        self._rules = rules
        self._find = TextScrubber().find if find is None else find

    def check(self, text: str, kind: ContentKind, author: Author = Author.MEMBER) -> ContentVerdict:
        """Check one text.

        Args:
            text: as it is to appear. kind: where.
            author: who speaks in it.
        """
        page = read_page(text, self._find(text))
        found = [
            hit
            for rule in self._rules.rules.values()
            if kind in rule.kinds and author in rule.by
            for hit in _hits(rule, page, kind)
        ]
        found.sort(key=lambda hit: (hit.start, hit.end, hit.rule))
        hits = tuple(hit for hit in found if hit.excuse is None)
        excused = tuple(hit for hit in found if hit.excuse is not None)
        action = max((hit.action for hit in hits), key=lambda one: one.rank, default=Action.ALLOW)
        places = {(hit.start, hit.end) for hit in hits if hit.action is Action.MASK}
        masked = tuple(span for span in page.spans if (span.start, span.end) in places)
        return ContentVerdict(hits, excused, action, self._rules.hash, masked)


def _hits(rule: Rule, page: Page, kind: ContentKind) -> Iterator[ContentHit]:
    if not _applies(rule, page):
        return
    near = [one for one in rule.near if one.reach is not Reach.PAGE]
    unless = [one for one in rule.unless if one.reach is not Reach.PAGE]
    told = 0
    for start, end, identifier in _places(rule, page):
        if told == _MOST and rule.find is not None:
            return
        if all(holds(one, page, start, end) for one in near) and not any(
            holds(one, page, start, end) for one in unless
        ):
            told += 1
            yield _hit(rule, page, (start, end), identifier, excuse_of(rule.excused_by, page, start, end, kind))


def _applies(rule: Rule, page: Page) -> bool:
    """Say whether the page as a whole lets a rule be broken."""
    if rule.lacks is not None and rule.lacks.search(page.text):
        return False
    on_page = [one for one in rule.near if one.reach is Reach.PAGE]
    if not all(holds_on_page(one, page) for one in on_page):
        return False
    return not any(holds_on_page(one, page) for one in rule.unless if one.reach is Reach.PAGE)


def _places(rule: Rule, page: Page) -> Iterator[tuple[int, int, Span | None]]:
    """Yield what would break a rule, in offsets of the page's text; nothing and the whole page for what it lacks."""
    if rule.find is not None:
        for match in rule.find.finditer(page.text):
            yield *match.span(), None
    elif rule.identifiers:
        for span in page.spans:
            if span.type in rule.identifiers:
                yield *page.place_of(span), span
    else:
        yield 0, 0, None


def _hit(rule: Rule, page: Page, place: tuple[int, int], identifier: Span | None, excuse: str | None) -> ContentHit:
    start, end = page.original(*place) if identifier is None else (identifier.start, identifier.end)
    kind = None if identifier is None else identifier.type
    return ContentHit(
        rule.code, start, end, rule.severity, rule.action, rule.law, rule.article, rule.message, kind, excuse
    )
