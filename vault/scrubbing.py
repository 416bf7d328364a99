"""Scrubbing: what SQLite keeps of deleted rows beyond secure_delete.

``secure_delete`` overwrites a deleted cell and a freed page. It leaves two kinds of copies: a page that was split or
merged may keep the former place of a cell that moved to its neighbour (measured: two digests among 12,300 erased
values), and a write-ahead log keeps old pages until it is checkpointed. On PostgreSQL a deleted row stays on its page
until VACUUM has passed, and its bytes until the page is used again.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import text

from kernel.database import Database
from kernel.errors import Unavailable
from vault.tables import (
    attachment,
    attachment_chunk,
    blind_index,
    blinding_key,
    data_key,
    doubtful_identity,
    identity_fact,
    pseudonym,
    returned,
    sealed_record,
)

_EMPTIED: Final = tuple(
    table.name
    for table in (
        attachment,
        attachment_chunk,
        blind_index,
        blinding_key,
        data_key,
        doubtful_identity,
        identity_fact,
        pseudonym,
        returned,
        sealed_record,
    )
)
"""Tables of both stores from which erasures delete."""


def flush_log(database: Database) -> None:
    """Move a write-ahead log into its SQLite database and cut it to nothing; without one, or elsewhere, do nothing.

    Raises:
        Unavailable: somebody is reading old pages; nothing is lost, call it again.
    """
    if database.is_sqlite and _run(database, "PRAGMA wal_checkpoint(TRUNCATE)")[0]:
        raise Unavailable(f"The log of the {database.label} is being read", hint="Try again.")


def scrub(database: Database) -> list[str]:
    """Rewrite a SQLite database from its live rows only, under an exclusive lock; vacuum on PostgreSQL.

    SQLite takes about a second for each 100 MB. What counts on PostgreSQL, where archives keep dead rows for longer, is
    that their keys are gone; the tables are those that erasures delete from, as far as this role owns them.

    Returns:
        The statements that the tables' owner has to run, because this role may not.

    Raises:
        Unavailable: the store is in use, or the disk is full; nothing was changed.
    """
    if not database.is_sqlite:
        return _vacuum(database)
    # The copy is made in a file and not in memory: live rows may be more than that holds.
    _run(database, "PRAGMA query_only = OFF", "PRAGMA temp_store = FILE", "VACUUM", "PRAGMA temp_store = MEMORY")
    flush_log(database)
    return []


def _vacuum(database: Database) -> list[str]:
    query = text(
        "SELECT relname, pg_has_role(relowner, 'USAGE') FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace = current_schema()::regnamespace AND relname = ANY(:names) ORDER BY relname"
    )
    with database.read() as connection:
        found = [(name, mine) for name, mine in connection.execute(query, {"names": list(_EMPTIED)})]
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name, mine in found:
            if mine:
                connection.exec_driver_sql(f"VACUUM {name}")
    return [f"VACUUM {name};" for name, mine in found if not mine]


def _run(database: Database, *statements: str) -> tuple[int, ...]:
    """Run statements that no transaction may hold; return the last one's first row."""
    with closing(database.engine.raw_connection()) as connection:
        try:
            rows: Sequence[tuple[int, ...]] = ()
            for statement in statements:
                cursor = connection.cursor()
                cursor.execute(statement)
                rows = cursor.fetchall()
        except sqlite3.OperationalError as err:
            connection.invalidate()
            raise Unavailable(f"The {database.label} cannot be scrubbed: {err}", hint="Try again.") from err
    return rows[0] if rows else ()
