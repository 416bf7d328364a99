"""Writing signed notes and checkpoints in the C2SP forms that ``audit.verifier`` reads.

Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

import base64

from audit.verifier import Checkpoint, VerifierKey
from audit.verifier.notes import parse_note
from kernel.errors import BadInput
from kernel.ports import Signer


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """Return the bytes to sign: origin, size in decimal, root in base64, each with its line end."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def sign_note(text: bytes, signer: Signer) -> bytes:
    """Return the note: the text, an empty line, and the signature line.

    Raises:
        BadInput: the text cannot stand in a note.
    """
    if not text.endswith(b"\n") or any(byte < 0x20 and byte != 0x0A for byte in text):  # noqa: PLR2004 - controls
        raise BadInput("A note's text must end with a line end and hold no control characters", hint="Use plain lines.")
    return text + b"\n" + _signature_line(text, signer)


def with_signature(note: bytes, signer: Signer) -> bytes:
    """Return a note with one more signature line under it."""
    return note + _signature_line(parse_note(note).text.encode(), signer)


def sign_checkpoint(size: int, root: bytes, signer: Signer) -> Checkpoint:
    """Sign a tree head under the signer's name as origin."""
    return Checkpoint(signer.name, size, root, sign_note(checkpoint_text(signer.name, size, root), signer))


def _signature_line(text: bytes, signer: Signer) -> bytes:
    key = VerifierKey(signer.name, signer.public_key)
    signature = base64.b64encode(key.key_id + signer.sign(text)).decode()
    return f"\u2014 {signer.name} {signature}\n".encode()
