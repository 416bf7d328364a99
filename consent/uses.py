"""Decisions that hold for a number of permits: each permit takes a use of every one that it rests on, or is not given.

The last use cannot be taken twice: on PostgreSQL the counted rows are held from before they are read until the permit's
transaction ends, and the counter moves under the condition that a use is left; on SQLite there is one writer at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from consent.rules import Current, Situation
from consent.setwise import among_subjects, bind_subjects, insert_rows
from consent.tables import consent_current, decision_use
from kernel.errors import Conflict
from kernel.ids import PermitId, SubjectId


def used_refs(decisions: Iterable[str]) -> dict[str, str]:
    """Return what a permit's entry says of the decisions that it takes a use of: a digest over their random ids."""
    return {"used": sha256("\n".join(sorted(decisions)).encode()).hexdigest()}


def counted_subjects(situations: Mapping[SubjectId, Situation]) -> list[SubjectId]:
    """Return those with a decision whose uses are counted."""
    return [s for s, found in situations.items() if any(row.max_uses is not None for row in found.current)]


def hold_uses(connection: Connection, subjects: Sequence[SubjectId], *, purpose: str) -> bool:
    """Hold the counted rows until the transaction ends, in one order for all; False where no lock is needed.

    What was read of them before may be old; read again.
    """
    if connection.dialect.name == "sqlite" or not subjects:
        return False
    columns = consent_current.c
    statement = (
        select(columns.subject_id)
        .where(
            among_subjects(columns.subject_id, connection.dialect.name),
            columns.purpose == bindparam("purpose"),
            columns.max_uses.is_not(None),
        )
        .order_by(columns.subject_id, columns.recipient, columns.track)
        .with_for_update()
    )
    connection.execute(statement, bind_subjects(connection, subjects, purpose=purpose)).all()
    return True


def spend(
    connection: Connection,
    spends: Iterable[tuple[SubjectId, Current]],
    *,
    purpose: str,
    permit_id: PermitId,
    at: datetime,
) -> None:
    """Take one use of each decision for a permit.

    Raises:
        Conflict: none is left of one of them; nothing may be permitted then.
    """
    rows: list[dict[str, Any]] = []
    for subject, row in spends:
        key = {"s": subject, "p": purpose, "r": row.recipient, "t": row.track.value, "d": row.decision_id}
        if connection.execute(_TAKE, key).rowcount != 1:
            raise Conflict(f"Decision {row.decision_id} has no use left", hint="Ask the gate again.")
        rows.append({"decision_id": row.decision_id, "permit_id": permit_id, "used_at": at})
    insert_rows(connection, decision_use, rows)


_TAKE: Final = (
    update(consent_current)
    .where(
        consent_current.c.subject_id == bindparam("s"),
        consent_current.c.purpose == bindparam("p"),
        consent_current.c.recipient == bindparam("r"),
        consent_current.c.track == bindparam("t"),
        consent_current.c.decision_id == bindparam("d"),
        consent_current.c.uses < consent_current.c.max_uses,
    )
    .values(uses=consent_current.c.uses + 1)
)
