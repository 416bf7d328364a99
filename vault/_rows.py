"""Rows as they are read back, with the header that their values are bound to. For the modules of this package alone."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, Table, delete, select, type_coerce

from kernel.errors import IntegrityFailed
from vault._keyring import Keyring
from vault._keys import KeyUnavailable, UnlockedKeys, WrappedKeys
from vault.envelope import Binding, Holder, RowHeader, of_row, open_value
from vault.payload import unpack
from vault.setwise import chunks
from vault.tables import SEALED_TABLES, attachment, batch, sealed_record


class StoredRow(NamedTuple):
    """A row as the driver returns it, of which a cohort has too many for anything dearer."""

    row_no: int
    kind: str
    source: str
    compartment: str
    purpose: str
    subject_id: str
    record_id: str
    record_key: str
    observed_at: int
    expires_at: int | None
    held_until: int | None
    schema_version: int
    key_id: bytes
    payload: bytes


SealedRow = Row[*tuple[Any, ...]]

_INSTANTS: Final = frozenset({"observed_at", "expires_at", "held_until"})


_NAMES: Final = StoredRow._fields
_KEY_ID: Final = _NAMES.index("key_id")
_SUBJECT: Final = _NAMES.index("subject_id")
_HEADER: Final = slice(1, 1 + len(RowHeader._fields))
"""The columns of a row's header come in its order."""


def columns_of(table: Table) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of one of ``SEALED_TABLES`` that make a ``SealedRow``.

    An instant comes as the number that is stored: a forged one need not be an instant at all.
    """
    return tuple(
        type_coerce(table.c[name], BigInteger()).label(name) if name in _INSTANTS else table.c[name] for name in _NAMES
    )


COLUMNS: Final = columns_of(sealed_record)


def stored_rows(rows: Iterable[Sequence[Any]]) -> Iterator[SealedRow]:
    """Return the driver's rows with names, places and slices, which is all of SQLAlchemy's rows that is used here."""
    return map(cast("Callable[[Sequence[Any]], SealedRow]", StoredRow._make), rows)


def rows_where(connection: Connection, condition: Callable[[Table], ColumnElement[bool]]) -> list[SealedRow]:
    """Return the rows of every sealed table that a condition picks, those of open batches as well.

    An attachment that is still coming has no payload yet; no data key knows of it.
    """
    return [
        row
        for table in SEALED_TABLES
        for row in connection.execute(
            select(*columns_of(table)).where(condition(table), table.c.payload.is_not(None)).order_by(table.c.row_no)
        )
    ]


def stored_by(connection: Connection, rows: Collection[SealedRow], at: datetime) -> set[int]:
    """Return the numbers of those rows that were there at an instant, or came with what was being taken in then."""
    numbers: set[int] = set()
    for some in chunks([row.row_no for row in rows]):
        records = select(sealed_record.c.row_no).join(batch).where(batch.c.opened_at <= at)
        files = select(attachment.c.row_no).where(attachment.c.opened_at <= at)
        numbers.update(connection.scalars(records.where(sealed_record.c.row_no.in_(some))))
        numbers.update(connection.scalars(files.where(attachment.c.row_no.in_(some))))
    return numbers


def table_of(row_no: int) -> Table:
    """Return the table of a row: numbers of attachments are negative."""
    return attachment if row_no < 0 else sealed_record


def delete_rows(connection: Connection, numbers: Collection[int]) -> int:
    """Delete rows of either table by their numbers, an attachment with its chunks; return how many."""
    deleted = 0
    for table in SEALED_TABLES:
        for some in chunks([number for number in numbers if table_of(number) is table]):
            deleted += connection.execute(delete(table).where(table.c.row_no.in_(some))).rowcount
    return deleted


def header_of(row: SealedRow) -> RowHeader:
    """Return what a row, selected with ``COLUMNS``, says of itself; unverified until a value of it opens."""
    return RowHeader._make(row[_HEADER])


def binding_of(row: SealedRow, holder: Holder, code: str) -> Binding:
    """Return what one value of a row is bound to."""
    return Binding(holder, code, row.schema_version)


def lost_keys(rows: Iterable[SealedRow], keys: UnlockedKeys | WrappedKeys, keyring: Keyring) -> set[bytes]:
    """Return the ids of those keys of these rows that an erasure has destroyed.

    Raises:
        IntegrityFailed: a row names the key of another subject or compartment.
        KeyUnavailable: a key is missing that no erasure has destroyed.
    """
    rows = list(rows)
    missing = keys.missing({(row[_KEY_ID], row[_SUBJECT]) for row in rows})
    if not missing:
        return set()
    first = {row[_KEY_ID]: row for row in rows if row[_KEY_ID] in missing}
    destroyed = keyring.destroyed_among(first)
    lost = first.keys() - destroyed
    moved = keyring.existing_among(lost)
    if moved:
        raise IntegrityFailed(
            f"The key of {_first_value(first[min(moved)])} belongs to another subject or compartment",
            hint="The row was changed or moved; restore it from a backup of the data store.",
        )
    if lost:
        raise KeyUnavailable(
            f"{len(lost)} data keys are missing, such as {min(lost).hex()}", hint="Restore the key store from a backup."
        )
    return destroyed


def verify_header(row: SealedRow, keys: UnlockedKeys, deployment: str) -> None:
    """Open the row's first value, which is bound to the header as every other is, and drop it.

    Raises:
        IntegrityFailed: the header or that value was changed, or the row holds no value.
    """
    code, sealed = next(unpack(row.payload), (None, b""))
    if code is None:
        raise IntegrityFailed(f"Record {row.record_id} has a row without a value")
    binding = binding_of(row, of_row(deployment, header_of(row)), code)
    open_value(sealed, data_key=keys.opening(row.key_id), binding=binding)


def _first_value(row: SealedRow) -> str:
    code, _ = next(unpack(row.payload), ("", b""))
    return f"field {code!r} of record {row.record_id}"
