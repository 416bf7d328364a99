"""What a witness remembers: the last checkpoint that it cosigned of each log, and proofs that a log forked.

A SQLite file of the witness's own, written durably before any cosignature leaves (docs/adr/0003).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, String, Table, func, inspect, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL

from audit.verifier import Checkpoint
from kernel.database import Database, Instant, new_metadata, open_database
from kernel.errors import ConfigurationError, Conflict, Unavailable

MAX_CONFLICTS: Final = 100
"""Proofs of forks kept of one log: whoever stole its key could otherwise fill the disk with them."""

_LABEL: Final = "witness state"

_ANEW: Final = (
    "Never restore an older copy: it would cosign the rollback that it is there to refuse. Where the state is lost, "
    "make a new key, tell the logs' operators, and start with --new-state."
)

metadata = new_metadata()

cosigned = Table(
    "witness_cosigned",
    metadata,
    Column("origin", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
)
"""The last cosigned checkpoint of each log, with the log's signatures and our cosignature."""

conflict = Table(
    "witness_conflict",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("origin", String, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("known_note", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False, unique=True),
    Column("at", Instant, nullable=False),
)
"""Two checkpoints of one size with different roots, both signed by the log."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The last checkpoint of one log that was cosigned; ``checkpoint.note`` carries the cosignature."""

    checkpoint: Checkpoint
    at: datetime


@dataclass(frozen=True, slots=True)
class Fork:
    """Two signed checkpoints of one size with different roots: the log told two stories."""

    origin: str
    size: int
    known_note: bytes = field(repr=False)
    note: bytes = field(repr=False)
    at: datetime


@contextmanager
def open_witness_state(path: Path, *, is_new: bool = False) -> Iterator[Database]:
    """Open the state file.

    Args:
        path: of the file.
        is_new: make it. A witness that forgot what it cosigned would cosign a rolled-back log, so a file that is not
            there is never made by the way.
    Raises:
        Conflict: it is to be made and is there already.
        ConfigurationError: the file is no witness's state.
        Unavailable: it is not there, or cannot be used.
    """
    if is_new and path.exists():
        raise Conflict("The witness state exists already", hint="Leave out --new-state.")
    if not is_new and not path.is_file():
        raise Unavailable("The witness state is not there", hint=f"The first start takes --new-state. {_ANEW}")
    url = URL.create("sqlite", database=str(path))
    database = open_database(url, label=_LABEL, must_exist=not is_new)
    try:
        if is_new:
            with database.write() as connection:
                metadata.create_all(connection)
        _check_usable(database)
        yield database
    finally:
        database.dispose()


def _check_usable(database: Database) -> None:
    try:
        _check_tables(database)
    except Unavailable as err:
        if "damaged" not in err.message:
            raise
        raise Unavailable(err.message, hint=_ANEW) from err


def _check_tables(database: Database) -> None:
    with database.read() as connection:
        present = set(inspect(connection).get_table_names())
    if not present.issuperset(metadata.tables):
        raise ConfigurationError("The file is no witness's state", hint="Check --state.")


def find_cosigned(connection: Connection, origin: str) -> Cosigned | None:
    """Return the last cosigned checkpoint of a log, or None when there is none."""
    return next(iter(_cosigned(connection, origin)), None)


def all_cosigned(connection: Connection) -> Sequence[Cosigned]:
    """Return the last cosigned checkpoint of every log, by origin."""
    return _cosigned(connection, None)


def remember(connection: Connection, made: Cosigned) -> None:
    """Store a checkpoint as the last one of its log."""
    signed = made.checkpoint
    row = {"size": signed.size, "root": signed.root, "note": signed.note, "at": made.at}
    statement = sqlite.insert(cosigned).values(origin=signed.origin, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["origin"], set_=row))


def keep_fork(connection: Connection, fork: Fork) -> None:
    """Keep the proof that a log forked; the same one once, and of one log at most ``MAX_CONFLICTS``."""
    kept = connection.scalar(select(func.count()).where(conflict.c.origin == fork.origin))
    if kept is not None and kept < MAX_CONFLICTS:
        row = {"origin": fork.origin, "size": fork.size, "known_note": fork.known_note, "note": fork.note}
        connection.execute(sqlite.insert(conflict).on_conflict_do_nothing(), row | {"at": fork.at})


def all_forks(connection: Connection) -> Sequence[Fork]:
    """Return every proof of a fork, the oldest first."""
    rows = connection.execute(select(conflict).order_by(conflict.c.id))
    return [Fork(row.origin, row.size, row.known_note, row.note, row.at) for row in rows]


def _cosigned(connection: Connection, origin: str | None) -> Sequence[Cosigned]:
    query = select(cosigned).order_by(cosigned.c.origin)
    rows = connection.execute(query if origin is None else query.where(cosigned.c.origin == origin))
    return [Cosigned(Checkpoint(row.origin, row.size, row.root, row.note), row.at) for row in rows]
