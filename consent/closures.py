"""Cancelled accounts: what a person's account kept is erased within fifteen working days (网数条例 24)."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from audit.counters import add_working_days
from consent.rules import DecisionAct, Track
from consent.standing import Standing
from consent.tables import consent_current, subject_standing
from consent.tasks import NewTask, TaskKind
from kernel.catalogue import Catalogue
from kernel.ids import SubjectId

ACCOUNT: Final = "P01"
"""The purpose whose contract is the account; its end is the cancellation."""

WORKING_DAYS: Final = 15

_OVER: Final = (DecisionAct.END, DecisionAct.EXPIRE)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """One account that was cancelled and whose person was not erased.

    Attributes:
        decision_id: of the end.
        is_restricted: whether the person's data are restricted, for whatever reason: then nothing erases them unasked.
    """

    subject: SubjectId
    decision_id: str
    ended_at: datetime
    is_restricted: bool = False


def find_cancelled(connection: Connection, subjects: Collection[SubjectId] | None = None) -> Iterator[Cancelled]:
    """Yield the cancelled accounts of present subjects, of some or of all; one that was opened again is none."""
    current, standing = consent_current.c, subject_standing.c
    query = (
        select(current.subject_id, current.decision_id, current.decided_at, standing.state)
        .join(subject_standing, standing.subject_id == current.subject_id)
        .where(
            current.purpose == ACCOUNT,
            current.recipient == "",
            current.track == Track.BASIS,
            current.act.in_(_OVER),
            standing.state.in_((Standing.ACTIVE, Standing.RESTRICTED)),
            standing.merged_into.is_(None),
        )
    )
    if subjects is not None:
        query = query.where(current.subject_id.in_(sorted(subjects)))
    for row in connection.execute(query.order_by(current.subject_id)):
        is_restricted = row.state == Standing.RESTRICTED
        yield Cancelled(SubjectId(row.subject_id), row.decision_id, row.decided_at, is_restricted=is_restricted)


def closing_task(cancelled: Cancelled, catalogue: Catalogue) -> NewTask:
    """Return the task to erase what the account kept, due at the end of the last of the working days."""
    ended_on = cancelled.ended_at.astimezone(ZoneInfo(catalogue.time_zone)).date()
    due_at = catalogue.begin_of(add_working_days(ended_on, WORKING_DAYS) + timedelta(days=1))
    return NewTask(TaskKind.CLOSE_ACCOUNT, cancelled.subject, ACCOUNT, cancelled.decision_id, due_at)
