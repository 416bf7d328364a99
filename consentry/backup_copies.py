"""Copies of both stores as of one moment, to be read at leisure while everybody goes on writing.

SQLite is copied whole by its backup interface, at the speed of the disk: a reader of the store itself would keep
writers waiting for as long as it reads. PostgreSQL keeps its snapshots by itself.
"""

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from consentry.migrations import Store
from consentry.places import OWNER_FILE
from kernel.database import Database, open_database
from kernel.errors import Unavailable
from vault.tables import key_tombstone

SCRATCH: Final = ".consentry-scratch-"
"""Begins the names of folders that hold copies for a while; one that a crash left goes with the next backup."""

_LOCK: Final = "lock"
"""A file in a scratch folder, locked while the folder is in use."""

_PATIENCE_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5
_ZEROS: Final = bytes(1 << 20)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Make a folder for copies, closed to others; whatever lies in it afterwards is overwritten and removed.

    Args:
        beside: the folder in which it is made; scratch folders that a crash left there go first, those in use stay.
    """
    for left in beside.glob(f"{SCRATCH}*"):
        if (held := _hold_left(left)) is not None:
            _shred_held(left, held)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=beside))
    try:
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_FILE)
    except OSError:
        folder.rmdir()
        raise
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        _shred_held(folder, held)


def _hold_left(folder: Path) -> int | None:
    """Return the lock of a folder that nobody uses any more; None for one in use, and for what others have put there.

    Backups run side by side, and a folder of backups may be written by other accounts: what such a one calls a scratch
    folder of ours may be a link to anything.
    """
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return None
        held = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


@contextmanager
def snapshots(
    stores: Mapping[Store, Database], wanted: Collection[Store], scratch: Path
) -> Iterator[Mapping[Store, Connection]]:
    """Open a snapshot of each wanted store, the data store's first: every key that its rows need is in the other.

    Where a key is destroyed between the two, rows that moved to another one would have lost theirs, so that both are
    taken anew.

    Raises:
        Unavailable: a store is being written all the time, or keys are destroyed without a pause.
    """
    keys = stores[Store.KEYS]
    for attempt in range(_ATTEMPTS):
        before = _destroyed(keys)
        with ExitStack() as opened:
            found = {
                store: opened.enter_context(_snapshot(stores[store], scratch / f"{store}-{attempt}.db"))
                for store in (Store.DATA, Store.KEYS)
                if store in wanted
            }
            if len(found) == 1 or _destroyed(keys) == before:
                yield found
                return
    raise Unavailable("Keys are being destroyed all the time", hint="Try again in a minute.")


def _destroyed(keys: Database) -> int:
    with keys.read() as connection:
        return connection.scalar(select(func.count()).select_from(key_tombstone)) or 0


@contextmanager
def _snapshot(database: Database, copy: Path) -> Iterator[Connection]:
    if not database.is_sqlite:
        with database.read() as connection:
            connection.execute(select(1))  # from the first statement on the transaction sees one moment
            yield connection
        return
    _copy(database, copy)
    opened = open_database(f"sqlite:///{copy}", label=f"copy of the {database.label}")
    try:
        with opened.read() as connection:
            yield connection
    finally:
        opened.dispose()


def _copy(database: Database, copy: Path) -> None:
    copy.touch(mode=OWNER_FILE)
    with closing(database.engine.raw_connection()) as source, closing(sqlite3.connect(copy)) as target:
        driver = source.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the engine's dialect says so
        try:
            driver.backup(target, progress=_patient(time.monotonic() + _PATIENCE_SECONDS))
        except sqlite3.Error as err:
            raise Unavailable(
                f"The {database.label} cannot be copied: {err}", hint="Free space, or try again; nothing was changed."
            ) from None


def _patient(deadline: float) -> Callable[[int, int, int], None]:
    """Give a copy up that waits for a writer for too long; called after each attempt."""

    def told(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("somebody writes all the time")

    return told


def _shred_held(folder: Path, held: int) -> None:
    """Overwrite and remove a folder; where that fails, its lock is free for the next backup to do it."""
    try:
        _shred(folder)
    finally:
        os.close(held)


def _shred(folder: Path) -> None:
    """Overwrite the files of a folder and remove it: a copy of the key store must not stay in freed blocks."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with os.fdopen(os.open(file, os.O_RDWR | os.O_NOFOLLOW), "r+b") as handle:
                left = os.fstat(handle.fileno()).st_size
                while left > 0:
                    left -= handle.write(_ZEROS[: min(left, len(_ZEROS))])
                handle.flush()
                os.fsync(handle.fileno())
    shutil.rmtree(folder, ignore_errors=False)
