"""Custodians: who holds the root key, which wraps epoch keys and nothing else."""

import hashlib
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.errors import ConfigurationError, IntegrityFailed, Unavailable

KEY_BYTES: Final = 32
"""AES-256."""

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_ROOT_ID_BYTES: Final = 8
_WRAP_VERSION: Final = b"\x01"
_HEADER: Final = "consentry-root-key-1"


class RootKeyMissing(Unavailable):
    """The root key is not at its place; without it no stored value can be opened."""


class RootKeyWrong(ConfigurationError):
    """The root key belongs to another key store, or its file is open to others."""


class RootKeyDamaged(RootKeyWrong):
    """The root key's file is there but is not what was written."""


class Custodian(Protocol):
    """Wraps and unwraps epoch keys; the root key itself never leaves it."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return the key encrypted under the root key and bound to ``context``."""
        ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the key; raises ``RootKeyWrong`` for another root, ``IntegrityFailed`` for a changed blob."""
        ...


class KeyfileCustodian:
    """A root key in a file that only its owner can read, for the embedded profile.

    The file is text in one line: ``consentry-root-key-1 ID KEY CHECK``. ID is 16 hexadecimal digits derived from the
    key, KEY is base64 of 32 bytes, CHECK the first 16 hexadecimal digits of SHA-256 over what stands before it.
    A wrapped key is version (1 byte) | root id (8) | nonce (12) | ciphertext and tag (48); the version, root id and
    context are authenticated.
    """

    def __init__(self, root_key: bytes) -> None:
        self._aead = AESGCM(root_key)
        self._root_id = _root_id(root_key)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Write a fresh root key with mode 0600, durable before this returns.

        Raises:
            ConfigurationError: the file exists; it is never overwritten.
        """
        root_key = secrets.token_bytes(KEY_BYTES)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(
                "A root key exists at the configured place", hint="It is never overwritten; choose another place."
            ) from None
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(_written(root_key))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
        return cls(root_key)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the root key.

        Raises:
            RootKeyMissing: there is no such file, or it cannot be read.
            RootKeyDamaged: the file is not what was written.
            RootKeyWrong: the file can be read by others.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(4096)
        except OSError:
            raise RootKeyMissing(
                "The root key file is missing or cannot be read", hint="Put its backup back at the configured place."
            ) from None
        if mode & 0o077:
            raise RootKeyWrong("The root key file can be read by others", hint="Run chmod 600 on it.")
        return cls(_parsed(content))

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return version | root id | nonce | ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _WRAP_VERSION + self._root_id
        return head + nonce + self._aead.encrypt(nonce, key, head + context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key.

        Raises:
            RootKeyWrong: another root key wrapped it.
            IntegrityFailed: the blob was changed, or belongs to another context.
        """
        head_bytes = len(_WRAP_VERSION) + _ROOT_ID_BYTES
        if len(blob) != head_bytes + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES or blob[:1] != _WRAP_VERSION:
            raise IntegrityFailed("A wrapped epoch key has a wrong shape", hint="Restore the key store from a backup.")
        head, rest = blob[:head_bytes], blob[head_bytes:]
        if not hmac.compare_digest(head[1:], self._root_id):
            raise RootKeyWrong(
                "The root key belongs to another key store", hint="Configure the key that was made with it."
            )
        try:
            return self._aead.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + context)
        except InvalidTag:
            raise IntegrityFailed(
                "A wrapped epoch key was changed", hint="Restore the key store from a backup."
            ) from None


def _root_id(root_key: bytes) -> bytes:
    return hmac.digest(root_key, b"consentry root key id", hashlib.sha256)[:_ROOT_ID_BYTES]


def _written(root_key: bytes) -> str:
    body = f"{_HEADER} {_root_id(root_key).hex()} {b64encode(root_key).decode()}"
    return f"{body} {_check(body)}\n"


def _check(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _parsed(content: bytes) -> bytes:
    damaged = RootKeyDamaged("The root key file is damaged", hint="Put its backup back at the configured place.")
    try:
        body, _, check = content.decode("ascii").rstrip("\n").rpartition(" ")
        header, root_id, encoded = body.split(" ")
        root_key = b64decode(encoded, validate=True)
    except (UnicodeDecodeError, ValueError, Base64Error):
        raise damaged from None
    whole = header == _HEADER and check == _check(body) and len(root_key) == KEY_BYTES
    if not whole or _root_id(root_key).hex() != root_id:
        raise damaged
    return root_key


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
