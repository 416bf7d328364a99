"""The rows of rotations that resume: who asked, what for, how far. For the modules of this package alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from kernel.database import Database
from kernel.ids import RequestId, SubjectId, new_id
from vault.tables import rotation

_STARTED: Final = "started"
_DONE: Final = "done"


class RotationKind(StrEnum):
    """What is rotated."""

    DATA = "data"
    INDEX = "index"

    @property
    def acts(self) -> tuple[Act, Act]:
        """The acts of its beginning and its end."""
        if self is RotationKind.DATA:
            return Act.KEYS_ROTATING, Act.KEYS_ROTATED
        return Act.INDEX_ROTATING, Act.INDEX_ROTATED


@dataclass(frozen=True, slots=True)
class RotationRow:
    """One rotation.

    Attributes:
        scope: which keys; ids and names only.
        position: where its pass goes on.
        counts: what is done so far.
    """

    rotation_id: str
    kind: RotationKind
    scope: Mapping[str, Any]
    position: str
    counts: Mapping[str, int]
    is_done: bool


def begin(
    connection: Connection, kind: RotationKind, scope: Mapping[str, Any], *, asking: Asking, now: datetime
) -> RotationRow:
    """Insert a rotation, in the caller's transaction on the key store."""
    row = RotationRow(new_id("rot"), kind, scope, "", {}, is_done=False)
    connection.execute(
        insert(rotation).values(
            rotation_id=row.rotation_id,
            kind=kind,
            state=_STARTED,
            scope=dict(scope),
            position="",
            counts={},
            actor=asking.actor,
            role=asking.role,
            request_id=asking.request_id,
            started_at=now,
        )
    )
    return row


def started(connection: Connection, kind: RotationKind | None = None) -> list[RotationRow]:
    """Return the rotations that are not finished, oldest first."""
    query = select(rotation).where(rotation.c.state == _STARTED).order_by(rotation.c.started_at)
    rows = connection.execute(query if kind is None else query.where(rotation.c.kind == kind))
    return [_read(row) for row in rows]


def advance(connection: Connection, rotation_id: str, *, position: str, counts: Mapping[str, int]) -> None:
    """Move a rotation on: where its pass goes on, and what more is done."""
    same = rotation.c.rotation_id == rotation_id
    before = counts_of(connection, rotation_id)
    sums = {name: before.get(name, 0) + counts.get(name, 0) for name in {*before, *counts}}
    connection.execute(update(rotation).where(same).values(position=position, counts=sums))


def rewind(connection: Connection, rotation_id: str) -> None:
    """Let a pass begin again, and count anew."""
    same = rotation.c.rotation_id == rotation_id
    connection.execute(update(rotation).where(same).values(position="", counts={}))


def counts_of(connection: Connection, rotation_id: str) -> dict[str, int]:
    """Return what is done so far."""
    query = select(rotation.c.counts).where(rotation.c.rotation_id == rotation_id)
    return dict(connection.execute(query).scalar_one())


def finish(connection: Connection, rotation_id: str, *, now: datetime) -> RotationRow:
    """Mark a rotation as done."""
    same = rotation.c.rotation_id == rotation_id
    connection.execute(update(rotation).where(same).values(state=_DONE, finished_at=now))
    return _read(connection.execute(select(rotation).where(same)).one())


def log_begun_and_done(keys: Database, data: Database, log: EntryLog) -> int:
    """Write the entries of rotations that have none yet, in the name of who asked for them; return how many."""
    written = 0
    for entry, is_done in (("started_entry", False), ("finished_entry", True)):
        query = select(rotation).where(rotation.c[entry].is_(None)).order_by(rotation.c.started_at)
        with keys.read() as connection:
            rows = connection.execute(query.where(rotation.c.state == _DONE) if is_done else query).all()
        for row in rows:
            with data.write() as connection:
                entry_id = log.record(connection, _event(row, is_done=is_done))
            with keys.write() as connection:
                same = rotation.c.rotation_id == row.rotation_id
                connection.execute(update(rotation).where(same).values({entry: entry_id}))
        written += len(rows)
    return written


def _event(row: Row[Any], *, is_done: bool) -> Event:
    asking = Asking(row.actor, row.role, RequestId(row.request_id))
    act = RotationKind(row.kind).acts[is_done]
    named = {name: str(value) for name, value in row.scope.items() if name in _NAMED and value is not None}
    subject = row.scope.get("subject")
    event = replace(event_of(asking, act), refs={"rotation": row.rotation_id, **named})
    if subject is not None:
        event = replace(event, subject=SubjectId(subject))
    return replace(event, counts=dict(row.counts)) if is_done else event


_NAMED: Final = frozenset({"index", "version", "compartment", "suite", "older_than_days"})
"""What of a scope stands in an entry by name; a subject stands there under its alias."""


def _read(row: Row[Any]) -> RotationRow:
    is_done = row.state == _DONE
    return RotationRow(row.rotation_id, RotationKind(row.kind), row.scope, row.position, row.counts, is_done)
