"""What the signer remembers outside the database: the last head that it signed, so that it never signs another past."""

import base64
import binascii
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.verifier import HASH_BYTES, Checkpoint, CompactRange, VerificationError, VerifierKey, open_checkpoint
from kernel.errors import IntegrityFailed, Unavailable

LOCK_TIMEOUT_S: Final = 10.0
_LOCK_STEP_S: Final = 0.005
_STATE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SignerState:
    """The last signed checkpoint, and the compact range that extends it."""

    checkpoint: Checkpoint
    peaks: tuple[bytes, ...]

    def tree(self) -> CompactRange:
        """Return a range of its own, to grow."""
        return CompactRange(self.checkpoint.size, list(self.peaks))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the state file; other threads and processes on this machine wait.

    Raises:
        Unavailable: another holder did not let go within ten seconds, or the folder cannot be written.
    """
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise Unavailable(f"The signer's lock cannot be opened: {err.strerror}") from None
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def read_state(path: Path, key: VerifierKey) -> SignerState | None:
    """Return the remembered state, or None before the first signature.

    Raises:
        IntegrityFailed: the file is damaged, or remembers another key's log.
        Unavailable: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise Unavailable(f"The signer's state cannot be read: {err.strerror}") from None
    try:
        return _parse(content, key)
    except (VerificationError, ValueError, KeyError, TypeError, binascii.Error):
        raise IntegrityFailed(
            "The signer's state is damaged or another log's", hint="Restore the newest copy of it."
        ) from None


def write_state(path: Path, state: SignerState) -> None:
    """Replace the state; when this returns it has reached the disk.

    Raises:
        Unavailable: it could not be written; the old state stands.
    """
    content = {
        "v": _STATE_VERSION,
        "note": state.checkpoint.note.decode(),
        "peaks": [base64.b64encode(peak).decode() for peak in state.peaks],
    }
    draft = path.with_name(path.name + ".new")
    try:
        _write_durably(draft, json.dumps(content).encode())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as err:
        raise Unavailable(
            f"The signer's state cannot be written: {err.strerror}", hint="Nothing was signed for."
        ) from None


def _wait_for(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("Another process holds the signer", hint="Try again.") from None
            time.sleep(_LOCK_STEP_S)


def _parse(content: bytes, key: VerifierKey) -> SignerState:
    members = json.loads(content)
    checkpoint = open_checkpoint(members["note"].encode(), key)
    peaks = tuple(base64.b64decode(peak, validate=True) for peak in members["peaks"])
    state = SignerState(checkpoint, peaks)
    is_shaped = len(peaks) == checkpoint.size.bit_count() and all(len(peak) == HASH_BYTES for peak in peaks)
    if members["v"] != _STATE_VERSION or not is_shaped or state.tree().root() != checkpoint.root:
        raise ValueError("peaks and note do not fit together")
    return state


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
