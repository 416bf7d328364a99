"""What of a subject has expired, and what must move before it goes. For the modules of this package alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from kernel.clock import to_micros
from kernel.ids import SubjectId
from vault._holding import Holding, holding_of
from vault._keys import Pair
from vault._resealing import Move, keys_left
from vault._rows import SealedRow, rows_where, table_of
from vault.payload import unpack
from vault.tables import SEALED_TABLES, attachment


@dataclass(frozen=True, slots=True)
class Expired:
    """One subject's rows, as of the cycle's beginning.

    Attributes:
        going: rows that have expired and that nothing holds.
        moves: living rows under the keys of those that go.
    """

    going: Sequence[SealedRow] = ()
    moves: Sequence[Move] = ()

    @property
    def keys(self) -> dict[Pair, set[bytes]]:
        """The keys that must be destroyed."""
        return keys_left([Move(row) for row in self.going])

    @property
    def fields(self) -> list[str]:
        """The codes that have values among what goes."""
        return sorted({code for row in self.going for code, _ in unpack(row.payload)})


@dataclass(slots=True)
class Swept:
    """What went, in numbers.

    Attributes:
        counts: rows, attachments, values and keys that went, and rows that moved to new keys.
        fields: values by field. kinds: rows by kind of record.
    """

    counts: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, found: Expired) -> None:
        """Count one subject's."""
        codes = [code for row in found.going for code, _ in unpack(row.payload)]
        files = sum(table_of(row.row_no) is attachment for row in found.going)
        keys = sum(len(ids) for ids in found.keys.values())
        self.counts.update(rows=len(found.going) - files, attachments=files, values=len(codes), keys=keys)
        self.counts.update(moved_rows=len(found.moves))
        self.fields.update(codes)
        self.kinds.update(row.kind for row in found.going)

    def as_json(self) -> dict[str, Any]:
        """Return it for a row of ``sweep``."""
        return {"counts": dict(self.counts), "fields": dict(self.fields), "kinds": dict(self.kinds)}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Swept":
        """Return what ``as_json`` returned."""
        return cls(*(Counter(stored.get(name, {})) for name in ("counts", "fields", "kinds")))

    def plus(self, other: "Swept") -> "Swept":
        """Return both together."""
        return Swept(self.counts + other.counts, self.fields + other.fields, self.kinds + other.kinds)


def find_expired(rows: Sequence[SealedRow], holding: Holding, cutoff: datetime) -> Expired:
    """Say what of one subject's verified rows goes; a hold wins (PIPL 47 paragraph 2)."""
    instant = to_micros(cutoff)
    over = (row for row in rows if row.expires_at is not None and row.expires_at <= instant)
    going = [row for row in over if not holding.is_held(row)]
    numbers, keys = {row.row_no for row in going}, {row.key_id for row in going}
    moves = [Move(row) for row in rows if row.key_id in keys and row.row_no not in numbers]
    return Expired(going, moves)


def due_subjects(connection: Connection, cutoff: datetime, *, after: str, limit: int) -> list[SubjectId]:
    """Return subjects with rows that have expired and that nothing holds, by id, those after the given one."""
    while page := _subjects_past(connection, cutoff, after=after, limit=limit):
        if free := [subject for subject in page if _has_free(connection, subject, cutoff)]:
            return free
        after = page[-1]
    return []


def _has_free(connection: Connection, subject: SubjectId, cutoff: datetime) -> bool:
    """Say whether officers hold not all that has expired."""
    holding = holding_of(connection, subject, after=cutoff)
    if not holding.officers:
        return True
    rows = rows_where(connection, lambda table: and_(table.c.subject_id == subject, *_due(table, cutoff)))
    return any(not holding.is_held(row) for row in rows)


def _subjects_past(connection: Connection, cutoff: datetime, *, after: str, limit: int) -> list[SubjectId]:
    """Return subjects with rows that have expired and that no floor holds."""
    found: set[str] = set()
    for table in SEALED_TABLES:
        query = select(table.c.subject_id).where(*_due(table, cutoff), table.c.subject_id > after)
        found.update(connection.scalars(query.group_by(table.c.subject_id).order_by(table.c.subject_id).limit(limit)))
    return [SubjectId(subject) for subject in sorted(found)[:limit]]


def count_expired(connection: Connection, cutoff: datetime) -> int:
    """Return how many rows are there whose time of keeping was over at an instant, held ones included."""
    return sum(
        connection.scalar(
            select(func.count()).select_from(table).where(table.c.expires_at <= cutoff, table.c.payload.is_not(None))
        )
        or 0
        for table in SEALED_TABLES
    )


def _due(table: Table, cutoff: datetime) -> tuple[ColumnElement[bool], ...]:
    free = or_(table.c.held_until.is_(None), table.c.held_until <= cutoff)
    return table.c.expires_at <= cutoff, free, table.c.payload.is_not(None)
