"""Statements over sets that both engines understand."""

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Connection, FromClause, String, any_, bindparam, cast, func, select

from kernel.set_insert import insert_absent

__all__ = ["BOUND_VALUES", "among", "chunks", "insert_absent", "pairs_table"]

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
