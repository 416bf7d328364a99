"""Many rows into one table at the driver's level: COPY on PostgreSQL, a prepared insert on SQLite.

Values go in as the driver knows them: an ``Instant`` as microseconds, bytes as bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, SmallInteger, String, Table
from sqlalchemy.exc import DBAPIError

from kernel.database import Instant

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Signature, no flags, no extension (postgresql.org/docs/current/sql-copy.html, "Binary Format")."""

_END: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"
"""How ``pack`` writes that a value is missing."""
_COUNT: Final = Struct(">h")
_LENGTH: Final = Struct(">i")
_SMALL: Final = Struct(">ih")
_BIG: Final = Struct(">iq")
_INT: Final = Struct(">ii")

_BLOCK_BYTES: Final = 1024 * 1024


class BulkInsert:
    """Inserts rows of values in the order of ``columns``; the table gives the others itself."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        names = ", ".join(columns)
        self._insert = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})"
        self._copy = f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)"
        self._encoders = [_encoder(table.c[name]) for name in columns]
        self._count = _COUNT.pack(len(columns))

    def run(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows in the caller's transaction.

        Raises:
            sqlalchemy.exc.IntegrityError: a row breaks a constraint; the transaction can only be rolled back.
        """
        if not rows:
            return
        if connection.dialect.name == "sqlite":
            given: Any = rows
            connection.exec_driver_sql(self._insert, given)
            return
        self.copy(connection, map(self.pack, rows))

    def pack(self, values: Sequence[Any], *, at: int = 0) -> bytes:
        """Return some of a row's values as ``copy`` takes them; those of a whole row may come in several pieces.

        Args:
            values: of columns that stand beside each other.
            at: the place of the first of them.
        """
        encoders = self._encoders[at : at + len(values)]
        pieces = [NULL if value is None else encode(value) for value, encode in zip(values, encoders, strict=True)]
        return b"".join(pieces) if at else self._count + b"".join(pieces)

    def copy(self, connection: Connection, pieces: Iterable[bytes]) -> None:
        """Insert packed rows in the caller's transaction, on PostgreSQL.

        Raises:
            sqlalchemy.exc.IntegrityError: as ``run``.
        """
        dialect, driver = connection.dialect, connection.connection.driver_connection
        error: type[Exception] = dialect.loaded_dbapi.Error
        try:
            with driver.cursor() as cursor, cursor.copy(self._copy) as copy:  # type: ignore[union-attr]
                for block in _blocks(pieces):
                    copy.write(block)
        except error as err:
            raise DBAPIError.instance(self._copy, None, err, error, hide_parameters=True, dialect=dialect) from err


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting, size = [_SIGNATURE], 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > _BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join((*waiting, _END))


def _encoder(column: Column[Any]) -> Callable[[Any], bytes]:
    kind = column.type
    if isinstance(kind, LargeBinary):
        return _bytes
    if isinstance(kind, String):
        return _text
    if isinstance(kind, SmallInteger):
        return lambda number: _SMALL.pack(2, number)
    if isinstance(kind, BigInteger | Instant):
        return lambda number: _BIG.pack(8, number)
    if isinstance(kind, Integer):
        return lambda number: _INT.pack(4, number)
    raise TypeError(f"No binary form of {column} is known")


def _bytes(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded
