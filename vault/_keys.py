"""Keys in memory; they can neither be printed nor serialised. For the modules of this package alone."""

import os
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Generic, NoReturn, TypeVar, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from kernel.catalogue import Compartment
from kernel.errors import IntegrityFailed, Unavailable
from kernel.ids import SubjectId
from kernel.ports import Clock
from vault.envelope import DataKey, length_prefixed, one_prefixed
from vault.suites import MAC_KEY_BYTES, NONCE_BYTES, TAG_BYTES, Suite, suite_of

Pair = tuple[SubjectId, Compartment]
"""What has a data key of its own."""

DIGEST_BYTES: Final = 16
"""128 bits: among 10^9 values a chance meeting is a 10^-21 event."""

EPOCH_SECRET_BYTES: Final = 32
"""What a custodian wraps, whatever the epoch's suite: a shorter key is its beginning."""

_MIN_WRAPPED_BYTES: Final = NONCE_BYTES + 16 + TAG_BYTES
_MAX_WRAPPED_BYTES: Final = NONCE_BYTES + 32 + TAG_BYTES

_HOLD_FOR: Final = timedelta(seconds=60)

_K = TypeVar("_K")


class KeyUnavailable(Unavailable):
    """A key that is needed is not in the key store."""


def _changed() -> IntegrityFailed:
    return IntegrityFailed("A wrapped key was changed", hint="Restore the key store from a backup.")


@final
class WrappingKey:
    """An epoch's key-encryption key; what it wraps may be of another suite."""

    __slots__ = ("_aead", "epoch_id")

    def __init__(self, epoch_id: str, secret: bytes, suite: Suite) -> None:
        if len(secret) != EPOCH_SECRET_BYTES:
            raise IntegrityFailed("An epoch key has a wrong length", hint="Restore the key store from a backup.")
        self.epoch_id = epoch_id
        self._aead = suite.aead(secret[: suite.key_bytes])

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return nonce (12) | ciphertext and tag (the key's length and 16)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the wrapped key.

        Raises:
            IntegrityFailed: the blob was changed, or belongs to another context or epoch.
        """
        if not _MIN_WRAPPED_BYTES <= len(blob) <= _MAX_WRAPPED_BYTES:
            raise _changed()
        try:
            return self._aead.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], context)
        except InvalidTag:
            raise _changed() from None

    def __repr__(self) -> str:
        return f"WrappingKey(epoch_id={self.epoch_id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A wrapping key is never serialised")


@final
class MacKey:
    """A key for digests, HMAC of its suite; holds the keyed state only."""

    __slots__ = ("_state", "suite")

    def __init__(self, key: bytes, suite: Suite) -> None:
        if len(key) != MAC_KEY_BYTES:
            raise IntegrityFailed("A key for digests has a wrong length", hint="Restore the key store from a backup.")
        self.suite = suite
        self._state = suite.mac(key)

    def digest(self, message: bytes) -> bytes:
        """Return the HMAC cut to 16 bytes (RFC 2104 section 5)."""
        state = self._state.copy()
        state.update(message)
        return state.finalize()[:DIGEST_BYTES]

    def digest_stream(self, pieces: Iterable[bytes]) -> bytes:
        """Return the whole 32 bytes over the pieces' concatenation."""
        state = self._state.copy()
        for piece in pieces:
            state.update(piece)
        return state.finalize()

    def digests_after(self, beginning: bytes, ends: Iterable[bytes]) -> list[bytes]:
        """Return the whole 32 bytes over each end after one beginning, which is digested once."""
        begun = self._state.copy()
        begun.update(beginning)
        digests = []
        for end in ends:
            state = begun.copy()
            state.update(end)
            digests.append(state.finalize())
        return digests

    def __repr__(self) -> str:
        return "MacKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is never serialised")


@final
class BlindingKey:
    """A subject's own key, by which digests of its contents are stored; without it they are random bytes.

    One digest is one block of the suite's cipher, so that it needs no nonce, stays as long as it was and is the same
    each time: equal contents of a subject are found, and whoever knows what is stored can move it to another key.
    """

    __slots__ = ("_blind", "_cipher", "key_id")

    def __init__(self, key_id: bytes, key: bytes, suite: Suite) -> None:
        if len(key) != suite.key_bytes:
            raise IntegrityFailed("A blinding key has a wrong length", hint="Restore the key store from a backup.")
        self.key_id = key_id
        self._cipher = Cipher(suite.block(key), modes.ECB())  # noqa: S305 - one block, which is a digest and never repeats
        self._blind = self._cipher.encryptor()

    def blind(self, digest: bytes) -> bytes:
        """Return a digest of 16 bytes as it is stored."""
        return self._blind.update(digest)

    def unblind(self, stored: bytes) -> bytes:
        """Return the digest again."""
        return self._cipher.decryptor().update(stored)

    def __repr__(self) -> str:
        return f"BlindingKey({self.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key is never serialised")


