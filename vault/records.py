"""The vault: stores sealed records, and opens them for a permit and its receipt only."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Connection, exists, select

from audit.receipts import Receipt
from consent.entries import EntryLog, now_in_log
from consent.permits import Permit
from consent.standing import Standing
from consent.tables import subject_standing
from kernel.catalogue import Catalogue, Compartment
from kernel.database import Database
from kernel.errors import Denied
from kernel.ids import SubjectId
from kernel.ports import Clock
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
from vault._opened_columns import OpenedColumns, OpenedRows
from vault._opening import (
    OpenedRecord,
    Settling,
    open_plaintexts,
    open_rows,
    readable_rows,
    visible_rows,
    visible_rows_of_all,
)
from vault._rows import SealedRow
from vault._sealing import Placing, PlainRecord
from vault._storing import KeysMoved, SealedChunk, StoreCounts, Storing
from vault._versions import PROFILE
from vault.batches import Batch, BatchState
from vault.gathering import Gathered, Wanted
from vault.keystore import KeyStore
from vault.masking import mask_records, mask_values, mask_version
from vault.setwise import chunks
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

_T = TypeVar("_T")

CHUNK_RECORDS: Final = 500
"""Records that an ingestion should store in one transaction: well below 250 ms of write lock."""

_SUBJECTS_AT_ONCE: Final = 500
"""Subjects of a cohort whose keys and values are in memory together."""


class Vault:
    """Sealed records of one deployment."""

    def __init__(  # noqa: PLR0917 - the parts that are wired together once
        self, data: Database, keystore: KeyStore, catalogue: Catalogue, log: EntryLog, clock: Clock, deployment: str
    ) -> None:
        self._data = data
        self._keyring = keyring_of(keystore)
        self._catalogue = catalogue
        self._placing = Placing(catalogue)
        self._log = log
        self._clock = clock
        self._deployment = deployment
        self._storing = Storing(self._keyring, self._placing, self._now, deployment)

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
            records = self._read_some([subject], asked, kinds, now, opened, first=rows)[subject]
            return mask_records(records, self._catalogue, masked)
        now = max(now, gathered.at)
        self._redeem_at(now, permit, receipt, [subject], asked)
        own = gathered.rows_of(subject, compartments)
        with self._keyring.unlocked_from(gathered.keys_of(subject, compartments)) as keys:
            if all(row.key_id in keys for row in own):
                return mask_records(opened(subject, own, keys), self._catalogue, masked)
        records = self._read_some([subject], asked, kinds, now, opened, first={subject: own} if own else {})[subject]
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
        rows = visible_rows_of_all(connection, subjects, compartments=compartments, now=now)
        return Gathered(now, subjects, compartments, rows, self._keyring.wrapped_of(subjects, compartments))

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

        opened = self._read_some([subject], asked, kinds, now, versions, with_batch=True)[subject]
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

        opened = self._read_some([subject], asked, [PROFILE], now, current)[subject]
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

        found = self._read_some(subjects, self._catalogue.fields, None, now, compare)
        return [conflict for subject in subjects for conflict in found[subject]]

    def open_cohort(
        self,
        permit: Permit,
        receipt: Receipt,
        *,
        fields: Collection[str],
        kinds: Collection[str] | None = None,
        current_until: datetime | None = None,
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

        Raises:
            Denied: permit or receipt do not cover this access, or are over.
            IntegrityFailed: a stored byte was changed.
            KeyUnavailable: a key is missing that was not destroyed by an erasure.
        """
        asked = frozenset(fields)
        if not asked <= permit.fields:
            raise _beyond(permit)
        self._redeem(permit, receipt, permit.subjects, asked)
        settling = None if current_until is None else Settling(self._catalogue, current_until)
        return self._cohort(permit, asked, kinds, settling)

    def _cohort(
        self, permit: Permit, fields: frozenset[str], kinds: Collection[str] | None, settling: Settling | None
    ) -> "Iterator[pa.RecordBatch]":
        def opened(subject: SubjectId, rows: list[SealedRow], keys: UnlockedKeys) -> OpenedRows:
            wanted = fields & permit.fields_for(subject)
            return open_plaintexts(rows, fields=wanted, keys=keys, deployment=self._deployment, settling=settling)

        columns = OpenedColumns([self._catalogue.get_field(code) for code in sorted(fields)])
        for some in chunks(sorted(permit.subjects), _SUBJECTS_AT_ONCE):
            with self._data.read() as connection:
                now = self._now(connection)
            permit.check_live(now)
            yield columns.batch(self._read_some(some, fields, kinds, now, opened).values())

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

    def _read_some(
        self,
        subjects: Sequence[SubjectId],
        fields: Collection[str],
        kinds: Collection[str] | None,
        now: datetime,
        use: Callable[[SubjectId, list[SealedRow], UnlockedKeys], _T],
        *,
        with_batch: bool = False,
        first: dict[SubjectId, list[SealedRow]] | None = None,
    ) -> dict[SubjectId, _T]:
        """Return what ``use`` makes of each subject's readable rows, with the keys of their compartments.

        ``first`` are the rows where the caller has read them already, in the transaction of its receipt.
        """
        compartments: set[Compartment] = {self._catalogue.get_field(code).compartment for code in fields}
        lost: set[int] | None = None
        while True:
            rows, first = first, None
            if rows is None:
                with self._data.read() as connection:
                    rows = visible_rows(
                        connection, subjects, compartments=compartments, kinds=kinds, now=now, with_batch=with_batch
                    )
            with self._keyring.unlocked(subjects, compartments) as keys:
                readable = readable_rows(rows, keys, self._keyring)
                before, lost = lost, _unread(rows, readable)
                if lost and lost != before:
                    continue  # other fields were erased since the rows were read, and what stays has new keys by now
                return {subject: use(subject, readable.get(subject, []), keys) for subject in subjects}


def _unread(
    rows: Mapping[SubjectId, Sequence[SealedRow]], readable: Mapping[SubjectId, Sequence[SealedRow]]
) -> set[int]:
    """Return the numbers of the rows that cannot be read."""
    missing = [subject for subject, own in rows.items() if len(readable[subject]) < len(own)]
    return {row.row_no for subject in missing for row in set(rows[subject]).difference(readable[subject])}


def _beyond(permit: Permit) -> Denied:
    return Denied(
        f"Permit {permit.permit_id} does not cover the asked subject and fields", hint="Ask the gate for them."
    )
