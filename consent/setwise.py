"""Statements over sets of subjects: one bound value on either engine, however many subjects there are."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, String, Table, any_, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from kernel.ids import SubjectId


def in_subjects(
    connection: Connection,
    column: ColumnElement[str],
    subjects: Collection[SubjectId],
) -> ColumnElement[bool]:
    """Return ``column IN subjects`` as one bound JSON text (SQLite) or array (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        values = func.json_each(json.dumps(list(subjects))).table_valued("value")
        return column.in_(select(values.c.value))
    return column == any_(bindparam(None, list(subjects), type_=ARRAY(String)))


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
