"""The end of a key epoch: every surviving key is wrapped anew, then the old epoch's key is destroyed.

Nobody waits for it. From the first moment new keys go under the new epoch, and the old one, which is closing, only
loses keys. They move in chunks, each in a short transaction of its own; a crash leaves both epochs alive, and the next
call goes on. When nothing hangs on the old epoch any more, its key is destroyed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row, Select, select, update

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.wake import no_point
from kernel.database import Database
from kernel.errors import IntegrityFailed
from vault._keyring import Lock, keep_epoch, keyring_of
from vault._rewrapping import Mover
from vault.keystore import KeyStore
from vault.leftovers import sweep_erased
from vault.scrubbing import scrub
from vault.tables import epoch

_LEFT_HINT: Final = (
    "They were changed in the store and keep the old epoch alive; all others have moved. Restore them from a backup of "
    "the key store, or erase whose they are, then run `consentry keys resume`."
)


@dataclass(frozen=True, slots=True)
class EpochRotation:
    """One epoch that ended.

    Attributes:
        ended: id of the destroyed epoch.
        rewrapped: keys that moved to the epoch after it.
    """

    ended: str
    rewrapped: int


def no_progress(_moved: int) -> None:
    """Tell nobody."""


def rotate_epoch(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    *,
    asking: Asking,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> EpochRotation:
    """End the open epoch and begin the next; one that is closing already is ended first.

    From then on an older copy of the key store, beside today's custodian, is the only place where a key that was
    destroyed within the epoch could be found: such copies are kept for one epoch at most. Then leftovers of erased
    subjects are swept and both SQLite stores scrubbed.

    Args:
        keystore, data, log: of the deployment.
        asking: who asks.
        told: hears how many more keys have moved.
        at: called at each point where a crash leaves another state, with its name.

    Raises:
        IntegrityFailed: a wrapped key was changed; all others have moved, and the old epoch stays closing.
        Unavailable: a store is in use; when its name comes with the word scrubbed, the rotation itself is done.
    """
    ending = _Ending(keystore, data, log, asking, told, at)
    for epoch_id in closing_epochs(keystore):
        ending.end(epoch_id)
    return ending.end(ending.close())


def resume_epochs(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    *,
    asking: Asking,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> list[EpochRotation]:
    """End the epoch that is closing, if there is one, and write the entries that a crash left unwritten.

    Raises:
        IntegrityFailed, Unavailable: as ``rotate_epoch``.
    """
    log_rotations(keystore, data, log, asking=asking)
    ending = _Ending(keystore, data, log, asking, told, at)
    return [ending.end(epoch_id) for epoch_id in closing_epochs(keystore)]


def closing_epochs(keystore: KeyStore) -> list[str]:
    """Return the ids of epochs that are closing: none, or one."""
    with keystore.database.read() as connection:
        return list(connection.execute(_CLOSING).scalars())


def open_next_epoch(keystore: KeyStore) -> str:
    """Begin the next epoch: from this commit on no key is made under the old one, whose id comes back."""
    keyring = keyring_of(keystore)
    prepared = keyring.prepared_epoch()
    with keyring.database.write() as connection:
        old = keep_epoch(connection, Lock.EXCLUSIVE)
        other = connection.execute(_CLOSING).scalar()
        if other is not None:
            return str(other)  # another process was faster
        values = {"closing_at": keyring.clock.now(), "rewrapped": 0}
        connection.execute(update(epoch).where(epoch.c.epoch_id == old).values(**values))
        keyring.add_epoch(connection, prepared)
    return old


@dataclass(frozen=True, slots=True)
class _Ending:
    """The steps from one epoch to the next; each may be repeated, by any number of processes at once."""

    keystore: KeyStore
    data: Database
    log: EntryLog
    asking: Asking
    told: Callable[[int], None]
    at: Callable[[str], None]

    def close(self) -> str:
        """Begin the next epoch, and return the id of the one that is closing."""
        old = open_next_epoch(self.keystore)
        self.at("epoch.closing")
        return old

    def end(self, epoch_id: str) -> EpochRotation:
        """Move every key of a closing epoch, destroy its own, and clear away what is left of the erased."""
        log_rotations(self.keystore, self.data, self.log, asking=self.asking)
        rotation = self._destroy(epoch_id)
        self.at("epoch.destroyed")
        log_rotations(self.keystore, self.data, self.log, asking=self.asking)
        self.at("epoch.logged")
        sweep_erased(self.data, self.keystore)
        for database in (self.data, self.keystore.database):
            scrub(database)
        return rotation

    def _destroy(self, epoch_id: str) -> EpochRotation:
        keyring = keyring_of(self.keystore)
        left = Mover(keyring, epoch_id, self.told, self.at).run()
        if left:
            raise IntegrityFailed(f"{left} keys of epoch {epoch_id} did not move", hint=_LEFT_HINT)
        self.at("epoch.moved")
        with keyring.database.write() as connection:
            living = update(epoch).where(epoch.c.epoch_id == epoch_id, epoch.c.wrapped.is_not(None))
            connection.execute(living.values(wrapped=None, destroyed_at=keyring.clock.now()))
            moved = connection.execute(select(epoch.c.rewrapped).where(epoch.c.epoch_id == epoch_id)).scalar_one()
        return EpochRotation(epoch_id, moved)


def log_rotations(keystore: KeyStore, data: Database, log: EntryLog, *, asking: Asking) -> int:
    """Write the entries of closing and ended epochs that have none yet, and return how many."""
    unlogged = ((Act.EPOCH_CLOSING, "closing_at", "closing_entry"), (Act.EPOCH_ROTATED, "destroyed_at", "entry_id"))
    written = 0
    for act, since, entry in unlogged:
        query = select(epoch).where(epoch.c[since].is_not(None), epoch.c[entry].is_(None))
        with keystore.database.read() as connection:
            rows = connection.execute(query.order_by(epoch.c[since])).all()
        for row in rows:
            if act is Act.EPOCH_ROTATED:
                keyring_of(keystore).destroy_epoch(row.epoch_id, row.suite)  # before the entry, so that it is repeated
            with data.write() as connection:
                entry_id = log.record(connection, _event(asking, act, row))
            with keystore.database.write() as connection:
                logged = update(epoch).where(epoch.c.epoch_id == row.epoch_id)
                connection.execute(logged.values({entry: entry_id}))
        written += len(rows)
    return written


def _event(asking: Asking, act: Act, row: Row[Any]) -> Event:
    event = replace(event_of(asking, act), refs={"epoch": row.epoch_id})
    return event if act is Act.EPOCH_CLOSING else replace(event, counts={"rewrapped": row.rewrapped})


_CLOSING: Final[Select[str]] = (
    select(epoch.c.epoch_id)
    .where(epoch.c.wrapped.is_not(None), epoch.c.closing_at.is_not(None))
    .order_by(epoch.c.closing_at)
)
