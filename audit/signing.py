"""Signing keys of logs and witnesses: an Ed25519 key in a file of its own that only its owner can read."""

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit.verifier import VerifierKey, is_key_name
from audit.verifier.notes import ED25519
from kernel.errors import BadInput, ConfigurationError, Conflict, Unavailable
from kernel.files import sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX: Final = "PRIVATE+KEY"
_SEED_BYTES: Final = 32
_DRAFT_BYTES: Final = 8
"""Random bytes in a draft's name: two that make a key at once never share a draft."""


class NoteSigner:
    """Signs with one Ed25519 key under a name (``kernel.ports.Signer``).

    Args:
        name: the key's name.
        seed: its 32 secret bytes (RFC 8032).
        algorithm: ``ED25519`` of a log, ``COSIGNATURE`` of a witness.
    """

    def __init__(self, name: str, seed: bytes, *, algorithm: int = ED25519) -> None:
        self._name = name
        self._key = _private_key(seed)
        self._public_key = self._key.public_key().public_bytes_raw()
        self._algorithm = algorithm

    def __repr__(self) -> str:
        return f"NoteSigner({self._name!r})"

    def __reduce__(self) -> str:
        raise TypeError("A signing key is never serialised")

    @property
    def name(self) -> str:
        """The key's name, which is a log's origin too."""
        return self._name

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._public_key

    @property
    def verifier_key(self) -> str:
        """The public key as ``name+hash+base64``, for ``consentry-verify --key``."""
        return str(self.key)

    @property
    def key(self) -> VerifierKey:
        """What verifies the signatures of this key."""
        return VerifierKey(self._name, self._public_key, self._algorithm)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature (RFC 8032)."""
        return self._key.sign(message)


def create_signing_key(path: Path, name: str, *, algorithm: int = ED25519) -> NoteSigner:
    """Make a key and its file, readable by the owner only.

    Args:
        path: of the new file.
        name: of the key.
        algorithm: ``ED25519`` for a log, ``COSIGNATURE`` for a witness.
    Raises:
        BadInput: the name is empty, or has white space or a plus sign.
        Conflict: the file exists; a key is never overwritten.
        Unavailable: the file cannot be written.
    """
    if not is_key_name(name):
        raise BadInput(
            "A signing key's name has no white space and no plus sign", hint="Use a name like example.org/log."
        )
    seed = secrets.token_bytes(_SEED_BYTES)
    signer = NoteSigner(name, seed, algorithm=algorithm)
    material = base64.b64encode(bytes([algorithm]) + seed).decode()
    line = f"{_PREFIX}+{name}+{signer.key.key_id.hex()}+{material}\n"
    try:
        _write_new(path, line.encode())
    except FileExistsError:
        raise Conflict(
            "The signing key file exists already", hint="A key is never overwritten; move it away first."
        ) from None
    except OSError as err:
        raise Unavailable(f"The signing key file cannot be written: {err.strerror}", hint="No key was made.") from None
    return signer


def _write_new(path: Path, content: bytes) -> None:
    """Put a whole file where none is; when this returns, it has reached the disk under its name."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(_DRAFT_BYTES)}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink()
        raise


def load_signing_key(path: Path, *, algorithm: int = ED25519) -> NoteSigner:
    """Load the key of ``create_signing_key``.

    Args:
        path: of the file.
        algorithm: the only one that is taken: a log's key is no witness's key.
    Raises:
        Unavailable: the file cannot be read.
        ConfigurationError: others may read the file, or it holds no such key.
    """
    try:
        mode, line = path.stat().st_mode, path.read_text(encoding="utf-8")
    except OSError as err:
        raise Unavailable(
            f"The signing key file cannot be read: {err.strerror}", hint="Restore it from its backup."
        ) from None
    except UnicodeDecodeError:
        raise _unusable() from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError("The signing key file is open to other users", hint="Run chmod 600 on it.")
    return _parse(line, algorithm)


def _parse(line: str, algorithm: int) -> NoteSigner:
    private, key, name, stated, material = (*line.strip().split("+", 4), "", "", "", "", "")[:5]
    try:
        raw = base64.b64decode(material, validate=True)
    except (binascii.Error, ValueError):
        raise _unusable() from None
    is_of_kind = raw[:1] == bytes([algorithm]) and len(raw) == 1 + _SEED_BYTES
    if f"{private}+{key}" != _PREFIX or not is_key_name(name) or not is_of_kind:
        raise _unusable()
    signer = NoteSigner(name, raw[1:], algorithm=algorithm)
    if signer.key.key_id.hex() != stated:
        raise _unusable()
    return signer


def _unusable() -> ConfigurationError:
    return ConfigurationError(
        "The signing key file holds no signing key of this kind", hint="Restore it from its backup."
    )


def _private_key(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)
