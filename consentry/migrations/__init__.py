"""Schema histories: one for the data store, one for the key store (Alembic)."""

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from kernel.database import Database
from kernel.errors import ConfigurationError

_HERE: Final = Path(__file__).parent


class Store(StrEnum):
    """The two stores; each value is the folder of its history."""

    DATA = "data_store"
    KEYS = "key_store"


def metadata_of(store: Store) -> tuple[MetaData, ...]:
    """Return the table definitions that live in a store."""
    import audit.tables
    import consent.tables
    import consentry.stores.tables
    import vault.tables

    if store is Store.KEYS:
        return (vault.tables.keystore_metadata,)
    return (
        consent.tables.metadata,
        audit.tables.metadata,
        vault.tables.data_metadata,
        consentry.stores.tables.metadata,
    )


def upgrade(
    database: Database,
    store: Store,
    *,
    revision: str = "head",
    finish: Callable[[Connection], None] | None = None,
) -> None:
    """Bring a store to a revision, in one transaction.

    Args:
        database: the store.
        store: which of the two.
        revision: the newest when left out.
        finish: what else belongs into the transaction, because a revision alone cannot do it.
    Raises:
        ConfigurationError: the store is at a revision that this version does not know; nothing was changed.
    """
    with database.write() as connection:
        _check_known(connection, database, store)
        command.upgrade(_config(connection, store), revision)
        if finish is not None:
            finish(connection)


def downgrade(database: Database, store: Store, *, revision: str) -> None:
    """Take a store back to a revision, in one transaction; ``base`` leaves nothing at all.

    Raises:
        ConfigurationError: as ``upgrade``.
    """
    with database.write() as connection:
        _check_known(connection, database, store)
        command.downgrade(_config(connection, store), revision)
        if revision == "base":
            context = MigrationContext.configure(connection)
            context._version.drop(connection, checkfirst=True)  # noqa: SLF001 - Alembic has no other way


def check_current(database: Database, store: Store) -> None:
    """Raise ``ConfigurationError`` unless the store is at the newest revision."""
    found = check_made(database, store)
    wanted = _history(store).get_current_head()
    if found != wanted:
        raise ConfigurationError(
            f"The {database.label} is at schema {found}, this version needs {wanted}",
            hint="Make a backup, then run `consentry upgrade`.",
        )


def check_made(database: Database, store: Store) -> str:
    """Return a store's revision; raises ``ConfigurationError`` for an unknown one, and for a store that is empty."""
    with database.read() as connection:
        found = _check_known(connection, database, store)
    if found is None:
        raise ConfigurationError(
            f"The {database.label} is empty", hint="Restore a backup, or make a new deployment elsewhere."
        )
    return found


def _check_known(connection: Connection, database: Database, store: Store) -> str | None:
    """Return the store's revision, None for an empty one, after checking that its history has it."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {script.revision for script in _history(store).walk_revisions()}:
        raise ConfigurationError(
            f"The {database.label} is at schema {found}, which this version does not know; nothing was changed",
            hint="It was written by another version: install that one, or restore a backup.",
        )
    return found


@cache
def _history(store: Store) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None, store))


def _config(connection: Connection | None, store: Store) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / store.value).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["store"] = store
    return config
