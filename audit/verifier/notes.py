"""Signed notes, their keys, and the checkpoints in them.

Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.merkle import HASH_BYTES, VerificationError

_ED25519: Final = 1
"""Signature type of c2sp.org/signed-note."""
_SIGNATURES_MAX: Final = 100
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class KeyTextError(ValueError):
    """A text is no verifier key."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key with its name; written ``name+hash+base64`` (c2sp.org/signed-note)."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name | 0x0A | type | key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([_ED25519]) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([_ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Parse ``name+hash+base64``.

        Raises:
            KeyTextError: the text is no Ed25519 verifier key, or its hash does not fit.
        """
        name, _, rest = text.strip().partition("+")
        stated, _, material = rest.partition("+")
        raw = _strict_base64(material)
        if not is_key_name(name) or raw is None or len(raw) != 1 + HASH_BYTES or raw[0] != _ED25519:
            raise KeyTextError("not an Ed25519 verifier key of the form name+hash+base64")
        key = cls(name, raw[1:])
        if key.key_id.hex() != stated:
            raise KeyTextError("the verifier key's hash does not fit its name and material")
        return key

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Say whether the 64-byte signature over the message is by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head that was signed; ``note`` are the signed bytes with their signatures."""

    origin: str
    size: int
    root: bytes
    note: bytes = field(repr=False)


def is_key_name(name: str) -> bool:
    """Say whether a key name is one: printable, without white space and plus signs."""
    return bool(name) and name.isprintable() and not re.search(r"[\s+]", name)


def open_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """Verify a signed note under one key and parse the checkpoint in it.

    Raises:
        VerificationError: not a note, no signature or a bad one by the key, not a checkpoint, or another log's.
    """
    text = open_note(note, key)
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size, root
        raise VerificationError("checkpoint", "the note is no checkpoint")
    root = _strict_base64(lines[2])
    if root is None or len(root) != HASH_BYTES:
        raise VerificationError("checkpoint", "the checkpoint's root is not 32 bytes in base64")
    if lines[0] != key.name:
        raise VerificationError("checkpoint", "the checkpoint belongs to another log than the key")
    return Checkpoint(lines[0], int(lines[1]), root, note)


def open_note(note: bytes, key: VerifierKey) -> str:
    """Return the signed text; unknown signatures are ignored, a bad one by the key rejects (c2sp.org/signed-note)."""
    try:
        decoded = note.decode()
    except UnicodeDecodeError:
        raise VerificationError("checkpoint", "the note is not UTF-8") from None
    text, split, block = decoded.rpartition("\n\n")
    if not split or not block.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", decoded):
        raise VerificationError("checkpoint", "the file is no signed note")
    signatures = [_parse_signature(line) for line in block[:-1].split("\n")]
    ours = [raw[4:] for name, raw in signatures if name == key.name and raw[:4] == key.key_id]
    if len(signatures) > _SIGNATURES_MAX or not ours:
        raise VerificationError("signature", f"the checkpoint carries no signature by {str(key)!a}")
    if not all(key.is_signed(text.encode() + b"\n", signature) for signature in ours):
        raise VerificationError("signature", f"the checkpoint's signature by {str(key)!a} is bad")
    return text + "\n"


def _parse_signature(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _strict_base64(encoded)
    if dash != "\u2014" or not is_key_name(name) or raw is None or len(raw) <= 4:  # noqa: PLR2004 - key id
        raise VerificationError("checkpoint", "a signature line of the note is malformed")
    return name, raw


def _strict_base64(text: str) -> bytes | None:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
