"""How much each person of staff has read, counted in the data store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from consentry.reading_limits import Count, Unit, Window
from consentry.stores.tables import reading_count, reading_subject
from kernel.clock import from_micros, to_micros
from kernel.ids import SubjectId
from kernel.prepared import Prepared
from vault.setwise import insert_absent


@dataclass(frozen=True, slots=True)
class Kept:
    """What was counted for somebody before.

    Attributes:
        counts: by window; empty before the first read.
        last_read: when the person now asked for was read last; None for never.
    """

    counts: Mapping[Window, Count]
    last_read: datetime | None


def lock_counts(connection: Connection, principal: str, subject: SubjectId | None, *, first: datetime) -> Kept:
    """Return what was counted; whoever reads as the same principal waits for the transaction's end.

    Args:
        connection: a write transaction.
        principal: who reads.
        subject: whose record; None where nobody's is read.
        first: the time that stands in the row of somebody who reads for the first time.
    """
    rows = _KEPT.rows(connection, principal=principal, subject=subject)
    if not rows:
        values = {"principal_id": principal, **_columns({window: Count(first) for window in Window})}
        insert_absent(connection, reading_count, [values])
        rows = _KEPT.rows(connection, principal=principal, subject=subject)
    row = rows[0]
    counts = {
        window: Count(from_micros(row[place]), *row[place + 1 : place + 1 + len(Unit)])
        for place, window in zip(range(0, len(row), 1 + len(Unit)), Window, strict=False)
    }
    return Kept(counts, None if row[-1] is None else from_micros(row[-1]))


def keep_counts(
    connection: Connection, principal: str, subject: SubjectId | None, counts: Mapping[Window, Count], *, now: datetime
) -> None:
    """Keep counts, and that the person was read just now."""
    columns = _columns(counts)
    counted = {name: to_micros(value) if isinstance(value, datetime) else value for name, value in columns.items()}
    _KEEP.rows(connection, principal=principal, **counted)
    if subject is not None:
        upsert = _UPSERT[connection.dialect.name]
        upsert.rows(connection, principal_id=principal, subject_id=subject, read_at=to_micros(now))


def tell_refusal(connection: Connection, principal: str, window: Window, *, since: datetime, now: datetime) -> bool:
    """Note that a limit of a window was reached, and say whether it is the first time since the window began.

    Each window has its own mark: a limit of the minute that was reached does not hide that of the hour, nor the other
    way round.
    """
    values = {"principal_id": principal, **_columns({one: Count(now) for one in Window})}
    insert_absent(connection, reading_count, [values])  # the first reading of all may be the one that is refused
    mine, told_at = reading_count.c.principal_id == principal, reading_count.c[f"{window}_told_at"]
    told = connection.execute(select(told_at).where(mine).with_for_update()).scalar_one()
    is_first = told is None or told < since
    if is_first:
        connection.execute(update(reading_count).where(mine).values({told_at: now}))
    return is_first


def forget_readings(connection: Connection, subject: SubjectId) -> None:
    """Delete that anybody has read a subject; the numbers stay, and the log."""
    connection.execute(delete(reading_subject).where(reading_subject.c.subject_id == subject))


def _columns(counts: Mapping[Window, Count]) -> dict[str, datetime | int]:
    columns: dict[str, datetime | int] = {}
    for window, count in counts.items():
        columns[f"{window}_at"] = count.at
        columns |= {f"{window}_{unit}": count.of(unit) for unit in Unit}
    return columns


def _upsert(dialect: ModuleType) -> Prepared:
    insert = dialect.insert(reading_subject).inline()
    upsert = insert.on_conflict_do_update(index_elements=_KEY, set_={"read_at": insert.excluded.read_at})
    return Prepared(upsert, columns=("principal_id", "subject_id", "read_at"))


_KEY: Final = [reading_subject.c.principal_id, reading_subject.c.subject_id]
_COUNTED: Final = [f"{window}_{what}" for window in Window for what in ("at", *Unit)]
_READ: Final = (reading_subject.c.principal_id == reading_count.c.principal_id) & (
    reading_subject.c.subject_id == bindparam("subject", type_=reading_subject.c.subject_id.type)
)
_KEPT: Final = Prepared(
    select(*(reading_count.c[name] for name in _COUNTED), reading_subject.c.read_at)
    .select_from(reading_count.outerjoin(reading_subject, _READ))
    .where(reading_count.c.principal_id == bindparam("principal"))
    .with_for_update(of=reading_count)
)
"""Counts, locked, and when the principal read the subject last, in one statement."""
_KEEP: Final = Prepared(
    update(reading_count)
    .where(reading_count.c.principal_id == bindparam("principal"))
    .values({name: bindparam(name, type_=reading_count.c[name].type) for name in _COUNTED})
)
_UPSERT: Final = {dialect.dialect.name: _upsert(dialect) for dialect in (postgresql, sqlite)}
