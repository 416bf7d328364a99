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
        "UPDATE audit_head SET id = 2",
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


ENTRY_COLUMNS = "rowid, leaf_index, entry_id, body, leaf_hash, at, act, outcome, actor, role, request_id"


@pytest.mark.parametrize(
    "statement",
    [
        "INTO audit_head VALUES (1, 3, x'', 1)",
        "INTO audit_head (rowid, size, peaks, at) VALUES (1, 3, x'', 1)",
        "INTO audit_alias VALUES ('als_a', 'sub_b', 2020, x'02')",
        "INTO audit_alias VALUES ('als_b', 'sub_a', 2026, x'02')",
        "INTO audit_alias (rowid, alias, subject_id, year) VALUES (1, 'als_b', 'sub_b', 2020)",
        "INTO audit_checkpoint VALUES (1, 150, x'', x'')",
        "INTO audit_checkpoint (rowid, origin_no, size, root, note) VALUES (1, 9, 9, x'', x'')",
        "INTO audit_subtree (rowid, origin_no, level, position, hash) VALUES (1, 9, 9, 9, x'')",
        f"INTO audit_leaf ({ENTRY_COLUMNS}) VALUES (1, 999, 'ent_x', x'', x'', 5, 'a', 'o', 'u', 'r', 'q')",
    ],
)
def test_no_row_goes_by_being_replaced(desk, statement):
    """SQLite fires no delete trigger for INSERT OR REPLACE, by whatever it finds the other row."""
    for _ in range(2):
        desk.fill(150)
        desk.log.settle()
    tables = ("audit_head", "audit_alias", "audit_checkpoint", "audit_subtree", "audit_leaf")
    with desk.database.write() as connection:
        connection.execute(text("INSERT INTO audit_alias VALUES ('als_a', 'sub_a', 2026, x'01')"))
    before = [desk.rows(f"SELECT * FROM {table}") for table in tables]
    said = r"append-only|only grows|only forgotten"
    with pytest.raises(DBAPIError, match=said), desk.database.write() as connection:
        connection.execute(text(f"INSERT OR REPLACE {statement}"))
    assert [desk.rows(f"SELECT * FROM {table}") for table in tables] == before
    desk.fill(1)
    assert desk.log.settle().size == 301


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
