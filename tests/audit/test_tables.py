"""What the store itself refuses."""

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from audit.tables import metadata


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaf SET actor = 'x'",
        "UPDATE audit_leaf SET body = leaf_hash WHERE leaf_index = 1",
        "DELETE FROM audit_leaf WHERE leaf_index = 299",
        "UPDATE audit_checkpoint SET size = 1",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_subtree SET position = 5",
        "DELETE FROM audit_subtree",
        "UPDATE audit_head SET size = size - 1",
        "DELETE FROM audit_head",
    ],
)
def test_signed_rows_cannot_be_changed_or_removed(any_desk, statement):
    """Triggers of the store refuse it, whoever asks through SQL."""
    for _ in range(2):
        any_desk.fill(150)
        any_desk.log.settle()
    with pytest.raises(DBAPIError, match=r"append-only|only grows"), any_desk.database.write() as connection:
        connection.execute(text(statement))
    assert any_desk.rows("SELECT count(*) FROM audit_leaf") == [(300,)]


@pytest.mark.parametrize("table", ["audit_leaf", "audit_checkpoint", "audit_subtree", "audit_head"])
def test_postgresql_refuses_to_truncate(open_desk, pg_url, table):
    """TRUNCATE passes row triggers by; a statement trigger stops it."""
    desk = open_desk(pg_url)
    with pytest.raises(DBAPIError, match="append-only"), desk.database.write() as connection:
        connection.execute(text(f"TRUNCATE {table}"))


def test_tables_can_be_made_twice_and_dropped(any_desk):
    """Creating is idempotent, and dropping leaves no function behind."""
    with any_desk.database.write() as connection:
        metadata.create_all(connection)
        metadata.drop_all(connection)
        assert inspect(connection).get_table_names() == []
        metadata.create_all(connection)
    any_desk.fill(1)
    assert any_desk.log.settle().size == 1
