"""Backup files: sealed to a recipient in chunks, signed by the log's signer; docs/reference/backup-format.md.

Chunks are sealed as in STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, 2015): the nonce counts them and marks the last,
so that chunks that were cut off, swapped or repeated do not open.
"""

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kernel.clock import format_instant, parse_instant
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput, IntegrityFailed, Unavailable
from kernel.files import sync_folder
from kernel.ports import Signer
from vault.backup_keys import BackupIdentity, BackupRecipient, BackupStore

MAGIC: Final = b"consentry backup 1\n"
"""Begins the file, and what is signed."""

CHUNK_BYTES: Final = 1 << 20
"""Of plaintext in each chunk but the last."""

HEADER_MAX_BYTES: Final = 1 << 16
TAG_BYTES: Final = 16
SIGNATURE_BYTES: Final = 64
SUFFIX: Final = ".backup"

_LENGTH_BYTES: Final = 4
_COUNTER_BYTES: Final = 11
_KEY_BYTES: Final = 32
_DAMAGED: Final = "Take another backup; nothing was restored."


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """What a backup says of itself, in clear; the sealed part is bound to it.

    Attributes:
        revision: of the store's schema.
        checkpoint: the log's signed note as of the backup.
        ends_at: of the key store: when its epoch ends at the latest, and the backup with it.
        epoch: of the key store: the open epoch.
        pair: id of the backup of the other store that was made together with this one; empty without one.
    """

    backup_id: str
    store: BackupStore
    deployment: str
    made_at: datetime
    revision: str
    checkpoint: str
    pair: str = ""
    ends_at: datetime | None = None
    epoch: str = ""

    def as_json(self) -> dict[str, JsonValue]:
        """Return it as the file has it, without what belongs to the sealing."""
        return {
            "v": 1,
            "backup": self.backup_id,
            "store": self.store.value,
            "deployment": self.deployment,
            "made_at": format_instant(self.made_at),
            "revision": self.revision,
            "checkpoint": self.checkpoint,
            "pair": self.pair,
            "ends_at": None if self.ends_at is None else format_instant(self.ends_at),
            "epoch": self.epoch,
        }

    @classmethod
    def parse(cls, said: dict[str, Any]) -> Self:
        """Read it back; raises ``LookupError``, ``ValueError`` or the like for anything else."""
        if said["v"] != 1:
            raise ValueError("another version")
        int(said["checkpoint"].split("\n", 2)[1])  # the size of the log
        return cls(
            backup_id=str(said["backup"]),
            store=BackupStore(said["store"]),
            deployment=str(said["deployment"]),
            made_at=parse_instant(said["made_at"]),
            revision=str(said["revision"]),
            checkpoint=str(said["checkpoint"]),
            pair=str(said["pair"]),
            ends_at=parse_instant(said["ends_at"]) if said["ends_at"] else None,
            epoch=str(said["epoch"]),
        )


class BackupWriter:
    """Takes plaintext and seals it chunk by chunk; flat in memory."""

    def __init__(self, file: IO[bytes], header: BackupHeader, recipient: BackupRecipient) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._number = 0
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        said = canonical_json(header.as_json() | {"recipient": recipient.key_id, "share": b64encode(share).decode()})
        secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public))
        self._aead = _aead(secret, share, recipient, said)
        self._put(MAGIC + len(said).to_bytes(_LENGTH_BYTES) + said)

    def write(self, plaintext: bytes) -> None:
        """Add plaintext."""
        self._waiting += plaintext
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]

    def finish(self, signer: Signer) -> None:
        """Seal the last chunk and sign all of it."""
        self._seal(bytes(self._waiting), is_last=True)
        self._file.write(signer.sign(MAGIC + self._digest.digest()))

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._put(self._aead.encrypt(_nonce(self._number, is_last=is_last), chunk, None))
        self._number += 1

    def _put(self, content: bytes) -> None:
        self._digest.update(content)
        self._file.write(content)


@contextmanager
def writing_backup(
    path: Path, header: BackupHeader, recipient: BackupRecipient, signer: Signer
) -> Iterator[BackupWriter]:
    """Write a backup that appears under its name whole, or not at all.

    Raises:
        BadInput: the recipient is of the other store.
        Unavailable: the folder cannot be written, or the disk is full; no half file is left under the name.
    """
    if recipient.store is not header.store:
        raise BadInput("The recipient is of the other store", hint="Each store has a key of its own.")
    draft = path.with_name(f".{path.name}.draft")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            writer = BackupWriter(file, header, recipient)
            yield writer
            writer.finish(signer)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        raise Unavailable(
            f"The backup cannot be written: {err.strerror}",
            hint="Nothing was kept; free space or choose another place.",
        ) from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


