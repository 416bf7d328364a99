"""Back up both stores: consistent copies, sealed to the recipients that the settings name, and signed."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.access import check_may_act
from consentry.backup_copies import scratch_folder, snapshots
from consentry.backup_rows import send_rows
from consentry.migrations import Store, check_made
from consentry.places import OWNER_FOLDER
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import ConfigurationError, Conflict, ConsentryError, NotFound, Unavailable
from kernel.ids import new_id
from vault.backup_keys import BackupRecipient, BackupStore
from vault.backups import SUFFIX, BackupHeader, read_header, writing_backup

ACT: Final = "backup.run"
"""What a role must be allowed."""

STORES: Final = {BackupStore.DATA: Store.DATA, BackupStore.KEYS: Store.KEYS}
STORE_NAMES: Final = {BackupStore.DATA: "data store", BackupStore.KEYS: "key store"}
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Made:
    """One backup file that was written."""

    header: BackupHeader
    path: Path
    rows: int
    size_bytes: int

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return described(self.header) | {"file": str(self.path), "rows": self.rows, "bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Found:
    """One backup file that lies in the folder, by what it says of itself."""

    header: BackupHeader
    path: Path
    is_over: bool

    def as_json(self) -> dict[str, JsonValue]:
        """Return it for programs."""
        return described(self.header) | {"file": str(self.path), "over": self.is_over}


def create_backup(
    platform: Platform,
    caller: Principal,
    *,
    folder: Path | None = None,
    stores: Collection[BackupStore] = tuple(BackupStore),
) -> list[Made]:
    """Back up stores while they are in use; each into a file of its own, under a key of its own.

    Args:
        platform: in use.
        caller: who does it.
        folder: where the files go; ``backup_folder`` when left out.
        stores: which of the two.

    Raises:
        ConfigurationError: a recipient is missing, or both stores have the same.
        Conflict: the key epoch is over its time, so that a backup of the key store would be over at once.
        Unavailable: the folder cannot be written, the disk is full, or a store is written all the time; no half file
            is left.
    """
    check_may_act(platform.catalogue, caller, ACT)
    recipients = _recipients(platform, stores)
    folder = _folder(platform, folder)
    asking = platform.asking(caller)
    checkpoint = platform.log.settle().note.decode()
    headers = _headers(platform, stores, checkpoint)
    databases = {Store.DATA: platform.data, Store.KEYS: platform.keys}
    made = []
    with (
        scratch_folder(folder) as scratch,
        snapshots(databases, [STORES[store] for store in stores], scratch) as found,
    ):
        for store in sorted(stores):
            path = folder / _name(headers[store])
            with writing_backup(path, headers[store], recipients[store], platform.signer) as writer:
                copied = send_rows(found[STORES[store]], STORES[store], writer)
            made.append(Made(headers[store], path, copied.total, path.stat().st_size))
    for one in made:
        _record(platform, asking, Act.BACKUP_CREATED, one.header, {"rows": one.rows}, digest=_digest(one.path))
    platform.log.settle()
    return made


def list_backups(platform: Platform, *, folder: Path | None = None) -> list[Found]:
    """Return the backups that lie in a folder, the newest first; files of other deployments are passed over."""
    found = []
    now = platform.clock.now()
    for path in sorted(_folder(platform, folder).glob(f"*{SUFFIX}")):
        header = _header_of(path)
        if header is not None and header.deployment == platform.settings.deployment:
            found.append(Found(header, path, is_over(header, now, keep=_keep(platform))))
    return sorted(found, key=lambda one: one.header.made_at, reverse=True)


def prune_backups(platform: Platform, caller: Principal, *, folder: Path | None = None) -> list[Found]:
    """Delete backups that are over: of the key store with their epoch, of the data store after ``backup_days``.

    The newest backup of the data store is always kept.
    """
    check_may_act(platform.catalogue, caller, ACT)
    asking = platform.asking(caller)
    found = list_backups(platform, folder=folder)
    newest = next((one.path for one in found if one.header.store is BackupStore.DATA), None)
    pruned = [one for one in found if one.is_over and one.path != newest]
    for one in pruned:
        _delete(one.path)
        _record(platform, asking, Act.BACKUP_PRUNED, one.header, {})
    if pruned:
        platform.log.settle()
    return pruned


def is_over(header: BackupHeader, now: datetime, *, keep: timedelta) -> bool:
    """Say whether a backup's time is over: a key store's lives one epoch, whatever became of the epoch since."""
    end = header.made_at + keep if header.ends_at is None else header.ends_at
    return now >= end


def described(header: BackupHeader) -> dict[str, JsonValue]:
    """Return what people look for in a header."""
    return {
        "backup": header.backup_id,
        "store": header.store.value,
        "made_at": format_instant(header.made_at),
        "ends_at": None if header.ends_at is None else format_instant(header.ends_at),
        "pair": header.pair,
        "log_size": int(header.checkpoint.split("\n")[1]),
    }


def _recipients(platform: Platform, stores: Collection[BackupStore]) -> dict[BackupStore, BackupRecipient]:
    texts = {
        BackupStore.DATA: platform.settings.backup_data_recipient,
        BackupStore.KEYS: platform.settings.backup_keys_recipient,
    }
    missing = [store for store in stores if not texts[store]]
    if missing:
        raise ConfigurationError(
            f"There is no recipient for backups of the {STORE_NAMES[missing[0]]}",
            hint="Run `consentry backup keygen` elsewhere, and set backup_data_recipient and backup_keys_recipient.",
        )
    found = {store: BackupRecipient.parse(texts[store]) for store in stores}
    if len({one.public for one in found.values()}) < len(found):
        raise ConfigurationError("Both stores have the same backup key", hint="Make a pair for each.")
    wrong = [store for store, one in found.items() if one.store is not store]
    if wrong:
        raise ConfigurationError(
            f"The recipient of the {STORE_NAMES[wrong[0]]}'s backups is of the other store",
            hint="Exchange the two settings.",
        )
    return found


def _headers(platform: Platform, stores: Collection[BackupStore], checkpoint: str) -> dict[BackupStore, BackupHeader]:
    ids = {store: new_id("bak") for store in stores}
    view = platform.keystore.check()
    now = platform.clock.now()
    ends_at = view.opened_at + timedelta(days=platform.settings.epoch_days)
    if BackupStore.KEYS in stores and ends_at <= now:
        raise Conflict(
            "The key epoch is over its time, and a backup of the key store would be as well",
            hint="Run `consentry keys rotate` first.",
        )
    databases = {BackupStore.DATA: platform.data, BackupStore.KEYS: platform.keys}
    return {
        store: BackupHeader(
            backup_id=ids[store],
            store=store,
            deployment=platform.settings.deployment,
            made_at=now,
            revision=check_made(databases[store], STORES[store]),
            checkpoint=checkpoint,
            pair=next((other for kind, other in ids.items() if kind is not store), ""),
            ends_at=ends_at if store is BackupStore.KEYS else None,
            epoch=view.epoch_id if store is BackupStore.KEYS else "",
        )
        for store in stores
    }


def _name(header: BackupHeader) -> str:
    return f"{header.store}-{header.made_at.strftime(_STAMP)}-{header.backup_id}{SUFFIX}"


def _folder(platform: Platform, folder: Path | None) -> Path:
    """Return the folder of backups; the default one is made, one that was named must be there."""
    chosen = folder or platform.settings.backups_path
    try:
        if folder is None:
            chosen.mkdir(mode=OWNER_FOLDER, parents=True, exist_ok=True)
    except OSError as err:
        raise Unavailable(f"The folder of backups cannot be made: {err.strerror}", hint="Set backup_folder.") from None
    if not chosen.is_dir():
        raise NotFound(f"There is no folder {chosen}", hint="Make it, or name another.")
    return chosen


def _header_of(path: Path) -> BackupHeader | None:
    try:
        return read_header(path)
    except ConsentryError:
        return None


def _keep(platform: Platform) -> timedelta:
    return timedelta(days=platform.settings.backup_days)


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except OSError as err:
        raise Unavailable(f"{path} cannot be deleted: {err.strerror}", hint="Delete it by hand.") from None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _record(
    platform: Platform, asking: Asking, act: Act, header: BackupHeader, counts: dict[str, int], *, digest: str = ""
) -> None:
    refs = {"backup": header.backup_id, "store": header.store.value}
    if digest:
        refs["sha256"] = digest
    if header.epoch:
        refs["epoch"] = header.epoch
    with platform.data.write() as connection:
        event = Event(act, Outcome.DONE, asking.actor, asking.role, asking.request_id, counts=counts, refs=refs)
        platform.log.record(connection, event)
