"""Files and folders of a new deployment: made for their owner only, and taken away again when a later step fails."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from kernel.errors import BadInput, Conflict, Unavailable

OWNER_FOLDER: Final = 0o700
OWNER_FILE: Final = 0o600
_OTHERS: Final = 0o077
_BESIDE_A_STORE: Final = ("-journal", "-wal", "-shm")


class FreshPlaces:
    """Makes places that did not exist; leaving the ``with`` block without ``keep`` removes them in reverse order.

    What cannot be removed stays, and is told as ``Unavailable`` after the rest was.

    A place is reserved before anything is written to it (``O_EXCL``), so that what somebody else made a moment before
    is neither overwritten nor removed.
    """

    def __init__(self) -> None:
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._undo.close()
        except OSError as err:
            said = f"What was begun cannot be taken away again: {err.strerror or type(err).__name__} ({err.filename})"
            raise Unavailable(said, hint="See to the disk, and ask for the same again.") from err

    def keep(self) -> None:
        """Let everything stay."""
        self._undo.pop_all()

    def on_failure(self, undo: Callable[[], object]) -> None:
        """Do this, too, when a later step fails."""
        self._undo.callback(undo)

    def folder(self, path: Path) -> None:
        """Make a folder that only its owner can enter, and the folders above it; one that is there is closed to others.

        Raises:
            BadInput: something else is there.
        """
        if path.is_dir():
            self._close_to_others(path)
            return
        if path.exists():
            raise BadInput(f"{path} is no folder", hint="Choose another home with --home.")
        for above in reversed([parent for parent in path.parents if not parent.exists()]):
            above.mkdir()
            self._undo.callback(_remove_empty, above)
        path.mkdir(mode=OWNER_FOLDER)
        self._undo.callback(shutil.rmtree, path, ignore_errors=True)

    def file(self, path: Path, write: Callable[[Path], object]) -> None:
        """Make a file whole: ``write`` is given the path of a draft beside it."""
        self.reserve(path)
        draft = path.with_name(f".{path.name}.draft")
        self._undo.callback(draft.unlink, missing_ok=True)
        write(draft)
        draft.replace(path)

    def reserve(self, path: Path) -> None:
        """Make an empty file that only its owner can read.

        Raises:
            Conflict: there is one.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_FILE))
        except FileExistsError:
            raise _taken(path) from None
        self._undo.callback(path.unlink, missing_ok=True)

    def store(self, path: Path) -> None:
        """Reserve the file of a SQLite store; its journal gets the same mode."""
        self.reserve(path)
        self.expect(*(path.with_name(path.name + ending) for ending in _BESIDE_A_STORE))

    def expect(self, *paths: Path) -> None:
        """Take away what a later step will put at these places, where nothing is now."""
        for path in paths:
            if not path.exists():
                self._undo.callback(path.unlink, missing_ok=True)

    def _close_to_others(self, path: Path) -> None:
        mode = path.stat().st_mode & 0o7777
        if mode & _OTHERS:
            path.chmod(OWNER_FOLDER)
            self._undo.callback(path.chmod, mode)


def check_free(*paths: Path) -> None:
    """Raise ``Conflict`` for the first path that is taken."""
    for path in paths:
        if path.exists():
            raise _taken(path)


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path} exists already; nothing was changed", hint="Choose another home with --home.")


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
