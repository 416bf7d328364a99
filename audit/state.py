"""What the signer remembers outside the database: the last head that it signed, so that it never signs another past.

The file has two slots that are written in turns, each with its own digest: one write and one flush a signature, and a
write that was torn leaves the other slot whole.
"""

import base64
import binascii
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.verifier import HASH_BYTES, Checkpoint, CompactRange, VerificationError, VerifierKey, open_checkpoint
from kernel.errors import IntegrityFailed, Unavailable
from kernel.files import sync_folder

LOCK_TIMEOUT_S: Final = 10.0
_LOCK_STEP_S: Final = 0.002
_STATE_VERSION: Final = 2
_FIRST_VERSION: Final = 1
"""One JSON object and nothing else; read once, and followed by slots."""

SLOT_BYTES: Final = 8_192
"""A note with two signatures and 63 peaks take less than 4 KiB."""


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
        raise Unavailable(
            f"The signer's lock cannot be opened: {err.strerror}", hint="Make its folder writable; nothing is opened."
        ) from None
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


class StateFile:
    """The state of one signer; read and write it under ``locked``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parsed: tuple[bytes, str, SignerState] | None = None

    def read(self, key: VerifierKey) -> SignerState | None:
        """Return the remembered state, or None before the first signature.

        Raises:
            IntegrityFailed: the file is damaged, or remembers another key's log.
            Unavailable: the file cannot be read.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise Unavailable(f"The signer's state cannot be read: {err.strerror}") from None
        if self._parsed is not None and self._parsed[:2] == (content, str(key)):
            return self._parsed[2]
        try:
            state = _parse(_newest(content)[1], key)
        except (VerificationError, ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
            raise IntegrityFailed(
                "The signer's state is damaged or another log's", hint="Restore the newest copy of it."
            ) from None
        self._parsed = content, str(key), state
        return state

    def write(self, state: SignerState, key: VerifierKey) -> None:
        """Remember a state; when this returns it has reached the disk.

        Args:
            state: what was signed last.
            key: that signed it.
        Raises:
            Unavailable: it could not be written; what was remembered before stands.
        """
        content = {
            "v": _STATE_VERSION,
            "note": state.checkpoint.note.decode(),
            "peaks": [base64.b64encode(peak).decode() for peak in state.peaks],
        }
        try:
            written = self._write_slot(content)
        except OSError as err:
            raise Unavailable(
                f"The signer's state cannot be written: {err.strerror}", hint="Nothing was signed for."
            ) from None
        self._parsed = written, str(key), state

    def _write_slot(self, content: dict[str, object]) -> bytes:
        """Write the older slot, and return what the file holds then."""
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            before = os.pread(descriptor, 2 * SLOT_BYTES, 0)
            number = _last_number(before) + 1
            place = number % 2 * SLOT_BYTES
            slot = _slot(content | {"n": number})
            os.pwrite(descriptor, slot, place)
            try:
                os.fsync(descriptor)
            except OSError:
                os.pwrite(descriptor, bytes(SLOT_BYTES), place)  # what was not flushed must not be read as signed
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._path.parent)
        return before[:place].ljust(place, b"\0") + slot + before[place + SLOT_BYTES :]


def _wait_for(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("Another process holds the signer", hint="Try again.") from None
            time.sleep(_LOCK_STEP_S)


def _slot(content: dict[str, object]) -> bytes:
    text = json.dumps(content).encode()
    line = hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"
    if len(line) > SLOT_BYTES:
        raise OSError(27, "the state is larger than its slot")
    return line.ljust(SLOT_BYTES, b"\0")


def _newest(content: bytes) -> tuple[int, dict[str, object]]:
    """Return number and members of the newest whole slot; raises ``ValueError`` without one."""
    found = [members for members in _slots(content) if members is not None]
    if not found:
        raise ValueError("no whole slot")
    newest = max(found, key=_number)
    return _number(newest), newest


def _last_number(content: bytes) -> int:
    try:
        return _newest(content)[0]
    except ValueError:
        return 0


def _slots(content: bytes) -> Sequence[dict[str, object] | None]:
    """Return the members of both slots; None for one that is not whole."""
    if content.startswith(b"{"):
        first = content[:SLOT_BYTES].rstrip(b"\0")
        return _members(first, _FIRST_VERSION), _checked(content[SLOT_BYTES : 2 * SLOT_BYTES])
    return _checked(content[:SLOT_BYTES]), _checked(content[SLOT_BYTES : 2 * SLOT_BYTES])


def _checked(slot: bytes) -> dict[str, object] | None:
    digest, _, text = slot.rstrip(b"\0").removesuffix(b"\n").partition(b" ")
    return _members(text, _STATE_VERSION) if digest == hashlib.sha256(text).hexdigest().encode() else None


def _members(text: bytes, version: int) -> dict[str, object] | None:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) and members.get("v") == version else None


def _number(members: dict[str, object]) -> int:
    number = members.get("n", 0)
    return number if isinstance(number, int) else 0


def _parse(members: dict[str, object], key: VerifierKey) -> SignerState:
    note, encoded = members["note"], members["peaks"]
    if not isinstance(note, str) or not isinstance(encoded, list):
        raise ValueError("note or peaks have another type")  # noqa: TRY004 - damage, like the rest
    checkpoint = open_checkpoint(note.encode(), key)
    peaks = tuple(base64.b64decode(peak, validate=True) for peak in encoded)
    state = SignerState(checkpoint, peaks)
    is_shaped = len(peaks) == checkpoint.size.bit_count() and all(len(peak) == HASH_BYTES for peak in peaks)
    if not is_shaped or state.tree().root() != checkpoint.root:
        raise ValueError("peaks and note do not fit together")
    return state
