"""Statements over sets of subjects: one bound value on either engine, however many subjects there are.

A statement is built once for each engine and reused: building one costs more than running it for a single subject.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, String, Table, any_, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from kernel.ids import SubjectId


def among_subjects(column: ColumnElement[str], dialect: str) -> ColumnElement[bool]:
    """Return ``column IN :subjects``, to be run with ``bind_subjects``: a JSON text on SQLite, an array elsewhere."""
    if dialect == "sqlite":
        values = func.json_each(bindparam("subjects", type_=String)).table_valued("value")
        return column.in_(select(values.c.value))
    return column == any_(bindparam("subjects", type_=ARRAY(String)))


def bind_subjects(connection: Connection, subjects: Collection[SubjectId], **values: object) -> dict[str, object]:
    """Return the parameters of a statement over subjects."""
    bound = json.dumps(list(subjects)) if connection.dialect.name == "sqlite" else list(subjects)
    return {"subjects": bound, **values}


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in one round; nothing for no rows."""
    if rows:
        connection.execute(insert(table), list(rows))


def upsert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or overwrite every other column of the stored row under the same primary key."""
    if not rows:
        return
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(table)
    keys = [column.name for column in table.primary_key]
    values = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


def insert_missing(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert one row unless there is one under its primary key."""
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(dialect_insert(table).on_conflict_do_nothing(), dict(row))
