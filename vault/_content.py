"""The content of an attachment: sealed in chunks under a key of its own. For the modules of this package alone.

After STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015, section 7): each chunk's number and whether it is the last one
are authenticated, so that chunks which were dropped, moved, repeated or taken from another content do not open. Nonces
are random, not counted: nothing has to be remembered for a key to stay safe.
"""

import json
import os
from struct import Struct
from typing import Final, NoReturn, final

from cryptography.exceptions import InvalidTag

from kernel.encoding import JsonValue, canonical_json
from kernel.errors import IntegrityFailed
from vault.envelope import length_prefixed
from vault.suites import NONCE_BYTES, TAG_BYTES, Suite, suite_of

CHUNK_BYTES: Final = 256 * 1024
"""Plaintext of a chunk: large enough that its own 28 bytes do not count, small beside what a process has."""

CONTENT_KEY_SCHEMA: Final = 2
"""The schema version of a wrapped content key; that of field values is 1, so that neither is taken for the other."""

_WHAT: Final = length_prefixed("consentry attachment 1")
_PLACE: Final = Struct(">IB")
_MORE: Final = 0
_LAST: Final = 1
_DETAILS: Final = 2


@final
class ContentKey:
    """The key of one attachment's content; can neither be printed nor serialised."""

    __slots__ = ("_aead", "_prefix", "_record", "_secret", "suite")

    def __init__(self, secret: bytes, suite: Suite, record: str) -> None:
        if len(secret) != suite.key_bytes:
            raise _changed(record)
        self.suite = suite
        self._aead = suite.aead(secret)
        self._secret = secret
        self._record = record
        self._prefix = _WHAT + bytes((suite.code,)) + length_prefixed(record)

    def seal(self, plaintext: bytes, *, number: int, is_last: bool) -> bytes:
        """Return a sealed chunk: nonce (12) | ciphertext and tag (16)."""
        return self._seal(plaintext, _PLACE.pack(number, _LAST if is_last else _MORE))

    def open(self, sealed: bytes, *, number: int, is_last: bool) -> bytes:
        """Return a chunk's plaintext.

        Raises:
            IntegrityFailed: a byte differs, or the chunk belongs to another place or content.
        """
        return self._open(sealed, _PLACE.pack(number, _LAST if is_last else _MORE))

    def seal_details(self, details: JsonValue) -> bytes:
        """Return what is told of the content, sealed like a chunk and never taken for one."""
        return self._seal(canonical_json(details), _PLACE.pack(0, _DETAILS))

    def open_details(self, sealed: bytes) -> JsonValue:
        """Return what ``seal_details`` sealed; raises ``IntegrityFailed``."""
        told: JsonValue = json.loads(self._open(sealed, _PLACE.pack(0, _DETAILS)))
        return told

    def as_plaintext(self) -> bytes:
        """Return suite (1) | key, to be sealed under a data key at once."""
        return bytes((self.suite.code,)) + self._secret

    def _seal(self, plaintext: bytes, place: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, self._prefix + place)

    def _open(self, sealed: bytes, place: bytes) -> bytes:
        if not NONCE_BYTES + TAG_BYTES <= len(sealed) <= NONCE_BYTES + CHUNK_BYTES + TAG_BYTES:
            raise _changed(self._record)
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._prefix + place)
        except InvalidTag:
            raise _changed(self._record) from None

    def __repr__(self) -> str:
        return f"ContentKey({self._record})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A content key is never serialised")


def new_content_key(suite: Suite, record: str) -> ContentKey:
    """Return a fresh key for one attachment."""
    return ContentKey(os.urandom(suite.key_bytes), suite, record)


def read_content_key(plaintext: bytes, record: str) -> ContentKey:
    """Return the key that ``ContentKey.as_plaintext`` wrote.

    Raises:
        IntegrityFailed: the bytes are no content key.
    """
    if not plaintext:
        raise _changed(record)
    return ContentKey(plaintext[1:], suite_of(plaintext[0]), record)


def _changed(record: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"The content of attachment {record} does not verify",
        hint="Stored bytes were changed, moved or cut off; restore them from a backup of the data store.",
    )
