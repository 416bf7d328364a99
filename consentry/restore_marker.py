"""A file in the deployment's folder that says which backups were put in place and have no entry yet.

The entry can be written only once both stores are there and open, so that a process that is killed in between would
leave a restore that the log never tells of.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consentry.places import OWNER_FILE
from consentry.principals import Principal
from consentry.settings import Settings
from kernel.errors import IntegrityFailed
from kernel.ids import RequestId, new_id
from vault.backup_keys import BackupStore

if TYPE_CHECKING:
    from consentry.platform import Platform

NAME: Final = "restoring.json"


@dataclass(frozen=True, slots=True)
class Owed:
    """Of which restores an entry is owed.

    Attributes:
        actor, role: who restores.
        going: ids of backups by store that were being put in place; whether they are, the store says.
        placed: those that are.
        missing_entries: of the log that was put in place for its recovery; None where it is whole.
    """

    actor: str
    role: str
    going: Mapping[BackupStore, str]
    placed: Mapping[BackupStore, str]
    missing_entries: int | None = None

    def goes(self, store: BackupStore, backup_id: str) -> "Owed":
        """Return it with a backup that is about to be put in place."""
        return replace(self, going={**self.going, store: backup_id}, placed=_without(self.placed, store))

    def is_placed(self, store: BackupStore) -> "Owed":
        """Return it once that backup is in place."""
        placed = {**self.placed, store: self.going[store]}
        return replace(self, going=_without(self.going, store), placed=placed)

    def names(self, store: BackupStore, backup_id: str) -> bool:
        """Say whether this backup was on its way to its store, or is there."""
        return backup_id in (self.going.get(store), self.placed.get(store))


def nothing_owed(caller: Principal) -> Owed:
    """Return what is owed before anything is done."""
    return Owed(caller.principal_id, caller.role, {}, {})


def find_owed(settings: Settings) -> Owed | None:
    """Return what the marker says, None without one.

    Raises:
        IntegrityFailed: it cannot be read.
    """
    try:
        said = json.loads(_path(settings).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise _unreadable(settings) from None
    try:
        going, placed = (
            {BackupStore(store): str(name) for store, name in said[part].items()} for part in ("going", "placed")
        )
        return Owed(str(said["actor"]), str(said["role"]), going, placed, said["missing_entries"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unreadable(settings) from None


def keep_owed(settings: Settings, owed: Owed | None) -> None:
    """Write the marker durably; None removes it."""
    path = _path(settings)
    if owed is None:
        path.unlink(missing_ok=True)
        return
    said = {
        "actor": owed.actor,
        "role": owed.role,
        "going": dict(owed.going),
        "placed": dict(owed.placed),
        "missing_entries": owed.missing_entries,
    }
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_FILE), "w") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def tell_restored(platform: "Platform") -> None:
    """Write the entry of each backup that is in place, and remove the marker; nothing without one."""
    owed = find_owed(platform.settings)
    if owed is None or not owed.placed:
        return
    asking = Asking(owed.actor, owed.role, RequestId(new_id("req")))
    with platform.data.write() as connection:
        for store, backup_id in owed.placed.items():
            refs = {"backup": backup_id, "store": store.value}
            event = Event(Act.BACKUP_RESTORED, Outcome.DONE, asking.actor, asking.role, asking.request_id, refs=refs)
            platform.log.record(connection, event)
    keep_owed(platform.settings, replace(owed, placed={}) if owed.going else None)


def _path(settings: Settings) -> Path:
    return settings.home / NAME


def _without(backups: Mapping[BackupStore, str], store: BackupStore) -> dict[BackupStore, str]:
    return {one: name for one, name in backups.items() if one is not store}


def _unreadable(settings: Settings) -> IntegrityFailed:
    return IntegrityFailed(
        f"{_path(settings)} cannot be read", hint="It names backups that were put in place; look, and remove it."
    )
