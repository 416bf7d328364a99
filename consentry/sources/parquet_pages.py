"""Reads the headers of a Parquet file's pages, so that it is known what a page unpacks to before it is unpacked.

The footer only claims sizes; a reader allocates what the header before each page says. Headers are Thrift structs in
the compact protocol.

Source: https://parquet.apache.org/docs/file-format/ (PageHeader, Encodings);
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO, Final, TypeAlias

Value: TypeAlias = "int | bytes | dict[int, Value] | list[Value]"

_HEADER_BYTES: Final = 64 * 1024
"""A header has some dozens of bytes, and with statistics two values of the column."""

_DEEPEST: Final = 8
_MOST_SIZE: Final = 2**31 - 1
_MOST_FIELD: Final = 2**15 - 1


class BadHeader(ValueError):
    """These bytes are no page header."""


class PageKind(IntEnum):
    """Kinds of pages."""

    DATA = 0
    INDEX = 1
    DICTIONARY = 2
    DATA_V2 = 3


class Encoding(IntEnum):
    """How a page's values are written."""

    PLAIN = 0
    PLAIN_DICTIONARY = 2
    RLE = 3
    BIT_PACKED = 4
    DELTA_BINARY_PACKED = 5
    DELTA_LENGTH_BYTE_ARRAY = 6
    DELTA_BYTE_ARRAY = 7
    RLE_DICTIONARY = 8
    BYTE_STREAM_SPLIT = 9


@dataclass(frozen=True, slots=True)
class Page:
    """What a page's header says.

    Attributes:
        unpacked_bytes: what the reader allocates for it.
        values: how many it holds, nulls among them.
        encoding: None for an index.
    """

    kind: PageKind
    unpacked_bytes: int
    values: int
    encoding: Encoding | None


_HEADS: Final = {PageKind.DATA: (5, 2), PageKind.DICTIONARY: (7, 2), PageKind.DATA_V2: (8, 4)}
"""By kind, the header's field with what is its own, and where the encoding stands in that."""


def read_pages(file: BinaryIO, start: int, length: int, values: int) -> Iterator[Page]:
    """Yield the pages of a column chunk until it has all its values or ends.

    Args:
        file: open for reading.
        start: of the chunk's first page.
        length: of the chunk, packed.
        values: how many the footer says that the chunk has.
    Raises:
        BadHeader: it has no readable header where one must be.
    """
    end, place = start + length, start
    while values > 0 and place < end:
        file.seek(place)
        compact = _Compact(file.read(min(_HEADER_BYTES, end - place)))
        fields = compact.struct()
        page = _page(fields)
        yield page
        if page.kind in (PageKind.DATA, PageKind.DATA_V2):
            values -= page.values
        place += compact.place + _size(fields, 3)


def _page(fields: "dict[int, Value]") -> Page:
    try:
        kind = PageKind(_size(fields, 1))
        if kind is PageKind.INDEX:
            return Page(kind, _size(fields, 2), 0, None)
        own, encoding = _HEADS[kind]
        head = fields.get(own)
        known = head if isinstance(head, dict) else {}
        return Page(kind, _size(fields, 2), _size(known, 1), Encoding(_size(known, encoding)))
    except ValueError as err:
        raise BadHeader("a kind, encoding or size is missing or unknown") from err


def _size(fields: "dict[int, Value]", number: int) -> int:
    found = fields.get(number)
    if not isinstance(found, int) or not 0 <= found <= _MOST_SIZE:  # a reader takes the low 32 bits of a larger one
        raise BadHeader("a size is missing, negative or too large")
    return found


class _Compact:
    """Thrift's compact protocol, as much as headers need.

    What readers could take otherwise is refused: of a field that stands twice they take the last one of its type, and
    of a field's number the low 16 bits.

    Attributes:
        place: of the next byte.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def struct(self, depth: int = 0) -> "dict[int, Value]":
        if depth > _DEEPEST:
            raise BadHeader("too deep")
        fields: dict[int, Value] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            if number in fields or not 0 < number <= _MOST_FIELD:
                raise BadHeader("a field stands twice, or has no number")
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> "Value":
        read: dict[int, Callable[[], Value]] = {
            1: lambda: True,
            2: lambda: False,
            3: self._byte,
            4: self._signed,
            5: self._signed,
            6: self._signed,
            7: lambda: self._take(8),
            8: lambda: self._take(self._varint()),
            9: lambda: self._list(depth),
            10: lambda: self._list(depth),
            12: lambda: self.struct(depth + 1),
        }
        if kind not in read:
            raise BadHeader("an unknown type")
        return read[kind]()

    def _list(self, depth: int) -> "list[Value]":
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._varint()  # noqa: PLR2004 - stands for a size of its own
        if size > len(self.data) or depth > _DEEPEST:
            raise BadHeader("a list is longer than the header")
        return [self._byte() if head & 15 in (1, 2) else self._value(head & 15, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        taken = self.data[self.place : self.place + size]
        if len(taken) != size:
            raise BadHeader("the header is cut off")
        self.place += size
        return taken

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 64, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 - the last byte has no continuation bit
                return found
        raise BadHeader("a number is too long")

    def _signed(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
