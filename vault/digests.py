"""Keyed digests for parts above that must recognise personal content again without storing it."""

from collections.abc import Sequence

from vault._keyring import KeyKind, keyring_of
from vault.envelope import length_prefixed
from vault.keystore import KeyStore


class Digests:
    """HMAC under service keys of the key store, of each key's suite; without that store a digest tells nothing."""

    def __init__(self, keystore: KeyStore) -> None:
        self._keyring = keyring_of(keystore)

    def digest_many(self, name: str, contents: Sequence[bytes]) -> list[bytes]:
        """Return 32 bytes for each content: its digest under the key of this name, made at its first use."""
        if not contents:
            return []
        key = self._keyring.mac_keys(KeyKind.SERVICE, [name])[name]
        return [key.digest_stream([length_prefixed(name), content]) for content in contents]
