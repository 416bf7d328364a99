"""How people decided: per purpose and period the acts, what stood at the end, and how soon a consent was withdrawn.

Counted is by recording, not by the clock of the device. An act counts once, however many recipients it reaches. Who
stands at the end is told by the decisions alone: what the gate would refuse for another reason (an old notice, a
missing assessment) is not looked at, but the erased are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, case, func, or_, select, type_coerce

from consent.rules import DecisionAct, Track
from consent.standing import Standing
from consent.tables import decision, standing_change

_OPEN: Final = (DecisionAct.GRANT.value, DecisionAct.RENEW.value)
_GONE: Final = (Standing.ERASING.value, Standing.ERASED.value)


@dataclass(frozen=True, slots=True)
class PurposeStatistics:
    """One purpose in one period [start, end).

    Attributes:
        acts: how many acts of each kind were recorded; a kind without any is missing.
        in_force: people for whom a grant stands at the end.
        withdrawn_after: the median time from the grant to its withdrawal, of those withdrawn in the period; None
            without any.
    """

    purpose: str
    start: datetime
    end: datetime
    acts: Mapping[DecisionAct, int] = field(default_factory=dict)
    in_force: int = 0
    withdrawn_after: timedelta | None = None


def count_decisions(connection: Connection, start: datetime, end: datetime) -> list[PurposeStatistics]:
    """Return the figures of every purpose that was ever decided on, in the order of their codes.

    Args:
        connection: a transaction of the data store.
        start: the first instant that counts.
        end: the first instant that does not; also where ``in_force`` is counted.
    """
    acts: dict[str, dict[DecisionAct, int]] = {}
    for purpose, act, number in connection.execute(_acts(start, end)):
        acts.setdefault(purpose, {})[DecisionAct(act)] = number
    standing: dict[str, int] = {row.purpose: row.people for row in connection.execute(_in_force(end))}
    medians = {
        purpose: _median([row.took for row in rows])
        for purpose, rows in groupby(connection.execute(_middle_times(start, end)), key=lambda row: row.purpose)
    }
    return [
        PurposeStatistics(purpose, start, end, acts.get(purpose, {}), standing.get(purpose, 0), medians.get(purpose))
        for purpose in sorted({*acts, *standing, *medians})
    ]


def _acts(start: datetime, end: datetime) -> Select[Any]:
    made = decision.c
    once = (
        select(made.subject_id, made.purpose, made.act, made.decided_at, made.request_id)
        .where(made.recorded_at >= start, made.recorded_at < end)
        .distinct()
        .subquery()
    )
    return select(once.c.purpose, once.c.act, func.count()).group_by(once.c.purpose, once.c.act)


def _in_force(end: datetime) -> Select[Any]:
    made = decision.c
    strand = (made.subject_id, made.purpose, made.recipient)
    newest = func.row_number().over(partition_by=strand, order_by=made.position.desc()).label("place")
    known = (
        select(*strand, made.act, made.valid_from, made.valid_until, newest)
        .where(made.track == Track.CONSENT.value, made.recorded_at < end)
        .subquery()
    )
    one = known.c
    stands = (
        one.place == 1,
        one.act.in_(_OPEN),
        or_(one.valid_from.is_(None), one.valid_from <= end),
        or_(one.valid_until.is_(None), one.valid_until > end),
        one.subject_id.not_in(_gone(end)),
    )
    people = func.count(one.subject_id.distinct()).label("people")
    return select(one.purpose, people).where(*stands).group_by(one.purpose)


def _gone(end: datetime) -> Select[Any]:
    changes = standing_change.c
    newest = func.row_number().over(partition_by=changes.subject_id, order_by=changes.position.desc()).label("place")
    known = select(changes.subject_id, changes.state, newest).where(changes.changed_at < end).subquery()
    return select(known.c.subject_id).where(known.c.place == 1, known.c.state.in_(_GONE))


def _middle_times(start: datetime, end: datetime) -> Select[Any]:
    """Return the middle one or two of the times to withdrawal, for each purpose in order; microseconds.

    The time runs from the newest grant before, renewals between them not counted anew.
    """
    made = decision.c
    window: dict[str, Any] = {
        "partition_by": (made.subject_id, made.purpose, made.recipient),
        "order_by": made.position,
    }
    granted = case((made.act == DecisionAct.GRANT.value, _micros(made.decided_at)))
    granted_at = func.max(granted).over(**window, rows=(None, 0))
    steps = (
        select(
            made.purpose,
            made.act,
            made.recorded_at,
            func.lag(made.act).over(**window).label("before"),
            (_micros(made.decided_at) - granted_at).label("took"),
        )
        .where(made.track == Track.CONSENT.value, made.recorded_at < end)
        .subquery()
    )
    step = steps.c
    closes = and_(step.act == DecisionAct.WITHDRAW.value, step.before.in_(_OPEN), step.recorded_at >= start)
    ranked = (
        select(
            step.purpose,
            step.took,
            func.row_number().over(partition_by=step.purpose, order_by=step.took).label("place"),
            func.count().over(partition_by=step.purpose).label("number"),
        )
        .where(closes)
        .subquery()
    )
    one = ranked.c
    middle = (one.place * 2).between(one.number, one.number + 2)
    return select(one.purpose, one.took).where(middle).order_by(one.purpose, one.took)


def _micros(column: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _median(middle: list[int]) -> timedelta:
    return timedelta(microseconds=sum(middle) // len(middle))
