"""How well detection does on texts with known spans: exact, overlapping and fully covering hits, by type.

A found span answers a gold span where its kind is one of those that the gold type stands for (``deid.text.gold``).
Types that stand for none of our kinds are not scored; what is found there is no false hit.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deid.text.gold import GoldSpan, GoldText, kinds_of
from deid.text.kinds import Kind
from deid.text.spans import Span

ALL: Final = "(all)"
"""The row of all scored types together."""


class Measure(StrEnum):
    """When a gold span counts as found, and a found one as right.

    ``EXACT``: the same stretch. ``OVERLAP``: a character in common. ``COVER``: no character of the gold span is left
    outside what was found; a found span is right where it covers a gold span.
    """

    EXACT = "exact"
    OVERLAP = "overlap"
    COVER = "cover"


@dataclass(frozen=True, slots=True)
class Score:
    """Counts for one type.

    Attributes:
        gold: spans that there are.
        found: spans of its kinds that were found; those within unscored gold spans are left out.
        recalled, right: gold spans that were found and found spans that are right, by measure.
    """

    type: str
    gold: int
    found: int
    recalled: Mapping[Measure, int]
    right: Mapping[Measure, int]

    def recall(self, measure: Measure) -> float | None:
        """Return the share of gold spans that were found; None without any."""
        return self.recalled[measure] / self.gold if self.gold else None

    def precision(self, measure: Measure) -> float | None:
        """Return the share of found spans that are right; None without any."""
        return self.right[measure] / self.found if self.found else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a run.

    Attributes:
        scores: by type, those of pools, and one of all together last.
        unscored: gold types that stand for none of our kinds, with how many spans.
        texts, characters: that were read.
        false_hits: found spans that touch no gold span of any type, scored or not, by kind.
        withheld: texts that could not be judged in time, all of whose spans are missed.
    """

    scores: tuple[Score, ...]
    unscored: Mapping[str, int]
    texts: int
    characters: int
    false_hits: Mapping[Kind, int]
    withheld: int = 0

    @property
    def false_hits_per_1000(self) -> float:
        """False hits for each thousand characters."""
        return 1000 * sum(self.false_hits.values()) / self.characters if self.characters else 0.0

    def score(self, name: str) -> Score:
        """Return the row of a type, a pool or ``ALL``; an empty one where nothing of it was read or found."""
        none = dict.fromkeys(Measure, 0)
        return next((score for score in self.scores if score.type == name), Score(name, 0, 0, none, none))


@dataclass(frozen=True, slots=True)
class Groups:
    """What gold types of a run stand for, and which of them are counted together.

    Attributes:
        kinds: by gold type, those of the run that are scored.
        pools: gold types by the name of their pool.
    """

    kinds: Mapping[str, frozenset[Kind]]
    pools: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls,
        texts: Iterable[GoldText],
        types: Mapping[str, Sequence[str]] | None,
        pools: Mapping[str, Iterable[str]] | None,
    ) -> "Groups":
        """Return those of some texts.

        Raises:
            BadInput: a gold type of one's own stands for what is no kind.
        """
        names = sorted({span.type for text in texts for span in text.spans})
        kinds = {name: found for name in names if (found := kinds_of(name, types))}
        return cls(kinds, {name: frozenset(pool) for name, pool in (pools or {}).items()})

    def with_pools(self, names: Iterable[str]) -> list[str]:
        """Return the rows into which a span of some gold types counts, once each."""
        own = set(names)
        return [*sorted(own), *(pool for pool, pooled in self.pools.items() if pooled & own), ALL]

    def of_kind(self, kind: Kind) -> list[str]:
        """Return the gold types that a kind answers; its own name where the run has none."""
        return [name for name, kinds in self.kinds.items() if kind in kinds] or [kind.value]


@dataclass(frozen=True, slots=True)
class _Counts:
    gold: Counter[str]
    found: Counter[str]
    recalled: Counter[tuple[str, Measure]]
    right: Counter[tuple[str, Measure]]


