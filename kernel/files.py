"""Files that must survive a loss of power."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a new name in it survives a loss of power: the file's own flush does not care for it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
