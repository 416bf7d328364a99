"""Entries by ranges of their index, read window by window: flat memory, and no reader that keeps a writer waiting."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from audit.origins import FIRST, Origin, current_origin, origins
from audit.tables import checkpoint, leaf, prune
from audit.verifier import Checkpoint, CompactRange, leaf_hash
from kernel.database import Database
from kernel.errors import IntegrityFailed

WINDOW: Final = 512
"""Indexes in one read transaction: some hundred kilobytes; no writer of a SQLite store waits longer than it takes."""

_COUNTED: Final = 65_536
"""Indexes counted in one read transaction, which reads no entry."""


@dataclass(frozen=True, slots=True)
class EntryRange:
    """Which entries are meant.

    Attributes:
        first: index of the first one, counted over all origins.
        end: the first index that is no longer meant.
        acts: only these; empty for all.
        since: first instant.
        until: first instant that is no longer meant.
    """

    first: int
    end: int
    acts: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every entry between the two indexes is meant."""
        return not self.acts and self.since is None and self.until is None


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """One entry with the place where its proof is found.

    Attributes:
        index: its place counted over all origins, as it is looked up here.
        tree_index: its index in the tree of its origin, as an inclusion proof takes it.
        origin: name of the tree.
        body: the bytes that were hashed.
        leaf_hash: the RFC 6962 leaf hash of ``body``.
    """

    index: int
    tree_index: int
    origin: str
    body: bytes = field(repr=False)
    leaf_hash: bytes = field(repr=False)


def signed_end(connection: Connection, signed: Checkpoint) -> int:
    """Return the first index, counted over all origins, that a checkpoint of the current origin does not cover."""
    return current_origin(connection).base + signed.size


def count_entries(database: Database, wanted: EntryRange) -> int:
    """Return how many entries of a range are kept; pruned ones are not counted."""
    with database.read() as connection:
        kept = max(wanted.first, _pruned_below(connection))
    if wanted.is_whole:
        return max(0, wanted.end - kept)
    counted = 0
    for first in range(kept, wanted.end, _COUNTED):
        query = select(func.count()).select_from(leaf)
        with database.read() as connection:
            counted += connection.scalar(query.where(*_conditions(wanted, first, _COUNTED))) or 0
    return counted


def read_entries(database: Database, wanted: EntryRange, signed: Checkpoint) -> Iterator[list[PlacedEntry]]:
    """Yield the entries of a range in order, each window in a read transaction of its own; pruned ones are left out.

    Raises:
        IntegrityFailed: stored bytes are not those that were hashed, an entry of an unfiltered range is missing, or
            (after the last window) the whole tree was read and is not the one that was signed.
    """
    with database.read() as connection:
        places = _Places.read(connection, signed)
        kept = max(wanted.first, _pruned_below(connection))
    tree = CompactRange()
    for first in range(kept, wanted.end, WINDOW):
        query = select(leaf.c.leaf_index, leaf.c.body, leaf.c.leaf_hash).order_by(leaf.c.leaf_index)
        with database.read() as connection:
            rows = connection.execute(query.where(*_conditions(wanted, first, WINDOW))).all()
        found = [places.placed(row.leaf_index, row.body, row.leaf_hash) for row in rows]
        if wanted.is_whole and len(found) != min(WINDOW, wanted.end - first):
            raise _rewritten()
        for entry in found:
            if entry.origin == signed.origin:
                tree.append(entry.leaf_hash)
        yield found
    if tree.size == signed.size and tree.root() != signed.root:
        raise _rewritten()


@dataclass(frozen=True, slots=True)
class _Places:
    """The origins of a log, newest first, by which an index is told to be the n-th of its tree."""

    origins: tuple[tuple[Origin, str], ...]

    @classmethod
    def read(cls, connection: Connection, signed: Checkpoint) -> "_Places":
        found = origins(connection)
        first = signed.origin if len(found) == 1 else _first_name(connection)
        return cls(tuple((one, one.name or first) for one in reversed(found)))

    def placed(self, index: int, body: bytes, hashed: bytes) -> PlacedEntry:
        """Return an entry with its place, after hashing its bytes again."""
        if leaf_hash(body) != hashed:
            raise _rewritten()
        mine, name = next((one, name) for one, name in self.origins if index >= one.base)
        return PlacedEntry(index, index - mine.base, name, body, hashed)


def _pruned_below(connection: Connection) -> int:
    return connection.scalar(select(func.max(prune.c.below))) or 0


def _first_name(connection: Connection) -> str:
    """Return the name of the first origin, as its own checkpoints say it."""
    query = select(checkpoint.c.note).where(checkpoint.c.origin_no == FIRST.number).order_by(checkpoint.c.size).limit(1)
    note: bytes = connection.scalar(query) or b""
    return note.split(b"\n", 1)[0].decode()


def _conditions(wanted: EntryRange, first: int, count: int) -> list[ColumnElement[bool]]:
    last = min(first + count, wanted.end) - 1
    conditions: list[ColumnElement[bool]] = [leaf.c.leaf_index.between(first, last)]
    if wanted.acts:
        conditions.append(leaf.c.act.in_(wanted.acts))
    if wanted.since is not None:
        conditions.append(leaf.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(leaf.c.at < wanted.until)
    return conditions


def _rewritten() -> IntegrityFailed:
    return IntegrityFailed(
        "Stored entries are not those that were signed", hint="Export the log and run consentry-verify."
    )