def evaluate(
    texts: Iterable[GoldText],
    find: Callable[[str], Sequence[Span]],
    types: Mapping[str, Sequence[str]] | None = None,
    pools: Mapping[str, Iterable[str]] | None = None,
) -> Evaluation:
    """Find in every text and compare.

    A found span that answers no gold span counts against every gold type that its kind stands for.

    Args:
        texts: with all that stands in them.
        find: returns sorted, disjoint spans.
        types: gold types of one's own, by the names of our kinds.
        pools: gold types that are counted together besides, by a name for them.

    Raises:
        BadInput: a gold type of one's own stands for what is no kind.
    """
    texts = list(texts)
    groups = Groups.of(texts, types, pools)
    counts = _Counts(Counter(), Counter(), Counter(), Counter())
    unscored: Counter[str] = Counter()
    false_hits: Counter[Kind] = Counter()
    withheld = 0
    for text in texts:
        spans = find(text.text)
        if any(span.type is Kind.WITHHELD for span in spans):
            withheld, spans = withheld + 1, ()
        false_hits.update(span.type for span in spans if not any(_touch(span, gold) for gold in text.spans))
        unscored.update(gold.type for gold in text.spans if gold.type not in groups.kinds)
        _compare(text, spans, counts, groups)
    characters = sum(len(text.text) for text in texts)
    return Evaluation(_scores(counts, groups), dict(unscored), len(texts), characters, dict(false_hits), withheld)


def _scores(counts: _Counts, groups: Groups) -> tuple[Score, ...]:
    names = counts.gold.keys() | counts.found.keys()
    plain = sorted(names - groups.pools.keys() - {ALL})
    ordered = (*plain, *(pool for pool in groups.pools if pool in names), *({ALL} & names))
    return tuple(_score(name, counts) for name in ordered)


def _compare(text: GoldText, spans: Sequence[Span], counts: _Counts, groups: Groups) -> None:
    scored = [(gold, groups.kinds[gold.type]) for gold in text.spans if gold.type in groups.kinds]
    for gold, kinds in scored:
        met = _met(gold, [span for span in spans if span.type in kinds and _touch(span, gold)])
        for name in groups.with_pools([gold.type]):
            counts.gold[name] += 1
            counts.recalled.update((name, measure) for measure in met)
    for span in spans:
        touched = [gold for gold, kinds in scored if span.type in kinds and _touch(span, gold)]
        others = [gold for gold in text.spans if _touch(span, gold)]
        if not touched and others and not any(gold.type in groups.kinds for gold in others):
            continue
        met = {measure for gold in touched for measure in _right(span, gold)}
        for name in groups.with_pools({gold.type for gold in touched} or groups.of_kind(span.type)):
            counts.found[name] += 1
            counts.right.update((name, measure) for measure in met)


def _met(gold: GoldSpan, near: Sequence[Span]) -> set[Measure]:
    met = {Measure.OVERLAP} if near else set()
    if any((span.start, span.end) == (gold.start, gold.end) for span in near):
        met.add(Measure.EXACT)
    reached = gold.start
    for span in near:
        reached = span.end if span.start <= reached else reached
    if near and reached >= gold.end:
        met.add(Measure.COVER)
    return met


def _right(span: Span, gold: GoldSpan) -> set[Measure]:
    met = {Measure.OVERLAP}
    if (span.start, span.end) == (gold.start, gold.end):
        met.add(Measure.EXACT)
    if span.start <= gold.start and gold.end <= span.end:
        met.add(Measure.COVER)
    return met


def _touch(span: Span, gold: GoldSpan) -> bool:
    return span.start < gold.end and gold.start < span.end


def _score(name: str, counts: _Counts) -> Score:
    recalled = {measure: counts.recalled[name, measure] for measure in Measure}
    right = {measure: counts.right[name, measure] for measure in Measure}
    return Score(name, counts.gold[name], counts.found[name], recalled, right)
