"""The sequencer: takes committed entries out of the inbox and appends them to the tree, one batch a transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, text, update

from audit.entries import decode_entry
from audit.origins import Origin, current_origin
from audit.tables import head, inbox, leaf, subtree
from audit.tree import FAN_OUT_BITS
from audit.verifier import HASH_BYTES, CompactRange, leaf_hash
from kernel.clock import to_micros
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed
from kernel.prepared import Prepared

BATCH_SIZE: Final = 2_048
"""Entries in one transaction: at some 40 µs each the write lock is held for well under 250 ms."""

_ADVISORY_LOCK: Final = 0x636F6E73_65717363
"""A number of our own ("consseqsc") for pg_advisory_xact_lock: one sequencer at a time."""

_EXTRACTED: Final = ("act", "outcome", "actor", "role", "purpose", "request_id")
"""Members that the look-up columns of the same names repeat."""

_LEAF_COLUMNS: Final = ("leaf_index", "entry_id", "body", "leaf_hash", "at", *_EXTRACTED, "alias", "level")
_SUBTREE_COLUMNS: Final = ("origin_no", "level", "position", "hash")


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Entry bytes that are to become a leaf."""

    entry_id: str
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The tree of the current origin as it stands in the store; ``at`` is None before its first entry."""

    origin: Origin
    tree: CompactRange
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Appended:
    """What one batch added to the tree of one origin.

    Attributes:
        hashes: the new leaves' hashes, in order.
        peaks: of the tree after them.
    """

    origin: Origin
    size_before: int
    hashes: tuple[bytes, ...]
    peaks: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Number of entries after it."""
        return self.size_before + len(self.hashes)


class Sequencer:
    """Appends what waits in the inbox; several may run, one at a time gets the turn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def advance(self, also: Callable[[Connection], None] | None = None) -> Appended | None:
        """Append one batch in one transaction; None when nothing waited.

        Args:
            also: further writes for the same transaction, called only when there is something to append.
        Raises:
            IntegrityFailed: head and leaves do not fit together; nothing was appended.
            Unavailable: the store cannot be written.
        """
        with self._database.read() as connection:
            if connection.scalar(select(inbox.c.seq).limit(1)) is None:
                return None
        with self._database.write() as connection:
            appended = self.append(connection)
            if appended is not None and also is not None:
                also(connection)
            return appended

    def append(
        self, connection: Connection, entries: Callable[[Connection], Sequence[NewEntry]] | None = None
    ) -> Appended | None:
        """Append one batch in the caller's transaction, which then holds the head until it ends.

        Args:
            connection: of a transaction that may write.
            entries: called once the turn is held; makes further entries, which follow those that waited.
        """
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        rows = connection.execute(select(inbox).order_by(inbox.c.seq).limit(BATCH_SIZE)).all()
        waiting = [NewEntry(row.entry_id, row.at, row.body) for row in rows]
        if entries is not None:
            waiting.extend(entries(connection))
        if not waiting:
            return None
        appended = append_entries(connection, waiting)
        if rows:
            connection.execute(delete(inbox).where(inbox.c.seq.in_([row.seq for row in rows])))
        return appended


def append_entries(connection: Connection, entries: Sequence[NewEntry]) -> Appended:
    """Append entries to the current origin's tree; the caller holds the turn.

    Raises:
        IntegrityFailed: head and leaves do not fit together, or an entry does not hold its own bytes.
    """
    before = read_head(connection)
    check_head(connection, before)
    tree = CompactRange(before.tree.size, list(before.tree.peaks))
    rows, roots, hashes = _grow(before.origin, tree, entries)
    _INSERT_LEAVES.insert_many(connection, rows)
    _INSERT_SUBTREES.insert_many(connection, roots)
    latest = max([entry.at for entry in entries] + ([before.at] if before.at else []))
    _write_head(connection, before, tree, latest)
    return Appended(before.origin, before.tree.size, tuple(hashes), tuple(tree.peaks))


def read_head(connection: Connection) -> Head:
    """Return the stored head of the current origin.

    Raises:
        IntegrityFailed: the head's bytes make no tree.
    """
    origin = current_origin(connection)
    row = connection.execute(select(head).where(head.c.id == origin.number)).one_or_none()
    if row is None:
        return Head(origin, CompactRange(), None)
    peaks = [row.peaks[start : start + HASH_BYTES] for start in range(0, len(row.peaks), HASH_BYTES)]
    if row.size < 0 or len(row.peaks) != HASH_BYTES * row.size.bit_count():
        raise IntegrityFailed("The log's head is damaged", hint="Export the log and verify it.")
    return Head(origin, CompactRange(row.size, peaks), row.at)


def check_head(connection: Connection, stored: Head) -> None:
    """Raise ``IntegrityFailed`` unless the head counts exactly the leaves that are there."""
    last = connection.scalar(select(func.max(leaf.c.leaf_index)))
    size = stored.origin.base + stored.tree.size
    if size != (0 if last is None else last + 1):
        raise IntegrityFailed(
            f"The log's head counts {size} entries, the leaves do not", hint="Export and verify the log."
        )


def _grow(
    origin: Origin, tree: CompactRange, entries: Sequence[NewEntry]
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], list[bytes]]:
    """Return the rows of leaves and of completed subtrees, and the leaves' hashes; the tree has grown by them."""
    rows: list[tuple[object, ...]] = []
    roots: list[tuple[object, ...]] = []
    hashes: list[bytes] = []
    for entry in entries:
        hashed = leaf_hash(entry.body)
        hashes.append(hashed)
        rows.append(_leaf_row(origin.base + tree.size, entry, hashed))
        completed = tree.append(hashed)
        for level, root in enumerate(completed[FAN_OUT_BITS::FAN_OUT_BITS], start=1):
            roots.append((origin.number, level, (tree.size >> level * FAN_OUT_BITS) - 1, root))
    return rows, roots, hashes


def _leaf_row(index: int, entry: NewEntry, hashed: bytes) -> tuple[object, ...]:
    members = decode_entry(entry.body)
    if members.get("id") != entry.entry_id:
        raise IntegrityFailed(
            f"Inbox entry {entry.entry_id} does not hold its own bytes", hint="The data store was changed."
        )
    level = members.get("level")
    return (
        index,
        entry.entry_id,
        entry.body,
        hashed,
        to_micros(entry.at),
        *(_text(members.get(name)) for name in _EXTRACTED),
        _text(members.get("subject")),
        level if isinstance(level, int) else None,
    )


def _text(member: JsonValue) -> str | None:
    return member if isinstance(member, str) else None


def _write_head(connection: Connection, before: Head, tree: CompactRange, at: datetime) -> None:
    number = before.origin.number
    values = {"size": tree.size, "peaks": b"".join(tree.peaks), "at": at}
    changed = connection.execute(update(head).where(head.c.id == number).values(**values))
    if changed.rowcount == 0:
        connection.execute(insert(head).values(id=number, **values))


_INSERT_LEAVES: Final = Prepared(insert(leaf).inline(), columns=_LEAF_COLUMNS)
_INSERT_SUBTREES: Final = Prepared(insert(subtree).inline(), columns=_SUBTREE_COLUMNS)
