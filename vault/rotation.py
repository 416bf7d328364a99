"""The end of a key epoch: every surviving key is wrapped anew, and the old epoch's key is destroyed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, bindparam, func, select, update

from audit.events import Act
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from kernel.database import Database
from kernel.errors import IntegrityFailed
from vault._keyring import Keyring, Lock, keyring_of
from vault._keys import WrappingKey, data_key_context, named_key_context
from vault.keystore import KeyStore
from vault.leftovers import sweep_erased
from vault.scrubbing import scrub
from vault.tables import data_key, epoch, named_key

_CHUNK: Final = 2_000
"""Keys rewrapped at once; bounds memory, not the transaction."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """One epoch that ended.

    Attributes:
        ended: id of the destroyed epoch.
        rewrapped: keys that moved to the epoch after it.
    """

    ended: str
    rewrapped: int


def rotate_epoch(keystore: KeyStore, data: Database, log: EntryLog, *, asking: Asking) -> Rotation:
    """End the open epoch and begin the next.

    All keys move in one transaction of the key store. From then on an older copy of the key store, beside today's
    custodian, is the only place where a key that was destroyed within the epoch could be found: such copies are kept
    for one epoch at most. Then leftovers of erased subjects are swept and both SQLite stores scrubbed. An entry that a
    crash left unwritten is written at the next call.

    Raises:
        IntegrityFailed: a wrapped key was changed; nothing moved.
        Unavailable: a store is in use; when its name comes with the word scrubbed, the rotation itself is done.
    """
    keyring = keyring_of(keystore)
    with keystore.database.write() as connection:
        rotation = _rotate(connection, keyring)
    log_rotations(keystore, data, log, asking=asking)
    sweep_erased(data, keystore)
    for database in (data, keystore.database):
        scrub(database)
    return rotation


def log_rotations(keystore: KeyStore, data: Database, log: EntryLog, *, asking: Asking) -> int:
    """Write the entries of ended epochs that have none yet, and return how many; also for the start-up."""
    with keystore.database.read() as connection:
        ended = connection.execute(
            select(epoch).where(epoch.c.destroyed_at.is_not(None), epoch.c.entry_id.is_(None))
        ).all()
    for row in ended:
        event = replace(
            event_of(asking, Act.EPOCH_ROTATED), refs={"epoch": row.epoch_id}, counts={"rewrapped": row.rewrapped}
        )
        with data.write() as connection:
            entry_id = log.record(connection, event)
        with keystore.database.write() as connection:
            connection.execute(update(epoch).where(epoch.c.epoch_id == row.epoch_id).values(entry_id=entry_id))
    return len(ended)


def _rotate(connection: Connection, keyring: Keyring) -> Rotation:
    old = keyring.open_epoch(connection, lock=Lock.EXCLUSIVE)
    new = keyring.new_epoch(connection)
    rewrapped = _rewrap(connection, data_key, _data_context, old, new)
    rewrapped += _rewrap(connection, named_key, _named_context, old, new)
    for table in (data_key, named_key):
        left = connection.scalar(select(func.count()).select_from(table).where(table.c.epoch_id == old.epoch_id))
        if left:
            raise IntegrityFailed(f"{left} keys of epoch {old.epoch_id} did not move", hint="Nothing was changed.")
    connection.execute(
        update(epoch)
        .where(epoch.c.epoch_id == old.epoch_id)
        .values(wrapped=None, destroyed_at=keyring.clock.now(), rewrapped=rewrapped)
    )
    return Rotation(old.epoch_id, rewrapped)


def _rewrap(
    connection: Connection, table: Table, context_of: Callable[[Row[Any]], bytes], old: WrappingKey, new: WrappingKey
) -> int:
    count = 0
    change = (
        update(table)
        .where(table.c.key_id == bindparam("moved"))
        .values(wrapped=bindparam("blob"), epoch_id=new.epoch_id)
    )
    for rows in _rows_of(connection, table, old.epoch_id):
        moved = []
        for row in rows:
            context = context_of(row)
            moved.append({"moved": row.key_id, "blob": new.wrap(old.unwrap(row.wrapped, context), context)})
        connection.execute(change, moved)
        count += len(moved)
    return count


def _rows_of(connection: Connection, table: Table, epoch_id: str) -> Iterator[Sequence[Row[Any]]]:
    """Yield the epoch's keys in the order of their ids."""
    query = select(table).where(table.c.epoch_id == epoch_id).order_by(table.c.key_id).limit(_CHUNK)
    rows = connection.execute(query).all()
    while rows:
        yield rows
        rows = connection.execute(query.where(table.c.key_id > rows[-1].key_id)).all()


def _data_context(row: Row[Any]) -> bytes:
    return data_key_context(row.key_id, row.subject_id, row.compartment, row.suite)


def _named_context(row: Row[Any]) -> bytes:
    return named_key_context(row.key_id, row.kind, row.name, row.version, row.suite)
