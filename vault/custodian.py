"""Custodians: who holds the root key, which wraps epoch keys and nothing else."""

import hashlib
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.errors import ConfigurationError, ConsentryError, IntegrityFailed, Unavailable
from kernel.files import sync_folder
from vault.custodians.sealed_root import PassphraseWrong, SealedRoot

__all__ = [
    "Custodian", "CustodianRefused", "CustodianUnavailable", "KeyfileCustodian", "PassphraseWrong", "RootKeyDamaged",
    "RootKeyMissing", "RootKeyWrong", "WrapKind", "changed", "root_id_of", "split_blob", "wrapped_by", "wrapped_surely",
]  # fmt: skip

KEY_BYTES: Final = 32
"""AES-256."""

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
ROOT_ID_BYTES: Final = 8
HEAD_BYTES: Final = 1 + ROOT_ID_BYTES
MAX_BLOB_BYTES: Final = 8 * 1024
"""A wrapped epoch key; KMS returns at most 6,144 bytes of ciphertext."""
_HEADER: Final = "consentry-root-key-1"
_SEALED_HEADER: Final = "consentry-root-key-2"

_RESTORE: Final = "Restore the key store from a backup."


class RootKeyMissing(Unavailable):
    """The root key is not at its place; without it no stored value can be opened."""


class RootKeyWrong(ConfigurationError):
    """The root key belongs to another key store, or its file is open to others."""


class RootKeyDamaged(RootKeyWrong):
    """The root key's file is there but is not what was written."""


class CustodianUnavailable(Unavailable):
    """The custodian does not answer in time, or fails; nothing was opened or half-written."""


class CustodianRefused(Unavailable):
    """The custodian answers, and refuses this deployment's account."""


class Custodian(Protocol):
    """Wraps and unwraps epoch keys; the root key itself never leaves it. Safe for many threads."""

    @property
    def name(self) -> str:
        """Its kind, as the setting ``custodian`` has it, and which of its root keys; holds no secret."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether an answer may take long, so that it is waited for outside of transactions."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return the key encrypted under the newest root key and bound to ``context``."""
        ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the key.

        Raises:
            RootKeyWrong: another root wrapped it.
            IntegrityFailed: the blob was changed, or belongs to another context.
            Unavailable: the custodian does not answer in time, fails or refuses.
        """
        ...

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Destroy for good what blobs of this context are wrapped under, but not what ``keep`` is; repeatable.

        Does nothing where one root wraps every epoch: there only the blob is deleted, and older copies of it open as
        long as the root is there.
        """
        ...

    def close(self) -> None:
        """Let go of connections and of what is held in memory."""
        ...


def wrapped_surely(custodian: Custodian, key: bytes, context: bytes, *, keep: bytes | None = None) -> bytes:
    """Return the key as the custodian has wrapped it, once it has also given it back.

    An account that may encrypt and not decrypt, or a server that answers nonsense, would otherwise show only when
    everything hangs on that key.

    Args:
        custodian: who wraps.
        key: an epoch's.
        context: what it is bound to.
        keep: the blob of this context that is in use, so that a failure leaves it alone.

    Raises:
        IntegrityFailed: what came back is another key.
        Unavailable: the custodian does not answer in time, fails or refuses.
    """
    blob = custodian.wrap(key, context)
    try:
        if hmac.compare_digest(custodian.unwrap(blob, context), key):
            return blob
        raise IntegrityFailed(
            f"The custodian {custodian.name} does not give back the key that it was given",
            hint="Nothing was changed; check what answers there.",
        )
    except ConsentryError:
        with suppress(Unavailable):  # which the caller is about to be told of
            custodian.destroy(context, keep=keep)
        raise


class WrapKind(Enum):
    """Who wrapped an epoch key: the first byte of what is stored."""

    KEYFILE = 1
    AWS_KMS = 2
    TRANSIT = 3
    PKCS11 = 4

    @property
    def label(self) -> str:
        """As the setting ``custodian`` names it."""
        return self.name.lower().replace("_", "-")

    def head(self, root_id: bytes) -> bytes:
        """Return kind (1 byte) | root id (8), with which every wrapped key begins."""
        return bytes((self.value,)) + root_id


