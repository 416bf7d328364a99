"""Records by columns, as they come in bulk: to plaintext column by column, to sealed rows record by record.

A chunk travels as one Arrow record batch. Its field columns are named by their codes; what a record says of itself
stands in columns whose names no code can have.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from kernel.encoding import JsonValue
from kernel.ids import SubjectId
from vault._blinding import unlocked_blinding
from vault._keyring import Keyring
from vault._sealing import EVENT, EVENT_TYPE, Encoded, Encoder, Placing
from vault._storing import SealedChunk, encoder_of, seal_records, without_repeats
from vault.envelope import encode_plaintext

if TYPE_CHECKING:
    import pyarrow as pa

SUBJECT: Final = "~subject"
KIND: Final = "~kind"
SOURCE: Final = "~source"
SOURCE_RECORD: Final = "~record"
OBSERVED_AT: Final = "~observed_at"
"""Microseconds since 1970."""

HEAD: Final = (SUBJECT, KIND, SOURCE, SOURCE_RECORD, OBSERVED_AT)

_ESCAPED: Final = bytes(range(0x20)) + b'"\\'
"""What JSON writes with a backslash (RFC 8259 section 7); in UTF-8 no other character has such a byte."""


@dataclass(frozen=True, slots=True, repr=False)
class ColumnChunk:
    """Records by columns; plaintext, on its way to a process that seals.

    Attributes:
        records: an Arrow IPC stream of one record batch with the columns of ``HEAD`` and one a field.
        withheld: fields that are left out, by subject.
        instant: what has expired by then is left out; microseconds since 1970.
    """

    records: bytes
    withheld: Mapping[SubjectId, frozenset[str]]
    instant: int

    def __repr__(self) -> str:
        return "ColumnChunk(redacted)"


def pack_columns(records: "pa.RecordBatch") -> bytes:
    """Return a record batch as an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, records.schema) as stream:
        stream.write_batch(records)
    return bytes(memoryview(sink.getvalue()))


def seal_columns(
    chunk: ColumnChunk, *, keyring: Keyring, placing: Placing, deployment: str, packed: bool = False
) -> SealedChunk:
    """Seal a chunk under keys that are held for just as long; packed, where PostgreSQL is to copy it.

    Raises:
        KeyUnavailable: a key was not made durable first.
        BadInput: a value is longer than 64 KiB or has no canonical form.
    """
    encoded = list(_encoded(chunk, encoder_of(keyring)))
    unique = without_repeats(encoded).values()
    with unlocked_blinding(keyring, {one.subject for one in unique}) as blinding:
        sealed = seal_records(
            unique, keyring=keyring, blinding=blinding, placing=placing, deployment=deployment, instant=chunk.instant,
            packed=packed,
        )  # fmt: skip
    return replace(sealed, repeated=len(encoded) - len(unique))


def _encoded(chunk: ColumnChunk, encoder: Encoder) -> Iterator[Encoded]:
    """Yield the records with at least one value that is not withheld."""
    import pyarrow as pa

    with pa.ipc.open_stream(chunk.records) as stream:
        batch = stream.read_next_batch()
    codes = sorted(set(batch.schema.names).difference(HEAD))
    columns = [plaintexts_of(batch[code]) for code in codes]
    is_full = not any(batch[code].null_count for code in codes)
    head = [batch[name].to_pylist() for name in HEAD]
    for own, values in zip(zip(*head, strict=True), _rows(columns, batch.num_rows), strict=True):
        subject, kind, source, source_record, observed_at = own
        withheld = chunk.withheld.get(subject)
        if is_full and not withheld:
            plaintexts = dict(zip(codes, values, strict=True))
        else:
            plaintexts = _present(codes, values, withheld or frozenset())
        if plaintexts:
            event_type = _event_type(plaintexts) if kind == EVENT else None
            yield encoder.encoded(subject, kind, source, source_record, observed_at, plaintexts, event_type)


def _rows(columns: Sequence[Sequence[bytes | None]], count: int) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else repeat((), count)


def _present(codes: Sequence[str], values: Sequence[bytes | None], withheld: frozenset[str]) -> dict[str, bytes]:
    return {
        code: value for code, value in zip(codes, values, strict=True) if value is not None and code not in withheld
    }


def _event_type(plaintexts: Mapping[str, bytes]) -> str | None:
    named = json.loads(plaintexts.get(EVENT_TYPE, b"null"))
    return named if isinstance(named, str) else None


def plaintexts_of(column: "pa.Array") -> list[bytes | None]:
    """Return the canonical JSON of each value of a column, None where it says nothing.

    Raises:
        BadInput: a value has no canonical form.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return [None if value is None else encode_plaintext(value) for value in plain_values(column)]
    if _has_escaped(column):
        return [None if value is None else encode_plaintext(value) for value in column.to_pylist()]
    quote = pa.scalar('"', column.type)
    quoted = pc.binary_join_element_wise(quote, column, quote, pa.scalar("", column.type))
    binary = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
    plaintexts: list[bytes | None] = quoted.cast(binary).to_pylist()
    return plaintexts


def _has_escaped(column: "pa.Array") -> bool:
    """Say whether a text of a column has a character that JSON escapes."""
    import pyarrow as pa

    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return False
    places = memoryview(offsets).cast("q" if pa.types.is_large_string(column.type) else "i")
    texts = bytes(memoryview(data)[places[column.offset] : places[column.offset + len(column)]])
    return len(texts.translate(None, _ESCAPED)) < len(texts)


def plain_values(column: "pa.Array") -> list[JsonValue]:
    """Return the values of a column as a record holds them, None where it says nothing."""
    return [_bare(value) for value in column.to_pylist()]


def _bare(value: Any) -> JsonValue:  # noqa: ANN401 - whatever a column holds
    """Return a value without the empty members that Arrow gives every object of a column."""
    if isinstance(value, dict):
        return {name: _bare(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    plain: JsonValue = value
    return plain
