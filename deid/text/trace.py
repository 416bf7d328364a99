"""Why a text was marked as it was: every hit of every rule and to which it lost, and no character of the text."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deid.text.kinds import Kind
from deid.text.spans import Span
from deid.text.watch import Proposal


class Outcome(StrEnum):
    """What became of a hit.

    ``KEPT``: it gave its kind to a span. ``LOST``: it overlapped a stronger one, which covers it. ``WEAK``: its score
    was below the threshold.
    """

    KEPT = "kept"
    LOST = "lost"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class Decision:
    """One hit, in offsets of the text as it was given.

    Attributes:
        source: which rule found it; never a value.
        checked: whether a check digit was verified.
        lost_to: the rule of the span that covers it; empty unless it lost.
    """

    start: int
    end: int
    kind: Kind
    score: float
    source: str
    checked: bool
    outcome: Outcome
    lost_to: str = ""

    def as_json(self) -> dict[str, str | int | float | bool]:
        """Return the members for ``json.dumps``."""
        return {
            "start": self.start,
            "end": self.end,
            "type": self.kind.value,
            "score": self.score,
            "source": self.source,
            "checked": self.checked,
            "outcome": self.outcome.value,
            "lost_to": self.lost_to,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of a text and the decisions that led to them, both sorted by place."""

    spans: tuple[Span, ...]
    decisions: tuple[Decision, ...]


def traced(spans: Sequence[Span], proposals: Iterable[Proposal]) -> Trace:
    """Say of each proposal what became of it.

    Args:
        spans: what was settled, sorted and disjoint.
        proposals: in offsets of the same text.
    """
    ends = [span.end for span in spans]
    decisions = {_decision(proposal, _first(spans, bisect_right(ends, proposal.hit.start))) for proposal in proposals}
    return Trace(tuple(spans), tuple(sorted(decisions, key=lambda one: (one.start, one.end, one.source, one.kind))))


def _first(spans: Sequence[Span], number: int) -> Span | None:
    return spans[number] if number < len(spans) else None


def _decision(proposal: Proposal, following: Span | None) -> Decision:
    """Judge by the first span that ends behind the beginning of the hit."""
    hit = proposal.hit
    over = following if following is not None and following.start < hit.end else None
    outcome, lost_to = Outcome.LOST, "" if over is None else over.source
    if proposal.is_weak:
        outcome, lost_to = Outcome.WEAK, ""
    elif over is not None and (over.type, over.source, over.score) == (hit.kind, hit.source, hit.score):
        outcome, lost_to = Outcome.KEPT, ""
    return Decision(hit.start, hit.end, hit.kind, hit.score, hit.source, hit.checked, outcome, lost_to)
