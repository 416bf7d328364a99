"""What time has made due in the register: validity and uses that are over, children who now decide by themselves."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select

from consent.ages import grown_up_by
from consent.rules import Current, DecisionAct, Track, is_permissive
from consent.standing import Standing
from consent.tables import consent_current, subject_standing
from consent.tables import task as task_table
from consent.tasks import NewTask, TaskKind
from kernel.ids import SubjectId

ASK_AGAIN_WITHIN: Final = timedelta(days=30)
"""How soon somebody who has reached the digital age is asked: our own choice, the law names no term."""

_OPEN: Final = tuple(act.value for act in DecisionAct if is_permissive(act))
_PRESENT: Final = (Standing.ACTIVE.value, Standing.RESTRICTED.value)


class Overdue(NamedTuple):
    """Names one row of what stands."""

    subject: SubjectId
    purpose: str
    recipient: str
    track: Track


def is_over(row: Current, now: datetime) -> bool:
    """Say whether an open row has come to its end: half open validity, or the last use taken."""
    is_spent = row.max_uses is not None and row.uses >= row.max_uses
    return is_permissive(row.act) and (is_spent or (row.valid_until is not None and row.valid_until <= now))


def find_overdue(connection: Connection, now: datetime, limit: int) -> list[Overdue]:
    """Return open rows that are over, the longest overdue first, then those whose uses are spent."""
    columns = consent_current.c
    lapsed = _open_rows(columns.valid_until <= now).order_by(columns.valid_until).limit(limit)
    spent = _open_rows(and_(columns.max_uses.is_not(None), columns.uses >= columns.max_uses)).limit(limit)
    rows = [*connection.execute(lapsed), *connection.execute(spent)]
    found = [Overdue(SubjectId(row.subject_id), row.purpose, row.recipient, Track(row.track)) for row in rows]
    return list(dict.fromkeys(found))[:limit]


def find_take_overs(connection: Connection, digital_age: int, now: datetime, limit: int) -> Sequence[NewTask]:
    """Return the task to ask again for each subject and purpose that a guardian opened for a child of then.

    Asked once for each: from the digital age on no guardian opens anything new.
    """
    columns, standing = consent_current.c, subject_standing.c
    grown = or_(
        *(
            and_(standing.age_class == age_class.value, standing.age_class_until <= latest)
            for age_class, latest in grown_up_by(now.date(), digital_age).items()
        )
    )
    asked = exists().where(
        task_table.c.kind == TaskKind.ASK_AGAIN.value,
        task_table.c.subject_id == columns.subject_id,
        task_table.c.purpose == columns.purpose,
    )
    statement = (
        select(columns.subject_id, columns.purpose, columns.decision_id)
        .join(subject_standing, standing.subject_id == columns.subject_id)
        .where(columns.by_guardian, columns.track == Track.CONSENT.value, columns.act.in_(_OPEN))
        .where(or_(columns.valid_until.is_(None), columns.valid_until > now))
        .where(standing.state == Standing.ACTIVE.value, ~standing.deceased, grown, ~asked)
        .order_by(columns.subject_id, columns.purpose, columns.recipient)
        .limit(limit)
    )
    found: dict[tuple[str, str], NewTask] = {}
    for subject, purpose, decision_id in connection.execute(statement):
        wanted = NewTask(TaskKind.ASK_AGAIN, SubjectId(subject), purpose, decision_id, now + ASK_AGAIN_WITHIN)
        found.setdefault((subject, purpose), wanted)
    return list(found.values())


def _open_rows(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    columns, standing = consent_current.c, subject_standing.c
    chosen = select(columns.subject_id, columns.purpose, columns.recipient, columns.track)
    joined = chosen.join(subject_standing, standing.subject_id == columns.subject_id)
    return joined.where(condition, columns.act.in_(_OPEN), standing.state.in_(_PRESENT))
