"""The rotation of data keys: what they seal moves to successors, then they are destroyed.

For a subject, a compartment, keys of some age, or keys of another suite than the configured one, which is how a store
moves from AES to SM4 and back. It goes on beside ingestion and reading: a new key is durable before anything moves,
rows move a few hundred at a time under their subjects' locks, and whoever reads a row whose key has just gone reads it
again. What a crash leaves goes on at the next call.

An older copy of the data store cannot be opened under the destroyed keys beside today's key store: back up afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from consent.asking import Asking
from consent.entries import EntryLog
from consent.wake import no_point
from kernel.catalogue import Compartment
from kernel.clock import to_micros
from kernel.database import Database
from kernel.ids import SubjectId
from vault._datakey_rotating import DataRotating, DataRotation
from vault._keyring import Keyring, keyring_of
from vault._rotation_rows import RotationKind, RotationRow, begin, log_begun_and_done, started
from vault.epoch_rotation import no_progress
from vault.keystore import KeyStore, destroyed_keys
from vault.tombstones import bury

__all__ = ["DataKeys", "DataRotation", "resume_data_keys", "rotate_data_keys"]


@dataclass(frozen=True, slots=True)
class DataKeys:
    """Which data keys are rotated; all that are left out pick every key that is there at the beginning.

    Attributes:
        older_than_days: only keys that were made so long ago.
        is_other_suite: only keys of another suite than the configured one.
    """

    subject: SubjectId | None = None
    compartment: Compartment | None = None
    older_than_days: int = 0
    is_other_suite: bool = False

    def scope(self, keyring: Keyring) -> dict[str, Any]:
        """Return it as it is written down: the instant before which a key was made does not move any more."""
        before = keyring.clock.now() - timedelta(days=self.older_than_days)
        return {
            "subject": self.subject,
            "compartment": self.compartment,
            "older_than_days": self.older_than_days or None,
            "until": to_micros(before),
            "suite": keyring.suite.code if self.is_other_suite else None,
        }


def rotate_data_keys(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    which: DataKeys,
    *,
    deployment: str,
    asking: Asking,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> DataRotation:
    """Give data keys successors, of the configured suite, and destroy them once nothing needs them.

    Args:
        keystore, data, log, deployment: of the deployment.
        which: the keys.
        asking: who asks.
        told: hears how many more keys were looked after.
        at: called at each point where a crash leaves another state, with its name.

    Raises:
        Unavailable: a store is in use; ``resume_data_keys`` goes on.
    """
    keyring = keyring_of(keystore)
    with keyring.database.write() as connection:
        scope = which.scope(keyring)
        row = begin(connection, RotationKind.DATA, scope, asking=asking, now=keyring.clock.now())
    at("keys.begun")
    log_begun_and_done(keyring.database, data, log)
    at("keys.logged")
    done = DataRotating(keyring, data, deployment, row, told, at).run()
    log_begun_and_done(keyring.database, data, log)
    return done


def resume_data_keys(
    keystore: KeyStore,
    data: Database,
    log: EntryLog,
    *,
    deployment: str,
    told: Callable[[int], None] = no_progress,
    at: Callable[[str], None] = no_point,
) -> list[DataRotation]:
    """Go on with every rotation of data keys that has begun; raises as ``rotate_data_keys``."""
    keyring = keyring_of(keystore)
    log_begun_and_done(keyring.database, data, log)
    with keyring.database.read() as connection:
        rows = started(connection, RotationKind.DATA)
    for row in rows:
        _bury_destroyed(keyring, data, row)
    done = [DataRotating(keyring, data, deployment, row, told, at).run() for row in rows]
    log_begun_and_done(keyring.database, data, log)
    return done


def _bury_destroyed(keyring: Keyring, data: Database, row: RotationRow) -> None:
    """Leave the tombstones in the data store that a crash came before."""
    with keyring.database.read() as connection:
        gone = destroyed_keys(connection, row.rotation_id)
    with data.write() as connection:
        bury(connection, gone, erasure_id=row.rotation_id, at=keyring.clock.now())
