"""Statements over sets that both engines understand."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Connection, FromClause, String, Table, any_, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

_T = TypeVar("_T")

BOUND_VALUES: Final = 900
"""Values bound in one IN list: below the 999 of older SQLite builds (sqlite.org/limits.html#max_variable_number)."""


def chunks(values: Iterable[_T], size: int = BOUND_VALUES) -> Iterator[list[_T]]:
    """Cut values into lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def among(connection: Connection, column: ColumnElement[str], texts: Collection[str]) -> ColumnElement[bool]:
    """Return ``column IN texts`` with one bound value: a JSON text (SQLite) or an array (PostgreSQL)."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(texts))).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(None, list(texts), type_=ARRAY(String)))


def among_given(column: ColumnElement[str], name: str, dialect: str) -> ColumnElement[bool]:
    """Return ``column IN :name`` for a statement that is made once, to be run with ``given``."""
    if dialect == "sqlite":
        each = func.json_each(bindparam(name, type_=String)).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(name, type_=ARRAY(String)))


def given(connection: Connection, texts: Collection[str]) -> object:
    """Return texts as the one value of a parameter of ``among_given``."""
    plain = [str(text) for text in texts]
    return json.dumps(plain) if connection.dialect.name == "sqlite" else plain


def insert_absent(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys are not there yet; the others stay as they are."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def pairs_table(connection: Connection, pairs: Collection[tuple[str, str]]) -> FromClause:
    """Return pairs of texts as a table with columns ``a`` and ``b``: one bound JSON text (SQLite) or two arrays."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(pairs))).table_valued("value")
        return select(
            func.json_extract(each.c.value, "$[0]").label("a"), func.json_extract(each.c.value, "$[1]").label("b")
        ).subquery()
    firsts, seconds = [a for a, _ in pairs], [b for _, b in pairs]
    texts = ARRAY(String)
    return func.unnest(cast(firsts, texts), cast(seconds, texts)).table_valued("a", "b").render_derived()
