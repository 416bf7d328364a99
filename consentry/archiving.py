"""Beside a running server: a changed key store is backed up every few minutes, and erasures are told final in time.

A key that is lost takes its rows with it, so that backups of the key store follow each other closely; they end with
their epoch, and those that are over go at once.
"""

import time
from typing import Final

from sqlalchemy import Connection, func, select

from consent.wake import system_asking
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from consentry.settling import Background
from consentry.workflows.backup import create_backup, prune_backups
from kernel.ids import PrincipalId
from vault.backup_keys import BackupStore
from vault.tables import epoch, keystore_metadata

INTERVAL_SECONDS: Final = 30.0
_ROLE: Final = "administrator"
_SECONDS: Final = 60


class Archiver(Background):
    """Does what `consentry backup create --only keys` and `backup prune` do, where ``backup_keys_minutes`` says so."""

    name = "archiver"
    complaint = "key_store.not_backed_up"

    def __init__(self, platform: Platform, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._platform = platform
        self._caller = Principal(PrincipalId("system"), "system", PrincipalKind.PERSON, _ROLE)
        self._made: float | None = None
        self._state: tuple[int, ...] | None = None

    def work(self) -> None:
        """Say which erasures are final, and back up what has changed once the minutes are over."""
        self._platform.eraser.confirm_final(asking=system_asking())
        minutes = self._platform.settings.backup_keys_minutes
        if not minutes or (self._made is not None and time.monotonic() - self._made < minutes * _SECONDS):
            return
        with self._platform.keys.read() as connection:
            state = _state_of(connection)
        if state != self._state:
            create_backup(self._platform, self._caller, stores=[BackupStore.KEYS])
            prune_backups(self._platform, self._caller)
            self._state = state
        self._made = time.monotonic()


def _state_of(connection: Connection) -> tuple[int, ...]:
    """Return numbers that change when the key store has, at the cost of a count for each of its tables."""
    counts = [connection.scalar(select(func.count()).select_from(one)) for one in keystore_metadata.sorted_tables]
    ended = connection.scalar(select(func.count()).where(epoch.c.destroyed_at.is_not(None)))
    return tuple(count or 0 for count in (*counts, ended))
