"""The rows of a whole store as one stream, the same for both engines; docs/reference/backup-format.md.

The stream goes by the columns that it names, so that a store is restored to the revision that it was copied at.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    inspect,
    select,
    text,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from consentry.migrations import Store, metadata_of
from kernel.errors import IntegrityFailed

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE: Final = 500
BATCH_BYTES: Final = 32 << 20
"""Larger frames are no rows of ours: a value has 64 KiB, a piece of a file 256 KiB."""

_TABLE, _ROWS, _END = b"T", b"R", b"E"
_FRAME_BYTES: Final = 5


class Sink(Protocol):
    """Takes bytes."""

    def write(self, plaintext: bytes) -> None:
        """Add them."""
        ...


class Source(Protocol):
    """Gives bytes."""

    def read(self, size: int) -> bytes:
        """Return exactly so many, or raise ``IntegrityFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of column: its name in the stream, how it is stored, and how a value travels."""

    name: str
    column: Callable[[], TypeEngine[Any]]
    sent: Callable[[Any], Any] = lambda value: value
    received: Callable[[Any], Any] = lambda value: value


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


_KINDS: Final = {
    kind.name: kind
    for kind in (
        _Kind("int", BigInteger),
        _Kind("text", Text),
        _Kind("bytes", LargeBinary),
        _Kind("bool", Boolean),
        _Kind("date", Date, sent=date.isoformat, received=date.fromisoformat),
        _Kind("json", JSON, sent=_as_json, received=json.loads),
    )
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """One table of the stream, with the kind of each column."""

    table: str
    columns: Mapping[str, _Kind]

    def as_json(self) -> bytes:
        return json.dumps({"table": self.table, "columns": {n: k.name for n, k in self.columns.items()}}).encode()

    @classmethod
    def parse(cls, content: bytes) -> "_Layout":
        said = json.loads(content)
        return cls(str(said["table"]), {name: _KINDS[kind] for name, kind in said["columns"].items()})

    def schema(self) -> "pa.Schema":
        import pyarrow as pa

        types = {"int": pa.int64(), "bytes": pa.binary(), "bool": pa.bool_()}
        return pa.schema([(name, types.get(kind.name, pa.string())) for name, kind in self.columns.items()])


@dataclass(slots=True)
class Copied:
    """How many rows of each table went through."""

    rows: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.rows.values())


def send_rows(connection: Connection, store: Store, sink: Sink) -> Copied:
    """Write every row of a store, as the connection's transaction sees it; flat in memory.

    Args:
        connection: a snapshot: of a copy, or of a transaction that repeats its reads.
        store: which of the two.
        sink: takes the stream.
    """
    copied = Copied()
    for metadata in metadata_of(store):
        for table in metadata.sorted_tables:
            copied.rows[table.name] = _send_table(connection, table, sink)
    _put(sink, _END, json.dumps(copied.rows, sort_keys=True).encode())
    return copied


def receive_rows(connection: Connection, source: Source) -> Copied:
    """Insert every row of a stream into the empty tables of a store at the revision of its backup.

    Raises:
        IntegrityFailed: the stream is none, or its counts are not those of the copied store.
    """
    copied, layout, table = Copied(), None, None
    known = set(inspect(connection).get_table_names())
    for kind, content in _frames(source):
        if kind == _END:
            if json.loads(content) != copied.rows:
                raise IntegrityFailed("The backup has other rows than it counts", hint="Take another backup.")
            break
        if kind == _TABLE:
            layout = _layout(content, known)
            table = _table_of(layout)
            connection.execute(delete(table))  # what the revision itself put there, which is in the stream as well
            copied.rows[layout.table] = 0
        elif layout is not None and table is not None:
            rows = _received(layout, content)
            connection.execute(insert(table), rows)
            copied.rows[layout.table] += len(rows)
    _set_sequences(connection, copied)
    return copied


def _send_table(connection: Connection, table: Table, sink: Sink) -> int:
    layout = _Layout(table.name, {column.name: _kind_of(column) for column in table.columns})
    _put(sink, _TABLE, layout.as_json())
    columns = [type_coerce(column, layout.columns[column.name].column()) for column in table.columns]
    query = select(*columns).order_by(*table.primary_key.columns)
    count = 0
    with connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query) as result:
        for rows in result.partitions():
            _put(sink, _ROWS, _sent(layout, rows))
            count += len(rows)
    return count


def _kind_of(column: Column[Any]) -> _Kind:
    stored = column.type
    match stored.impl_instance if hasattr(stored, "impl_instance") else stored:
        case Boolean():
            return _KINDS["bool"]
        case Integer():
            return _KINDS["int"]
        case String():
            return _KINDS["text"]
        case LargeBinary():
            return _KINDS["bytes"]
        case Date():
            return _KINDS["date"]
        case JSON():
            return _KINDS["json"]
    raise TypeError(f"Column {column} has a type that no backup holds")


def _sent(layout: _Layout, rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as the body of an Arrow record batch."""
    import pyarrow as pa

    schema, arrays = layout.schema(), []
    for kind, kept, values in zip(layout.columns.values(), schema, zip(*rows, strict=True), strict=True):
        arrays.append(pa.array([None if one is None else kind.sent(one) for one in values], type=kept.type))
    return bytes(pa.record_batch(arrays, schema=schema).serialize().to_pybytes())


def _received(layout: _Layout, content: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa

    batch = pa.ipc.read_record_batch(pa.py_buffer(content), layout.schema())
    columns = [
        [None if one is None else kind.received(one) for one in batch.column(number).to_pylist()]
        for number, kind in enumerate(layout.columns.values())
    ]
    return [dict(zip(layout.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _layout(content: bytes, known: set[str]) -> _Layout:
    try:
        layout = _Layout.parse(content)
    except (ValueError, KeyError, TypeError):
        raise IntegrityFailed("The backup names a table that cannot be read", hint="Take another backup.") from None
    if layout.table not in known:
        raise IntegrityFailed(
            f"The backup has a table {layout.table!r} that its revision does not know", hint="Take another backup."
        )
    return layout


def _table_of(layout: _Layout) -> Table:
    return Table(layout.table, MetaData(), *(Column(name, kind.column()) for name, kind in layout.columns.items()))


def _put(sink: Sink, kind: bytes, content: bytes) -> None:
    sink.write(kind + len(content).to_bytes(_FRAME_BYTES - 1) + content)


def _frames(source: Source) -> Iterator[tuple[bytes, bytes]]:
    while True:
        head = source.read(_FRAME_BYTES)
        length = int.from_bytes(head[1:])
        if head[:1] not in (_TABLE, _ROWS, _END) or length > BATCH_BYTES:
            raise IntegrityFailed("The backup holds something that is no row", hint="Take another backup.")
        yield head[:1], source.read(length)


def _set_sequences(connection: Connection, copied: Copied) -> None:
    """Let PostgreSQL number new rows after the restored ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    found = inspect(connection)
    for name in copied.rows:
        for column in found.get_columns(name):
            if str(column.get("default") or "").startswith("nextval("):
                code = column["name"]
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{name}', '{code}'), "
                        f"greatest((SELECT max({code}) FROM {name}), 1))"
                    )
                )
