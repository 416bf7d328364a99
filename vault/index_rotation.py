"""The rotation of an index key: every identifier is digested anew, and no look-up misses anybody meanwhile.

From the first moment the new version lives beside the old ones: each new link is written under every live version, and
a look-up asks all of them. A background pass fills the new version from the identifiers that lie sealed beside their
digests. Then the old versions are retired, their rows deleted, and their keys after them. Each step can be repeated, by
any number of processes; what a crash leaves goes on at the next call.

Links of a release without sealed identifiers cannot be digested anew. They keep the old version alive until their
person is sent again, or until somebody decides to go without them.
"""

from collections.abc import Callable

from sqlalchemy import func, select

from consent.asking import Asking
from consent.entries import EntryLog
from consent.wake import no_point
from kernel.database import Database
from kernel.errors import BadInput
from vault._keyring import KeyKind, Keyring, Lock, keep_epoch, keyring_of
from vault._reindexing import IndexRotation, Reindexing
from vault._rotation_rows import RotationKind, RotationRow, begin, log_begun_and_done, started
from vault.epoch_rotation import no_progress
from vault.keystore import KeyStore
from vault.tables import named_key

__all__ = ["IndexRotation", "resume_indexes", "rotate_index"]


def rotate_index(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    index: str,
    *,
    asking: Asking,
    without_unsealed: bool = False,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> IndexRotation:
    """Give an index another key, and digest every identifier anew; one that has begun goes on.

    Args:
        keystore, data, log: of the deployment.
        index: name of the index; ``KeyReport.indexes`` lists them.
        asking: who asks.
        without_unsealed: drop links without a sealed identifier: their people are found again once they are sent again.
        told: hears how many more rows were digested anew.
        at: called at each point where a crash leaves another state, with its name.

    Returns:
        How it ended, or how many rows keep the old version alive.

    Raises:
        BadInput: there is no such index.
        Unavailable: a store is in use; ``resume_indexes`` goes on.
    """
    keyring = keyring_of(keystore)
    row = _begin(keyring, index, asking)
    at("index.begun")
    log_begun_and_done(keyring.database, data, log)
    at("index.logged")
    done = Reindexing(keyring, row, told, at).run(without_unsealed=without_unsealed)
    log_begun_and_done(keyring.database, data, log)
    return done


def resume_indexes(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    *,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> list[IndexRotation]:
    """Go on with every rotation of an index that has begun; raises as ``rotate_index``."""
    keyring = keyring_of(keystore)
    log_begun_and_done(keyring.database, data, log)
    with keyring.database.read() as connection:
        rows = started(connection, RotationKind.INDEX)
    done = [Reindexing(keyring, row, told, at).run() for row in rows]
    log_begun_and_done(keyring.database, data, log)
    return done


def _begin(keyring: Keyring, index: str, asking: Asking) -> RotationRow:
    """Make the new version: from this commit on every link is written under it as well."""
    with keyring.database.read() as connection:
        keyring.open_epoch(connection)  # so that nobody waits for a custodian while others wait for the lock
    with keyring.database.write() as connection:
        keep_epoch(connection, Lock.EXCLUSIVE)
        begun = [row for row in started(connection, RotationKind.INDEX) if row.scope["index"] == index]
        if begun:
            return begun[0]
        same = (named_key.c.kind == KeyKind.INDEX, named_key.c.name == index)
        newest = connection.execute(select(func.max(named_key.c.version)).where(*same)).scalar()
        if newest is None:
            raise BadInput(f"There is no index {index!a}", hint="`consentry keys status` lists them.")
        keyring.make_named_keys(connection, KeyKind.INDEX, [index], version=newest + 1)
        scope = {"index": index, "version": newest + 1}
        return begin(connection, RotationKind.INDEX, scope, asking=asking, now=keyring.clock.now())