def wrapped_by(blob: bytes) -> str:
    """Return the kind of custodian that a wrapped key says of itself, unverified; ``unknown`` for none of ours."""
    return next((kind.label for kind in WrapKind if blob[:1] == bytes((kind.value,))), "unknown")


def split_blob(blob: bytes, kind: WrapKind, root_id: bytes, *, rest_bytes: int | None = None) -> tuple[bytes, bytes]:
    """Return head and rest of a wrapped key; lengths and head are checked before anything is decrypted or asked.

    Args:
        blob: what is stored.
        kind: of the custodian that is asked.
        root_id: of its root key.
        rest_bytes: how long the rest is; None where the custodian decides.

    Raises:
        IntegrityFailed: it is no wrapped key.
        RootKeyWrong: another custodian, or another root of this kind, wrapped it.
    """
    found = next((one for one in WrapKind if blob[:1] == bytes((one.value,))), None)
    if found is None or not HEAD_BYTES < len(blob) <= MAX_BLOB_BYTES:
        raise _misshapen()
    if found is not kind:
        raise RootKeyWrong(
            f"The epoch key is wrapped by the custodian {found.label!r}, and {kind.label!r} is asked for it",
            hint="Configure the one that wrapped it, or name it by custodian_also_file.",
        )
    head, rest = blob[:HEAD_BYTES], blob[HEAD_BYTES:]
    if rest_bytes is not None and len(rest) != rest_bytes:
        raise _misshapen()
    if not hmac.compare_digest(head[1:], root_id):
        raise RootKeyWrong("The root key belongs to another key store", hint="Configure the key that was made with it.")
    return head, rest


def root_id_of(*names: str) -> bytes:
    """Return the id of a root key that lives elsewhere, from the names that it goes by."""
    joined = "\0".join(("consentry root key", *names))
    return hashlib.sha256(joined.encode()).digest()[:ROOT_ID_BYTES]


