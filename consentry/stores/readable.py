"""Rows one by one, so that what somebody has written into one by hand hides none of the others."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, select

Read = TypeVar("Read")


def read_each(
    connection: Connection, key: ColumnElement[str], read: Callable[[Row[Any]], Read]
) -> Iterator[tuple[str, Read | None]]:
    """Yield every row of a table under its key, in order; None for one that holds what its columns cannot mean.

    Args:
        connection: holds one snapshot.
        key: the primary key's only column.
        read: makes a value of a row.
    """
    table = key.table
    for name in connection.scalars(select(key).order_by(key)).all():
        try:
            yield name, read(connection.execute(select(table).where(key == name)).one())
        except (OverflowError, TypeError, ValueError):  # an instant or a list that is none
            yield name, None