@final
class UnlockedKeys:
    """The data keys of one unit of work."""

    __slots__ = ("_added", "_by_id", "_newest")

    def __init__(self) -> None:
        self._by_id: dict[bytes, DataKey] = {}
        self._newest: dict[Pair, DataKey] = {}
        self._added: list[tuple[Pair, DataKey]] = []

    def add(self, pair: Pair, key: DataKey) -> None:
        """Hold a key; the last one of a pair seals, every one opens."""
        self._by_id[key.key_id] = key
        self._added.append((pair, key))

    def sealing(self, pair: Pair) -> DataKey:
        """Return the key that new values are sealed under.

        Raises:
            KeyUnavailable: there is none; ``KeyStore.ensure_data_keys`` comes first.
        """
        key = self._sealing().get(pair)
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

    def has(self, pair: Pair) -> bool:
        """Say whether there is a key that new values of the pair can be sealed under."""
        return pair in self._sealing()

    def __contains__(self, key_id: bytes) -> bool:
        return key_id in self._by_id

    def missing(self, named: Collection[tuple[bytes, str]]) -> set[bytes]:
        """Return those of the named keys that are not held, whosever they are said to be."""
        return {key_id for key_id, _ in named if key_id not in self._by_id}

    def drop(self) -> None:
        """Forget every key."""
        self._by_id.clear()
        self._newest.clear()
        self._added.clear()

    def _sealing(self) -> dict[Pair, DataKey]:
        """Return the keys by pair, which whoever only opens never asks for."""
        if self._added:
            self._newest.update(self._added)
            self._added.clear()
        return self._newest

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"UnlockedKeys({len(self)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never serialised")


Unwrap = Callable[[bytes, bytes], bytes]
"""Returns a key from its wrapped form and its context; see ``WrappingKey.unwrap``."""

StoredKey = tuple[bytes, str, bytes, int, Unwrap]
"""Key id, compartment, the wrapped key, its suite, and what unwraps it."""


@final
class WrappedKeys:
    """The data keys of some subjects as they are stored, for one unit of work.

    Each is unwrapped when its subject's turn comes, so that of a cohort one person's keys are in clear at a time.
    """

    __slots__ = ("_by_subject", "_owners")

    def __init__(self) -> None:
        self._by_subject: dict[SubjectId, list[StoredKey]] = {}
        self._owners: dict[bytes, SubjectId] = {}

    def add(self, subject: SubjectId, key: StoredKey) -> None:
        """Hold a key, after those of the subject that are older."""
        self._by_subject.setdefault(subject, []).append(key)
        self._owners[key[0]] = subject

    def subjects(self) -> Collection[SubjectId]:
        """Return whose keys these are."""
        return self._by_subject

    def unlock(self, subject: SubjectId, into: UnlockedKeys) -> None:
        """Unwrap the keys of a subject.

        Raises:
            IntegrityFailed: one was changed.
        """
        named = one_prefixed(subject)
        for key_id, compartment, blob, suite, unwrap in self._by_subject.get(subject, ()):
            before, after = _around_subject(compartment, suite)  # as ``data_key_context`` has it
            key = unwrap(blob, before + named + after + key_id)
            into.add((subject, _COMPARTMENTS[compartment]), DataKey(key_id, key, suite_of(suite)))

    def missing(self, named: Collection[tuple[bytes, str]]) -> set[bytes]:
        """Return those of the named keys that are not held, or are another subject's than is said."""
        owner = self._owners.get
        return {key_id for key_id, subject in named if owner(key_id) != subject}

    def drop(self) -> None:
        """Forget every key, and with them what unwraps them."""
        self._by_subject.clear()
        self._owners.clear()

    def __len__(self) -> int:
        return len(self._owners)

    def __repr__(self) -> str:
        return f"WrappedKeys({len(self)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never serialised")


_COMPARTMENTS: Final = {compartment.value: compartment for compartment in Compartment}


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


def epoch_context(epoch_id: str, suite: int) -> bytes:
    """Return what an epoch key is bound to; the number of its suite ends the first text, here and below."""
    return length_prefixed(f"consentry epoch key {suite}", epoch_id)


def data_key_context(key_id: bytes, subject: str, compartment: str, suite: int) -> bytes:
    """Return what a data key is bound to."""
    before, after = _around_subject(compartment, suite)
    return before + one_prefixed(subject) + after + key_id


@lru_cache(maxsize=256)
def _around_subject(compartment: str, suite: int) -> tuple[bytes, bytes]:
    return one_prefixed(f"consentry data key {suite}"), one_prefixed(compartment)


def named_key_context(key_id: bytes, kind: str, name: str, version: int, suite: int) -> bytes:
    """Return what a named key is bound to."""
    return length_prefixed(f"consentry named key {suite}", kind, name, str(version)) + key_id


def blinding_key_context(key_id: bytes, subject: str, generation: int, suite: int) -> bytes:
    """Return what a blinding key is bound to."""
    return length_prefixed(f"consentry blinding key {suite}", subject, str(generation)) + key_id
