"""What a lower package needs from a higher one; implemented above, passed in by ``consentry``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from kernel.encoding import JsonValue
from kernel.ids import SubjectId


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        ...

    def not_before(self, instant: datetime) -> None:
        """Be told of an instant that has been: a clock that goes by itself goes on from there."""
        ...


class Signer(Protocol):
    """Signs with one Ed25519 key."""

    @property
    def name(self) -> str:
        """The key's name: a URL-like text without spaces or plus signs (C2SP signed-note)."""
        ...

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the Ed25519 public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature (RFC 8032)."""
        ...


class Sealer(Protocol):
    """Encrypts small details that must lie beside an entry or a decision, never inside the log."""

    def seal_details(self, details: Mapping[str, JsonValue], *, context: str) -> bytes:
        """Return the sealed details, bound to ``context`` (for example the entry id)."""
        ...

    def open_details(self, sealed: bytes, *, context: str) -> Mapping[str, JsonValue]:
        """Return the details; raises ``IntegrityFailed`` when the context differs."""
        ...

    def mark_texts(self, texts: Sequence[str]) -> list[bytes]:
        """Return 32 bytes for each text that nobody without the key store can make, always the same ones."""
        ...


class Tokeniser(Protocol):
    """Gives pseudonyms: stable within a scope, unlinkable across scopes."""

    def pseudonyms(self, subjects: Sequence[SubjectId], *, scope: str) -> dict[SubjectId, str]:
        """Return one pseudonym for each subject in the scope."""
        ...

    def token(self, value: str, *, scope: str) -> str:
        """Return the keyed token of any other identifying value (a doctor, a device) in the scope."""
        ...
