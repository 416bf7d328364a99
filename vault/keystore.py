"""The key store: makes data keys durable before their first row, and destroys them for good."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, or_, select

from kernel.catalogue import Compartment
from kernel.database import Database
from kernel.errors import ConfigurationError
from kernel.ids import BatchId, SubjectId
from kernel.ports import Clock
from vault._blinding import (
    destroy_blinding,
    drop_blinding_of_nobody,
    ensure_blinding_keys,
    without_blinding,
)
from vault._identifiers import sealing_keys
from vault._keyring import FIRST_VERSION, Keyring, KeyStoreEmpty, Lock, keep_epoch
from vault._keys import KeyUnavailable, Pair
from vault.custodian import Custodian
from vault.setwise import among, chunks, insert_absent
from vault.suites import AES, Suite
from vault.tables import blind_index, data_key, epoch, identity_fact, key_tombstone

__all__ = ["EpochView", "KeyStore", "KeyStoreEmpty", "KeyUnavailable"]


@dataclass(frozen=True, slots=True)
class EpochView:
    """The open epoch, without its key."""

    epoch_id: str
    opened_at: datetime


class KeyStore:
    """Wrapped keys, in a database of their own; no method returns a key.

    Data keys are wrapped by the open epoch's key, that one by the custodian. New keys are of the suite that is given.
    """

    def __init__(self, database: Database, custodian: Custodian, clock: Clock, *, suite: Suite = AES) -> None:
        self.database = database
        self._keyring = Keyring(database, custodian, clock, suite)

    def close(self) -> None:
        """Let go of the custodian, and of what is held of its answers."""
        self._keyring.close()

    def initialise(self) -> None:
        """Open the first epoch.

        Raises:
            ConfigurationError: there is an epoch already.
        """
        with self.database.write() as connection:
            if connection.execute(select(epoch.c.epoch_id).limit(1)).first() is not None:
                raise ConfigurationError("The key store is already initialised", hint="It is never made anew.")
            self._keyring.new_epoch(connection)

    def abandon(self) -> None:
        """Have the custodian destroy what wrapped every epoch's key; for a store whose making has failed."""
        with self.database.read() as connection:
            rows = connection.execute(select(epoch)).all()
        for row in rows:
            self._keyring.destroy_epoch(row.epoch_id, row.suite)

    def check(self) -> EpochView:
        """Unwrap the open epoch's key and forget it.

        Raises:
            KeyStoreEmpty: there is no open epoch.
            RootKeyWrong: the custodian holds another root key.
            IntegrityFailed: the epoch's row was changed.
        """
        self._keyring.ask_ahead()
        with self.database.read() as connection:
            open_epoch = self._keyring.open_epoch(connection).epoch_id
            opened_at = connection.execute(select(epoch.c.opened_at).where(epoch.c.epoch_id == open_epoch)).scalar_one()
            return EpochView(open_epoch, opened_at)

    def ensure_data_keys(self, pairs: Collection[Pair], *, batch: BatchId | None) -> None:
        """Make the missing data keys of these subjects and compartments; they are durable when this returns.

        Args:
            pairs: subject and compartment.
            batch: the batch that needs them, so that a discarded one leaves none behind; None outside a batch.
        """
        self._keyring.ask_ahead()
        with self.database.read() as connection:
            missing = set(pairs) - _existing(connection, pairs)
            is_blind = not without_blinding(connection, {subject for subject, _ in pairs})
        if missing or not is_blind:
            with self.database.write() as connection:
                keep_epoch(connection)  # whoever drops keys has either done so, or sees these
                ensure_blinding_keys(connection, self._keyring, {subject for subject, _ in pairs})
                missing -= _existing(connection, missing)
                wanted = dict.fromkeys(sorted(missing), FIRST_VERSION)
                if wanted:
                    self._keyring.make_data_keys(connection, wanted, batch=batch)

    def drop_unused_keys(self, batch: BatchId, *, in_use: Collection[Pair]) -> int:
        """Drop the keys that a discarded batch made and that no row uses.

        Returns:
            How many were dropped. They sealed nothing that is left, so that they leave no tombstone.
        """
        with self.database.write() as connection:
            keep_epoch(connection, Lock.EXCLUSIVE)  # nobody seals an identifier under them meanwhile
            query = select(data_key.c.key_id, data_key.c.subject_id, data_key.c.compartment)
            made = connection.execute(query.where(data_key.c.batch_id == batch)).all()
            subjects = {subject for _, subject, _ in made}
            used, sealing = set(in_use), sealing_keys(connection, subjects)
            unused = [key for key, subject, name in made if (subject, name) not in used and key not in sealing]
            _delete_keys(connection, unused)
            drop_blinding_of_nobody(connection, subjects)
            return len(unused)

    def drop_keys_of_nobody(self, batch: BatchId) -> int:
        """Drop the keys that a batch made for people whom no index finds any more: their registration was refused.

        It needs no lock on a subject: whoever else stores for such a person links them first, and so is seen here, or
        makes the keys anew.

        Returns:
            How many were dropped. They sealed nothing that is left, so that they leave no tombstone.
        """
        with self.database.write() as connection:
            keep_epoch(connection, Lock.EXCLUSIVE)  # nobody is linked meanwhile
            found = [
                exists().where(table.c.subject_id == data_key.c.subject_id) for table in (blind_index, identity_fact)
            ]
            columns = (data_key.c.key_id, data_key.c.subject_id)
            unused = connection.execute(select(*columns).where(data_key.c.batch_id == batch, ~or_(*found))).all()
            _delete_keys(connection, [key_id for key_id, _ in unused])
            drop_blinding_of_nobody(connection, {subject for _, subject in unused})
            return len(unused)

    def keys_of_batch(self, batch: BatchId) -> list[Pair]:
        """Return the subjects and compartments whose keys a batch made."""
        query = select(data_key.c.subject_id, data_key.c.compartment).where(data_key.c.batch_id == batch)
        with self.database.read() as connection:
            return [(SubjectId(subject), Compartment(name)) for subject, name in connection.execute(query)]


