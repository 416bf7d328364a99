"""Prepared statements: text made once for each engine, run at the driver's level.

For the few statements that run for every single check: SQLAlchemy's result machinery costs several times what an
indexed look-up in SQLite does. Values go in and come out as the driver knows them: an ``Instant`` as microseconds, and
on SQLite a boolean as 0 or 1 and a date as text.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import CompilerElement

Rows = Sequence[Sequence[Any]]
_Text = tuple[str, tuple[str, ...], Mapping[str, object]]
"""SQL, the order of its parameters where they have no names, and those whose value the statement itself holds."""


class Prepared:
    """One statement with named parameters; ``columns`` are those that an insert gives values for."""

    def __init__(self, statement: CompilerElement, *, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._texts: dict[str, _Text] = {}

    def rows(self, connection: Connection, **values: object) -> Rows:
        """Run it and return the driver's rows, none for a statement that returns none.

        Args:
            connection: one whose transaction has begun.
            values: one for each parameter, as the driver takes it.
        """
        sql, order, constants = self._text(connection)
        named: dict[str, Any] = {**constants, **values}
        if connection.dialect.name != "sqlite":
            result = connection.exec_driver_sql(sql, named)
            return result.all() if result.returns_rows else ()
        given = tuple([named[name] for name in order])
        if connection.in_transaction():
            driver: Any = connection.connection.driver_connection
            try:
                found: Rows = driver.execute(sql, given).fetchall()
            except sqlite3.Error as err:
                _check_open(connection, driver, err, sql)  # then a failed statement left nothing, and is run again
            else:
                return found
        result = connection.exec_driver_sql(sql, given)
        return result.all() if result.returns_rows else ()

    def many(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Run a statement that returns nothing, once for each row of parameters.

        Args:
            connection: one whose transaction has begun.
            rows: each with a value for every parameter, as the driver takes it.
        """
        sql, order, constants = self._text(connection)
        given: list[Any] = [{**constants, **row} for row in rows]
        if connection.dialect.name == "sqlite":
            given = [tuple([one[name] for name in order]) for one in given]
        if given:
            connection.exec_driver_sql(sql, given)

    def insert_many(self, connection: Connection, rows: Sequence[Sequence[object]]) -> None:
        """Run an insert for many rows, each with its values in the order of ``columns``.

        Args:
            connection: one whose transaction has begun.
            rows: values as the driver takes them.
        """
        sql, order, _ = self._text(connection)
        columns = self._columns or ()
        if connection.dialect.name == "sqlite":
            if tuple(columns) != order:
                raise AssertionError("the statement takes its values in another order than its columns")
            given: list[Any] = [tuple(row) for row in rows]
        else:
            given = [dict(zip(columns, row, strict=True)) for row in rows]
        if given:
            connection.exec_driver_sql(sql, given)

    def _text(self, connection: Connection) -> _Text:
        dialect = connection.dialect
        found = self._texts.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            order = getattr(compiled, "positiontup", None) or ()
            binds = getattr(compiled, "binds", {})
            constants = {name: bind.value for name, bind in binds.items() if bind.value is not None}
            found = self._texts[dialect.name] = str(compiled), tuple(order), constants
        return found


def _check_open(connection: Connection, driver: sqlite3.Connection, err: sqlite3.Error, sql: str) -> None:
    """Raise the error as SQLAlchemy would unless the transaction is still open.

    A full disk or a failed write makes SQLite roll the whole transaction back by itself; whatever ran afterwards would
    stand alone, and at once (sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction").
    """
    if not driver.in_transaction:
        raise DBAPIError.instance(
            sql, None, err, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        ) from err
