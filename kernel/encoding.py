"""Canonical bytes: one value has one encoding, so that hashes and signatures mean the same everywhere."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kernel.errors import BadInput

JsonValue: TypeAlias = "bool | int | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"

_MAX_SAFE_INTEGER = 2**53 - 1
"""RFC 8785 section 3.2.2.3: integers beyond this do not survive other parsers."""


def canonical_json(value: JsonValue) -> bytes:
    """Encode a value as RFC 8785 canonical JSON without floats.

    Args:
        value: None, booleans, integers within ±(2^53 - 1), strings, lists and string-keyed mappings. Decimals and
            instants are given as strings.
    Returns:
        UTF-8 bytes, keys sorted by UTF-16 code units, no white space.
    Raises:
        BadInput: a float, another type, an unpaired surrogate or an integer out of range.
    Source: RFC 8785, restricted to values that need no number formatting.
    """
    try:
        return json.dumps(_prepared(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise BadInput("Text with an unpaired surrogate has no canonical form", hint="Send valid Unicode.") from None


def digest(value: JsonValue) -> str:
    """Return the SHA-256 of the canonical encoding, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _prepared(value: JsonValue) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE_INTEGER:
            raise BadInput("An integer beyond 2^53 has no canonical form", hint="Send it as a string.")
        return value
    if isinstance(value, Mapping):
        return {key: _prepared(value[key]) for key in sorted(value, key=_utf16_order)}
    if isinstance(value, list | tuple):
        return [_prepared(item) for item in value]
    raise BadInput(f"A value of type {type(value).__name__} has no canonical form", hint="Use strings for decimals.")


def _utf16_order(key: str) -> bytes:
    if not isinstance(key, str):
        raise BadInput("An object key must be a string", hint="Convert the keys to text.")
    return key.encode("utf-16-be", "surrogatepass")
