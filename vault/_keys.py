"""Keys in memory; they can neither be printed nor serialised. For the modules of this package alone."""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, Generic, NoReturn, TypeVar, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.catalogue import Compartment
from kernel.errors import IntegrityFailed, Unavailable
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault.envelope import NONCE_BYTES, DataKey, length_prefixed

Pair = tuple[SubjectId, Compartment]
"""What has a data key of its own."""

DIGEST_BYTES: Final = 16
"""128 bits: among 10^9 values a chance meeting is a 10^-21 event."""

_HOLD_FOR: Final = timedelta(seconds=60)

_K = TypeVar("_K")


class KeyUnavailable(Unavailable):
    """A key that is needed is not in the key store."""


@final
class WrappingKey:
    """An epoch's key-encryption key."""

    __slots__ = ("_aead", "epoch_id")

    def __init__(self, epoch_id: str, key: bytes) -> None:
        self.epoch_id = epoch_id
        self._aead = AESGCM(key)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return nonce (12) | ciphertext and tag (48)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key.

        Raises:
            IntegrityFailed: the blob was changed, or belongs to another context or epoch.
        """
        try:
            return self._aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise IntegrityFailed("A wrapped key was changed", hint="Restore the key store from a backup.") from None

    def __repr__(self) -> str:
        return f"WrappingKey(epoch_id={self.epoch_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A wrapping key is never serialised")


@final
class MacKey:
    """A key for digests."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, message: bytes) -> bytes:
        """Return HMAC-SHA256 cut to 16 bytes (RFC 2104 section 5)."""
        return hmac.digest(self._key, message, "sha256")[:DIGEST_BYTES]

    def digest_stream(self, pieces: Iterable[bytes]) -> bytes:
        """Return the whole 32 bytes over the pieces' concatenation."""
        state = hmac.new(self._key, digestmod=hashlib.sha256)
        for piece in pieces:
            state.update(piece)
        return state.digest()

    def __repr__(self) -> str:
        return "MacKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is never serialised")


@final
class UnlockedKeys:
    """The data keys of one unit of work."""

    __slots__ = ("_by_id", "_newest")

    def __init__(self) -> None:
        self._by_id: dict[bytes, DataKey] = {}
        self._newest: dict[Pair, DataKey] = {}

    def add(self, pair: Pair, key: DataKey) -> None:
        """Hold a key; the last one of a pair seals, every one opens."""
        self._by_id[key.key_id] = key
        self._newest[pair] = key

    def sealing(self, pair: Pair) -> DataKey:
        """Return the key that new values are sealed under.

        Raises:
            KeyUnavailable: there is none; ``KeyStore.ensure_data_keys`` comes first.
        """
        key = self._newest.get(pair)
        if key is None:
            raise KeyUnavailable(
                f"Subject {pair[0]} has no key for compartment {pair[1]}", hint="Make keys durable before their rows."
            )
        return key

    def opening(self, key_id: bytes) -> DataKey:
        """Return the key with this id.

        Raises:
            KeyUnavailable: it is not held.
        """
        key = self._by_id.get(key_id)
        if key is None:
            raise KeyUnavailable(f"Data key {key_id.hex()} is missing", hint="Restore the key store from a backup.")
        return key

    def __contains__(self, key_id: bytes) -> bool:
        return key_id in self._by_id

    def drop(self) -> None:
        """Forget every key."""
        self._by_id.clear()
        self._newest.clear()

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"UnlockedKeys({len(self)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never serialised")


class Held(Generic[_K]):
    """One key that is asked for again and again, kept for at most a minute by the clock.

    For service and scope keys only; data keys are dropped with their unit of work.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: tuple[object, datetime, _K] | None = None

    def get(self, name: object, load: Callable[[], _K]) -> _K:
        """Return the key of this name; any other that was kept is dropped."""
        now = self._clock.now()
        if self._kept is not None and self._kept[0] == name and timedelta(0) <= now - self._kept[1] < _HOLD_FOR:
            return self._kept[2]
        key = load()
        self._kept = (name, now, key)
        return key

    def drop(self) -> None:
        """Forget the key."""
        self._kept = None


def epoch_context(epoch_id: str) -> bytes:
    """Return what an epoch key is bound to."""
    return length_prefixed("consentry epoch key 1", epoch_id)


def data_key_context(key_id: bytes, subject: str, compartment: str) -> bytes:
    """Return what a data key is bound to."""
    return length_prefixed("consentry data key 1", subject, compartment) + key_id


def named_key_context(key_id: bytes, kind: str, name: str, version: int) -> bytes:
    """Return what a named key is bound to."""
    return length_prefixed("consentry named key 1", kind, name, str(version)) + key_id
