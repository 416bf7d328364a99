"""Puts records into the store: what is checked, told apart, sealed and inserted. For the modules of this package alone.

There is one way in. Records that come a few at a time are sealed inside the transaction that stores them; a bulk load
seals before it, in processes of its own, and everything that matters is checked again under the subjects' locks.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, select

from consent.permits import Permit
from consent.rules import STORAGE_AND_SECURITY
from consent.standing import Standing, SubjectStanding, find_standings, lock_subjects
from kernel.clock import to_micros
from kernel.errors import Conflict, Denied
from kernel.ids import BatchId, SubjectId
from vault._blinding import Blinding, newest_blinding, unlocked_blinding
from vault._former import encode_known, former_subjects
from vault._keyring import KeyKind, Keyring
from vault._keys import UnlockedKeys
from vault._sealing import (
    COMPARTMENT,
    KEY_ID,
    SUBJECT,
    Codes,
    Encoded,
    Encoder,
    Identity,
    Part,
    Placing,
    PlainRecord,
    Row,
    insert_rows,
    seal_parts,
    split,
)
from vault.batches import Batch, BatchState
from vault.setwise import pairs_table
from vault.tables import batch as batch_table
from vault.tables import sealed_record

_RECORD_KEY: Final = "record-key"
_CONTENT_KEY: Final = "content-key"


class KeysMoved(Conflict):
    """A subject's keys, or its records, are not those that a chunk was sealed for; store it anew, as plain records."""


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What became of the records of one call.

    Attributes:
        stored_records: those with at least one stored field.
        stored_fields: sealed values.
        duplicates: records that were there already, value for value.
        expired_fields: values whose time of keeping was over before they came; not stored.
    """

    stored_records: int
    stored_fields: int
    duplicates: int
    expired_fields: int

    def as_counts(self) -> dict[str, int]:
        """Return the numbers by name, for a batch and its audit entry."""
        return {
            "stored_records": self.stored_records,
            "stored_fields": self.stored_fields,
            "duplicates": self.duplicates,
            "expired_fields": self.expired_fields,
        }


class Sealed(NamedTuple):
    """One record of a sealed chunk.

    Attributes:
        codes: of the fields that it came with.
        content_key: what it says; not as it is stored.
        blinded: the same as it is stored.
        blinding_id: by which key.
        rows: how many of the chunk's rows, which stand in the order of the records.
        fields: how many of its values are in them; the others had expired.
    """

    subject: SubjectId
    record_key: str
    content_key: bytes
    blinded: bytes
    blinding_id: bytes
    codes: Codes
    rows: int
    fields: int

    @property
    def identity(self) -> Identity:
        """What makes two records the same."""
        return self.subject, self.record_key, self.content_key


@dataclass(frozen=True, slots=True, repr=False)
class SealedChunk:
    """Records that are sealed and not yet stored; no plaintext and no key.

    Attributes:
        repeated: records that others of the chunk say value for value.
    """

    records: Sequence[Sealed]
    rows: Sequence[Row]
    repeated: int = 0

    def __repr__(self) -> str:
        return f"SealedChunk({len(self.records)} records)"


def encoder_of(keyring: Keyring) -> Encoder:
    """Return what makes records comparable, by the keys of this key store."""
    macs = keyring.mac_keys(KeyKind.SERVICE, [_RECORD_KEY, _CONTENT_KEY])
    return Encoder(macs[_RECORD_KEY], macs[_CONTENT_KEY])


def without_repeats(encoded: Iterable[Encoded]) -> dict[Identity, Encoded]:
    """Return each record once."""
    unique: dict[Identity, Encoded] = {}
    for one in encoded:
        unique.setdefault(one.identity, one)
    return unique


def seal_records(
    records: Collection[Encoded],
    *,
    keyring: Keyring,
    blinding: Blinding,
    placing: Placing,
    deployment: str,
    instant: int,
) -> SealedChunk:
    """Seal records that differ from each other, under keys that are held for just as long.

    Raises:
        KeyUnavailable: a key was not made durable first.
        BadInput: a value is longer than 64 KiB.
    """
    parts: list[Part] = []
    sealed: list[Sealed] = []
    for encoded in records:
        own = split(encoded, placing, instant)
        fields = sum([len(part.codes) for part in own])
        by = blinding.newest(encoded.subject)
        stored_as = by.blind(encoded.content_key), by.key_id
        sealed.append(Sealed(*encoded.identity, *stored_as, tuple(encoded.plaintexts), len(own), fields))
        parts += own
    subjects, compartments = {part.encoded.subject for part in parts}, {part.place.compartment for part in parts}
    with keyring.unlocked(subjects, compartments) as keys:
        return SealedChunk(sealed, _rows(parts, keys, blinding, deployment))


def _rows(parts: Sequence[Part], keys: UnlockedKeys, blinding: Blinding, deployment: str) -> list[Row]:
    return seal_parts(parts, keys, blinding, deployment)


class Storing:
    """The store path of one vault."""

    def __init__(
        self, keyring: Keyring, placing: Placing, now: Callable[[Connection], datetime], deployment: str
    ) -> None:
        self._keyring = keyring
        self._placing = placing
        self._now = now
        self._deployment = deployment

    def store(
        self,
        connection: Connection,
        records: Sequence[PlainRecord],
        *,
        permits: Mapping[str, Permit],
        batch: Batch,
    ) -> StoreCounts:
        """Seal and store a chunk of records; see ``Vault.store``."""
        asked = {(record.subject, tuple(sorted(record.values))) for record in records}
        self._check(connection, asked, permits, batch.batch_id)
        encoder = encoder_of(self._keyring)
        unique = without_repeats(encode_known(connection, encoder, records))
        with unlocked_blinding(self._keyring, {subject for subject, _ in asked}) as blinding:
            stored = _stored(connection, _stored_as(unique, blinding), batch.batch_id)
            chunk = seal_records(
                [encoded for identity, encoded in unique.items() if identity not in stored],
                keyring=self._keyring, blinding=blinding, placing=self._placing, deployment=self._deployment,
                instant=to_micros(self._now(connection)),
            )  # fmt: skip
        insert_rows(connection, chunk.rows, permits=permits, batch=batch.batch_id)
        return _counted(chunk.records, duplicates=len(records) - len(chunk.records))

    def store_sealed(
        self, connection: Connection, chunk: SealedChunk, *, permits: Mapping[str, Permit], batch: Batch
    ) -> StoreCounts:
        """Store a chunk that was sealed before the transaction; see ``Vault.store_sealed``."""
        self._check(connection, {(one.subject, one.codes) for one in chunk.records}, permits, batch.batch_id)
        self._check_keys(chunk)
        _check_settled(connection, {one.subject for one in chunk.records})
        wanted: dict[_StoredAs, Identity] = {
            (one.subject, one.record_key, one.blinded, one.blinding_id): one.identity for one in chunk.records
        }
        stored = _stored(connection, wanted, batch.batch_id)
        fresh, rows = (list(chunk.records), chunk.rows) if not stored else _fresh(chunk, stored)
        insert_rows(connection, rows, permits=permits, batch=batch.batch_id)
        return _counted(fresh, duplicates=chunk.repeated + len(chunk.records) - len(fresh))

    def _check(
        self,
        connection: Connection,
        asked: Collection[tuple[SubjectId, Codes]],
        permits: Mapping[str, Permit],
        batch: BatchId,
    ) -> None:
        """Raise unless batch, permits and the subjects' standing, now locked, allow the whole chunk."""
        if connection.scalar(select(batch_table.c.state).where(batch_table.c.batch_id == batch)) != BatchState.OPEN:
            raise Conflict(f"Batch {batch} is not open", hint="Open a batch first.")
        subjects = {subject for subject, _ in asked}
        lock_subjects(connection, subjects, exclusive=False)
        now = self._now(connection)
        for purpose, permit in permits.items():
            permit.check_live(now)
            if permit.purpose != purpose:
                raise Denied(f"Permit {permit.permit_id} is for {permit.purpose}, not for {purpose}")
        standings = find_standings(connection, subjects)
        for subject, codes in asked:
            self._placing.check(subject, codes, permits)
            standing = standings.get(subject)
            if standing is None or standing.state is not Standing.ACTIVE:
                self._check_blocked(subject, codes, standing)

    def _check_blocked(self, subject: SubjectId, codes: Codes, standing: SubjectStanding | None) -> None:
        state = None if standing is None else standing.state
        if standing is not None and standing.merged_into is not None:
            raise Denied(f"Subject {subject} was merged into {standing.merged_into}", hint="Resolve the records again.")
        if state is not Standing.RESTRICTED or not self._placing.purposes(codes) <= STORAGE_AND_SECURITY:
            raise Denied(f"Subject {subject} takes no more data: {state or 'not registered'}")

    def _check_keys(self, chunk: SealedChunk) -> None:
        """Raise ``KeysMoved`` unless everything is under the newest keys, while the subjects are locked.

        Whoever destroys a key takes the subject's lock before: it has either committed, and the key is gone here, or
        it will find these rows.
        """
        used = {(row[SUBJECT], row[COMPARTMENT], row[KEY_ID]) for row in chunk.rows}
        newest = self._keyring.newest_among({subject for subject, _, _ in used})
        blinded = {(one.subject, one.blinding_id) for one in chunk.records}
        blinding = newest_blinding(self._keyring, {subject for subject, _ in blinded})
        if any(newest.get((subject, compartment)) != key_id for subject, compartment, key_id in used) or any(
            blinding.get(subject) != key_id for subject, key_id in blinded
        ):
            raise KeysMoved("Keys were made or destroyed since the chunk was sealed", hint="Seal the chunk again.")


