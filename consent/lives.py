"""Where a decision that stands is in its life at an instant: not begun, in force, spent, over, or closing itself."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, func, select

from consent.decisions import Decision
from consent.rules import is_permissive
from consent.tables import decision, decision_use, subject_standing
from kernel.ids import DecisionId, SubjectId


class Life(StrEnum):
    """What the time and the uses have made of a decision; the gate asks more than this."""

    NOT_BEGUN = "not_begun"
    IN_FORCE = "in_force"
    SPENT = "spent"
    OVER = "over"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Stood:
    """A decision that stands at an instant, with the uses that were taken by then."""

    decision: Decision
    uses: int
    life: Life


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What a look back does not show.

    Attributes:
        registered_at: when the subject was registered, where that is later than the instant; else None.
        recorded_later: decisions that say they were made by the instant, and were recorded after it.
    """

    registered_at: datetime | None
    recorded_later: tuple[DecisionId, ...]


def life_of(made: Decision, uses: int, at: datetime) -> Life:
    """Return where a decision is in its life; its validity is half open."""
    if not is_permissive(made.act):
        return Life.CLOSED
    if made.valid_from is not None and at < made.valid_from:
        return Life.NOT_BEGUN
    if made.valid_until is not None and at >= made.valid_until:
        return Life.OVER
    return Life.SPENT if made.max_uses is not None and uses >= made.max_uses else Life.IN_FORCE


def read_lives(connection: Connection, standing: Sequence[Decision], at: datetime) -> list[Stood]:
    """Return decisions with their lives at an instant, in the given order."""
    uses = _uses(connection, [made.decision_id for made in standing if made.max_uses is not None], at)
    counted = [(made, uses.get(made.decision_id, 0)) for made in standing]
    return [Stood(made, taken, life_of(made, taken, at)) for made, taken in counted]


def read_hindsight(connection: Connection, subject: SubjectId, as_of: datetime) -> Hindsight:
    """Return what the register did not know at a past instant of what it knows now."""
    made = decision.c
    later = connection.scalars(
        select(made.decision_id)
        .where(made.subject_id == subject, made.decided_at <= as_of, made.recorded_at > as_of)
        .order_by(made.position)
    )
    registered = connection.scalar(
        select(subject_standing.c.registered_at).where(
            subject_standing.c.subject_id == subject, subject_standing.c.registered_at > as_of
        )
    )
    return Hindsight(registered, tuple(map(DecisionId, later)))


def _uses(connection: Connection, decisions: Collection[DecisionId], at: datetime) -> dict[DecisionId, int]:
    if not decisions:
        return {}
    taken = decision_use.c
    statement = (
        select(taken.decision_id, func.count())
        .where(taken.decision_id.in_(decisions), taken.used_at <= at)
        .group_by(taken.decision_id)
    )
    return {DecisionId(found): number for found, number in connection.execute(statement)}
