"""Sets of rows go in by one statement; what is there stays."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, select
from sqlalchemy.exc import DataError

from kernel.database import Instant, open_database
from kernel.set_insert import insert_absent

METADATA = MetaData()
THINGS = Table(
    "thing_of_set",
    METADATA,
    Column("key_id", LargeBinary(8), primary_key=True),
    Column("name", String(8)),
    Column("number", Integer),
    Column("at", Instant),
    Column("flag", Boolean, server_default="1"),
)
NOW = datetime(2026, 11, 21, 2, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """A store with one table, on each engine."""
    on_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'x.db'}" if on_file else request.getfixturevalue("pg_url")
    database = open_database(url, label="data store", must_exist=False)
    METADATA.create_all(database.engine)
    yield database
    database.dispose()


def rows_of(count: int, name: str | None) -> list[dict[str, object]]:
    return [{"key_id": bytes((one,)) * 8, "name": name, "number": one, "at": NOW} for one in range(count)]


@pytest.mark.parametrize("count", [1, 50])
def test_rows_that_are_there_stay(store, count):
    """However many there are; nothing, quotes and other letters come back as they were."""
    with store.write() as connection:
        insert_absent(connection, THINGS, rows_of(count, None))
        insert_absent(connection, THINGS, rows_of(count + 20, '{汉",\\'))
        insert_absent(connection, THINGS, [])
    with store.read() as connection:
        found = connection.execute(select(THINGS).order_by(THINGS.c.number)).all()
    assert [row.name for row in found] == [None] * count + ['{汉",\\'] * 20
    assert {(row.at, row.flag) for row in found} == {(NOW, True)}


def test_a_text_that_is_too_long_is_refused_and_not_cut(pg_url):
    """A cast to the column's own type would cut it."""
    database = open_database(pg_url, label="data store")
    METADATA.create_all(database.engine)
    with pytest.raises(DataError), database.write() as connection:
        insert_absent(connection, THINGS, rows_of(50, "nine long"))
    database.dispose()