def _check_settled(connection: Connection, subjects: Collection[SubjectId]) -> None:
    """Raise ``KeysMoved`` for somebody to whom records have moved: its former digests were not asked when sealing."""
    if former_subjects(connection, subjects):
        raise KeysMoved("Records have moved to a subject of the chunk", hint="Store the chunk as plain records.")


def _fresh(chunk: SealedChunk, stored: Collection[Identity]) -> tuple[list[Sealed], list[Row]]:
    """Return the records of a chunk that are not stored yet, with their rows."""
    fresh: list[Sealed] = []
    rows: list[Row] = []
    start = 0
    for one in chunk.records:
        if one.identity not in stored:
            fresh.append(one)
            rows += chunk.rows[start : start + one.rows]
        start += one.rows
    return fresh, rows


def _counted(fresh: Sequence[Sealed], *, duplicates: int) -> StoreCounts:
    counts = Counter(fields=sum([one.fields for one in fresh]), came=sum([len(one.codes) for one in fresh]))
    return StoreCounts(
        stored_records=sum([one.rows > 0 for one in fresh]),
        stored_fields=counts["fields"],
        duplicates=duplicates,
        expired_fields=counts["came"] - counts["fields"],
    )


_StoredAs = tuple[str, str, bytes, bytes | None]
"""Subject, record key, blinded content key and the id of the key that blinds it."""


