"""Rows go in by COPY or by a prepared insert, and come out as they went in."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, SmallInteger, String, Table, select
from sqlalchemy.exc import IntegrityError

from kernel.bulk_insert import BulkInsert
from kernel.clock import to_micros
from kernel.database import Instant, open_database

METADATA = MetaData()
THINGS = Table(
    "thing",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(20), unique=True),
    Column("size", SmallInteger),
    Column("total", Integer),
    Column("at", Instant),
    Column("content", LargeBinary),
    Column("flag", Boolean),
)
COLUMNS = ("name", "size", "total", "at", "content")
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


def test_every_kind_of_value_comes_back(store):
    """Texts, numbers, instants, bytes and nothing; in more bytes than are sent at once."""
    rows = [
        ("汉字", -3, 70_000, to_micros(NOW), b"\x00\xff"),
        (None, None, None, None, None),
        ("long", 1, 2, 3, bytes(3 * 1024 * 1024)),
        ("after", 4, 5, 6, b""),
    ]
    with store.write() as connection:
        BulkInsert(THINGS, COLUMNS).run(connection, rows)
        BulkInsert(THINGS, COLUMNS).run(connection, [])
    with store.read() as connection:
        found = connection.execute(select(*(THINGS.c[name] for name in COLUMNS)).order_by(THINGS.c.number)).all()
    assert [tuple(row) for row in found[:2]] == [("汉字", -3, 70_000, NOW, b"\x00\xff"), (None,) * 5]
    assert [len(row.content) for row in found[2:]] == [3 * 1024 * 1024, 0]


def test_a_broken_constraint_is_an_integrity_error(store):
    """As with any other insert; nothing stays of the transaction."""
    with pytest.raises(IntegrityError), store.write() as connection:
        BulkInsert(THINGS, COLUMNS).run(connection, [("a", 1, 1, 1, b""), ("a", 2, 2, 2, b"")])
    with store.read() as connection:
        assert connection.execute(select(THINGS)).all() == []


def test_a_type_without_a_binary_form_is_refused():
    """Before the first row, and not by a store that reads garbage."""
    with pytest.raises(TypeError, match="flag"):
        BulkInsert(THINGS, ("name", "flag"))
