"""Stable pseudonyms: the same value in one scope has the same token, in another scope another: 〔姓名·K7Q2M9XA〕."""

import hmac
from base64 import b32encode
from collections.abc import Sequence
from typing import Final

from deid.text.kinds import MARKS
from deid.text.operators.setting import Found, Setting
from kernel.ids import SubjectId

LEAST_LETTERS: Final = 4
MOST_LETTERS: Final = 26
_LETTERS: Final = 8
"""40 bits: among ten thousand values of a scope two share a token once in twenty thousand scopes."""

_KEY_BYTES: Final = 32


class Pseudonym:
    """Leaves the kind and a keyed token of the value.

    Args:
        letters: of the token.
    """

    needs = frozenset(("tokeniser",))

    def __init__(self, letters: int = _LETTERS) -> None:
        self._letters = letters

    def replace(self, found: Found, setting: Setting) -> str:
        """Return the token in the mark of the kind."""
        token = setting.token(found.kind.value, found.identity(setting.own))
        return f"{MARKS[found.kind][:-1]}·{token[: self._letters].upper()}〕"


class KeyedTokeniser:
    """A ``kernel.ports.Tokeniser`` of a key that the caller holds, for texts that no vault keeps.

    Args:
        key: 32 random bytes; whoever has them can tell which token is whose.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY_BYTES:
            raise ValueError("a tokeniser's key has 32 bytes at least")
        self._key = key

    def pseudonyms(self, subjects: Sequence[SubjectId], *, scope: str) -> dict[SubjectId, str]:
        """Return one pseudonym for each subject in the scope."""
        return {subject: self._token("subject", subject, scope) for subject in subjects}

    def token(self, value: str, *, scope: str) -> str:
        """Return the keyed token of a value in the scope: 128 bits of HMAC-SHA-256 in base32."""
        return self._token("token", value, scope)

    def _token(self, what: str, value: str, scope: str) -> str:
        parts = (part.encode() for part in (what, scope, value))
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return b32encode(hmac.digest(self._key, message, "sha256")[:16]).decode().rstrip("=").lower()
