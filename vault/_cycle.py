"""The row of a cycle that deletes what has expired. For the modules of this package alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from kernel.ids import EntryId, RequestId, SubjectId, new_id
from vault._expired import Swept
from vault.certificates import Certificate
from vault.tables import sweep

STARTED: Final = "started"
FINISHED: Final = "finished"


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """One cycle that is done.

    Attributes:
        counts: rows, attachments, values and keys that went; rows that moved to new keys; rows that are left, because
            they are held, their subject is restricted, or they do not verify.
        fields: values by field. kinds: rows by kind of record.
    """

    sweep_id: str
    finished_at: datetime
    counts: Mapping[str, int]
    fields: Mapping[str, int]
    kinds: Mapping[str, int]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle under way; what has expired is judged as of its start."""

    sweep_id: str
    asking: Asking
    started_at: datetime
    started_entry: str

    def event(self, act: Act) -> Event:
        """Return an event of this cycle."""
        return replace(event_of(self.asking, act), refs={"sweep": self.sweep_id})


def find_begun(connection: Connection) -> Cycle | None:
    """Return the cycle that is to be gone on with, or None."""
    row = connection.execute(select(sweep).where(sweep.c.state == STARTED)).one_or_none()
    if row is None:
        return None
    asking = Asking(row.actor, row.role, RequestId(row.request_id))
    return Cycle(row.sweep_id, asking, row.started_at, row.started_entry)


def begin(connection: Connection, log: EntryLog, *, asking: Asking, now: datetime) -> Cycle:
    """Begin a cycle with its entry; a unique index lets one process do so at a time."""
    sweep_id = new_id("swp")
    event = replace(event_of(asking, Act.SWEEP_STARTED), refs={"sweep": sweep_id})
    entry_id = log.record(connection, event)
    row = {
        "sweep_id": sweep_id,
        "state": STARTED,
        "actor": asking.actor,
        "role": asking.role,
        "request_id": asking.request_id,
        "started_at": now,
        "started_entry": entry_id,
        "counts": {},
    }
    connection.execute(insert(sweep), row)
    return Cycle(sweep_id, asking, now, entry_id)


def note(connection: Connection, log: EntryLog, cycle: Cycle, swept: Swept, gone: Sequence[SubjectId]) -> EntryId:
    """Add what went to the cycle's row, and leave the entry of this part of it; returns the entry's id."""
    mine = sweep.c.sweep_id == cycle.sweep_id
    before = connection.scalar(select(sweep.c.counts).where(mine))
    together = Swept.of(before or {}).plus(swept)
    connection.execute(update(sweep).where(mine).values(counts=together.as_json()))
    event = replace(cycle.event(Act.SWEEP_CHUNK), cohort=tuple(gone), fields=tuple(sorted(swept.fields)))
    return log.record(connection, replace(event, counts=dict(swept.counts)))


def end(connection: Connection, cycle: Cycle, certificate: Certificate, swept: Swept, *, now: datetime) -> None:
    """Keep the certificate of a cycle that is over."""
    ended = {
        "state": FINISHED,
        "finished_at": now,
        "counts": swept.as_json(),
        "certificate": certificate.content,
        "signature": certificate.signature,
    }
    connection.execute(update(sweep).where(sweep.c.sweep_id == cycle.sweep_id).values(**ended))


def get_row(connection: Connection, sweep_id: str) -> Row[Any]:
    """Return the row of a cycle."""
    return connection.execute(select(sweep).where(sweep.c.sweep_id == sweep_id)).one()


def outcome_of(row: Row[Any]) -> SweepOutcome:
    """Return what the row of a finished cycle says."""
    swept = Swept.of(row.counts)
    return SweepOutcome(
        row.sweep_id,
        row.finished_at,
        dict(swept.counts),
        dict(swept.fields),
        dict(swept.kinds),
        Certificate(row.certificate, row.signature),
    )
