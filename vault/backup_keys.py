"""Keys of backups: whoever makes a backup holds the public half, whoever restores it the private one.

Each store has a pair of its own, so that who holds one backup and one private half holds nothing that opens a value.
"""

import hashlib
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from kernel.errors import BadInput, ConfigurationError, Unavailable

PUBLIC_BYTES: Final = 32
"""X25519 (RFC 7748)."""

_RECIPIENT: Final = "consentry-backup-1"
_IDENTITY: Final = "consentry-backup-key-1"
_ID_DIGITS: Final = 16


class BackupStore(StrEnum):
    """What a backup is of."""

    DATA = "data"
    KEYS = "keys"


@dataclass(frozen=True, slots=True)
class BackupRecipient:
    """The public half: ``consentry-backup-1:STORE:KEY`` as text, the key in base64."""

    store: BackupStore
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a recipient.

        Raises:
            BadInput: it is none.
        """
        try:
            head, store, encoded = text.strip().split(":")
            found = cls(BackupStore(store), b64decode(encoded, validate=True))
        except (ValueError, Base64Error):
            found = None
        if found is None or head != _RECIPIENT or len(found.public) != PUBLIC_BYTES:
            raise BadInput("This is no recipient of backups", hint="Make a pair with `consentry backup keygen`.")
        return found

    @property
    def key_id(self) -> str:
        """Names it in a backup's header: 16 hexadecimal digits of SHA-256 over its text."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:_ID_DIGITS]

    def __str__(self) -> str:
        return f"{_RECIPIENT}:{self.store}:{b64encode(self.public).decode()}"


class BackupIdentity:
    """The private half, in a file of one line: ``consentry-backup-key-1 STORE KEY CHECK``."""

    __slots__ = ("_key", "recipient")

    def __init__(self, store: BackupStore, key: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(key)
        self.recipient = BackupRecipient(store, self._key.public_key().public_bytes_raw())

    @classmethod
    def create(cls, path: Path, store: BackupStore) -> Self:
        """Make a pair; the private half goes into a new file that only its owner can read.

        Raises:
            ConfigurationError: there is such a file already.
            Unavailable: it cannot be written.
        """
        key = X25519PrivateKey.generate().private_bytes_raw()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError("There is a file at this place", hint="A key is never overwritten.") from None
        except OSError as err:
            raise Unavailable(f"The key cannot be written: {err.strerror}", hint="Choose another place.") from None
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(_written(store, key))
            file.flush()
            os.fsync(file.fileno())
        return cls(store, key)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a private half.

        Raises:
            Unavailable: the file is missing or cannot be read.
            ConfigurationError: it is no such key, was damaged, or can be read by others.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(4096)
        except OSError:
            raise Unavailable("The backup key cannot be read", hint="Put it at the named place.") from None
        if mode & 0o077:
            raise ConfigurationError("The backup key can be read by others", hint="Run chmod 600 on it.")
        return cls(*_parsed(content))

    def agree(self, share: bytes) -> bytes:
        """Return the secret that is shared with whoever made this share.

        Raises:
            BadInput: the share is no public key.
        """
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:
            raise BadInput("The share of a backup is no key", hint="The file is damaged.") from None

    def __repr__(self) -> str:
        return f"BackupIdentity({self.recipient.key_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A backup key is never serialised")


def _written(store: BackupStore, key: bytes) -> str:
    body = f"{_IDENTITY} {store} {b64encode(key).decode()}"
    return f"{body} {_check(body)}\n"


def _check(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:_ID_DIGITS]


def _parsed(content: bytes) -> tuple[BackupStore, bytes]:
    damaged = ConfigurationError("This is no backup key, or a damaged one", hint="Put its copy in its place.")
    try:
        body, _, check = content.decode("ascii").rstrip("\n").rpartition(" ")
        head, store, encoded = body.split(" ")
        found = BackupStore(store), b64decode(encoded, validate=True)
    except (ValueError, Base64Error):
        raise damaged from None
    if head != _IDENTITY or check != _check(body) or len(found[1]) != PUBLIC_BYTES:
        raise damaged
    return found
