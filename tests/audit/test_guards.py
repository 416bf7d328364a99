"""Triggers that are gone, off, altered or foreign."""

import pytest
from sqlalchemy import text

import consent.tables
from audit.guards import missing_guards
from audit.tables import TRIGGERS


def _missing(desk, *statements):
    with desk.database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))
    with desk.database.read() as connection:
        return missing_guards(connection)


def test_a_fresh_store_has_every_guard(any_desk):
    """Right after the tables are made nothing is missing."""
    assert _missing(any_desk) == []


@pytest.mark.parametrize("name", TRIGGERS["sqlite"])
def test_each_dropped_trigger_is_named_on_sqlite(desk, name):
    """Every single trigger counts."""
    assert _missing(desk, f"DROP TRIGGER {name}") == [f"{name} dropped"]


def test_each_dropped_or_disabled_trigger_is_named_on_postgresql(open_desk, pg_url):
    """Dropping and disabling are told apart, trigger by trigger."""
    desk = open_desk(pg_url)
    names = sorted(TRIGGERS["postgresql"])
    with desk.database.read() as connection:
        rows = connection.execute(text("SELECT tgname, tgrelid::regclass::text AS table_name FROM pg_trigger"))
        tables = {row.tgname: row.table_name for row in rows}
    for name in names:
        assert f"{name} disabled" in _missing(desk, f"ALTER TABLE {tables[name]} DISABLE TRIGGER {name}")
    assert _missing(desk) == [f"{name} disabled" for name in names]
    for name in names:
        assert f"{name} dropped" in _missing(desk, f"DROP TRIGGER {name} ON {tables[name]}")
    assert _missing(desk) == [f"{name} dropped" for name in names]


def test_a_trigger_that_fires_for_replicas_only_is_disabled(open_desk, pg_url):
    """ENABLE REPLICA turns it off for everybody else."""
    desk = open_desk(pg_url)
    off = "ALTER TABLE audit_leaf ENABLE REPLICA TRIGGER audit_leaf_no_change"
    assert _missing(desk, off) == ["audit_leaf_no_change disabled"]
    on = "ALTER TABLE audit_leaf ENABLE ALWAYS TRIGGER audit_leaf_no_change"
    assert _missing(desk, on) == []


def test_a_trigger_with_another_text_is_changed_on_sqlite(desk):
    """A trigger of the same name that refuses nothing is no guard."""
    weak = "CREATE TRIGGER audit_leaf_no_delete BEFORE DELETE ON audit_leaf BEGIN SELECT 1; END"
    assert _missing(desk, "DROP TRIGGER audit_leaf_no_delete", weak) == ["audit_leaf_no_delete changed"]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (
            (
                "CREATE OR REPLACE FUNCTION audit_leaf_only_pruned() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN RETURN NEW; END'"
            ),
            ["audit_leaf_no_change changed"],
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER audit_leaf_no_change BEFORE DELETE ON audit_leaf FOR EACH ROW "
                "EXECUTE FUNCTION audit_leaf_only_pruned()"
            ),
            ["audit_leaf_no_change changed"],
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER audit_leaf_no_change BEFORE UPDATE OF act OR DELETE ON audit_leaf "
                "FOR EACH ROW EXECUTE FUNCTION audit_leaf_only_pruned()"
            ),
            ["audit_leaf_no_change changed"],
        ),
        (
            (
                "CREATE OR REPLACE TRIGGER audit_leaf_no_change BEFORE UPDATE OR DELETE ON audit_leaf FOR EACH ROW "
                "WHEN (OLD.leaf_index > 5) EXECUTE FUNCTION audit_leaf_only_pruned()"
            ),
            ["audit_leaf_no_change changed"],
        ),
    ],
)
def test_a_weakened_trigger_is_changed_on_postgresql(open_desk, pg_url, statement, named):
    """Another body, fewer events, chosen columns or a condition: each lets something through."""
    assert _missing(open_desk(pg_url), statement) == named


def test_a_trigger_of_somebody_else_on_a_guarded_table_is_foreign(desk):
    """A hand that acts on each write to the log is named, even where it refuses nothing."""
    spy = "CREATE TRIGGER spy AFTER INSERT ON audit_leaf BEGIN DELETE FROM audit_detail; END"
    assert _missing(desk, spy) == ["spy foreign"]


def test_a_database_whose_sessions_skip_triggers_is_named(open_desk, pg_url):
    """As a replica a session fires no ordinary trigger at all."""
    desk = open_desk(pg_url)
    with desk.database.write() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        assert missing_guards(connection) == ["session_replication_role changed"]
        connection.execute(text("SET session_replication_role = origin"))


def test_triggers_of_the_register_are_compared_as_well(any_desk):
    """The same comparison holds for whatever statements created them."""
    with any_desk.database.write() as connection:
        consent.tables.metadata.create_all(connection)
        statements = consent.tables.CREATE_TRIGGERS[connection.dialect.name]
        assert missing_guards(connection, statements) == []
        where = "" if connection.dialect.name == "sqlite" else " ON decision"
        name = "decision_no_update" if connection.dialect.name == "sqlite" else "decision_no_change"
        connection.execute(text(f"DROP TRIGGER {name}{where}"))
        assert missing_guards(connection, statements) == [f"{name} dropped"]


def test_a_statement_of_another_shape_is_not_taken_for_compared(desk):
    """What cannot be compared is an error, never whole."""
    with desk.database.read() as connection, pytest.raises(ValueError, match="no trigger"):
        missing_guards(connection, ["CREATE TABLE audit_leaf (x)"])
