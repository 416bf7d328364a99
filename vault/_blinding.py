"""Blinds digests of contents by keys of their subjects. For the modules of this package alone.

The digest of a content is under a service key, which outlives every erasure. It is stored as one block under a key of
its subject: with that key gone, what an older copy of the data store holds cannot be told from random bytes. An erasure
of a part, and whatever else leaves values behind in older copies, moves the subject's digests to a newer key.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from kernel.ids import SubjectId
from vault._keyring import FIRST_VERSION, WRAPPED_IN, Keyring, Lock, keep_epoch
from vault._keys import BlindingKey, KeyUnavailable, blinding_key_context
from vault.envelope import KEY_ID_BYTES
from vault.setwise import among, chunks, insert_absent
from vault.suites import suite_of
from vault.tables import SEALED_TABLES, blinding_key, data_key, epoch


class Blinding:
    """The blinding keys of one unit of work."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, BlindingKey] = {}
        self._newest: dict[str, BlindingKey] = {}

    def add(self, subject: str, key: BlindingKey) -> None:
        """Hold a key; the last one of a subject blinds."""
        self._by_id[key.key_id] = key
        self._newest[subject] = key

    def newest(self, subject: str) -> BlindingKey:
        """Return the key by which a subject's digests are stored.

        Raises:
            KeyUnavailable: there is none; ``KeyStore.ensure_data_keys`` comes first.
        """
        key = self._newest.get(subject)
        if key is None:
            raise KeyUnavailable(f"Subject {subject} has no blinding key", hint="Make keys durable before their rows.")
        return key

    def digest(self, stored: bytes, blinding_id: bytes | None) -> bytes | None:
        """Return a stored digest again; None where its key is gone."""
        if blinding_id is None:
            return stored
        key = self._by_id.get(blinding_id)
        return None if key is None else key.unblind(stored)

    def drop(self) -> None:
        """Forget every key."""
        self._by_id.clear()
        self._newest.clear()

    def __repr__(self) -> str:
        return f"Blinding({len(self._by_id)})"


@contextmanager
def unlocked_blinding(keyring: Keyring, subjects: Collection[SubjectId]) -> Iterator[Blinding]:
    """Hold the blinding keys of these subjects while the block runs."""
    columns = blinding_key.c
    query = (
        select(columns.key_id, columns.subject_id, columns.generation, columns.suite)
        .add_columns(columns.wrapped, *WRAPPED_IN)
        .join(epoch, epoch.c.epoch_id == columns.epoch_id)
        .order_by(columns.generation)
    )
    blinding, unwrap = Blinding(), keyring.unwrapper()
    keyring.ask_ahead()
    try:
        with keyring.database.read() as connection:
            for row in connection.execute(query.where(among(connection, columns.subject_id, subjects))):
                key_id, subject, generation, suite = row[:4]  # by name each would be looked up for every row
                key = unwrap(row, blinding_key_context(key_id, subject, generation, suite))
                blinding.add(subject, BlindingKey(key_id, key, suite_of(suite)))
        yield blinding
    finally:
        blinding.drop()


def newest_blinding(keyring: Keyring, subjects: Collection[SubjectId]) -> dict[str, bytes]:
    """Return the id of the key that blinds, for each subject that has one."""
    with keyring.database.read() as connection:
        return {subject: key_id for subject, (key_id, _) in _newest(connection, subjects).items()}


def without_blinding(connection: Connection, subjects: Collection[SubjectId]) -> set[SubjectId]:
    """Return those of the subjects that have no blinding key."""
    query = select(blinding_key.c.subject_id).where(among(connection, blinding_key.c.subject_id, subjects))
    return set(subjects).difference(connection.scalars(query))


def make_blinding_keys(connection: Connection, keyring: Keyring, generations: Mapping[SubjectId, int]) -> None:
    """Make one key for each subject at the given generation, unless another was first; in the caller's transaction."""
    if not generations:
        return
    wrapping, suite, now = keyring.open_epoch(connection, lock=Lock.SHARED), keyring.suite, keyring.clock.now()
    rows = []
    for subject, generation in sorted(generations.items()):
        key_id = os.urandom(KEY_ID_BYTES)
        context = blinding_key_context(key_id, subject, generation, suite.code)
        rows.append(
            {
                "key_id": key_id,
                "subject_id": subject,
                "generation": generation,
                "epoch_id": wrapping.epoch_id,
                "suite": suite.code,
                "wrapped": wrapping.wrap(os.urandom(suite.key_bytes), context),
                "created_at": now,
            }
        )
    insert_absent(connection, blinding_key, rows)


