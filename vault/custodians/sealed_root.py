"""A root key under a passphrase: the text that stands in the key file in the place of the key."""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kernel.errors import BadInput, ConfigurationError

MIN_PASSPHRASE_BYTES: Final = 12
"""Below that an offline search is not far enough out of reach, whatever scrypt costs."""

_LOG_N: Final = 17
_MAX_LOG_N: Final = 20
_R: Final = 8
_P: Final = 1
"""N = 2^17, r = 8, p = 1: 128 MiB and about half a second (OWASP Password Storage Cheat Sheet; RFC 7914)."""

_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_NAME: Final = "scrypt"


class PassphraseWrong(ConfigurationError):
    """The passphrase does not open the root key."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What scrypt costs.

    Attributes:
        log_n: binary logarithm of N, 17 to 20.
    """

    log_n: int = _LOG_N

    def key(self, passphrase: bytes, salt: bytes) -> bytes:
        """Return the key that the passphrase stands for (RFC 7914)."""
        return Scrypt(salt=salt, length=_KEY_BYTES, n=1 << self.log_n, r=_R, p=_P).derive(passphrase)


@dataclass(frozen=True, slots=True)
class SealedRoot:
    """A root key under a passphrase, as it stands in the key file.

    In words: ``scrypt LOG_N R P SALT SEALED``; SALT is base64 of 16 bytes, SEALED base64 of nonce (12) | ciphertext and
    tag (48) under AES-256-GCM, with what stands before it on the line as associated data.
    """

    cost: Cost
    salt: bytes
    sealed: bytes

    @classmethod
    def seal(cls, root_key: bytes, passphrase: bytes, *, before: str) -> Self:
        """Seal a root key.

        Args:
            root_key: 32 bytes.
            passphrase: at least 12 bytes.
            before: what will stand before it on the line; authenticated.
        Raises:
            BadInput: the passphrase is shorter.
        """
        if len(passphrase) < MIN_PASSPHRASE_BYTES:
            raise BadInput(
                f"The passphrase of the root key is shorter than {MIN_PASSPHRASE_BYTES} bytes",
                hint="Use six random words, or more.",
            )
        cost, salt, nonce = Cost(), os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        bound = _bound(before, cost, salt)
        return cls(cost, salt, nonce + AESGCM(cost.key(passphrase, salt)).encrypt(nonce, root_key, bound))

    @classmethod
    def parse(cls, words: list[str]) -> Self:
        """Read the words.

        Raises:
            ValueError: they are none of ours; a cost beyond the bounds counts as that, so that a changed file can
                neither weaken the key nor exhaust the machine.
        """
        name, log_n, r, p, salt_text, sealed_text = words
        try:
            salt, sealed = b64decode(salt_text, validate=True), b64decode(sealed_text, validate=True)
        except Base64Error:
            raise ValueError("no base64") from None
        is_ours = (name, r, p) == (_NAME, str(_R), str(_P)) and _LOG_N <= int(log_n) <= _MAX_LOG_N
        if not is_ours or len(salt) != _SALT_BYTES or len(sealed) != _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES:
            raise ValueError("another shape")
        return cls(Cost(int(log_n)), salt, sealed)

    def open(self, passphrase: bytes, *, before: str) -> bytes:
        """Return the root key.

        Raises:
            PassphraseWrong: the passphrase is another, or the file was changed by somebody who made its check anew.
        """
        aead = AESGCM(self.cost.key(passphrase, self.salt))
        try:
            return aead.decrypt(
                self.sealed[:_NONCE_BYTES], self.sealed[_NONCE_BYTES:], _bound(before, self.cost, self.salt)
            )
        except InvalidTag:
            raise PassphraseWrong(
                "The passphrase does not open the root key",
                hint="Check the passphrase's file, and that of the root key.",
            ) from None

    def words(self) -> str:
        """Return the text for the key file."""
        return f"{_words(self.cost, self.salt)} {b64encode(self.sealed).decode()}"


def _words(cost: Cost, salt: bytes) -> str:
    return f"{_NAME} {cost.log_n} {_R} {_P} {b64encode(salt).decode()}"


def _bound(before: str, cost: Cost, salt: bytes) -> bytes:
    return f"{before} {_words(cost, salt)}".encode()
