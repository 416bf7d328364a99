"""Hand-overs from one signing key of a log to the next: signed by both, kept beside the signer's state.

Source: docs/reference/audit-format.md, "Key hand-over".
"""

import base64
import json
import os
from pathlib import Path
from typing import Final

from audit.notes import sign_note, with_signature
from audit.signing import NoteSigner
from audit.verifier import Checkpoint, VerificationError, VerifierKey
from audit.verifier.notes import parse_note
from kernel.errors import IntegrityFailed, Unavailable
from kernel.files import sync_folder

HEADER: Final = "consentry log key handover v1"


class Handovers:
    """The file of one signer's hand-over notes, each as a JSON string on a line of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, list[bytes]] = (0, [])

    @classmethod
    def beside(cls, state_path: Path) -> "Handovers":
        """Return those that belong to a state file."""
        return cls(state_path.with_name(f"{state_path.name}.handovers"))

    def read(self) -> list[bytes]:
        """Return the notes, the oldest first.

        Raises:
            IntegrityFailed: the file is damaged.
            Unavailable: it cannot be read.
        """
        try:
            size = self._path.stat().st_size
            if size != self._seen[0]:
                lines = self._path.read_bytes().splitlines()
                self._seen = size, [json.loads(line).encode() for line in lines]
        except FileNotFoundError:
            return []
        except OSError as err:
            raise Unavailable(f"The hand-overs of signing keys cannot be read: {err.strerror}") from None
        except (ValueError, AttributeError):
            raise IntegrityFailed("The file of hand-overs is damaged", hint="Restore its newest copy.") from None
        return list(self._seen[1])

    def retired(self, key: VerifierKey) -> bool:
        """Say whether a key has handed over to another."""
        return any(handover_keys(note)[0] == key for note in self.read())

    def predecessor(self, key: VerifierKey) -> VerifierKey | None:
        """Return the key that handed over to this one, or None."""
        found = (handover_keys(note) for note in self.read())
        return next((old for old, new, _ in found if new == key), None)

    def last_size(self) -> int | None:
        """Return the size of the log at the newest hand-over; None before the first."""
        notes = self.read()
        return handover_keys(notes[-1])[2] if notes else None

    def append(self, head: Checkpoint, old: NoteSigner, new: NoteSigner) -> bytes:
        """Write the note that both keys sign; when this returns it has reached the disk.

        Raises:
            Unavailable: it cannot be written.
        """
        note = with_signature(sign_note(_text(head, old, new), old), new)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(json.dumps(note.decode()).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._path.parent)
        except OSError as err:
            raise Unavailable(f"The hand-over cannot be written: {err.strerror}", hint="The old key stays.") from None
        return note


def _text(head: Checkpoint, old: NoteSigner, new: NoteSigner) -> bytes:
    root = base64.b64encode(head.root).decode()
    lines = (HEADER, head.origin, old.verifier_key, new.verifier_key, str(head.size), root)
    return "".join(f"{line}\n" for line in lines).encode()


def handover_keys(note: bytes) -> tuple[VerifierKey, VerifierKey, int]:
    """Return old key, new key and size of a hand-over note; the signatures are the verifier's to check.

    Raises:
        IntegrityFailed: the note is no hand-over.
    """
    try:
        _, old, new, size, _ = parse_note(note).text.removeprefix(f"{HEADER}\n").splitlines()
        return VerifierKey.parse(old), VerifierKey.parse(new), int(size)
    except (VerificationError, ValueError):
        raise IntegrityFailed("A hand-over of signing keys is damaged", hint="Restore its newest copy.") from None
