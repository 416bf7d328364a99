"""What is stored of notices and decisions can be added to, never changed, on both engines."""

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

import consent.tables
from consent.tables import decision, notice


@pytest.fixture
def stored(either_office):
    """A store with one notice and one decision."""
    subject = either_office.subject()
    either_office.grant(subject, "P07")
    return either_office.database


def attempt(database, statement):
    with database.write() as connection:
        connection.execute(statement)


@pytest.mark.parametrize("table", [decision, notice], ids=lambda table: table.name)
def test_stored_rows_are_never_changed(stored, table):
    """Updating or deleting a stored row is refused by the store itself."""
    for statement in (update(table).values(entry_id="ent_x"), delete(table)):
        with pytest.raises(DBAPIError, match="append-only"):
            attempt(stored, statement)


@pytest.mark.parametrize("table", [decision, notice], ids=lambda table: table.name)
def test_stored_rows_are_never_replaced(stored, table):
    """An insert over a stored row's key leaves the stored row."""
    with stored.read() as connection:
        row = dict(connection.execute(select(table).order_by(*table.primary_key)).mappings().first())
    statement = insert(table).values(row | {"entry_id": "ent_x"})
    if stored.is_sqlite:
        statement = statement.prefix_with("OR REPLACE")
    with pytest.raises(DBAPIError, match=r"append-only|duplicate key"):
        attempt(stored, statement)
    with stored.read() as connection:
        assert dict(connection.execute(select(table).order_by(*table.primary_key)).mappings().first()) == row


@pytest.mark.parametrize("table", [decision, notice], ids=lambda table: table.name)
def test_truncate_is_refused(postgres, table):
    """PostgreSQL's TRUNCATE fires no row triggers and has its own."""
    with pytest.raises(DBAPIError, match="append-only"):
        attempt(postgres, text(f"TRUNCATE {table.name} CASCADE"))


def test_tables_can_be_dropped_and_created_again(either):
    """Triggers and functions go and come with their tables."""
    with either.write() as connection:
        consent.tables.metadata.drop_all(connection)
    with either.write() as connection:
        consent.tables.metadata.create_all(connection)
    attempt(either, text("INSERT INTO notice VALUES ('c', '1', 'en', 1, true, 'h', 't', 0, 'e')"))
    with pytest.raises(DBAPIError, match="append-only"):
        attempt(either, delete(notice))


def test_triggers_for_migrations_are_those_of_the_tables(database):
    """The statements given to migrations are the ones that create_all ran."""
    with database.read() as connection:
        stored = set(connection.scalars(text("SELECT sql FROM sqlite_master WHERE type = 'trigger'")))
    assert set(consent.tables.CREATE_TRIGGERS["sqlite"]) <= stored