def ensure_blinding_keys(connection: Connection, keyring: Keyring, subjects: Collection[SubjectId]) -> None:
    """Make the keys that are missing, in the caller's transaction on the key store."""
    missing = without_blinding(connection, subjects)
    make_blinding_keys(connection, keyring, dict.fromkeys(missing, FIRST_VERSION))


def renew_blinding_key(
    connection: Connection, keyring: Keyring, subject: SubjectId, *, in_use: Collection[bytes]
) -> None:
    """Make a newer key for a subject unless no digest is stored by its newest one; ``reblind`` moves the digests.

    Args:
        connection: on the key store, in the caller's transaction.
        keyring: of that store.
        subject: whose key.
        in_use: from ``blinding_in_use``.
    """
    key_id, generation = _newest(connection, [subject]).get(subject, (None, FIRST_VERSION - 1))
    if key_id is None or key_id in in_use:
        make_blinding_keys(connection, keyring, {subject: generation + 1})


def reblind(connection: Connection, subject: SubjectId, blinding: Blinding) -> None:
    """Store a subject's digests under its newest key, in a transaction of the data store that holds the subject.

    A digest whose key is gone is left: it says nothing to anybody. One of an older release is blinded as well.
    """
    newest = blinding.newest(subject)
    for table in SEALED_TABLES:
        columns = table.c
        query = select(columns.row_no, columns.content_key, columns.blinding_id)
        rows = connection.execute(query.where(columns.subject_id == subject, columns.content_key.is_not(None))).all()
        changes: list[dict[str, Any]] = []
        for number, stored, blinding_id in rows:
            digest = blinding.digest(stored, blinding_id)
            if digest is not None and blinding_id != newest.key_id:
                changes.append({"number": number, "content": newest.blind(digest), "by": newest.key_id})
        if changes:
            changed = update(table).where(columns.row_no == bindparam("number"))
            connection.execute(changed.values(content_key=bindparam("content"), blinding_id=bindparam("by")), changes)


def blinding_in_use(connection: Connection, subject: SubjectId) -> set[bytes]:
    """Return the ids of the keys by which digests of a subject are stored in the data store."""
    found: set[bytes] = set()
    for table in SEALED_TABLES:
        query = select(table.c.blinding_id).where(table.c.subject_id == subject, table.c.blinding_id.is_not(None))
        found.update(connection.scalars(query.distinct()))
    return found


def destroy_former_blinding(connection: Connection, subject: SubjectId, *, in_use: Collection[bytes]) -> None:
    """Destroy a subject's keys that no digest is stored by, but for the newest, in the caller's transaction."""
    keep_epoch(connection)
    newest = _newest(connection, [subject])
    staying = {*in_use, *(key_id for key_id, _ in newest.values())}
    query = select(blinding_key.c.key_id).where(blinding_key.c.subject_id == subject)
    _delete(connection, set(connection.scalars(query)) - staying)


def destroy_blinding(connection: Connection, subjects: Collection[SubjectId]) -> None:
    """Destroy all keys of these subjects, in the caller's transaction on the key store."""
    if subjects:
        keep_epoch(connection)
    for some in chunks(subjects):
        connection.execute(delete(blinding_key).where(blinding_key.c.subject_id.in_(some)))


def drop_blinding_of_nobody(connection: Connection, subjects: Collection[str]) -> None:
    """Drop the keys of those of the subjects that have no data key any more, in the caller's transaction."""
    for some in chunks(subjects):
        left = select(data_key.c.subject_id).where(data_key.c.subject_id.in_(some))
        columns = blinding_key.c
        connection.execute(delete(blinding_key).where(columns.subject_id.in_(some), columns.subject_id.not_in(left)))


def _newest(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, tuple[bytes, int]]:
    columns = blinding_key.c
    query = select(columns.key_id, columns.subject_id, columns.generation).order_by(columns.generation)
    rows = connection.execute(query.where(among(connection, columns.subject_id, subjects)))
    return {SubjectId(subject): (key_id, generation) for key_id, subject, generation in rows}


def _delete(connection: Connection, key_ids: Collection[bytes]) -> None:
    for some in chunks(key_ids):
        connection.execute(delete(blinding_key).where(blinding_key.c.key_id.in_(some)))
