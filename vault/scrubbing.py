"""Scrubbing: what SQLite keeps of deleted rows beyond secure_delete.

``secure_delete`` overwrites a deleted cell and a freed page. It leaves two kinds of copies: a page that was split or
merged may keep the former place of a cell that moved to its neighbour (measured: two digests among 12,300 erased
values), and a write-ahead log keeps old pages until it is checkpointed.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from kernel.database import Database
from kernel.errors import Unavailable


def flush_log(database: Database) -> None:
    """Move a write-ahead log into its SQLite database and cut it to nothing; without one, or elsewhere, do nothing.

    Raises:
        Unavailable: somebody is reading old pages; nothing is lost, call it again.
    """
    if database.is_sqlite and _run(database, "PRAGMA wal_checkpoint(TRUNCATE)")[0]:
        raise Unavailable(f"The log of the {database.label} is being read", hint="Try again.")


def scrub(database: Database) -> None:
    """Rewrite a SQLite database from its live rows only, under an exclusive lock; elsewhere do nothing.

    Takes about a second for each 100 MB. On PostgreSQL dead rows go with VACUUM and what follows it; what counts there
    is that their keys are gone.

    Raises:
        Unavailable: the store is in use, or the disk is full; nothing was changed.
    """
    if database.is_sqlite:
        # The copy is made in a file and not in memory: live rows may be more than that holds.
        _run(database, "PRAGMA query_only = OFF", "PRAGMA temp_store = FILE", "VACUUM", "PRAGMA temp_store = MEMORY")
        flush_log(database)


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
