"""Rows sealed and opened whole, in one pass over their bytes. For the modules of this package alone: it opens.

What comes out is what ``envelope`` and ``payload`` would make of it, value by value. Most rows say each field once and
were never corrected; where anything is otherwise than it should be nothing is opened, and ``_opening`` takes the rows
value by value and says what is wrong.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
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
    VERSION_OF_ROW,
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
    codes = tuple(values)
    if max(map(len, values.values()), default=0) > MAX_PLAINTEXT_BYTES:
        raise too_long(next(code for code, value in values.items() if len(value) > MAX_PLAINTEXT_BYTES))
    header, encrypt, size_of = data_key.headers[VERSION_OF_ROW], data_key.encrypt, LENGTH.pack
    bound, nonces, start = header + prefix, random(NONCE_BYTES * len(codes)), 0
    pieces = [head_of(len(codes))]
    for plaintext, (head, part) in zip(values.values(), _heads(codes, schema_version), strict=True):
        nonce = nonces[start : start + NONCE_BYTES]
        start += NONCE_BYTES
        sealed = encrypt(nonce, plaintext, bound + part)
        pieces += head, size_of(BODY + len(sealed)), header, nonce, sealed
    return b"".join(pieces)


@lru_cache(maxsize=1024)
def _heads(codes: tuple[str, ...], schema_version: int) -> tuple[tuple[bytes, bytes], ...]:
    """Return what stands before each value's length, and the field's part of the associated data."""
    return tuple((head, field_part(code, schema_version)) for code, head in zip(codes, heads_of(codes), strict=True))


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
    for row in rows:
        opened = _opened(row, fields, keys, deployment)
        if opened is None:
            return None
        if not opened:
            continue
        record_key = row[_RECORD_KEY]
        before = records.get(record_key)
        if before is not None:
            if not before[1].keys().isdisjoint(opened):
                return None
            opened = before[1] | opened
        records[record_key] = row, opened
    return list(records.values())


def _opened(row: SealedRow, fields: frozenset[str], keys: UnlockedKeys, deployment: str) -> dict[str, bytes] | None:
    schema_version, key_id, payload = row[11:14]
    parts, key = _parts(fields, schema_version), keys.opening(key_id)
    header, decrypt = key.headers[VERSION_OF_ROW], key.decrypt
    opened: dict[str, bytes] = {}
    passed: set[bytes] = set()
    at, size, count = HEAD_BYTES, len(payload), 0
    try:
        bound = header + row_prefix(deployment, row[_FIELDS])
        while at < size:
            count += 1
            length = at + 1 + payload[at]
            start, code = length + LENGTH_BYTES, payload[at:length]
            at = start + int.from_bytes(payload[length:start])
            wanted = parts.get(code)
            if wanted is None:
                passed.add(code)
                continue
            body, nonce = start + BODY, start + HEADER_BYTES
            if at > size or payload[start:nonce] != header or not OVERHEAD_BYTES <= at - start <= MAX_SEALED_BYTES:
                return None
            opened[wanted[0]] = decrypt(payload[nonce:body], payload[body:at], bound + wanted[1])
        are_once = count == len(opened) + len(passed)
        is_sound = at == size and are_once and begins(payload, count) and not _has_mark(passed)
    except (InvalidTag, IntegrityFailed):
        return None
    return opened if is_sound else None


@lru_cache(maxsize=1024)
def _parts(fields: frozenset[str], schema_version: int) -> dict[bytes, tuple[str, bytes]]:
    """Return each field's code and its part of the associated data, by the code as a payload has it."""
    coded = {code: code.encode() for code in fields}
    return {bytes((len(own),)) + own: (code, field_part(code, schema_version)) for code, own in coded.items()}


def _has_mark(passed: Collection[bytes]) -> bool:
    return MARK in [text_of(code[1:]) for code in passed]
