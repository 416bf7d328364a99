"""Restore stores from backups into empty places, and check that the log is the one that was signed.

A copy that is older than what was signed lacks entries: it is put in place for a recovery of the log only, and nothing
opens until then.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from audit.events import Act, Event, Outcome
from audit.signer import HeadSigner
from audit.signer_client import RemoteSigner
from audit.verifier import VerifierKey
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.backup_copies import scratch_folder
from consentry.exported_tombstones import read_tombstones
from consentry.migrations import upgrade
from consentry.packs import load_configured_pack
from consentry.platform import Platform, open_keystore, open_platform, open_signer, open_stores
from consentry.principals import Principal
from consentry.restore_marker import tell_restored
from consentry.restored_log import check_restored_log, compare_with_signed, open_known
from consentry.restoring import Sealed, check_files, put_in_place, receive, scratch_stores
from consentry.settings import Settings
from consentry.workflows.backup import ACT, STORES
from kernel.clock import SystemClock
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.ports import Clock
from vault.backup_keys import BackupStore
from vault.backups import BackupHeader
from vault.replaying import Buried, destroy_named
from vault.sampling import Sampled, check_sample

SAMPLE_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """What a backup held when it was restored into a scratch folder.

    Attributes:
        rows: by store.
        log_size: entries of the log that verified; None without the data store.
        sample: of records, where both stores were given.
    """

    rows: Mapping[str, int]
    log_size: int | None
    sample: Sampled | None

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        said: dict[str, JsonValue] = {f"{store}_rows": count for store, count in self.rows.items()}
        if self.log_size is not None:
            said["log_size"] = self.log_size
        if self.sample is not None:
            said["sample"] = {
                "checked": self.sample.checked, "erased": self.sample.erased, "without_key": self.sample.without_key,
            }  # fmt: skip
        return said


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place.

    Attributes:
        missing_entries: how many signed entries of the log are not in the copy, which must be recovered now; None where
            the log is the one that was signed.
        replayed: what became of the erased, in numbers; None until the log is recovered.
    """

    rows: Mapping[str, int]
    missing_entries: int | None
    replayed: Mapping[str, int] | None

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return {
            **{f"{store}_rows": count for store, count in self.rows.items()},
            "missing_entries": self.missing_entries,
            "replayed": None if self.replayed is None else dict(self.replayed),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which conditions a restore is done.

    Attributes:
        log_key: the log's public key, where this machine has no signing key; text as `consentry init` printed it.
        known: checkpoints that were kept elsewhere, by a witness for example.
        log_export: folder of an export of a newer log, whose tombstones count.
        for_recovery: put it in place although the log is not the one that was signed.
    """

    log_key: VerifierKey | None = None
    known: Sequence[bytes] = ()
    log_export: Path | None = None
    for_recovery: bool = False


def verify_backup(
    platform: Platform, caller: Principal, files: Mapping[BackupStore, Sealed], *, log_key: VerifierKey | None = None
) -> Verified:
    """Restore backups into a scratch folder, look at everything that can be seen without a value, and throw it away.

    Raises:
        IntegrityFailed: a file was changed, cut off or sealed to another key, its rows are not those that it counts,
            the log in it does not verify, or a row does not open under its key.
        Conflict: a key store's backup is over.
        BadInput: a file is of another store or deployment.
    """
    check_may_act(platform.catalogue, caller, ACT)
    key = log_key or platform.signer.verifier_key
    headers = check_files(platform.settings, files, key, platform.clock)
    with scratch_folder(platform.settings.home) as scratch, scratch_stores(scratch, files) as stores:
        rows = {store: receive(files[store], stores[store], headers[store], key) for store in files}
        size = (
            _log_size(stores[BackupStore.DATA], headers[BackupStore.DATA], key) if BackupStore.DATA in files else None
        )
        sample = _sample(platform, stores) if len(files) == len(BackupStore) else None
    for store, header in headers.items():
        _record(platform, platform.asking(caller), Act.BACKUP_VERIFIED, header, {"rows": rows[store]})
    platform.log.settle()
    return Verified({store.value: count for store, count in rows.items()}, size, sample)


def restore(
    settings: Settings,
    caller: Principal,
    files: Mapping[BackupStore, Sealed],
    *,
    terms: Terms | None = None,
    clock: Clock | None = None,
) -> Restored:
    """Put backups in the empty places of their stores, then replay the tombstones of all that was erased since.

    One that was interrupted is asked for again with the same backups, and goes on; its entries are also written by the
    next start that finds the stores in place.

    Args:
        settings: of the deployment; a store that is not restored is there already.
        caller: who does it.
        files: by store.
        terms: see ``Terms``.
        clock: the machine's when left out.

    Raises:
        Conflict: a store is there already, a key store's backup is over, or the log in the backup is not the one that
            was signed and this is not for its recovery. Nothing was put in place.
        IntegrityFailed: a file was changed, cut off or sealed to another key.
        BadInput: a file is of another store or deployment.
    """
    terms, clock = terms or Terms(), clock or SystemClock()
    check_may_act(load_configured_pack(settings), caller, ACT)
    with _signer(settings) as signer:
        key, signed = terms.log_key or signer.verifier_key, signer.head()
    headers = check_files(settings, files, key, clock)
    named = {} if terms.log_export is None else read_tombstones(terms.log_export, key)
    known = [open_known(note, key) for note in terms.known] + ([] if signed is None else [signed.checkpoint])
    compare = partial(compare_with_signed, known=known, key=key, for_recovery=terms.for_recovery)
    rows, difference = put_in_place(settings, files, headers, key, compare, caller=caller)
    if named:
        _destroy_named(settings, named, clock)
    if difference is not None:
        return Restored(rows, difference, None)
    with open_platform(settings, clock=clock, check_pack=False) as platform:
        return Restored(rows, None, _replay(platform, caller))


@contextmanager
def _signer(settings: Settings) -> Iterator[HeadSigner]:
    signer = open_signer(settings)
    try:
        yield signer
    finally:
        if isinstance(signer, RemoteSigner):
            signer.close()


def _log_size(database: Database, header: BackupHeader, key: VerifierKey) -> int:
    with database.read() as connection:
        return check_restored_log(connection, header, key)


def _sample(platform: Platform, stores: Mapping[BackupStore, Database]) -> Sampled:
    """Open rows of the restored copies under the custodian's key; what opens is dropped."""
    for store, database in stores.items():
        upgrade(database, STORES[store])
    with closing(open_keystore(platform.settings, stores[BackupStore.KEYS], platform.clock)) as keystore:
        keystore.check()
        deployment = platform.settings.deployment
        return check_sample(stores[BackupStore.DATA], keystore, deployment=deployment, rows=SAMPLE_ROWS)


def _destroy_named(settings: Settings, named: Mapping[bytes, Buried], clock: Clock) -> None:
    """Destroy at once what a newer log names, also where the log here has to be recovered before anything else."""
    data, keys = open_stores(settings, must_exist=True)
    try:
        destroy_named(keys, named, clock)
    finally:
        data.dispose()
        keys.dispose()


def _replay(platform: Platform, caller: Principal) -> dict[str, int]:
    asking = platform.asking(caller)
    platform.log.settle()
    done = platform.replayer.replay(asking=asking)
    tell_restored(platform)
    platform.log.settle()
    return done.as_counts()


def _record(platform: Platform, asking: Asking, act: Act, header: BackupHeader, counts: Mapping[str, int]) -> None:
    refs = {"backup": header.backup_id, "store": header.store.value}
    with platform.data.write() as connection:
        event = Event(act, Outcome.DONE, asking.actor, asking.role, asking.request_id, counts=counts, refs=refs)
        platform.log.record(connection, event)
