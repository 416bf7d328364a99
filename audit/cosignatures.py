"""Cosignatures of checkpoints, and notes that carry further signature lines.

Source: c2sp.org/tlog-cosignature (cosignature/v1), c2sp.org/signed-note.
"""

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from audit.signing import NoteSigner
from audit.verifier.notes import COSIGNATURE, NoteSignature, cosigned_message
from kernel.errors import ConfigurationError

_TIME_BYTES: Final = 8


def check_witness_key(signer: NoteSigner) -> None:
    """Raise ``ConfigurationError`` unless the key is one for cosignatures.

    The signed bytes of a cosignature name neither key nor witness, so one key must never serve two purposes.
    """
    if signer.key.algorithm != COSIGNATURE:
        raise ConfigurationError(
            "A witness cosigns with a key of its own kind", hint="Run `consentry audit witness-key`."
        )


def cosign(text: str, signer: NoteSigner, at: datetime) -> bytes:
    """Return the signature line of a witness over a checkpoint's text.

    Args:
        text: of the checkpoint, its last line end included.
        signer: a key that ``check_witness_key`` accepts.
        at: the witness's time; whole seconds count.
    """
    time = int(at.timestamp())
    signature = time.to_bytes(_TIME_BYTES, "big") + signer.sign(cosigned_message(text, time))
    return signature_line(NoteSignature(signer.name, signer.key.key_id, signature))


def signature_line(signature: NoteSignature) -> bytes:
    """Return a signature as its line in a note: em dash, name, key id and signature in base64."""
    encoded = base64.b64encode(signature.key_id + signature.signature).decode()
    return f"\u2014 {signature.name} {encoded}\n".encode()


def with_signatures(note: bytes, lines: Iterable[bytes]) -> bytes:
    """Return a note with further signature lines under it; a line that stands there already is not added."""
    standing = set(note.splitlines(keepends=True))
    return note + b"".join(line for line in dict.fromkeys(lines) if line not in standing)
