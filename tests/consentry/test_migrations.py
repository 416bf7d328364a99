"""Both schema histories, up and down, on both engines: what they make is what the code declares."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from consentry.migrations import Store, check_current, check_made, downgrade, metadata_of, upgrade
from consentry.stores.triggers import missing_triggers
from kernel.database import Database, open_database
from kernel.errors import ConfigurationError, Unavailable

NewStore = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewStore]:
    """Makes empty stores of one engine."""
    opened: list[Database] = []

    def make() -> Database:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / f'store-{len(opened)}.db'}"
        else:
            url = request.getfixturevalue("pg_database")()
        opened.append(open_database(url, label="test store", must_exist=False))
        return opened[-1]

    yield make
    for database in opened:
        database.dispose()


def created(database: Database, store: Store) -> Database:
    """Fill a store from the declarations."""
    with database.write() as connection:
        for metadata in metadata_of(store):
            metadata.create_all(connection)
    return database


def migrated(database: Database, store: Store) -> Database:
    """Fill a store by its history."""
    upgrade(database, store)
    return database


def schema(database: Database) -> dict[str, Any]:
    """Everything that a store's schema says, without Alembic's own table."""
    with database.read() as connection:
        found = sa.inspect(connection)
        tables = [name for name in found.get_table_names() if name != "alembic_version"]
        return {name: described(found, name) for name in tables} | {"triggers": triggers(connection)}


def described(found: sa.Inspector, table: str) -> dict[str, Any]:
    """One table, in an order that does not depend on how it was made."""
    columns = [
        (
            c["name"],
            str(c["type"]),
            c["nullable"],
            str(c["default"]),
            str(c.get("autoincrement")),
            str(c.get("comment")),
        )
        for c in found.get_columns(table)
    ]
    return {
        "columns": columns,
        "primary key": found.get_pk_constraint(table),
        "unique": sorted(map(str, found.get_unique_constraints(table))),
        "indexes": sorted(map(written, found.get_indexes(table))),
        "foreign keys": sorted(map(str, found.get_foreign_keys(table))),
        "checks": sorted(map(str, found.get_check_constraints(table))),
    }


def written(index: Mapping[str, Any]) -> str:
    """An index as text, with its conditions."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def triggers(connection: sa.Connection) -> list[tuple[str, ...]]:
    """Triggers with their whole text, and on PostgreSQL the functions behind them."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        return [
            (name, table, sql.replace("IF NOT EXISTS ", "")) for name, table, sql in connection.execute(sa.text(query))
        ]
    query = (
        "SELECT tgname, tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
        "UNION ALL SELECT proname, '', prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in connection.execute(sa.text(query))]


def leftovers(database: Database) -> list[str]:
    """Names of everything that a store holds."""
    with database.read() as connection:
        if database.is_sqlite:
            query = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        else:
            query = (
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
                "UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace"
            )
        return sorted(connection.scalars(sa.text(query)))


@pytest.mark.parametrize("store", Store)
def test_upgrade_makes_what_the_code_declares(new_store: NewStore, store: Store) -> None:
    """Columns, keys, indexes, checks, triggers and their functions are the same, and Alembic sees no difference."""
    history = migrated(new_store(), store)
    assert schema(history) == schema(created(new_store(), store))
    with history.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, list(metadata_of(store))) == []
    check_current(history, store)


@pytest.mark.parametrize("store", Store)
def test_downgrade_to_base_leaves_nothing(new_store: NewStore, store: Store) -> None:
    """Tables, indexes, triggers, functions and Alembic's own mark are gone, and the way up is open again."""
    database = migrated(new_store(), store)
    before = schema(database)
    downgrade(database, store, revision="base")
    assert leftovers(database) == []
    upgrade(database, store)
    assert schema(database) == before


def test_upgraded_store_refuses_to_change_the_past(new_store: NewStore) -> None:
    """The append-only triggers come with the history, not only with the declarations."""
    database = migrated(new_store(), Store.DATA)
    with database.write() as connection:
        connection.execute(
            sa.text("INSERT INTO audit_checkpoint (origin_no, size, root, note) VALUES (1, 1, :root, :note)"),
            {"root": b"\x00" * 32, "note": b"note"},
        )
    for change in ("UPDATE audit_checkpoint SET size = 2", "DELETE FROM audit_checkpoint"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as connection:
            connection.execute(sa.text(change))


def test_upgraded_store_has_every_guard(new_store: NewStore) -> None:
    """What a start compares the triggers with is what the history made."""
    with migrated(new_store(), Store.DATA).read() as connection:
        assert missing_triggers(connection) == []


def test_failing_upgrade_leaves_the_store_as_it_was(new_store: NewStore) -> None:
    """An upgrade is one transaction: a table that is in the way leaves nothing half made."""
    database = new_store()
    with database.write() as connection:
        connection.execute(sa.text("CREATE TABLE tag_value (n int)"))
    before = leftovers(database)
    with pytest.raises((sa.exc.DBAPIError, Unavailable), match=r"tag_value.* already exists"):
        upgrade(database, Store.DATA)
    assert leftovers(database) == before


@pytest.mark.parametrize("move", [upgrade, lambda database, store: downgrade(database, store, revision="base")])
def test_unknown_revision_is_not_moved(new_store: NewStore, move: Callable[[Database, Store], None]) -> None:
    """A store of another version is refused before anything is done to it."""
    database = migrated(new_store(), Store.KEYS)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = schema(database)
    with pytest.raises(ConfigurationError, match="at schema 9999, which this version does not know"):
        move(database, Store.KEYS)
    assert schema(database) == before


def test_empty_store_has_no_revision(new_store: NewStore) -> None:
    """A lost store is not taken for a new one."""
    with pytest.raises(ConfigurationError, match="The test store is empty"):
        check_made(new_store(), Store.DATA)


def test_every_table_has_its_store() -> None:
    """No table is declared in both stores."""
    data, keys = ({name for m in metadata_of(store) for name in m.tables} for store in Store)
    assert data.isdisjoint(keys)
    assert {"decision", "sealed_record", "audit_leaf", "principal"} <= data
    assert {"epoch", "data_key", "blind_index", "pseudonym"} <= keys
