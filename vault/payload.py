"""The payload of a row: sealed values by field code, packed one after the other."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final

from kernel.errors import BadInput, IntegrityFailed

PAYLOAD_VERSION: Final = 1

_HEAD: Final = Struct(">BH")
LENGTH: Final = Struct(">I")
HEAD_BYTES: Final = _HEAD.size
LENGTH_BYTES: Final = LENGTH.size
_MAX_FIELDS: Final = 0xFFFF
_MAX_CODE_BYTES: Final = 0xFF


def pack(sealed: Mapping[str, bytes]) -> bytes:
    """Pack sealed values.

    Returns:
        version (1 byte) | number of fields (2) | for each: length of the code (1), code, length of the value (4),
        sealed value. Numbers are big-endian, codes are UTF-8.

    Raises:
        BadInput: more than 65,535 fields, or a code beyond 255 bytes.
    """
    values = sealed.values()
    parts = zip(heads_of(tuple(sealed)), map(LENGTH.pack, map(len, values)), values, strict=True)
    return head_of(len(sealed)) + b"".join(chain.from_iterable(parts))


def unpack(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield field code and sealed value, in stored order.

    Raises:
        IntegrityFailed: the bytes are no payload; each length is checked before it is used, and no code comes twice.
    """
    if len(payload) < _HEAD.size or payload[0] != PAYLOAD_VERSION:
        raise _broken()
    _, count = _HEAD.unpack_from(payload)
    at, size, seen = _HEAD.size, len(payload), set[bytes]()
    for _ in range(count):
        if at >= size:
            raise _broken()
        end = at + 1 + payload[at]
        start, code = end + LENGTH.size, payload[at + 1 : end]
        if start > size or code in seen:
            raise _broken()
        seen.add(code)
        at = start + int.from_bytes(payload[end:start])
        if at > size:
            raise _broken()
        yield text_of(code), payload[start:at]
    if at != size:
        raise _broken()


def head_of(count: int) -> bytes:
    """Return what a payload of so many values begins with; raises ``BadInput`` where there are too many."""
    if count > _MAX_FIELDS:
        raise BadInput("A row has too many fields", hint="Split the record.")
    return _HEAD.pack(PAYLOAD_VERSION, count)


def begins(payload: bytes, count: int) -> bool:
    """Say whether a payload begins as one of so many values does."""
    return payload[0] == PAYLOAD_VERSION and int.from_bytes(payload[1:HEAD_BYTES]) == count


@lru_cache(maxsize=1024)
def heads_of(codes: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return codes with their lengths; records of one shape share them."""
    encoded = [code.encode() for code in codes]
    if too_long := [code for code, own in zip(codes, encoded, strict=True) if len(own) > _MAX_CODE_BYTES]:
        raise BadInput(f"Field code {too_long[0][:32]!r}… is longer than {_MAX_CODE_BYTES} bytes")
    return tuple(bytes((len(own),)) + own for own in encoded)


@lru_cache(maxsize=1024)
def text_of(code: bytes) -> str:
    """Return the code that these bytes are; raises ``IntegrityFailed``."""
    try:
        return code.decode()
    except UnicodeDecodeError:
        raise _broken() from None


def _broken() -> IntegrityFailed:
    return IntegrityFailed("A stored row has a broken payload", hint="Restore the data store from a backup.")
