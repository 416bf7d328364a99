"""Unwraps and makes keys: the only code that sees them in clear. For the modules of this package alone."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, Select, Table, bindparam, insert, select

from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.errors import IntegrityFailed, Unavailable
from kernel.ids import BatchId, SubjectId, new_id
from kernel.ports import Clock
from kernel.prepared import Prepared
from vault._keys import (
    EPOCH_SECRET_BYTES,
    MacKey,
    Pair,
    UnlockedKeys,
    Unwrap,
    WrappedKeys,
    WrappingKey,
    data_key_context,
    epoch_context,
    named_key_context,
)
from vault.custodian import Custodian, wrapped_surely
from vault.custodians.either import EitherCustodian
from vault.envelope import KEY_ID_BYTES, DataKey
from vault.setwise import among, among_bound, bound_texts, chunks, insert_absent
from vault.suites import AES, MAC_KEY_BYTES, Suite, suite_of
from vault.tables import data_key, epoch, key_tombstone, named_key

if TYPE_CHECKING:
    from vault.keystore import KeyStore

WRAPPED_IN: Final = (epoch.c.epoch_id, epoch.c.suite.label("epoch_suite"), epoch.c.wrapped.label("epoch_wrapped"))
"""Columns that a query for wrapped keys has besides its own, joined by the epoch of each row."""

WrappedKey = Sequence[Any]

FIRST_VERSION: Final = 1


class KeyStoreEmpty(Unavailable):
    """The key store has no open epoch."""


class Lock(Enum):
    """How long the open epoch must stay: while keys are made under it, or while it is ended."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class KeyKind(StrEnum):
    """What the keys that belong to no subject are for."""

    INDEX = "index"
    SERVICE = "service"
    DETAILS = "details"
    SCOPE = "scope"

    def key_bytes(self, suite: Suite) -> int:
        """Return the length of a key of this kind: those of details seal, all others digest."""
        return suite.key_bytes if self is KeyKind.DETAILS else MAC_KEY_BYTES


def keyring_of(keystore: "KeyStore") -> "Keyring":
    """Return the key store's keyring; the one door to keys, and it stands inside the package."""
    return keystore._keyring  # noqa: SLF001 - the door


