"""Reads what the blocks of an Arrow file unpack to, from their metadata alone.

A file's footer lists blocks of dictionaries and of records; the metadata of a block lists its buffers, and a packed
buffer begins with its unpacked length. All of it is FlatBuffers.

Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format and its File.fbs and Message.fbs;
https://flatbuffers.dev/internals/.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_MAGIC: Final = b"ARROW1"
_MOST_METADATA_BYTES: Final = 16 * 1024 * 1024
_CONTINUATION: Final = 0xFFFFFFFF
_RECORDS: Final = 3
_DICTIONARY: Final = 2
_VERSION_4: Final = 3


class BadBlock(ValueError):
    """These bytes are no block of an Arrow file."""


@dataclass(frozen=True, slots=True)
class Block:
    """What a block's metadata says.

    Attributes:
        unpacked_bytes: of all its buffers.
        is_dictionary: whether it is read with the first records and stays.
    """

    unpacked_bytes: int
    is_dictionary: bool


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """Yield the blocks of a file, dictionaries first.

    Raises:
        BadBlock: the footer or a block's metadata is not readable.
    """
    try:
        footer = _footer(file)
        for number in (2, 3):
            for offset, metadata_bytes in footer.structs(number, "<qi4xq", take=2):
                yield _block(file, offset, metadata_bytes)
    except (struct.error, IndexError, OSError, ValueError) as err:
        raise BadBlock("The metadata is damaged") from err


def _footer(file: BinaryIO) -> "_Table":
    tail = len(_MAGIC) + 4
    size = file.seek(0, os.SEEK_END)
    file.seek(size - tail)
    length, magic = struct.unpack("<i6s", file.read(tail))
    if magic != _MAGIC or not 0 < length <= min(size - tail, _MOST_METADATA_BYTES):
        raise BadBlock("no footer")
    file.seek(size - tail - length)
    return _Table.root(file.read(length))


def _block(file: BinaryIO, offset: int, metadata_bytes: int) -> Block:
    if not 8 < metadata_bytes <= _MOST_METADATA_BYTES:  # noqa: PLR2004 - two lengths stand before it
        raise BadBlock("metadata of a strange length")
    file.seek(offset)
    metadata = file.read(metadata_bytes)
    before = 8 if struct.unpack_from("<I", metadata)[0] == _CONTINUATION else 4
    message = _Table.root(metadata[before:])
    if message.byte(0) <= _VERSION_4 and message.table(4) is not None:
        raise BadBlock("metadata in which Arrow 0.17 said that buffers are packed")
    kind, batch = message.byte(1), message.table(2)
    if kind == _DICTIONARY and batch is not None:
        batch = batch.table(1)
    if kind not in (_RECORDS, _DICTIONARY) or batch is None:
        raise BadBlock("neither records nor a dictionary")
    is_packed = batch.table(3) is not None
    body = offset + metadata_bytes
    lengths = [
        _unpacked(file, body + start, length) if is_packed else length
        for start, length in batch.structs(2, "<qq", take=2)
    ]
    if min(lengths, default=0) < 0:
        raise BadBlock("a negative length")
    return Block(sum(lengths), kind == _DICTIONARY)


def _unpacked(file: BinaryIO, start: int, length: int) -> int:
    """Return the length of a packed buffer; -1 before the bytes says that they are not packed."""
    if length == 0:
        return 0
    file.seek(start)
    unpacked: int = struct.unpack("<q", file.read(8))[0]
    return length if unpacked == -1 else unpacked


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer: offsets of its fields stand in a table of their own, before or behind it."""

    data: bytes
    place: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, _unpack("<I", data, 0))

    def table(self, number: int) -> "_Table | None":
        place = self._field(number)
        return None if place is None else _Table(self.data, place + _unpack("<I", self.data, place))

    def byte(self, number: int) -> int:
        place = self._field(number)
        return 0 if place is None else self.data[place]

    def structs(self, number: int, form: str, *, take: int) -> Iterator[tuple[int, ...]]:
        """Yield the first members of the structs of a vector."""
        place = self._field(number)
        if place is None:
            return
        vector = place + _unpack("<I", self.data, place)
        size = struct.calcsize(form)
        for one in range(_unpack("<I", self.data, vector)):
            yield struct.unpack_from(form, self.data, vector + 4 + one * size)[:take]

    def _field(self, number: int) -> int | None:
        fields = self.place - _unpack("<i", self.data, self.place)
        if fields < 0:
            raise BadBlock("a table lies outside")
        entry = 4 + 2 * number
        if entry >= _unpack("<H", self.data, fields):
            return None
        offset = _unpack("<H", self.data, fields + entry)
        return self.place + offset if offset else None


def _unpack(form: str, data: bytes, place: int) -> int:
    found: int = struct.unpack_from(form, data, place)[0]
    return found
