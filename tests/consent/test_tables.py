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


HIDDEN = ("notice", "decision_use", "notice_change", "assessment", "recipient")
"""Append-only tables whose key is not the number that SQLite gives a row."""


def test_stored_rows_are_not_replaced_by_their_number(database):
    """SQLite numbers rows beside their key; an INSERT OR REPLACE under such a number takes no row away."""
    for name in HIDDEN:
        table = consent.tables.metadata.tables[name]
        attempt(database, text(f"INSERT INTO {name} (rowid, {', '.join(table.c.keys())}) {filled(table, 'a')}"))
        with pytest.raises(DBAPIError, match="append-only"):
            attempt(
                database,
                text(f"INSERT OR REPLACE INTO {name} (rowid, {', '.join(table.c.keys())}) {filled(table, 'b')}"),
            )
        with database.read() as connection:
            assert connection.scalar(text(f"SELECT count(*) FROM {name}")) == 1


def filled(table, text_value: str) -> str:
    """Values for every column of a table, its row number 7 first."""
    values = {"kind": "'joint'", "outcome": "'approved'"}
    made = [
        values.get(column.name, f"'{text_value}'" if column.type.python_type in {str, bytes} else "0")
        for column in table.columns
    ]
    return f"VALUES (7, {', '.join(made)})"
