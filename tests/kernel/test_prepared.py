"""Prepared statements: the driver's rows on both engines, and errors as the house knows them."""

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from kernel.database import open_database
from kernel.prepared import Prepared

THING = Table("thing", MetaData(), Column("name", String(20), primary_key=True), Column("size", Integer))
FIND = Prepared(select(THING.c.name, THING.c.size).where(THING.c.name == bindparam("name"), THING.c.size < 100))
ADD = Prepared(insert(THING).inline(), columns=("name", "size"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}" if request.param == "sqlite" else request.getfixturevalue("pg_url")
    opened = open_database(url, label="store", must_exist=False)
    with opened.write() as connection:
        THING.create(connection)
    yield opened
    opened.dispose()


def test_rows_come_back(store):
    """What was inserted is found, by parameters and by the statement's own constants."""
    with store.write() as connection:
        assert list(ADD.rows(connection, name="a", size=1)) == []
        ADD.rows(connection, name="b", size=200)
    with store.read() as connection:
        assert [tuple(row) for row in FIND.rows(connection, name="a")] == [("a", 1)]
        assert list(FIND.rows(connection, name="b")) == []


def test_errors_are_sqlalchemys(store):
    """A driver's error arrives as SQLAlchemy's, so that whoever translates those sees it."""
    with pytest.raises(IntegrityError), store.write() as connection:
        for _ in range(2):
            ADD.rows(connection, name="a", size=1)


def test_a_transaction_begins_where_none_has(store):
    """On a connection whose transaction has not begun, SQLAlchemy begins it as usual."""
    with store.engine.connect() as connection:
        ADD.rows(connection, name="a", size=1)
        assert connection.in_transaction()
        connection.rollback()
    with store.read() as connection:
        assert list(FIND.rows(connection, name="a")) == []


def test_statement_that_ended_its_transaction_is_not_run_again_outside_it(tmp_path):
    """SQLite rolls back by itself on a full disk; a trigger does the same here, and what came before is gone."""
    store = open_database(f"sqlite:///{tmp_path / 'x.db'}", label="store", must_exist=False)
    with store.write() as connection:
        THING.create(connection)
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON thing WHEN (SELECT count(*) FROM thing) = 1 "
            "BEGIN SELECT RAISE(ROLLBACK, 'as on a full disk'); END"
        )
    with pytest.raises(IntegrityError, match="as on a full disk"), store.write() as connection:
        ADD.rows(connection, name="a", size=1)
        ADD.rows(connection, name="b", size=1)
    with store.read() as connection:
        assert [list(FIND.rows(connection, name=name)) for name in ("a", "b")] == [[], []]
    store.dispose()
