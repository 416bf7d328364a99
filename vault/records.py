"""The vault: stores sealed records, and opens them for a permit and its receipt only."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, exists, select

from audit.receipts import Receipt
from consent.entries import EntryLog, now_in_log
from consent.permits import Permit
from consent.standing import Standing
from consent.tables import subject_standing
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import Denied
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault._cohorts import CohortPart, open_part, parts_of
from vault._history import (
    CurrentValue,
    Disagreement,
    FieldConflict,
    FieldVersion,
    find_disagreements,
    open_current,
    open_versions,
    placed_versions,
)
from vault._keyring import keyring_of
from vault._keys import UnlockedKeys
from vault._opening import OpenedRecord, open_rows, visible_rows
from vault._reading import Reading
from vault._rows import SealedRow
from vault._sealing import Placing, PlainRecord
from vault._storing import KeysMoved, SealedChunk, StoreCounts, Storing
from vault._versions import PROFILE
from vault.batches import Batch, BatchState
from vault.cohort_openers import CohortOpeners
from vault.gathering import Gathered, Wanted
from vault.keystore import KeyStore
from vault.masking import mask_records, mask_values, mask_version
from vault.tables import batch as batch_table
from vault.tables import sealed_record

__all__ = [
    "CHUNK_RECORDS",
    "CurrentValue",
    "Disagreement",
    "FieldConflict",
    "FieldVersion",
    "Gathered",
    "KeysMoved",
    "OpenedRecord",
    "PlainRecord",
    "SealedChunk",
    "StoreCounts",
    "Vault",
    "Wanted",
]

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_RECORDS: Final = 500
"""Records that an ingestion should store in one transaction: well below 250 ms of write lock."""


class Vault:
    """Sealed records of one deployment."""

    def __init__(  # noqa: PLR0917 - the parts that are wired together once
        self, data: Database, keystore: KeyStore, catalogue: Catalogue, log: EntryLog, clock: Clock, deployment: str
    ) -> None:
        self._data = data
        self._catalogue = catalogue
        self._placing = Placing(catalogue)
        self._log = log
        self._clock = clock
        self._deployment = deployment
        keyring = keyring_of(keystore)
        self._reading = Reading(data, keyring, catalogue, deployment)
        self._storing = Storing(keyring, self._placing, self._now, deployment)

    def store(
        self,
        connection: Connection,
        records: Sequence[PlainRecord],
        *,
        permits: Mapping[str, Permit],
        batch: Batch,
    ) -> StoreCounts:
        """Seal and store a chunk of records.

        Args:
            connection: a write transaction of the data store; best the one in which the gate gave the permits.
            records: at most ``CHUNK_RECORDS``, to keep the lock short.
            permits: by purpose of collection; together they must cover every field of every record.
            batch: the open batch; the rows are invisible until it is complete.

        Raises:
            Denied: a permit is missing or over, or a subject is restricted or being erased.
            BadInput: a value is longer than 64 KiB or has no canonical form, or its field holds files.
            KeyUnavailable: a key was not made durable first.
            Conflict: the batch is not open, or another open batch holds the same record.
        """
        return self._storing.store(connection, records, permits=permits, batch=batch)

    def store_sealed(
        self, connection: Connection, chunk: SealedChunk, *, permits: Mapping[str, Permit], batch: Batch
    ) -> StoreCounts:
        """Store a chunk that ``BulkSealers`` sealed before the transaction; else the same as ``store``.

        Raises:
            KeysMoved: keys were made or destroyed since; nothing was stored.
            Denied, Conflict: as ``store``.
        """
        return self._storing.store_sealed(connection, chunk, permits=permits, batch=batch)

    def open(
        self,
        permit: Permit,
        receipt: Receipt,
        *,
        subject: SubjectId,
        fields: Collection[str],
        kinds: Collection[str] | None = None,
        masked: Collection[str] = (),
        gathered: Gathered | None = None,
    ) -> list[OpenedRecord]:
        """Open the records of one subject, oldest observation first.

        Args:
            permit: of the gate.
            receipt: of the audit log for the permit's entry; used up.
            subject: whose records.
            fields: which fields; all must be permitted.
            kinds: only records of these kinds; None for all.
            masked: of these fields only what the pack's masks leave comes back.
            gathered: what ``gather`` has read of the subject since the permit was given; else it is read now.

        Raises:
            Denied: permit or receipt do not cover this access, or are over.
            IntegrityFailed: a stored byte was changed.
            KeyUnavailable: a key is missing that was not destroyed by an erasure.
        """
        asked = self._permitted(permit, subject, fields)
        compartments = {self._catalogue.get_field(code).compartment for code in asked}

        def opened(_subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> list[OpenedRecord]:
            return open_rows(rows, fields=asked, keys=keys, deployment=self._deployment)

        now = self._clock.now()
        is_gathered = gathered is not None and gathered.covers(subject, compartments, since=permit.issued_at, now=now)
        if gathered is None or kinds is not None or not is_gathered:
            with self._data.read() as connection:
                now = self._redeem_in(connection, permit, receipt, [subject], asked)
                rows = visible_rows(connection, [subject], compartments=compartments, kinds=kinds, now=now)
            records = self._reading.some([subject], asked, kinds, now, opened, first=rows)[subject]
            return mask_records(records, self._catalogue, masked)
        now = max(now, gathered.at)
        self._redeem_at(now, permit, receipt, [subject], asked)
        own = gathered.rows_of(subject, compartments)
        with self._reading.keyring.unlocked_from(gathered.keys_of(subject, compartments)) as keys:
            if all(row.key_id in keys for row in own):
                return mask_records(opened(subject, own, keys), self._catalogue, masked)
        records = self._reading.some([subject], asked, kinds, now, opened, first={subject: own} if own else {})[subject]
        return mask_records(records, self._catalogue, masked)

    def gather(self, connection: Connection, wanted: Sequence[Wanted]) -> Gathered:
        """Read what several readers are about to open, each with its own permit and receipt; still sealed.

        Args:
            connection: of a snapshot of the data store.
            wanted: by each of them.
        """
        subjects = frozenset(one.subject for one in wanted)
        codes = frozenset[str]().union(*(one.fields for one in wanted))
        compartments = frozenset(self._catalogue.get_field(code).compartment for code in codes)
        now = self._now(connection)
        rows = visible_rows(connection, list(subjects), compartments=compartments, kinds=None, now=now)
        return Gathered(now, subjects, compartments, rows, self._reading.keyring.wrapped_of(subjects, compartments))

    def open_history(
        self,
        permit: Permit,
        receipt: Receipt,
        *,
        subject: SubjectId,
        fields: Collection[str],
        kinds: Collection[str] | None = None,
        masked: Collection[str] = (),
    ) -> list[FieldVersion]:
        """Open every kept version of one subject's fields, by field, then in the order of storing (PIPL 45, GDPR 15).

        Args and errors are those of ``open``; with a masked value the reason of its correction is hidden.
        """
        asked, now = self._redeem_one(permit, receipt, subject, fields)

        def versions(_subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> list[FieldVersion]:
            return open_versions(placed_versions(rows, asked, keys, self._deployment), keys, self._deployment)

        opened = self._reading.some([subject], asked, kinds, now, versions, with_batch=True)[subject]
        return [mask_version(version, self._catalogue, masked) for version in opened]

    def open_current(
        self,
        permit: Permit,
        receipt: Receipt,
        *,
        subject: SubjectId,
        fields: Collection[str],
        masked: Collection[str] = (),
    ) -> dict[str, CurrentValue]:
        """Open the one value of each profile field that counts, with where it comes from, by field.

        Which one counts: the source that the pack trusts most, of its values the newest observation, of equal ones what
        was stored last. Args and errors are those of ``open``.
        """
        asked, now = self._redeem_one(permit, receipt, subject, fields)

        def current(_subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> dict[str, CurrentValue]:
            placed = placed_versions(rows, asked, keys, self._deployment)
            return open_current(placed, keys, self._deployment, self._catalogue)

        opened = self._reading.some([subject], asked, [PROFILE], now, current)[subject]
        values = mask_values({code: one.value for code, one in opened.items()}, self._catalogue, masked)
        return {code: replace(one, value=values[code]) for code, one in opened.items()}

    def find_conflicts(self, subjects: Sequence[SubjectId]) -> list[FieldConflict]:
        """Return the profile fields on which equally trusted sources disagree, and corrections that were overtaken.

        Values are compared inside; what comes out names fields, sources and records, for whoever may correct them.
        """
        with self._data.read() as connection:
            now = self._now(connection)

        def compare(subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> list[FieldConflict]:
            placed = placed_versions(rows, self._catalogue.fields, keys, self._deployment)
            return find_disagreements(subject, placed, keys, self._deployment, self._catalogue)

        found = self._reading.some(subjects, self._catalogue.fields, None, now, compare)
        return [conflict for subject in subjects for conflict in found[subject]]

    def open_cohort(
        self,
        permit: Permit,
        receipt: Receipt,
        *,
        fields: Collection[str],
        kinds: Collection[str] | None = None,
        current_until: datetime | None = None,
        openers: CohortOpeners | None = None,
    ) -> "Iterator[pa.RecordBatch]":
        """Open the records of every subject of a permit; each with those of the fields that are permitted for it.

        The receipt is used up by the call itself. The values come by column in Arrow batches of some hundred subjects,
        one row a record; when the permit's time is over before the last of them, the iterator raises ``PermitExpired``.
        Columns: ``~subject``, ``~record``, ``~kind``, ``~source``, ``~observed_at`` (UTC), and each asked field by its
        code, null where a record has no permitted value of it.

        Args:
            permit: of the gate.
            receipt: of the audit log for the permit's entry; used up.
            fields: which fields.
            kinds: only records of these kinds; None for all.
            current_until: leave out the values of a profile that do not count, as of what was observed before this
                instant; see ``open_current``. None for every source's word.
            openers: processes that open instead of this one; worth their start for tens of thousands of people.

        Raises:
            Denied: permit or receipt do not cover this access, or are over.
            IntegrityFailed: a stored byte was changed.
            KeyUnavailable: a key is missing that was not destroyed by an erasure.
            Unavailable: an opening process ended.
        """
        asked = frozenset(fields)
        if not asked <= permit.fields:
            raise _beyond(permit)
        self._redeem(permit, receipt, permit.subjects, asked)
        parts = self._dated(permit, parts_of(permit, asked, kinds, current_until))
        return self._cohort(permit, parts, openers)

    def _cohort(
        self, permit: Permit, parts: Iterable[tuple[CohortPart, datetime]], openers: CohortOpeners | None
    ) -> "Iterator[pa.RecordBatch]":
        if openers is None:
            for part, now in parts:
                yield open_part(part, self._reading, now)
            return
        for columns in openers._opened(parts):  # noqa: SLF001 - a door that stands inside the package
            self._check_live(permit)  # they may have waited since they were asked for
            yield columns

    def _dated(self, permit: Permit, parts: Iterable[CohortPart]) -> Iterator[tuple[CohortPart, datetime]]:
        """Yield each part with the instant at which it is asked for; raises ``PermitExpired`` once it is too late."""
        for part in parts:
            yield part, self._check_live(permit)

    def _check_live(self, permit: Permit) -> datetime:
        with self._data.read() as connection:
            now = self._now(connection)
        permit.check_live(now)
        return now

    def subjects(self, connection: Connection, *, after: str = "", limit: int = 5_000) -> list[SubjectId]:
        """Return active subjects that have visible records, by id, those after the given one."""
        standing = subject_standing.c
        visible = exists().where(
            sealed_record.c.subject_id == standing.subject_id,
            sealed_record.c.batch_id == batch_table.c.batch_id,
            batch_table.c.state == BatchState.COMPLETE,
        )
        query = select(standing.subject_id).where(
            standing.subject_id > after, standing.state == Standing.ACTIVE, visible
        )
        rows = connection.execute(query.order_by(standing.subject_id).limit(limit))
        return [SubjectId(subject) for subject in rows.scalars()]

    def _redeem_one(
        self, permit: Permit, receipt: Receipt, subject: SubjectId, fields: Collection[str]
    ) -> tuple[frozenset[str], datetime]:
        asked = self._permitted(permit, subject, fields)
        return asked, self._redeem(permit, receipt, [subject], asked)

    @staticmethod
    def _permitted(permit: Permit, subject: SubjectId, fields: Collection[str]) -> frozenset[str]:
        asked = frozenset(fields)
        if subject not in permit.subjects or not asked <= permit.fields_for(subject):
            raise _beyond(permit)
        return asked

    def _redeem(
        self, permit: Permit, receipt: Receipt, subjects: Collection[SubjectId], fields: frozenset[str]
    ) -> datetime:
        with self._data.read() as connection:
            return self._redeem_in(connection, permit, receipt, subjects, fields)

    def _redeem_in(
        self,
        connection: Connection,
        permit: Permit,
        receipt: Receipt,
        subjects: Collection[SubjectId],
        fields: frozenset[str],
    ) -> datetime:
        now = self._now(connection)
        self._redeem_at(now, permit, receipt, subjects, fields)
        return now

    @staticmethod
    def _redeem_at(
        now: datetime, permit: Permit, receipt: Receipt, subjects: Collection[SubjectId], fields: frozenset[str]
    ) -> None:
        permit.check_live(now)
        if receipt.entry_id != permit.entry_id:
            raise Denied("The audit receipt belongs to another permit", hint="Ask the log for this permit's receipt.")
        receipt.redeem(actor=permit.actor, purpose=permit.purpose, subjects=subjects, fields=fields)

    def _now(self, connection: Connection) -> datetime:
        return now_in_log(connection, self._log, self._clock)


def _beyond(permit: Permit) -> Denied:
    return Denied(
        f"Permit {permit.permit_id} does not cover the asked subject and fields", hint="Ask the gate for them."
    )
