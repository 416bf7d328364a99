"""Derived files while they are made: marked as such, gone when the making fails, and swept after a crash."""

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from kernel.ids import is_id


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make a folder and hold its mark while the block fills and registers it; an error takes the folder away again.

    The mark is a locked file beside the folder, there before the folder is. A crash leaves it unlocked.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = _mark(folder)
    handle = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700)
        try:
            yield
        except BaseException:
            shutil.rmtree(folder)
            raise
    finally:
        mark.unlink()
        os.close(handle)


def sweep(root: Path, prefix: str, registered: Callable[[], Collection[str]]) -> int:
    """Delete what a crash left: folders whose id has this prefix, that nobody registered and nobody is making.

    Args:
        root: holds the folders, at any depth.
        prefix: of the ids that name them, for example ``vb``.
        registered: reads the ids that the data store knows; called after the folders are listed, so that one which is
            registered meanwhile is known.
    Returns:
        How many were deleted.
    """
    folders = [path for path in root.rglob(f"{prefix}_*") if path.is_dir() and is_id(path.name, prefix)]
    if not folders:
        return 0
    known = registered()
    abandoned = [folder for folder in folders if folder.name not in known and _is_abandoned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder)
        _mark(folder).unlink(missing_ok=True)
    return len(abandoned)


def _mark(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.making")


def _is_abandoned(folder: Path) -> bool:
    """Say whether no process holds the folder's mark."""
    try:
        handle = os.open(_mark(folder), os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