def _stored_as(records: Collection[Identity], blinding: Blinding) -> dict[_StoredAs, Identity]:
    wanted: dict[_StoredAs, Identity] = {}
    for identity in records:
        subject, key, digest = identity
        by = blinding.newest(subject)
        wanted[subject, key, by.blind(digest), by.key_id] = identity
    return wanted


def _stored(connection: Connection, records: Mapping[_StoredAs, Identity], batch: BatchId) -> set[Identity]:
    """Return those of these records that are stored already, also by an older release, which blinded nothing.

    Raises:
        Conflict: one is stored by another batch that may still be discarded.
    """
    wanted = pairs_table(connection, [(subject, key) for subject, key, _, _ in records])
    query = (
        select(sealed_record.c.subject_id, sealed_record.c.record_key, sealed_record.c.content_key)
        .add_columns(sealed_record.c.blinding_id, batch_table.c.batch_id, batch_table.c.state)
        .join(wanted, and_(wanted.c.a == sealed_record.c.subject_id, wanted.c.b == sealed_record.c.record_key))
        .join(batch_table, batch_table.c.batch_id == sealed_record.c.batch_id)
    )
    stored: set[Identity] = set()
    known: dict[_StoredAs, Identity] = {(*one[:2], one[2], None): one for one in records.values()} | dict(records)
    for *stored_as, owner, state in connection.execute(query):
        identity = known.get(tuple(stored_as))
        if identity is None:
            continue
        if owner != batch and state != BatchState.COMPLETE:
            raise Conflict(
                f"Batch {owner} holds the same record and is not complete", hint="Resume or discard it first."
            )
        stored.add(identity)
    return stored
