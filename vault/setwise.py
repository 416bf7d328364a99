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


def among_bound(dialect: str, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the same for a statement that is made once; its texts come with ``bound_texts`` under a name."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam(name, type_=String)).table_valued("value").c.value))
    return column == any_(bindparam(name, type_=ARRAY(String)))


def bound_texts(connection: Connection, **texts: Collection[str]) -> dict[str, object]:
    """Return the parameters of ``among_bound`` by name."""
    on_sqlite = connection.dialect.name == "sqlite"
    return {name: json.dumps(list(some)) if on_sqlite else list(some) for name, some in texts.items()}


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
