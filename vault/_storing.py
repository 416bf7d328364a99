"""Puts records into the store: what is checked, told apart, sealed and inserted. For the modules of this package alone.

There is one way in. Records that come a few at a time are sealed inside the transaction that stores them; a bulk load
seals before it, in processes of its own, and everything that matters is checked again under the subjects' locks.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, and_, select, true

from consent.permits import Permit
from consent.rules import STORAGE_AND_SECURITY
from consent.standing import Standing, SubjectStanding, find_standings, lock_subjects
from kernel.clock import to_micros
from kernel.errors import Conflict, Denied
from kernel.ids import BatchId, SubjectId
from vault._blinding import Blinding, newest_blinding, unlocked_blinding
from vault._former import encode_known, former_subjects
from vault._keyring import KeyKind, Keyring
from vault._sealing import (
    Codes,
    Encoded,
    Encoder,
    Identity,
    PackedRow,
    Placing,
    PlainRecord,
    Row,
    copy_rows,
    insert_rows,
    pack_row,
    seal_part,
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
        rows: in the order of the records; none where they are packed.
        packed: the same for a store that takes them so.
        sealed_by: under which key, for each subject and compartment.
        repeated: records that others of the chunk say value for value.
    """

    records: Sequence[Sealed]
    rows: Sequence[Row] = ()
    packed: Sequence[PackedRow] = ()
    sealed_by: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    repeated: int = 0

    def __repr__(self) -> str:
        return f"SealedChunk({len(self.records)} records)"

    def __reduce__(self) -> tuple[Callable[..., "SealedChunk"], tuple[Any, ...]]:
        """Travel by columns: thousands of named tuples would be told apart one by one."""
        rest = (self.rows, self.packed, dict(self.sealed_by), self.repeated)
        return _arrived, (list(zip(*self.records, strict=True)), *rest)


def _arrived(columns: Sequence[Sequence[Any]], *rest: Any) -> SealedChunk:  # noqa: ANN401 - what __reduce__ gives
    return SealedChunk(list(map(Sealed._make, zip(*columns, strict=True))), *rest)


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
    packed: bool = False,
) -> SealedChunk:
    """Seal records that differ from each other, under keys that are held for just as long.

    Args:
        records: plaintext.
        keyring: of the key store.
        blinding: with the keys of everybody whom they are about.
        placing: of the catalogue.
        deployment: to which every value is bound.
        instant: what has expired by then is left out.
        packed: the rows are for PostgreSQL alone.

    Raises:
        KeyUnavailable: a key was not made durable first.
        BadInput: a value is longer than 64 KiB.
    """
    laid = [(encoded, split(encoded, placing, instant)) for encoded in records]
    pairs = {part.pair for _, own in laid for part in own}
    sealed: list[Sealed] = []
    rows: list[Row] = []
    with keyring.unlocked({subject for subject, _ in pairs}, {compartment for _, compartment in pairs}) as keys:
        for encoded, own in laid:
            by = blinding.newest(encoded.subject)
            stored_as = by.blind(encoded.content_key), by.key_id
            rows += [seal_part(part, keys.sealing(part.pair), stored_as, deployment) for part in own]
            fields = sum([len(part.codes) for part in own])
            sealed.append(Sealed(*encoded.identity, *stored_as, encoded.codes, len(own), fields))
        sealed_by: dict[tuple[str, str], bytes] = {
            (subject, name.value): keys.sealing((subject, name)).key_id for subject, name in pairs
        }
    if packed:
        return SealedChunk(sealed, packed=list(map(pack_row, rows)), sealed_by=sealed_by)
    return SealedChunk(sealed, rows, sealed_by=sealed_by)


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
            pairs = [(subject, key) for subject, key, _ in unique]
            stored = _stored(connection, pairs, lambda: _stored_as(unique, blinding), batch.batch_id)
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
        pairs = [(one.subject, one.record_key) for one in chunk.records]
        fresh = _fresh(chunk, _stored(connection, pairs, lambda: _sealed_as(chunk.records), batch.batch_id))
        insert_rows(connection, fresh.rows, permits=permits, batch=batch.batch_id)
        copy_rows(connection, fresh.packed, permits=permits, batch=batch.batch_id)
        return _counted(fresh.records, duplicates=chunk.repeated + len(chunk.records) - len(fresh.records))

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
        newest = self._keyring.newest_among({SubjectId(subject) for subject, _ in chunk.sealed_by})
        blinded = {(one.subject, one.blinding_id) for one in chunk.records}
        blinding = newest_blinding(self._keyring, {subject for subject, _ in blinded})
        if any(newest.get(pair) != key_id for pair, key_id in chunk.sealed_by.items()) or any(
            blinding.get(subject) != key_id for subject, key_id in blinded
        ):
            raise KeysMoved("Keys were made or destroyed since the chunk was sealed", hint="Seal the chunk again.")