class BackupReader:
    """Gives a backup's plaintext, chunk by chunk; nothing of a chunk that does not verify."""

    def __init__(self, file: IO[bytes], identity: BackupIdentity, *, ends: int) -> None:
        header, said, share = _read_header(file)
        if identity.recipient.key_id != _recipient_of(said):
            raise IntegrityFailed("This backup is sealed to another key", hint="Name the key of its recipient.")
        self.header = header
        self._file, self._ends, self._number = file, ends, 0
        self._aead = _aead(identity.agree(share), share, identity.recipient, said)
        self._digest = hashlib.sha256(MAGIC + len(said).to_bytes(_LENGTH_BYTES) + said)
        self._ready = bytearray()
        self._is_over = False

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes.

        Raises:
            IntegrityFailed: a chunk was changed, moved or cut off, or there are not so many bytes.
        """
        while len(self._ready) < size:
            if self._is_over:
                raise IntegrityFailed("The backup ends too early", hint=_DAMAGED)
            self._ready += self._next()
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def check_end(self) -> None:
        """Raise ``IntegrityFailed`` unless everything was read."""
        if not self._is_over:
            self._ready += self._next()
        if not self._is_over or self._ready:
            raise IntegrityFailed("The backup goes on after its end", hint=_DAMAGED)

    def check_signed(self, public_key: bytes) -> None:
        """Raise ``IntegrityFailed`` unless what was read, to its end, is what this Ed25519 key signed.

        Whoever has the public half of a backup key can seal a file, and a place that others write to need not give the
        same file twice: what counts are the bytes that were opened.
        """
        self.check_end()
        _verify(public_key, self._file.read(), self._digest)

    def _next(self) -> bytes:
        left = self._ends - self._file.tell()
        is_last = left <= CHUNK_BYTES + TAG_BYTES
        sealed = self._file.read(min(max(left, 0), CHUNK_BYTES + TAG_BYTES))
        try:
            chunk = self._aead.decrypt(_nonce(self._number, is_last=is_last), sealed, None)
        except (InvalidTag, ValueError):
            raise IntegrityFailed(f"Chunk {self._number} of the backup does not verify", hint=_DAMAGED) from None
        self._digest.update(sealed)
        self._number += 1
        self._is_over = is_last
        return chunk


@contextmanager
def reading_backup(path: Path, identity: BackupIdentity) -> Iterator[BackupReader]:
    """Open a backup with its private key; what was read counts once ``check_signed`` has passed.

    Raises:
        IntegrityFailed: it is sealed to another key, or damaged.
        Unavailable: it cannot be read.
    """
    with _opened(path) as file:
        yield BackupReader(file, identity, ends=os.fstat(file.fileno()).st_size - SIGNATURE_BYTES)


def read_header(path: Path) -> BackupHeader:
    """Return what a file says of itself, unverified.

    Raises:
        IntegrityFailed: it is no backup.
        Unavailable: it cannot be read.
    """
    with _opened(path) as file:
        return _read_header(file)[0]


def check_signature(path: Path, public_key: bytes) -> BackupHeader:
    """Return the header of a backup that this Ed25519 key signed.

    Raises:
        IntegrityFailed: it was changed or cut off, or another key signed it.
        Unavailable: it cannot be read.
    """
    with _opened(path) as file:
        header, _, _ = _read_header(file)
        left = os.fstat(file.fileno()).st_size - SIGNATURE_BYTES
        file.seek(0)
        digest = hashlib.sha256()
        while left > 0:
            piece = file.read(min(left, CHUNK_BYTES))
            digest.update(piece)
            left -= len(piece)
        _verify(public_key, file.read(), digest)
    return header


def _verify(public_key: bytes, signature: bytes, digest: "hashlib._Hash") -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, MAGIC + digest.digest())
    except InvalidSignature:
        raise IntegrityFailed(
            "The backup was changed or cut off, or another log's key signed it", hint=_DAMAGED
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as err:
        raise Unavailable(f"The backup cannot be read: {err.strerror}", hint="Name another file.") from None


def _read_header(file: IO[bytes]) -> tuple[BackupHeader, bytes, bytes]:
    """Return the header, its bytes and the share in it."""
    broken = IntegrityFailed("This file is no backup", hint=f"Name a file that ends in {SUFFIX}.")
    if file.read(len(MAGIC)) != MAGIC:
        raise broken
    length = int.from_bytes(file.read(_LENGTH_BYTES))
    if length > HEADER_MAX_BYTES:
        raise broken
    content = file.read(length)
    try:
        said = json.loads(content)
        return BackupHeader.parse(said), content, b64decode(said["share"], validate=True)
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError, BadInput):
        raise broken from None


def _recipient_of(said: bytes) -> str:
    return str(json.loads(said).get("recipient"))


def _aead(secret: bytes, share: bytes, recipient: BackupRecipient, header: bytes) -> AESGCM:
    """Return the file's cipher: HKDF-SHA256 (RFC 5869) over the agreed secret, bound to both halves and the header."""
    info = MAGIC + hashlib.sha256(header).digest()
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=share + recipient.public, info=info).derive(secret))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES) + bytes((is_last,))