def subject_keys(connection: Connection, subject: SubjectId) -> set[bytes]:
    """Return the ids of all of a subject's data keys."""
    return set(connection.scalars(select(data_key.c.key_id).where(data_key.c.subject_id == subject)))


def destroy_subject_keys(
    connection: Connection, subject: SubjectId, *, needed: Collection[bytes], erasure: str, clock: Clock
) -> None:
    """Destroy a subject's data keys and leave their tombstones, in the caller's transaction on the key store.

    By its blinding keys, which go in any case, the digests of what is held become random bytes.

    Args:
        connection: on the key store.
        subject: whose keys.
        needed: ids of keys that a legal hold keeps.
        erasure: id under which the tombstones stand.
        clock: for the tombstones' time.
    """
    free = sorted(subject_keys(connection, subject).difference(needed))
    destroy_keys(connection, free, erasure=erasure, clock=clock, whole=True)
    destroy_blinding(connection, [subject])


def destroy_keys(
    connection: Connection, key_ids: Collection[bytes], *, erasure: str, clock: Clock, whole: bool = False
) -> None:
    """Destroy these data keys and leave their tombstones, in the caller's transaction on the key store; repeatable.

    Args:
        connection: on the key store.
        key_ids: of any subject.
        erasure: id under which the tombstones stand.
        clock: for their time.
        whole: they go with a whole subject.
    """
    keep_epoch(connection)
    now = clock.now()
    insert_absent(
        connection,
        key_tombstone,
        [{"key_id": key_id, "erasure_id": erasure, "destroyed_at": now, "whole": whole} for key_id in key_ids],
    )
    _delete_keys(connection, key_ids)


def destroyed_keys(connection: Connection, erasure: str) -> list[bytes]:
    """Return the ids of the keys that were destroyed under an erasure, in order."""
    query = select(key_tombstone.c.key_id).where(key_tombstone.c.erasure_id == erasure).order_by(key_tombstone.c.key_id)
    return list(connection.execute(query).scalars())


def _delete_keys(connection: Connection, key_ids: Collection[bytes]) -> None:
    for chunk in chunks(key_ids):
        connection.execute(delete(data_key).where(data_key.c.key_id.in_(chunk)))


def _existing(connection: Connection, pairs: Collection[Pair]) -> set[Pair]:
    subjects = {subject for subject, _ in pairs}
    query = select(data_key.c.subject_id, data_key.c.compartment).where(
        among(connection, data_key.c.subject_id, subjects)
    )
    return {(subject, Compartment(name)) for subject, name in connection.execute(query)}