class KeyfileCustodian:
    """A root key in a file that only its owner can read, for the embedded profile.

    The file is text in one line: ``consentry-root-key-1 ID KEY CHECK``, or under a passphrase ``consentry-root-key-2 ID
    scrypt LOG_N R P SALT SEALED CHECK`` (``vault.custodians.sealed_root``). ID is 16 hexadecimal digits derived from
    the key, KEY is base64 of 32 bytes, CHECK the first 16 hexadecimal digits of SHA-256 over what stands before it.
    A wrapped key is kind ``01`` (1 byte) | root id (8) | nonce (12) | ciphertext and tag (48); the kind, root id and
    context are authenticated.
    """

    def __init__(self, root_key: bytes) -> None:
        self._aead = AESGCM(root_key)
        self._root_id = _root_id(root_key)

    @classmethod
    def create(cls, path: Path, *, passphrase: bytes | None = None) -> Self:
        """Write a fresh root key with mode 0600, durable before this returns.

        Args:
            path: where.
            passphrase: seals the key in the file; at least 12 bytes.
        Raises:
            ConfigurationError: the file exists; it is never overwritten.
            BadInput: the passphrase is too short.
        """
        root_key = secrets.token_bytes(KEY_BYTES)
        text = _written(root_key, passphrase)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(
                "A root key exists at the configured place", hint="It is never overwritten; choose another place."
            ) from None
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
        return cls(root_key)

    @classmethod
    def load(cls, path: Path, *, passphrase: Callable[[], bytes] | None = None, may_read: int = 0o700) -> Self:
        """Read the root key.

        Args:
            path: where.
            passphrase: returns it; a file that is not sealed under one is refused then.
            may_read: mode bits that are allowed; systemd may show a credential as readable by its group (an access
                control list's mask), though it is not.

        Raises:
            RootKeyMissing: there is no such file, or it cannot be read.
            RootKeyDamaged: the file is not what was written.
            RootKeyWrong: the file can be read by others, or is sealed and there is no passphrase, or the reverse.
            PassphraseWrong: it is not the one that seals the key.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(4096)
        except OSError:
            raise RootKeyMissing(
                "The root key file is missing or cannot be read", hint="Put its backup back at the configured place."
            ) from None
        if mode & 0o777 & ~may_read:
            raise RootKeyWrong("The root key file can be read by others", hint="Run chmod 600 on it.")
        return cls(_parsed(content, passphrase))

    @property
    def name(self) -> str:
        """``keyfile`` and the key's id."""
        return f"keyfile:{self._root_id.hex()}"

    @property
    def is_remote(self) -> bool:
        """It is in memory."""
        return False

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return kind | root id | nonce | ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        head = WrapKind.KEYFILE.head(self._root_id)
        return head + nonce + self._aead.encrypt(nonce, key, head + context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key.

        Raises:
            RootKeyWrong: another root key, or another custodian, wrapped it.
            IntegrityFailed: the blob was changed, or belongs to another context.
        """
        head, rest = split_blob(blob, WrapKind.KEYFILE, self._root_id, rest_bytes=_NONCE_BYTES + KEY_BYTES + _TAG_BYTES)
        try:
            return self._aead.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + context)
        except InvalidTag:
            raise changed() from None

    def destroy(self, context: bytes, *, keep: bytes | None = None) -> None:
        """Do nothing: one root key wraps every epoch."""

    def close(self) -> None:
        """Do nothing."""


def _misshapen() -> IntegrityFailed:
    return IntegrityFailed("A wrapped epoch key has a wrong shape", hint=_RESTORE)


def changed() -> IntegrityFailed:
    """Return the error for a blob that does not verify."""
    return IntegrityFailed("A wrapped epoch key was changed", hint=_RESTORE)


def _root_id(root_key: bytes) -> bytes:
    return hmac.digest(root_key, b"consentry root key id", hashlib.sha256)[:ROOT_ID_BYTES]


def _written(root_key: bytes, passphrase: bytes | None) -> str:
    root_id = _root_id(root_key).hex()
    if passphrase is None:
        body = f"{_HEADER} {root_id} {b64encode(root_key).decode()}"
    else:
        before = f"{_SEALED_HEADER} {root_id}"
        body = f"{before} {SealedRoot.seal(root_key, passphrase, before=before).words()}"
    return f"{body} {_check(body)}\n"


def _check(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _parsed(content: bytes, passphrase: Callable[[], bytes] | None) -> bytes:
    damaged = RootKeyDamaged("The root key file is damaged", hint="Put its backup back at the configured place.")
    try:
        body, _, check = content.decode("ascii").rstrip("\n").rpartition(" ")
        header, root_id, *rest = body.split(" ")
        if check != _check(body):
            raise damaged
        if header == _SEALED_HEADER:
            root_key = _unsealed(SealedRoot.parse(rest), f"{header} {root_id}", passphrase)
        else:
            _check_meant_plain(passphrase)
            (encoded,) = rest
            root_key = b64decode(encoded, validate=True)
    except (UnicodeDecodeError, ValueError, Base64Error):
        raise damaged from None
    whole = header in (_HEADER, _SEALED_HEADER) and len(root_key) == KEY_BYTES
    if not whole or _root_id(root_key).hex() != root_id:
        raise damaged
    return root_key


def _check_meant_plain(passphrase: Callable[[], bytes] | None) -> None:
    """Refuse a plain key where a passphrase is configured: its operator believes that a thief needs it."""
    if passphrase is not None:
        raise RootKeyWrong(
            "A passphrase is configured, and the root key file is not sealed under one",
            hint="Take the setting away, and move to a sealed file with `consentry keys rewrap-root --to`.",
        )


def _unsealed(sealed: SealedRoot, before: str, passphrase: Callable[[], bytes] | None) -> bytes:
    if passphrase is None:
        raise RootKeyWrong(
            "The root key is sealed under a passphrase, and none is configured",
            hint="Set root_key_passphrase_file or root_key_passphrase_credential.",
        )
    return sealed.open(passphrase(), before=before)
