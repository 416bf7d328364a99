"""Schema histories: one for the data store, one for the key store (Alembic)."""

from enum import StrEnum
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


def upgrade(database: Database, store: Store, *, revision: str = "head") -> None:
    """Bring a store to a revision, in one transaction."""
    with database.write() as connection:
        command.upgrade(_config(connection, store), revision)


def downgrade(database: Database, store: Store, *, revision: str) -> None:
    """Take a store back to a revision, in one transaction."""
    with database.write() as connection:
        command.downgrade(_config(connection, store), revision)


def check_current(database: Database, store: Store) -> None:
    """Raise ``ConfigurationError`` unless the store is at the newest revision."""
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    wanted = ScriptDirectory.from_config(_config(None, store)).get_current_head()
    if found != wanted:
        raise ConfigurationError(
            f"The {database.label} is at schema {found or 'none'}, this version needs {wanted}",
            hint="Make a backup, then run `consentry upgrade`.",
        )


def _config(connection: Connection | None, store: Store) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE / store.value).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["store"] = store
    return config
