"""Statements over sets that both engines understand."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Dialect, FromClause, String, any_, bindparam, func, select
from sqlalchemy.types import UserDefinedType

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
    return column == any_(bindparam(None, texts, type_=_Texts()))


def among_bound(dialect: str, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the same for a statement that is made once; its texts come with ``bound_texts`` under a name."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam(name, type_=String)).table_valued("value").c.value))
    return column == any_(bindparam(name, type_=_Texts()))


def bound_texts(connection: Connection, **texts: Collection[str]) -> dict[str, object]:
    """Return the parameters of ``among_bound`` by name."""
    on_sqlite = connection.dialect.name == "sqlite"
    return {name: json.dumps(list(some)) if on_sqlite else list(some) for name, some in texts.items()}


def pairs_table(connection: Connection, pairs: Collection[tuple[str, str]]) -> FromClause:
    """Return pairs of texts as a table with columns ``a`` and ``b``: one bound JSON text (SQLite) or two arrays."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(json.dumps(list(pairs))).table_valued("value")
        return select(
            func.json_extract(each.c.value, "$[0]").label("a"), func.json_extract(each.c.value, "$[1]").label("b")
        ).subquery()
    columns = [bindparam(None, [pair[place] for pair in pairs], type_=_Texts()) for place in (0, 1)]
    return func.unnest(*columns).table_valued("a", "b").render_derived()


class _Texts(UserDefinedType[Collection[str]]):
    """An array of texts, bound as PostgreSQL writes it; the driver would look at each of them for long."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: object) -> str:
        return "TEXT[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Collection[str] | None], str | None]:  # noqa: ARG002 - SQLAlchemy's signature
        return _array_of


def _array_of(texts: Collection[str] | None) -> str | None:
    """Return an array's literal, each text in quotes (PostgreSQL's manual, "Array Input and Output Syntax")."""
    if texts is None:
        return None
    within = '","'.join(texts)
    if "\\" in within or within.count('"') > 2 * max(len(texts) - 1, 0):
        within = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts])
    return f'{{"{within}"}}' if texts else "{}"
