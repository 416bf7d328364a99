"""The sequencer: takes committed entries out of the inbox and appends them to the tree, one batch a transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from audit.entries import NewEntry, decode_entry
from audit.origins import Origin, current_origin
from audit.tables import as_bytes, head, inbox, leaf, subtree
from audit.verifier import HASH_BYTES, CompactRange, leaf_hash
from audit.verifier.ranges import TILE_BITS
from kernel.clock import from_micros, to_micros
from kernel.database import Database
from kernel.errors import Conflict, IntegrityFailed
from kernel.prepared import Prepared

BATCH_SIZE: Final = 2_048
"""Entries in one transaction: at some 40 µs each the write lock is held for well under 250 ms."""

_ADVISORY_LOCK: Final = 0x636F6E73_65717363
"""A number of our own ("consseqsc") for pg_advisory_xact_lock: one sequencer at a time."""

_EXTRACTED: Final = ("act", "outcome", "actor", "role", "purpose", "request_id", "subject")
"""Members that look-up columns repeat; that of the subject is named ``alias``."""

_LEAF_COLUMNS: Final = ("leaf_index", "entry_id", "body", "leaf_hash", "at", *_EXTRACTED[:-1], "alias", "level")
_SUBTREE_COLUMNS: Final = ("origin_no", "level", "position", "hash")


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
        peaks_before: of the tree that they were appended to, as it stood in the store.
        peaks: of the tree after them.
    """

    origin: Origin
    size_before: int
    hashes: tuple[bytes, ...]
    peaks_before: tuple[bytes, ...]
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
        self,
        connection: Connection,
        entries: Callable[[Connection, datetime | None], Sequence[NewEntry]] | None = None,
        *,
        behind_all: bool = False,
    ) -> Appended | None:
        """Append one batch in the caller's transaction, which then holds the head until it ends.

        Args:
            connection: of a transaction that may write.
            entries: called once the turn is held, with the latest entry's time; makes further entries, which follow
                those that waited.
            behind_all: append the further entries only where nothing is left in the inbox before them.

        Raises:
            Conflict: more waits in the inbox than one batch takes; nothing was appended.
        """
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        rows = _WAITING.rows(connection, limit=BATCH_SIZE)
        if behind_all and len(rows) == BATCH_SIZE:
            raise Conflict("The log is behind its inbox", hint="Let it catch up.")
        waiting = [NewEntry(entry_id, from_micros(at), as_bytes(body)) for _, entry_id, at, body in rows]
        before = read_head(connection)
        if entries is not None:
            waiting.extend(entries(connection, _latest(before, waiting)))
        if not waiting:
            return None
        appended = append_entries(connection, before, waiting)
        if rows:
            _DELETE.many(connection, [{"number": row[0]} for row in rows])
        return appended


def append_entries(connection: Connection, before: Head, entries: Sequence[NewEntry]) -> Appended:
    """Append entries to the current origin's tree; the caller holds the turn, and has read the head under it.

    Raises:
        IntegrityFailed: head and leaves do not fit together, or an entry does not hold its own bytes.
    """
    check_head(connection, before)
    tree = CompactRange(before.tree.size, list(before.tree.peaks))
    rows, roots, hashes = _grow(before.origin, tree, entries)
    _INSERT_LEAVES.insert_many(connection, rows)
    _INSERT_SUBTREES.insert_many(connection, roots)
    _write_head(connection, before, tree, _latest(before, entries))
    return Appended(before.origin, before.tree.size, tuple(hashes), tuple(before.tree.peaks), tuple(tree.peaks))


def read_head(connection: Connection) -> Head:
    """Return the stored head of the current origin.

    Raises:
        IntegrityFailed: the head's bytes make no tree.
    """
    origin = current_origin(connection)
    rows = _HEAD.rows(connection, number=origin.number)
    if not rows:
        return Head(origin, CompactRange(), None)
    size, joined, at = rows[0]
    if not isinstance(joined, bytes) or size < 0 or len(joined) != HASH_BYTES * size.bit_count():
        raise IntegrityFailed("The log's head is damaged", hint="Export the log and verify it.")
    peaks = [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]
    return Head(origin, CompactRange(size, peaks), from_micros(at))


def check_head(connection: Connection, stored: Head) -> None:
    """Raise ``IntegrityFailed`` unless the head counts exactly the leaves that are there."""
    (last,) = _LAST.rows(connection)[0]
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
        for level, root in enumerate(completed[TILE_BITS::TILE_BITS], start=1):
            roots.append((origin.number, level, (tree.size >> level * TILE_BITS) - 1, root))
    return rows, roots, hashes


def _leaf_row(index: int, entry: NewEntry, hashed: bytes) -> tuple[object, ...]:
    members = entry.members or decode_entry(entry.body)
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
        *[value if type(value := members.get(name)) is str else None for name in _EXTRACTED],
        level if isinstance(level, int) else None,
    )


def _latest(before: Head, entries: Sequence[NewEntry]) -> datetime | None:
    """Return the latest time of the log with these entries; None for an empty one."""
    times = [entry.at for entry in entries] + ([before.at] if before.at else [])
    return max(times, default=None)


def _write_head(connection: Connection, before: Head, tree: CompactRange, at: datetime | None) -> None:
    statement = _INSERT_HEAD if before.at is None else _UPDATE_HEAD
    micros = None if at is None else to_micros(at)
    statement.rows(connection, number=before.origin.number, size=tree.size, peaks=b"".join(tree.peaks), at=micros)


_WAITING: Final = Prepared(
    select(inbox.c.seq, inbox.c.entry_id, inbox.c.at, inbox.c.body).order_by(inbox.c.seq).limit(bindparam("limit"))
)
_DELETE: Final = Prepared(delete(inbox).where(inbox.c.seq == bindparam("number")))
_HEAD: Final = Prepared(select(head.c.size, head.c.peaks, head.c.at).where(head.c.id == bindparam("number")))
_LAST: Final = Prepared(select(func.max(leaf.c.leaf_index)))
_HEAD_VALUES: Final = {name: bindparam(name, type_=head.c[name].type) for name in ("size", "peaks", "at")}
_INSERT_HEAD: Final = Prepared(insert(head).inline().values(id=bindparam("number"), **_HEAD_VALUES))
_UPDATE_HEAD: Final = Prepared(update(head).where(head.c.id == bindparam("number")).values(**_HEAD_VALUES))
_INSERT_LEAVES: Final = Prepared(insert(leaf).inline(), columns=_LEAF_COLUMNS)
_INSERT_SUBTREES: Final = Prepared(insert(subtree).inline(), columns=_SUBTREE_COLUMNS)