class Keyring:
    """Key store, custodian and clock together.

    Attributes:
        suite: of the keys that are made; keys that are there stay what they are.
    """

    def __init__(self, database: Database, custodian: Custodian, clock: Clock, suite: Suite = AES) -> None:
        self.database = database
        self.clock = clock
        self.suite = suite
        self._custodian = custodian

    def close(self) -> None:
        """Let go of the custodian."""
        self._custodian.close()

    # epochs

    def ask_ahead(self) -> None:
        """Ask a remote custodian for the living epochs' keys now, in no transaction: nobody shall wait for its lock.

        What it answers is held for the transaction that comes next.

        Raises:
            RootKeyWrong: another root key wrapped one.
            IntegrityFailed: a row was changed.
            Unavailable: the custodian does not answer in time, fails or refuses.
        """
        if not self._custodian.is_remote:
            return
        with self.database.read() as connection:
            rows = connection.execute(select(epoch).where(epoch.c.wrapped.is_not(None))).all()
        for row in rows:
            self._wrapping_key(row.epoch_id, row.suite, row.wrapped)

    def open_epoch(self, connection: Connection, *, lock: Lock | None = None) -> WrappingKey:
        """Return the key-encryption key of the open epoch.

        Args:
            connection: on the key store.
            lock: held on the epoch until the transaction ends; on SQLite writers wait for each other anyway.

        Raises:
            KeyStoreEmpty: there is none.
            RootKeyWrong: the custodian holds another root key.
            IntegrityFailed: its row was changed.
        """
        row = _open_row(connection, lock)
        return self._wrapping_key(row.epoch_id, row.suite, row.wrapped)

    def find_epoch(self, connection: Connection, epoch_id: str) -> WrappingKey | None:
        """Return the key of an epoch that lives, open or closing; None for one that has ended."""
        query = select(epoch.c.suite, epoch.c.wrapped).where(epoch.c.epoch_id == epoch_id, epoch.c.wrapped.is_not(None))
        row = connection.execute(query).one_or_none()
        return None if row is None else self._wrapping_key(epoch_id, row.suite, row.wrapped)

    def unwrapper(self) -> Callable[[Row[Any], bytes], bytes]:
        """Return what unwraps keys for one unit of work: a row with ``WRAPPED_IN`` and its context, to the key.

        Each key is unwrapped by the epoch of its own row, which comes with it in the same statement: while an epoch is
        closing, two of them live.

        Raises:
            IntegrityFailed: by the function; the row was changed, or its epoch has ended.
        """
        held: dict[str, WrappingKey] = {}

        def unwrap(row: Row[Any], context: bytes) -> bytes:
            wrapping = held.get(row.epoch_id)
            if wrapping is None:
                wrapping = held[row.epoch_id] = self._living(row.epoch_id, row.epoch_suite, row.epoch_wrapped)
            return wrapping.unwrap(row.wrapped, context)

        return unwrap

    def _living(self, epoch_id: str, suite: int, wrapped: bytes | None) -> WrappingKey:
        """Return the key of the epoch that a key hangs on; raises ``IntegrityFailed`` where it has ended."""
        if wrapped is None:
            raise IntegrityFailed(
                f"A key hangs on epoch {epoch_id}, which has ended", hint="Restore the key store from a backup."
            )
        return self._wrapping_key(epoch_id, suite, wrapped)

    def _wrapping_key(self, epoch_id: str, suite: int, wrapped: bytes) -> WrappingKey:
        """Ask the custodian; every use of an epoch's key comes by here."""
        return WrappingKey(epoch_id, self._custodian.unwrap(wrapped, epoch_context(epoch_id, suite)), suite_of(suite))

    def new_epoch(self, connection: Connection) -> None:
        """Make an epoch and its key-encryption key."""
        self.add_epoch(connection, self.prepared_epoch())

    def prepared_epoch(self) -> dict[str, Any]:
        """Return the row of a new epoch, whose key the custodian has wrapped: best before the lock is taken.

        Raises:
            IntegrityFailed: the custodian does not give back what it was given; nothing hangs on the epoch yet.
        """
        epoch_id, secret, suite = new_id("epo"), os.urandom(EPOCH_SECRET_BYTES), self.suite
        wrapped = wrapped_surely(self._custodian, secret, epoch_context(epoch_id, suite.code))
        return {"epoch_id": epoch_id, "wrapped": wrapped, "suite": suite.code}

    @property
    def custodian_name(self) -> str:
        """Which root key wraps epochs; holds no secret."""
        return self._custodian.name

    def rewrapped_epoch(self, row: Row[Any], to: Custodian | None) -> bytes:
        """Return the key of an epoch's row as another custodian, or the same one's newest key, has wrapped it."""
        context = epoch_context(row.epoch_id, row.suite)
        readable = self._custodian if to is None else EitherCustodian(self._custodian, to)
        secret = readable.unwrap(row.wrapped, context)
        return wrapped_surely(self._custodian if to is None else to, secret, context, keep=row.wrapped)

    def destroy_epoch(
        self, epoch_id: str, suite: int, *, keep: bytes | None = None, also: Custodian | None = None
    ) -> None:
        """Have the custodian destroy what wrapped an epoch's key, where it has something; repeatable.

        Args:
            epoch_id: of an epoch that has ended, or whose key is wrapped anew.
            suite: its own.
            keep: the wrapped key that stands; None when the epoch has ended.
            also: a second custodian that may have wrapped it.
        """
        for custodian in (self._custodian,) if also is None else (self._custodian, also):
            custodian.destroy(epoch_context(epoch_id, suite), keep=keep)

    def add_epoch(self, connection: Connection, prepared: Mapping[str, Any]) -> None:
        """Open a prepared epoch, in the caller's transaction."""
        connection.execute(insert(epoch).values(**prepared, opened_at=self.clock.now()))

    # data keys

    @contextmanager
    def unlocked(
        self, subjects: Collection[SubjectId], compartments: Collection[Compartment]
    ) -> Iterator[UnlockedKeys]:
        """Hold the data keys of these subjects and compartments while the block runs."""
        keys = UnlockedKeys()
        self.ask_ahead()
        try:
            with self.database.read() as connection:
                self._load(connection, subjects, compartments, keys)
            yield keys
        finally:
            keys.drop()

    def _load(
        self,
        connection: Connection,
        subjects: Collection[SubjectId],
        compartments: Collection[Compartment],
        keys: UnlockedKeys,
    ) -> None:
        wrapped = self._wrapped(connection, subjects, compartments)
        for subject in wrapped.subjects():
            wrapped.unlock(subject, keys)

    @contextmanager
    def wrapped(self, subjects: Collection[SubjectId], compartments: Collection[Compartment]) -> Iterator[WrappedKeys]:
        """Hold the data keys of these subjects and compartments as they are stored while the block runs.

        What is unwrapped of them, one subject after the other, is theirs who ask for it.
        """
        self.ask_ahead()
        with self.database.read() as connection:
            wrapped = self._wrapped(connection, subjects, compartments)
        try:
            yield wrapped
        finally:
            wrapped.drop()

    def _wrapped(
        self, connection: Connection, subjects: Collection[SubjectId], compartments: Collection[Compartment]
    ) -> WrappedKeys:
        return self._held(self._stored(connection, subjects, compartments))

    def _stored(
        self, connection: Connection, subjects: Collection[SubjectId], compartments: Collection[Compartment]
    ) -> Iterable[WrappedKey]:
        rows: Iterable[WrappedKey]
        if len(subjects) == 1:
            (subject,) = subjects
            rows = connection.execute(_OF_ONE, {"subject": subject, "compartments": sorted(compartments)}).all()
        else:
            bound = bound_texts(connection, subjects=sorted(subjects), compartments=sorted(compartments))
            rows = _of_many(connection.dialect.name).rows(connection, **bound)
        return rows

    def _held(self, rows: Iterable[WrappedKey]) -> WrappedKeys:
        unwraps: dict[str, Unwrap] = {}
        wrapped = WrappedKeys()
        for key_id, subject, compartment, blob, suite, epoch_id, epoch_suite, epoch_wrapped in rows:
            unwrap = unwraps.get(epoch_id)
            if unwrap is None:
                unwrap = unwraps[epoch_id] = self._living(epoch_id, epoch_suite, epoch_wrapped).unwrap
            wrapped.add(SubjectId(subject), (key_id, compartment, blob, suite, unwrap))
        return wrapped

    def wrapped_of(
        self, subjects: Collection[SubjectId], compartments: Collection[Compartment]
    ) -> dict[SubjectId, list[WrappedKey]]:
        """Return the data keys of these subjects and compartments as they are wrapped, the oldest first."""
        found: dict[SubjectId, list[WrappedKey]] = {}
        with self.database.read() as connection:
            for row in self._stored(connection, subjects, compartments):
                found.setdefault(SubjectId(row[1]), []).append(row)
        return found

    @contextmanager
    def unlocked_from(self, rows: Iterable[WrappedKey]) -> Iterator[UnlockedKeys]:
        """Hold data keys that ``wrapped_of`` has returned while the block runs."""
        keys, wrapped = UnlockedKeys(), self._held(rows)
        try:
            for subject in wrapped.subjects():
                wrapped.unlock(subject, keys)
            yield keys
        finally:
            keys.drop()
            wrapped.drop()

    def newest_among(self, subjects: Collection[SubjectId]) -> dict[tuple[str, str], bytes]:
        """Return the id of the key that seals, for each of these subjects and its compartments."""
        query = select(data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment)
        with self.database.read() as connection:
            own = query.where(among(connection, data_key.c.subject_id, subjects)).order_by(data_key.c.generation)
            found = connection.execute(own)
            return {(subject, name): key_id for key_id, subject, name in found}

    @contextmanager
    def unlocked_in(
        self, connection: Connection, pairs: Collection[Pair], *, batch: BatchId | None
    ) -> Iterator[UnlockedKeys]:
        """Hold the data keys of these pairs while the block runs; missing ones are made in the caller's transaction."""
        keys = UnlockedKeys()
        try:
            self._load(connection, {pair[0] for pair in pairs}, {pair[1] for pair in pairs}, keys)
            missing = [pair for pair in pairs if not keys.has(pair)]
            if missing:
                self.make_data_keys(connection, dict.fromkeys(sorted(missing), FIRST_VERSION), batch=batch)
                self._load(connection, {pair[0] for pair in missing}, {pair[1] for pair in missing}, keys)
            yield keys
        finally:
            keys.drop()

    def destroyed_among(self, key_ids: Collection[bytes]) -> set[bytes]:
        """Return those of these keys that have a tombstone."""
        return self._found_in(key_tombstone, key_ids)

    def existing_among(self, key_ids: Collection[bytes]) -> set[bytes]:
        """Return those of these keys that are there, whosever they are."""
        return self._found_in(data_key, key_ids)

    def _found_in(self, table: Table, key_ids: Collection[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        if key_ids:
            with self.database.read() as connection:
                for chunk in chunks(key_ids):
                    found.update(connection.scalars(select(table.c.key_id).where(table.c.key_id.in_(chunk))))
        return found

    def make_data_keys(self, connection: Connection, pairs: Mapping[Pair, int], *, batch: BatchId | None) -> None:
        """Make one key of the keyring's suite for each pair at the given generation, unless another was first."""
        wrapping = self.open_epoch(connection, lock=Lock.SHARED)
        now, suite = self.clock.now(), self.suite
        rows = []
        for (subject, compartment), generation in pairs.items():
            key_id = os.urandom(KEY_ID_BYTES)
            rows.append(
                {
                    "key_id": key_id,
                    "subject_id": subject,
                    "compartment": compartment.value,
                    "generation": generation,
                    "epoch_id": wrapping.epoch_id,
                    "suite": suite.code,
                    "wrapped": wrapping.wrap(
                        os.urandom(suite.key_bytes), data_key_context(key_id, subject, compartment, suite.code)
                    ),
                    "batch_id": batch,
                    "created_at": now,
                }
            )
        insert_absent(connection, data_key, rows)

    def make_successors(self, connection: Connection, leaving: Mapping[Pair, Collection[bytes]]) -> None:
        """Make a newer key for each pair whose newest one is among the given; a successor that is there is kept."""
        columns = (data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment, data_key.c.generation)
        query = select(*columns).where(among(connection, data_key.c.subject_id, {subject for subject, _ in leaving}))
        newest: dict[Pair, tuple[bytes, int]] = {}
        for key_id, subject, compartment, generation in connection.execute(query.order_by(data_key.c.generation)):
            newest[subject, Compartment(compartment)] = (key_id, generation)
        wanted = {
            pair: generation + 1
            for pair, (key_id, generation) in newest.items()
            if pair in leaving and key_id in leaving[pair]
        }
        if wanted:
            self.make_data_keys(connection, wanted, batch=None)

    # keys that belong to no subject

    def mac_keys(self, kind: KeyKind, names: Sequence[str]) -> dict[str, MacKey]:
        """Return the digest keys of these names, made at their first use."""
        return {name: MacKey(key, suite) for name, (_, key, suite) in self._named(kind, names, FIRST_VERSION).items()}

    def aead_key(self, kind: KeyKind, name: str, version: int) -> DataKey:
        """Return the sealing key of this name and version, made at its first use."""
        return DataKey(*self._named(kind, [name], version)[name])

    def find_aead_key(self, kind: KeyKind, key_id: bytes) -> DataKey | None:
        """Return the sealing key with this id, or None."""
        query = select(named_key).where(named_key.c.kind == kind, named_key.c.key_id == key_id)
        self.ask_ahead()
        with self.database.read() as connection:
            found = self._unwrapped(connection, query)
        return next((DataKey(*key) for key in found.values()), None)

    def _named(self, kind: KeyKind, names: Sequence[str], version: int) -> dict[str, tuple[bytes, bytes, Suite]]:
        query = select(named_key).where(
            named_key.c.kind == kind, named_key.c.name.in_(names), named_key.c.version == version
        )
        self.ask_ahead()
        with self.database.read() as connection:
            found = self._unwrapped(connection, query)
        missing = [name for name in names if name not in found]
        if not missing:
            return found
        with self.database.write() as connection:
            self.make_named_keys(connection, kind, missing, version=version)
            return self._unwrapped(connection, query)

    def make_named_keys(self, connection: Connection, kind: KeyKind, names: Iterable[str], *, version: int) -> None:
        """Make one key of the keyring's suite for each name at the given version, unless another was first."""
        wrapping, suite = self.open_epoch(connection, lock=Lock.SHARED), self.suite
        rows = []
        for name in names:
            key_id = os.urandom(KEY_ID_BYTES)
            rows.append(
                {
                    "key_id": key_id,
                    "kind": kind,
                    "name": name,
                    "version": version,
                    "epoch_id": wrapping.epoch_id,
                    "suite": suite.code,
                    "wrapped": wrapping.wrap(
                        os.urandom(kind.key_bytes(suite)), named_key_context(key_id, kind, name, version, suite.code)
                    ),
                    "created_at": self.clock.now(),
                }
            )
        insert_absent(connection, named_key, rows)

    def _unwrapped(self, connection: Connection, query: Select[Any]) -> dict[str, tuple[bytes, bytes, Suite]]:
        query = query.add_columns(*WRAPPED_IN[1:]).join(epoch, epoch.c.epoch_id == named_key.c.epoch_id)
        unwrap = self.unwrapper()
        return {
            row.name: (
                row.key_id,
                unwrap(row, named_key_context(row.key_id, row.kind, row.name, row.version, row.suite)),
                suite_of(row.suite),
            )
            for row in connection.execute(query)
        }


def keep_epoch(connection: Connection, lock: Lock = Lock.SHARED) -> str:
    """Keep the open epoch, and with it the versions of the indexes, as they are until the transaction ends.

    Whoever adds or deletes what hangs on them takes it shared, before any row of its own; whoever adds a version,
    retires one or fills one takes it exclusively.

    Returns:
        The epoch's id; no custodian is asked.

    Raises:
        KeyStoreEmpty: there is none.
    """
    return str(_open_row(connection, lock).epoch_id)


def _open_row(connection: Connection, lock: Lock | None) -> Row[Any]:
    query = select(epoch).where(epoch.c.wrapped.is_not(None), epoch.c.closing_at.is_(None))
    if lock is not None:
        query = query.with_for_update(read=lock is Lock.SHARED)
    row = connection.execute(query).one_or_none()
    if row is None and lock:  # the epoch that this waited for is closing; a new statement sees its successor
        row = connection.execute(query).one_or_none()
    if row is None:
        raise KeyStoreEmpty("The key store has no open epoch", hint="Run `consentry init`, or restore a backup.")
    return row


_WITH_EPOCH: Final = (
    select(data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment, data_key.c.wrapped)
    .add_columns(data_key.c.suite, *WRAPPED_IN)
    .join(epoch, epoch.c.epoch_id == data_key.c.epoch_id)
)


@cache
def _of_many(dialect: str) -> Prepared:
    query = _WITH_EPOCH.where(
        among_bound(dialect, data_key.c.subject_id, "subjects"),
        among_bound(dialect, data_key.c.compartment, "compartments"),
    )
    return Prepared(query.order_by(data_key.c.generation))


_OF_ONE: Final = _WITH_EPOCH.where(
    data_key.c.subject_id == bindparam("subject"),
    data_key.c.compartment.in_(bindparam("compartments", expanding=True)),
).order_by(data_key.c.generation)
"""Made once: a reader has one person's record before it, and building a statement costs more than running it."""

_COMPARTMENTS: Final = {compartment.value: compartment for compartment in Compartment}
