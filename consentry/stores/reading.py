"""How much each person of staff has read, counted in the data store."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Final

from sqlalchemy import ARRAY, Connection, String, any_, bindparam, delete, func, select, update
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
    return Kept(_counts(row[:-1]), None if row[-1] is None else from_micros(row[-1]))


def lock_counts_of(
    connection: Connection, pairs: Collection[tuple[str, SubjectId]]
) -> dict[tuple[str, SubjectId], Kept]:
    """Return the same for several principals, each with a subject; locked in one order for all.

    A principal that reads for the first time is missing.
    """
    dialect = connection.dialect.name
    principals = sorted({principal for principal, _ in pairs})
    bound = json.dumps(principals) if dialect == "sqlite" else principals
    rows = {row[0]: _counts(row[1:]) for row in _KEPT_OF[dialect].rows(connection, principals=bound)}
    if dialect == "sqlite":
        given: dict[str, object] = {"pairs": json.dumps(list(pairs))}
    else:
        given = {"principals": [one for one, _ in pairs], "subjects": [one for _, one in pairs]}
    read = {(one, subject): from_micros(at) for one, subject, at in _READ_BY[dialect].rows(connection, **given)}
    return {pair: Kept(rows[pair[0]], read.get(pair)) for pair in pairs if pair[0] in rows}


def keep_counts_of(
    connection: Connection,
    counts: Mapping[str, Mapping[Window, Count]],
    pairs: Collection[tuple[str, SubjectId]],
    *,
    now: datetime,
) -> None:
    """Keep the counts of several principals, and that each of them read these subjects just now."""
    _KEEP.many(connection, [{"principal": one, **_stored(counts[one])} for one in sorted(counts)])
    at = to_micros(now)
    _UPSERT[connection.dialect.name].insert_many(connection, [(*pair, at) for pair in sorted(set(pairs))])


def keep_counts(
    connection: Connection, principal: str, subject: SubjectId | None, counts: Mapping[Window, Count], *, now: datetime
) -> None:
    """Keep counts, and that the person was read just now."""
    _KEEP.rows(connection, principal=principal, **_stored(counts))
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


def _counts(values: Sequence[int]) -> dict[Window, Count]:
    width = 1 + len(Unit)
    return {
        window: Count(from_micros(values[place]), *values[place + 1 : place + width])
        for place, window in zip(range(0, len(values), width), Window, strict=True)
    }


def _stored(counts: Mapping[Window, Count]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for window, count in counts.items():
        at, reads, fields, subjects = _NAMED[window]
        columns[at] = to_micros(count.at)
        columns[reads], columns[fields], columns[subjects] = count.reads, count.fields, count.subjects
    return columns


def _upsert(dialect: ModuleType) -> Prepared:
    insert = dialect.insert(reading_subject).inline()
    upsert = insert.on_conflict_do_update(index_elements=_KEY, set_={"read_at": insert.excluded.read_at})
    return Prepared(upsert, columns=("principal_id", "subject_id", "read_at"))


_KEY: Final = [reading_subject.c.principal_id, reading_subject.c.subject_id]
_COUNTED: Final = [f"{window}_{what}" for window in Window for what in ("at", *Unit)]
_NAMED: Final = {
    window: tuple(f"{window}_{what}" for what in ("at", Unit.READS, Unit.FIELDS, Unit.SUBJECTS)) for window in Window
}
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
_GIVEN: Final = func.json_each(bindparam("principals")).table_valued("value")
_OF_ALL: Final = select(reading_count.c.principal_id, *(reading_count.c[name] for name in _COUNTED))
_KEPT_OF: Final = {
    "sqlite": Prepared(_OF_ALL.where(reading_count.c.principal_id.in_(select(_GIVEN.c.value)))),
    "postgresql": Prepared(
        _OF_ALL.where(reading_count.c.principal_id == any_(bindparam("principals", type_=ARRAY(String))))
        .order_by(reading_count.c.principal_id)
        .with_for_update()
    ),
}
_PAIRED: Final = func.json_each(bindparam("pairs")).table_valued("value")
_PAIRS: Final = {
    "sqlite": select(
        func.json_extract(_PAIRED.c.value, "$[0]").label("a"), func.json_extract(_PAIRED.c.value, "$[1]").label("b")
    ).subquery(),
    "postgresql": func.unnest(bindparam("principals", type_=ARRAY(String)), bindparam("subjects", type_=ARRAY(String)))
    .table_valued("a", "b")
    .render_derived(),
}
_READ_BY: Final = {
    dialect: Prepared(
        select(reading_subject).join(
            pairs, (reading_subject.c.principal_id == pairs.c.a) & (reading_subject.c.subject_id == pairs.c.b)
        )
    )
    for dialect, pairs in _PAIRS.items()
}
_KEEP: Final = Prepared(
    update(reading_count)
    .where(reading_count.c.principal_id == bindparam("principal"))
    .values({name: bindparam(name, type_=reading_count.c[name].type) for name in _COUNTED})
)
_UPSERT: Final = {dialect.dialect.name: _upsert(dialect) for dialect in (postgresql, sqlite)}
