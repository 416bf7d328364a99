"""How much each person of staff has read, counted in the data store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from consentry.reading_limits import Count, Unit, Window
from consentry.stores.tables import reading_count, reading_subject
from kernel.ids import SubjectId
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
    query = _with_last_read(principal, subject)
    row = connection.execute(query).one_or_none()
    if row is None:
        values = {"principal_id": principal, **_columns({window: Count(first) for window in Window})}
        insert_absent(connection, reading_count, [values])
        row = connection.execute(query).one()
    members = row._mapping  # noqa: SLF001 - the public way to a row's columns by name
    counts = {
        window: Count(members[f"{window}_at"], *(members[f"{window}_{unit}"] for unit in Unit)) for window in Window
    }
    return Kept(counts, row.read_at)


def keep_counts(
    connection: Connection, principal: str, subject: SubjectId | None, counts: Mapping[Window, Count], *, now: datetime
) -> None:
    """Keep counts, and that the person was read just now."""
    connection.execute(update(reading_count).where(reading_count.c.principal_id == principal).values(_columns(counts)))
    if subject is None:
        return
    insert = _insert(connection)
    upsert = insert.on_conflict_do_update(index_elements=_KEY, set_={"read_at": insert.excluded.read_at})
    connection.execute(upsert, {"principal_id": principal, "subject_id": subject, "read_at": now})


def tell_refusal(connection: Connection, principal: str, *, since: datetime, now: datetime) -> bool:
    """Note that a limit was reached, and say whether it is the first time since an instant."""
    values = {"principal_id": principal, **_columns({window: Count(now) for window in Window})}
    insert_absent(connection, reading_count, [values])  # the first reading of all may be the one that is refused
    row = connection.execute(_of(principal)).one()
    is_first = row.refused_at is None or row.refused_at < since
    if is_first:
        connection.execute(
            update(reading_count).where(reading_count.c.principal_id == principal).values(refused_at=now)
        )
    return is_first


def forget_readings(connection: Connection, subject: SubjectId) -> None:
    """Delete that anybody has read a subject; the numbers stay, and the log."""
    connection.execute(delete(reading_subject).where(reading_subject.c.subject_id == subject))


_KEY: Final = [reading_subject.c.principal_id, reading_subject.c.subject_id]


def _with_last_read(principal: str, subject: SubjectId | None) -> Select[*tuple[Any, ...]]:
    """Return counts, locked, and when the principal read the subject last, in one statement."""
    read = (reading_subject.c.principal_id == reading_count.c.principal_id) & (reading_subject.c.subject_id == subject)
    query = select(reading_count, reading_subject.c.read_at).outerjoin(reading_subject, read)
    return query.where(reading_count.c.principal_id == principal).with_for_update(of=reading_count)


def _of(principal: str) -> Select[*tuple[Any, ...]]:
    return select(reading_count).where(reading_count.c.principal_id == principal).with_for_update()


def _insert(connection: Connection) -> postgresql.Insert | sqlite.Insert:
    is_sqlite = connection.dialect.name == "sqlite"
    return sqlite.insert(reading_subject) if is_sqlite else postgresql.insert(reading_subject)


def _columns(counts: Mapping[Window, Count]) -> dict[str, datetime | int]:
    columns: dict[str, datetime | int] = {}
    for window, count in counts.items():
        columns[f"{window}_at"] = count.at
        columns |= {f"{window}_{unit}": count.of(unit) for unit in Unit}
    return columns
