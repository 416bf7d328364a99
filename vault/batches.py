"""Batches: an ingestion is all or nothing. It can be resumed, and a discarded one leaves nothing behind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.standing import lock_subjects
from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.errors import Conflict, NotFound
from kernel.ids import BatchId, SubjectId, new_id
from kernel.ports import Clock
from vault._keyring import KeyKind, keyring_of
from vault.keystore import KeyStore
from vault.setwise import among
from vault.subjects import SubjectResolver
from vault.tables import SEALED_TABLES, sealed_record
from vault.tables import batch as batch_table

_DISCARDED_AT_ONCE: Final = 2_000
"""Rows deleted in one transaction, so that the write lock is held for a fraction of a second."""


class BatchState(StrEnum):
    """Where a batch stands; only a complete one is visible."""

    OPEN = "open"
    COMPLETE = "complete"
    DISCARDING = "discarding"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Batch:
    """One ingestion.

    Attributes:
        kind: what is ingested, such as ``fhir``.
        position: units of the input that are done; a resumed ingestion goes on there.
        counts: sums over its chunks.
    """

    batch_id: BatchId
    kind: str
    state: BatchState
    position: int
    counts: Mapping[str, int]
    opened_at: datetime

    @property
    def is_done(self) -> bool:
        """Whether the same input was ingested before, so that nothing is left to do."""
        return self.state is BatchState.COMPLETE


class Batches:
    """The batches of one data store; every step leaves its audit entry in the same transaction."""

    def __init__(self, data: Database, keystore: KeyStore, log: EntryLog, clock: Clock) -> None:
        self._data = data
        self._keystore = keystore
        self._log = log
        self._clock = clock

    def digest(self, pieces: Iterable[bytes]) -> str:
        """Return the keyed digest of an input, in hexadecimal; feed it all that decides what will be stored."""
        key = keyring_of(self._keystore).mac_keys(KeyKind.SERVICE, ["batch-input"])["batch-input"]
        return key.digest_stream(pieces).hex()

    def open(
        self, connection: Connection, *, kind: str, input_digest: str, asking: Asking, again: bool = False
    ) -> Batch:
        """Begin a batch, or find the one that this input already has.

        Args:
            connection: a write transaction of the data store.
            kind: what is ingested.
            input_digest: from ``digest``.
            asking: who ingests.
            again: begin anew although the input was completed before, for example after new decisions.

        Returns:
            An open batch to go on with at its ``position``, or a complete one (``is_done``).
        """
        same_input = (batch_table.c.kind == kind, batch_table.c.input_digest == input_digest)
        states = [BatchState.OPEN] if again else [BatchState.OPEN, BatchState.COMPLETE]
        query = select(batch_table).where(*same_input, batch_table.c.state.in_(states))
        found = connection.execute(query.order_by(batch_table.c.opened_at.desc())).all()
        if found:
            return min((_batch(row) for row in found), key=lambda batch: batch.is_done)
        opened = Batch(BatchId(new_id("bat")), kind, BatchState.OPEN, 0, {}, self._clock.now())
        connection.execute(
            insert(batch_table).values(
                batch_id=opened.batch_id,
                kind=kind,
                input_digest=input_digest,
                state=opened.state,
                position=0,
                counts={},
                actor=asking.actor,
                opened_at=opened.opened_at,
            )
        )
        self._record(connection, Act.BATCH_OPENED, opened, asking, {})
        return opened

    def advance(
        self, connection: Connection, batch: Batch, *, position: int, counts: Mapping[str, int], asking: Asking
    ) -> Batch:
        """Move an open batch on, in the transaction that stored its chunk.

        Args:
            connection: that transaction.
            batch: as it stood before the chunk.
            position: where the next chunk begins.
            counts: of this chunk.
            asking: who ingests.

        Raises:
            Conflict: the batch is not open, or another process has moved it.
        """
        after = replace(batch, position=position, counts=dict(Counter(batch.counts) + Counter(counts)))
        self._move(connection, batch, {"position": position, "counts": dict(after.counts)})
        self._record(connection, Act.BATCH_CHUNK_STORED, batch, asking, counts)
        return after

    def complete(self, connection: Connection, batch: Batch, *, asking: Asking) -> Batch:
        """Make the batch's rows visible, all at once.

        Raises:
            Conflict: the batch is not open, or another process has moved it.
        """
        self._move(connection, batch, {"state": BatchState.COMPLETE, "closed_at": self._clock.now()})
        self._record(connection, Act.BATCH_COMPLETED, batch, asking, batch.counts)
        return replace(batch, state=BatchState.COMPLETE)

    def discard(self, batch_id: BatchId, *, asking: Asking) -> None:
        """Take back an open batch: its rows, the links that only it made and the keys that nothing uses.

        Opens its own transactions; after a crash the same call goes on, as does ``finish_discards``.

        Raises:
            NotFound: there is no such batch.
            Conflict: the batch is complete.
        """
        with self._data.write() as connection:
            batch = self.get(connection, batch_id)
            if batch.state is BatchState.COMPLETE:
                raise Conflict(
                    f"Batch {batch_id} is complete and cannot be discarded",
                    hint="Correct its records (`consentry records correct`), or erase what must not be there.",
                )
            if batch.state is BatchState.OPEN:
                self._move(connection, batch, {"state": BatchState.DISCARDING})
                self._record(connection, Act.BATCH_DISCARDED, batch, asking, batch.counts)
        if batch.state is not BatchState.DISCARDED:
            self._clear(batch_id)

    def finish_discards(self) -> int:
        """Finish what a crash interrupted, at start-up; returns how many batches."""
        with self._data.read() as connection:
            query = select(batch_table.c.batch_id).where(batch_table.c.state == BatchState.DISCARDING)
            begun = connection.execute(query).scalars().all()
        for batch_id in begun:
            self._clear(BatchId(batch_id))
        return len(begun)

    def get(self, connection: Connection, batch_id: BatchId) -> Batch:
        """Return a batch; raises ``NotFound``."""
        row = connection.execute(select(batch_table).where(batch_table.c.batch_id == batch_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no batch {batch_id}")
        return _batch(row)

    def unfinished(self, connection: Connection) -> list[Batch]:
        """Return the open batches, oldest first."""
        query = select(batch_table).where(batch_table.c.state == BatchState.OPEN)
        return [_batch(row) for row in connection.execute(query.order_by(batch_table.c.opened_at))]

    def _move(self, connection: Connection, batch: Batch, values: Mapping[str, Any]) -> None:
        moved = connection.execute(
            update(batch_table)
            .where(
                batch_table.c.batch_id == batch.batch_id,
                batch_table.c.state == BatchState.OPEN,
                batch_table.c.position == batch.position,
            )
            .values(**values)
        )
        if moved.rowcount != 1:
            raise Conflict(f"Batch {batch.batch_id} was moved by another process", hint="Open the batch again.")

    def _record(
        self, connection: Connection, act: Act, batch: Batch, asking: Asking, counts: Mapping[str, int]
    ) -> None:
        event = replace(event_of(asking, act), refs={"batch": batch.batch_id, "kind": batch.kind}, counts=counts)
        self._log.record(connection, event)

    def _clear(self, batch_id: BatchId) -> None:
        """Delete in this order: rows before the keys and links that they need, the mark last."""
        while self._delete_rows(batch_id):
            pass
        SubjectResolver(self._keystore).unlink_batch(batch_id)
        self._drop_keys(batch_id)
        with self._data.write() as connection:
            connection.execute(
                update(batch_table)
                .where(batch_table.c.batch_id == batch_id)
                .values(state=BatchState.DISCARDED, closed_at=self._clock.now())
            )

    def _drop_keys(self, batch_id: BatchId) -> None:
        """Drop the keys that only this batch needed, while the subjects' rows are locked.

        Whoever stores under one of these keys takes the lock before it reads the key: it has either committed and its
        rows are seen here, or it finds the key gone and stores nothing.
        """
        made = self._keystore.keys_of_batch(batch_id)
        subjects = {subject for subject, _ in made}
        with self._data.write() as connection:
            lock_subjects(connection, subjects, exclusive=True)
            in_use = {
                (SubjectId(subject), Compartment(compartment))
                for table in SEALED_TABLES
                for subject, compartment in connection.execute(
                    select(table.c.subject_id, table.c.compartment)
                    .where(among(connection, table.c.subject_id, subjects))
                    .distinct()
                )
            }
            self._keystore.drop_unused_keys(batch_id, in_use=in_use)

    def _delete_rows(self, batch_id: BatchId) -> int:
        some = select(sealed_record.c.row_no).where(sealed_record.c.batch_id == batch_id).limit(_DISCARDED_AT_ONCE)
        with self._data.write() as connection:
            return connection.execute(delete(sealed_record).where(sealed_record.c.row_no.in_(some))).rowcount


def _batch(row: Row[Any]) -> Batch:
    return Batch(BatchId(row.batch_id), row.kind, BatchState(row.state), row.position, row.counts, row.opened_at)
