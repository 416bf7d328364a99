"""Signed notes, their keys, the checkpoints in them, and the cosignatures of witnesses under them.

Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature (cosignature/v1).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from audit.verifier.failures import InputError, VerificationError
from audit.verifier.merkle import HASH_BYTES

ED25519: Final = 1
"""Signature type of a log's key (c2sp.org/signed-note)."""

COSIGNATURE: Final = 4
"""Signature type of a witness's key: Ed25519 with a time (c2sp.org/tlog-cosignature)."""

_ALGORITHMS: Final = (ED25519, COSIGNATURE)
_SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8
_KEY_ID_BYTES: Final = 4
_SIGNATURES_MAX: Final = 100
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class KeyTextError(InputError):
    """A text is no verifier key."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key with its name; written ``name+hash+base64`` (c2sp.org/signed-note).

    Attributes:
        algorithm: ``ED25519`` of a log, ``COSIGNATURE`` of a witness.
    """

    name: str
    public_key: bytes
    algorithm: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name | 0x0A | algorithm | key)."""
        material = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.algorithm]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str, *, algorithm: int = ED25519) -> "VerifierKey":
        """Parse ``name+hash+base64``.

        Args:
            text: the key.
            algorithm: the only one that is taken: a witness's key is no log's key.
        Raises:
            KeyTextError: the text is no such verifier key, or its hash does not fit.
        """
        name, _, rest = text.strip().partition("+")
        stated, _, material = rest.partition("+")
        raw = strict_base64(material)
        if not is_key_name(name) or raw is None or len(raw) != 1 + HASH_BYTES or raw[0] not in _ALGORITHMS:
            raise KeyTextError("not an Ed25519 verifier key of the form name+hash+base64")
        if raw[0] != algorithm:
            is_log = algorithm == ED25519
            raise KeyTextError(
                "the verifier key is not a log's key (type 1)"
                if is_log
                else "the verifier key is not a witness's key (type 4)"
            )
        key = cls(name, raw[1:], raw[0])
        if key.key_id.hex() != stated:
            raise KeyTextError("the verifier key's hash does not fit its name and material")
        return key

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Say whether the 64-byte Ed25519 signature over the message is by this key (RFC 8032)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line of a note, not verified."""

    name: str
    key_id: bytes
    signature: bytes

    def is_by(self, key: VerifierKey) -> bool:
        """Say whether the line claims to be by a key."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it was parsed; nothing in it is verified.

    Attributes:
        text: what was signed, its last line end included.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    def by(self, key: VerifierKey) -> list[bytes]:
        """Return what stands under a key's name and id; two equal lines count once."""
        return list(dict.fromkeys(line.signature for line in self.signatures if line.is_by(key)))


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


def parse_note(note: bytes) -> Note:
    """Parse a note; nothing is verified.

    Raises:
        VerificationError: the bytes are no note.
    """
    try:
        decoded = note.decode()
    except UnicodeDecodeError:
        raise VerificationError("checkpoint", "the note is not UTF-8") from None
    text, split, block = decoded.rpartition("\n\n")
    if not split or not block.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", decoded):
        raise VerificationError("checkpoint", "the file is no signed note")
    lines = block[:-1].split("\n")
    if len(lines) > _SIGNATURES_MAX:
        raise VerificationError("checkpoint", "the note carries more than {} signatures", _SIGNATURES_MAX)
    return Note(text + "\n", tuple(map(_parse_signature, lines)))


def open_note(note: bytes, key: VerifierKey) -> str:
    """Return the signed text; unknown signatures are ignored, a bad one by the key rejects (c2sp.org/signed-note)."""
    parsed = parse_note(note)
    ours = parsed.by(key)
    if not ours:
        raise not_signed_by(parsed, key)
    if not all(key.is_signed(parsed.text.encode(), signature) for signature in ours):
        raise VerificationError("signature", "the checkpoint's signature by {} is bad", ascii(str(key)))
    return parsed.text


def not_signed_by(parsed: Note, key: VerifierKey) -> VerificationError:
    """Return what is to be said of a note that a key did not sign; ``key`` where another one of its name did.

    A wrong or retired key is the reader's affair, and no sign that anything was altered.
    """
    others = sorted({line.key_id.hex() for line in parsed.signatures if line.name == key.name})
    if not others:
        return VerificationError("signature", "the checkpoint carries no signature by {}", ascii(str(key)))
    message = "the checkpoint is signed by another key (id {}), not by {}"
    return VerificationError("key", message, ", ".join(others), ascii(str(key)))


def open_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """Verify a signed note under one key and parse the checkpoint in it.

    Raises:
        VerificationError: not a note, no signature or a bad one by the key, not a checkpoint, or another log's.
    """
    checkpoint = parse_checkpoint(open_note(note, key), note)
    if checkpoint.origin != key.name:
        raise VerificationError("checkpoint", "the checkpoint belongs to another log than the key")
    return checkpoint


def parse_checkpoint(text: str, note: bytes) -> Checkpoint:
    """Return the checkpoint that a note's text says; the caller has verified it.

    Raises:
        VerificationError: the text is no checkpoint.
    """
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size, root
        raise VerificationError("checkpoint", "the note is no checkpoint")
    root = strict_base64(lines[2])
    if root is None or len(root) != HASH_BYTES:
        raise VerificationError("checkpoint", "the checkpoint's root is not 32 bytes in base64")
    return Checkpoint(lines[0], int(lines[1]), root, note)


def cosigned_message(text: str, time: int) -> bytes:
    """Return the bytes that a witness signs: header, time in seconds since 1970, and the whole note text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def open_cosignatures(note: bytes, witnesses: Iterable[VerifierKey]) -> dict[VerifierKey, int]:
    """Return the witnesses whose cosignature stands under a note, each once, with its latest time.

    Times are seconds since 1970. Unknown signatures are ignored, a bad one by a known witness rejects.

    Raises:
        VerificationError: not a note, or a cosignature of a known witness is bad.
    """
    parsed = parse_note(note)
    found: dict[VerifierKey, int] = {}
    for witness in witnesses:
        for signature in parsed.by(witness):
            time = _cosigned_at(parsed.text, witness, signature)
            if time is None:
                raise VerificationError("signature", "the cosignature by {} is bad", ascii(str(witness)))
            found[witness] = max(time, found.get(witness, 0))
    return found


def strict_base64(text: str) -> bytes | None:
    """Return the bytes of a base64 text (RFC 4648 section 4) in its one canonical form, else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _cosigned_at(text: str, witness: VerifierKey, signature: bytes) -> int | None:
    """Return the time of a cosignature that verifies, else None."""
    time = int.from_bytes(signature[:_TIME_BYTES], "big")
    if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES or time >> 63:
        return None
    return time if witness.is_signed(cosigned_message(text, time), signature[_TIME_BYTES:]) else None


def _parse_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = strict_base64(encoded)
    if dash != "\u2014" or not is_key_name(name) or raw is None or len(raw) <= _KEY_ID_BYTES:
        raise VerificationError("checkpoint", "a signature line of the note is malformed")
    return NoteSignature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])
