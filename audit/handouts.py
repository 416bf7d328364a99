"""Files that leave the house: readable by their owner alone, and on the disk before the last of them is written."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kernel.files import sync_folder

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone; one that is there keeps its mode."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def write_file(path: Path, parts: Iterable[bytes]) -> int:
    """Write a new file for the owner alone and flush it; returns how many parts it was made of."""
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        for part in parts:
            file.write(part)
            written += 1
        file.flush()
        os.fsync(file.fileno())
    return written


def sync_below(folder: Path) -> None:
    """Flush a folder and all below it, so that the names of what was written survive a loss of power."""
    for below, _, _ in os.walk(folder):
        sync_folder(Path(below))
    sync_folder(folder.parent)
