"""Rows sealed and opened whole, in one pass over their bytes. For the modules of this package alone: it opens.

What comes out is what ``envelope`` and ``payload`` would make of it, value by value. Most rows say each field once and
were never corrected; where anything is otherwise than it should be nothing is opened, and ``_opening`` takes the rows
value by value and says what is wrong.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from itertools import chain, repeat
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class
from typing import Final

from cryptography.exceptions import InvalidTag

from kernel.errors import IntegrityFailed
from vault._keys import UnlockedKeys
from vault._rows import SealedRow
from vault._versions import MARK
from vault.envelope import (
    BODY,
    HEADER_BYTES,
    MAX_PLAINTEXT_BYTES,
    MAX_SEALED_BYTES,
    OVERHEAD_BYTES,
    DataKey,
    Random,
    RowHeader,
    field_part,
    row_prefix,
    too_long,
)
from vault.payload import HEAD_BYTES, LENGTH, LENGTH_BYTES, begins, head_of, heads_of, text_of
from vault.suites import NONCE_BYTES

_FIELDS: Final = slice(1, 1 + len(RowHeader._fields))
_RECORD_KEY: Final = 1 + RowHeader._fields.index("record_key")
_SCHEMA: Final = _FIELDS.stop
_REST: Final = slice(_SCHEMA + 1, _SCHEMA + 3)
_begins_as: Final = Struct(f">I{HEADER_BYTES}s{NONCE_BYTES}s").unpack_from
"""Length, header and nonce of a sealed value; one that is too short for them is left to whoever looks at each value."""


def seal_whole(
    values: Mapping[str, bytes], *, data_key: DataKey, prefix: bytes, schema_version: int, random: Random = os.urandom
) -> bytes:
    """Return the payload of a row.

    Args:
        values: plaintext by field code.
        data_key: of all of them.
        prefix: of the row, as ``row_prefix`` returns it.
        schema_version: of all of them.
        random: the source of the nonces.

    Raises:
        BadInput: a plaintext is longer than 64 KiB, or there are too many or too long codes.
    """
    codes, plaintexts = tuple(values), values.values()
    if max(map(len, plaintexts), default=0) > MAX_PLAINTEXT_BYTES:
        raise too_long(next(code for code, value in values.items() if len(value) > MAX_PLAINTEXT_BYTES))
    header, (heads, parts) = data_key.of_row, _heads(codes, schema_version)
    nonces = _nonces(len(codes))(random(NONCE_BYTES * len(codes)))
    sealed = list(map(data_key.encrypt, nonces, plaintexts, map((header + prefix).__add__, parts)))
    sizes = map(LENGTH.pack, map(BODY.__add__, map(len, sealed)))
    return head_of(len(codes)) + b"".join(chain.from_iterable(zip(heads, sizes, repeat(header), nonces, sealed)))


@lru_cache(maxsize=1024)
def _heads(codes: tuple[str, ...], schema_version: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return what stands before each value's length, and each field's part of the associated data."""
    return heads_of(codes), tuple(field_part(code, schema_version) for code in codes)


@lru_cache(maxsize=1024)
def _nonces(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return what cuts so many nonces out of the bytes that were drawn for them."""
    return Struct(f"{NONCE_BYTES}s" * count).unpack


def open_whole(
    rows: Iterable[SealedRow], fields: frozenset[str], keys: UnlockedKeys, deployment: str
) -> list[tuple[SealedRow, dict[str, bytes]]] | None:
    """Return the newest row of each source record of one subject, with its values as canonical JSON by field code.

    Returns:
        None where a row is a correction, a record tells a field twice, or a byte is not as it should be.

    Raises:
        KeyUnavailable: a row's key is not held.
    """
    records: dict[str, tuple[SealedRow, dict[str, bytes]]] = {}
    parts: dict[bytes, tuple[str, bytes]] = {}
    version: int | None = None
    for row in rows:
        if row[_SCHEMA] != version:
            version = row[_SCHEMA]
            parts = _parts(fields, version)
        opened = _opened(row, parts, keys, deployment)
        if opened is None:
            return None
        if not opened:
            continue
        record_key = row[_RECORD_KEY]
        before = records.get(record_key)
        if before is not None:
            if not before[1].keys().isdisjoint(opened):
                return None
            before[1].update(opened)
            opened = before[1]
        records[record_key] = row, opened
    return list(records.values())


def _opened(
    row: SealedRow, parts: Mapping[bytes, tuple[str, bytes]], keys: UnlockedKeys, deployment: str
) -> dict[str, bytes] | None:
    key_id, payload = row[_REST]
    key = keys.opening(key_id)
    header, decrypt = key.of_row, key.decrypt
    opened: dict[str, bytes] = {}
    passed: set[bytes] = set()
    at, size, count = HEAD_BYTES, len(payload), 0
    try:
        bound = header + row_prefix(deployment, row[_FIELDS])
        while at < size:
            count += 1
            length = at + 1 + payload[at]
            code, (sealed, begin, nonce) = payload[at:length], _begins_as(payload, length)
            start = length + LENGTH_BYTES
            at = start + sealed
            wanted = parts.get(code)
            if wanted is None:
                passed.add(code)
                continue
            if begin != header or at > size or not OVERHEAD_BYTES <= sealed <= MAX_SEALED_BYTES:
                return None
            opened[wanted[0]] = decrypt(nonce, payload[start + BODY : at], bound + wanted[1])
        are_once = count == len(opened) + len(passed)
        is_sound = at == size and are_once and begins(payload, count) and not (passed and _has_mark(passed))
    except (InvalidTag, IntegrityFailed, StructError):
        return None
    return opened if is_sound else None


@lru_cache(maxsize=1024)
def _parts(fields: frozenset[str], schema_version: int) -> dict[bytes, tuple[str, bytes]]:
    """Return each field's code and its part of the associated data, by the code as a payload has it."""
    coded = {code: code.encode() for code in fields}
    return {bytes((len(own),)) + own: (code, field_part(code, schema_version)) for code, own in coded.items()}


def _has_mark(passed: Collection[bytes]) -> bool:
    return MARK in [text_of(code[1:]) for code in passed]
