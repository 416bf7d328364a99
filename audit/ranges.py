"""Entries by ranges of their index, read window by window: flat memory, and no reader that keeps a writer waiting."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from audit.origins import FIRST, Origin, origins
from audit.tables import checkpoint, leaf, prune
from audit.verifier import Checkpoint, CompactRange, leaf_hash
from kernel.database import Database
from kernel.errors import IntegrityFailed

WINDOW: Final = 512
"""Indexes in one read transaction: some hundred kilobytes; no writer of a SQLite store waits longer than it takes."""

_COUNTED: Final = 8_192
"""Indexes counted in one read transaction."""

_Leaf: TypeAlias = Row[*tuple[Any, ...]]


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


def count_entries(database: Database, wanted: EntryRange) -> int:
    """Return how many entries of a range have their bytes; pruned ones are not counted."""
    with database.read() as connection:
        bound = _pruned_below(connection)
    counted = max(0, wanted.end - max(bound, wanted.first)) if wanted.is_whole else 0
    for part in _parts(wanted, min(bound, wanted.end) if wanted.is_whole else wanted.end, _COUNTED):
        query = select(func.count()).where(*_conditions(part), _has_bytes(bound))
        with database.read() as connection:
            counted += connection.scalar(query) or 0
    return counted


def read_entries(database: Database, wanted: EntryRange, signed: Checkpoint) -> Iterator[list[PlacedEntry]]:
    """Yield the entries of a range in order, each window in a read transaction of its own; pruned ones are left out.

    Raises:
        IntegrityFailed: stored bytes are not those that were hashed, an entry of an unfiltered range is missing, or
            (after the last window) the whole tree was read and is not the one that was signed.
    """
    with database.read() as connection:
        reader = _Reader(connection, signed)
    query = select(leaf.c.leaf_index, leaf.c.body, leaf.c.leaf_hash).order_by(leaf.c.leaf_index)
    for window in _parts(wanted, wanted.end, WINDOW):
        with database.read() as connection:
            rows = connection.execute(query.where(*_conditions(window))).all()
        if wanted.is_whole and len(rows) != window.end - window.first:
            raise _rewritten()
        yield [entry for row in rows if (entry := reader.read(row)) is not None]
    reader.check_whole()


class _Reader:
    """Hashes entries again, gives them their places, and grows the tree of the current origin."""

    def __init__(self, connection: Connection, signed: Checkpoint) -> None:
        self._signed = signed
        self._bound = _pruned_below(connection)
        self._tree = CompactRange()
        found = origins(connection)
        first = signed.origin if len(found) == 1 else _first_name(connection)
        self._newest_first = [(one, one.name or first) for one in reversed(found)]

    def read(self, row: _Leaf) -> PlacedEntry | None:
        """Return an entry with its place, or None where it was pruned."""
        is_pruned = row.leaf_index < self._bound and not row.body
        if not is_pruned and leaf_hash(row.body) != row.leaf_hash:
            raise _rewritten()
        origin, name = self._origin_of(row.leaf_index)
        if name == self._signed.origin:
            self._tree.append(row.leaf_hash)
        if is_pruned:
            return None
        return PlacedEntry(row.leaf_index, row.leaf_index - origin.base, name, row.body, row.leaf_hash)

    def check_whole(self) -> None:
        """Compare the tree with the signed one, where all of it was read."""
        if self._tree.size == self._signed.size and self._tree.root() != self._signed.root:
            raise _rewritten()

    def _origin_of(self, index: int) -> tuple[Origin, str]:
        return next((one, name) for one, name in self._newest_first if index >= one.base)


def _pruned_below(connection: Connection) -> int:
    return connection.scalar(select(func.max(prune.c.below))) or 0


def _first_name(connection: Connection) -> str:
    """Return the name of the first origin, as its own checkpoints say it."""
    query = select(checkpoint.c.note).where(checkpoint.c.origin_no == FIRST.number).order_by(checkpoint.c.size).limit(1)
    note: bytes = connection.scalar(query) or b""
    return note.split(b"\n", 1)[0].decode()


def _parts(wanted: EntryRange, end: int, size: int) -> Iterator[EntryRange]:
    for first in range(wanted.first, end, size):
        yield replace(wanted, first=first, end=min(first + size, end))


def _has_bytes(bound: int) -> ColumnElement[bool]:
    """Return what is true of entries that were not pruned; only those below the bound are looked into."""
    return or_(leaf.c.leaf_index >= bound, func.length(leaf.c.body) > 0)


def _conditions(wanted: EntryRange) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [leaf.c.leaf_index.between(wanted.first, wanted.end - 1)]
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