def _check_settled(connection: Connection, subjects: Collection[SubjectId]) -> None:
    """Raise ``KeysMoved`` for somebody to whom records have moved: its former digests were not asked when sealing."""
    if former_subjects(connection, subjects):
        raise KeysMoved("Records have moved to a subject of the chunk", hint="Store the chunk as plain records.")


def _fresh(chunk: SealedChunk, stored: Collection[Identity]) -> SealedChunk:
    """Return the records of a chunk that are not stored yet, with their rows."""
    if not stored:
        return chunk
    records: list[Sealed] = []
    places: list[int] = []
    start = 0
    for one in chunk.records:
        if one.identity not in stored:
            records.append(one)
            places += range(start, start + one.rows)
        start += one.rows
    rows, packed = ([of[place] for place in places] if of else [] for of in (chunk.rows, chunk.packed))
    return replace(chunk, records=records, rows=rows, packed=packed)


def _counted(fresh: Sequence[Sealed], *, duplicates: int) -> StoreCounts:
    fields, came = sum([one.fields for one in fresh]), sum([len(one.codes) for one in fresh])
    return StoreCounts(
        stored_records=sum([one.rows > 0 for one in fresh]),
        stored_fields=fields,
        duplicates=duplicates,
        expired_fields=came - fields,
    )


_StoredAs = tuple[str, str, bytes, bytes | None]
"""Subject, record key, content key as it is stored, and the id of the key that blinds it."""


def _stored_as(records: Collection[Identity], blinding: Blinding) -> dict[_StoredAs, Identity]:
    wanted: dict[_StoredAs, Identity] = {}
    for identity in records:
        subject, key, digest = identity
        by = blinding.newest(subject)
        wanted[subject, key, by.blind(digest), by.key_id] = identity
    return wanted


def _sealed_as(records: Collection[Sealed]) -> dict[_StoredAs, Identity]:
    return {(one.subject, one.record_key, one.blinded, one.blinding_id): one.identity for one in records}


def _stored(
    connection: Connection,
    pairs: Collection[tuple[SubjectId, str]],
    stored_as: Callable[[], Mapping[_StoredAs, Identity]],
    batch: BatchId,
) -> set[Identity]:
    """Return those of some records that are stored already, also by an older release, which blinded nothing.

    Args:
        connection: to the data store.
        pairs: subject and record key of each.
        stored_as: asked for only where one of the pairs is there.
        batch: that is being stored.

    Raises:
        Conflict: one is stored by another batch that may still be discarded.
    """
    rows = connection.execute(_held(connection, pairs)).all()
    if not rows:
        return set()
    stored: set[Identity] = set()
    by_key = stored_as()
    known: dict[_StoredAs, Identity] = {(*one[:2], one[2], None): one for one in by_key.values()} | dict(by_key)
    for *row, owner, state in rows:
        identity = known.get(tuple(row))
        if identity is None:
            continue
        if owner != batch and state != BatchState.COMPLETE:
            raise Conflict(
                f"Batch {owner} holds the same record and is not complete", hint="Resume or discard it first."
            )
        stored.add(identity)
    return stored


def _held(connection: Connection, pairs: Collection[tuple[SubjectId, str]]) -> Select[*tuple[Any, ...]]:
    """Return what finds the rows of these pairs, in the order of ``_StoredAs``, and whose batch they are.

    On PostgreSQL each pair is looked up by itself. While a load makes the table grow there are no statistics of it, and
    a plan that joins the two would read the whole table for every chunk.
    """
    wanted, columns = pairs_table(connection, pairs), sealed_record.c
    found = select(columns.subject_id, columns.record_key, columns.content_key, columns.blinding_id, columns.batch_id)
    same = and_(wanted.c.a == columns.subject_id, wanted.c.b == columns.record_key)
    if connection.dialect.name == "sqlite":
        return found.add_columns(batch_table.c.state).join(wanted, same).join(
            batch_table, batch_table.c.batch_id == columns.batch_id
        )  # fmt: skip
    own = found.where(same).offset(0).lateral("own")
    joined = wanted.join(own, true()).join(batch_table, batch_table.c.batch_id == own.c.batch_id)
    return select(*own.c, batch_table.c.state).select_from(joined)
