"""Details: small sealed documents beside audit entries and decisions; and marks of what lies there unsealed."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from kernel.encoding import JsonValue, canonical_json
from kernel.errors import IntegrityFailed
from vault._keyring import KeyKind, keyring_of
from vault._keys import Held, MacKey
from vault.envelope import Binding, DataKey, alone, length_prefixed, open_value, read_key_id, seal_value
from vault.keystore import KeyStore
from vault.suites import AES, Suite

_NAME: Final = "details"
_SCHEMA_VERSION: Final = 1
_MARKS: Final = "marks"


class DetailSealer:
    """Implements ``kernel.ports.Sealer`` with one key for each year, so that a year can be destroyed as a whole.

    The sealed bytes have the envelope's format; the binding's record is the context. They lie beside what never
    changes and are not resealed: a suite that is chosen within a year has a key of its own for the rest of it.
    """

    def __init__(self, keystore: KeyStore) -> None:
        self._keyring = keyring_of(keystore)
        self._held: Held[DataKey] = Held(self._keyring.clock)
        self._marking: Held[MacKey] = Held(self._keyring.clock)

    def seal_details(self, details: Mapping[str, JsonValue], *, context: str) -> bytes:
        """Return the sealed details, bound to ``context``.

        Raises:
            BadInput: the details have no canonical form, or more than 64 KiB.
        """
        year, name = self._keyring.clock.now().year, _key_name(self._keyring.suite)
        key = self._held.get(year, lambda: self._keyring.aead_key(KeyKind.DETAILS, name, year))
        return seal_value(canonical_json(details), data_key=key, binding=_binding(context))

    def open_details(self, sealed: bytes, *, context: str) -> Mapping[str, JsonValue]:
        """Return the details.

        Raises:
            IntegrityFailed: the bytes or the context differ, or their year's key was destroyed.
        """
        key_id = read_key_id(sealed)
        key = self._keyring.find_aead_key(KeyKind.DETAILS, key_id)
        if key is None:
            raise IntegrityFailed(f"The key {key_id.hex()} of sealed details does not exist")
        details = json.loads(open_value(sealed, data_key=key, binding=_binding(context)))
        if not isinstance(details, dict):
            raise IntegrityFailed("Sealed details are no object")
        return details

    def mark_texts(self, texts: Sequence[str]) -> list[bytes]:
        """Return the HMAC (32 bytes) of each text under one service key, made at its first use."""
        key = self._marking.get(_MARKS, lambda: self._keyring.mac_keys(KeyKind.SERVICE, [_MARKS])[_MARKS])
        return key.digests_after(length_prefixed(_MARKS), [text.encode() for text in texts])

    def release(self) -> None:
        """Drop the keys that are held between calls; they go by themselves after a minute."""
        self._held.drop()
        self._marking.drop()


def _key_name(suite: Suite) -> str:
    return _NAME if suite is AES else f"{_NAME} {suite.name}"


def _binding(context: str) -> Binding:
    return Binding(alone(deployment="", subject="", record=context), field=_NAME, schema_version=_SCHEMA_VERSION)
