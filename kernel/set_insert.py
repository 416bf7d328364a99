"""Rows inserted where they are not there yet, in one statement however many there are.

PostgreSQL takes them as one array for each column: a statement for each row would cost the server more than the row.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, String, Table, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import JSON, TypeEngine

_FEW: Final = 8
"""Rows that are inserted one by one: the statement over arrays is not worth its making."""


def insert_absent(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys are not there yet; the others stay as they are.

    Args:
        connection: a transaction that writes.
        table: whose rows.
        rows: each with the same columns; the table gives the others itself.
    """
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), list(rows))
    elif len(rows) <= _FEW or any(isinstance(table.c[name].type, JSON) for name in names):
        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), list(rows))
    else:
        columns = {name: [row[name] for row in rows] for name in names}
        connection.execute(_from_arrays(table, names), columns)


@cache
def _from_arrays(table: Table, names: tuple[str, ...]) -> Insert:
    types = [ARRAY(_unbounded(table.c[name].type)) for name in names]
    arrays = [cast(bindparam(name, type_=kind), kind) for name, kind in zip(names, types, strict=True)]
    given = func.unnest(*arrays).table_valued(*names).render_derived()
    return postgresql.insert(table).from_select(names, select(*given.c)).on_conflict_do_nothing()


def _unbounded(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return a type without its length: a cast would cut a text that is too long, where the column refuses it."""
    return String() if isinstance(kind, String) else kind
