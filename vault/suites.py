"""Suites: which algorithms a key is for. The code of a key's suite stands in every value that the key seals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from kernel.errors import ConfigurationError, IntegrityFailed

NONCE_BYTES: Final = 12
"""NIST SP 800-38D section 8.2.2: random nonces of 96 bits, at most 2^32 values under one key (section 8.3)."""

TAG_BYTES: Final = 16

MAC_KEY_BYTES: Final = 32
"""As long as the digest of either suite (RFC 2104 section 3)."""


class Aead(Protocol):
    """Authenticated encryption under one key, with nonces of 96 bits and tags of 128 bits."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext; raises ``InvalidTag``."""
        ...


@final
class GcmAead:
    """GCM over a block cipher for which cryptography has no class of its own; ``data`` holds at least the tag."""

    __slots__ = ("_algorithm",)

    def __init__(self, algorithm: BlockCipherAlgorithm) -> None:
        self._algorithm = algorithm

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return ciphertext and tag."""
        context = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(associated_data)
        return context.update(data) + context.finalize() + context.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Return the plaintext; raises ``InvalidTag``."""
        context = Cipher(self._algorithm, modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        context.authenticate_additional_data(associated_data)
        return context.update(data[:-TAG_BYTES]) + context.finalize()


@dataclass(frozen=True, slots=True)
class Suite:
    """Algorithms that belong together.

    Attributes:
        code: the byte that names it in a sealed value, and its number in the key store.
        name: as settings and reports call it.
        algorithms: in words.
        key_bytes: of a key that seals or wraps.
        aead: makes the authenticated encryption of a key.
        digest: what HMAC is made of.
        block: the block cipher of a key, with blocks of 16 bytes.
    """

    code: int
    name: str
    algorithms: str
    key_bytes: int
    aead: Callable[[bytes], Aead]
    digest: hashes.HashAlgorithm
    block: Callable[[bytes], BlockCipherAlgorithm]

    def mac(self, key: bytes) -> HMAC:
        """Return an HMAC (RFC 2104) that has taken in nothing yet."""
        return HMAC(key, self.digest)


AES: Final = Suite(
    code=1,
    name="aes",
    algorithms="AES-256-GCM, HMAC-SHA256, SHA-256",
    key_bytes=32,
    aead=AESGCM,
    digest=hashes.SHA256(),
    block=algorithms.AES,
)
"""NIST SP 800-38D over FIPS 197; FIPS 198-1 over FIPS 180-4."""

SM: Final = Suite(
    code=2,
    name="sm",
    algorithms="SM4-GCM, HMAC-SM3, SM3",
    key_bytes=16,
    aead=lambda key: GcmAead(algorithms.SM4(key)),
    digest=hashes.SM3(),
    block=algorithms.SM4,
)
"""GB/T 32907-2016 (SM4) in GCM as in RFC 8998; HMAC over GB/T 32905-2016 (SM3)."""

SUITES: Final = {suite.code: suite for suite in (AES, SM)}


@lru_cache(maxsize=len(SUITES))
def suite_of(code: int) -> Suite:
    """Return the suite with this code.

    Raises:
        IntegrityFailed: there is none.
        ConfigurationError: the OpenSSL that is linked cannot do it.
    """
    suite = SUITES.get(code)
    if suite is None:
        raise IntegrityFailed(f"Suite {code} is unknown", hint="A newer release may have written it.")
    check_supported(suite)
    return suite


def suite_named(name: str) -> Suite:
    """Return the suite that a setting names.

    Raises:
        ConfigurationError: there is none, or the OpenSSL that is linked cannot do it.
    """
    for suite in SUITES.values():
        if suite.name == name:
            return suite_of(suite.code)
    raise ConfigurationError(
        f"There is no suite {name!a}", hint=f"Choose one of {', '.join(suite.name for suite in SUITES.values())}."
    )


def check_supported(suite: Suite) -> None:
    """Seal and digest nothing, to see that it can be done.

    Raises:
        ConfigurationError: the OpenSSL that is linked cannot do it.
    """
    try:
        suite.aead(bytes(suite.key_bytes)).encrypt(bytes(NONCE_BYTES), b"", b"")
        suite.mac(bytes(MAC_KEY_BYTES))
    except UnsupportedAlgorithm:
        raise ConfigurationError(
            f"The OpenSSL of this machine cannot do {suite.algorithms}",
            hint="Install the wheel of `cryptography` from PyPI, or an OpenSSL with these algorithms.",
        ) from None
