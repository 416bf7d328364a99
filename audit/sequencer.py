"""The sequencer: takes committed entries out of the inbox and appends them to the tree, one batch a transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update

from audit.entries import decode_entry
from audit.tables import head, inbox, leaf, subtree
from audit.tree import FAN_OUT_BITS
from audit.verifier import HASH_BYTES, CompactRange, leaf_hash
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import IntegrityFailed

BATCH_SIZE: Final = 2_048
"""Entries in one transaction: at some 70 µs each the write lock is held for well under 250 ms."""

_ADVISORY_LOCK: Final = 0x636F6E73_65717363
"""A number of our own ("consseqsc") for pg_advisory_xact_lock: one sequencer at a time."""

_EXTRACTED: Final = ("act", "outcome", "actor", "role", "purpose", "request_id")

_Waiting: TypeAlias = Sequence[Row[tuple[int, str, datetime, bytes]]]
_LeafRow: TypeAlias = dict[str, int | str | bytes | datetime | None]
_SubtreeRow: TypeAlias = dict[str, int | bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """The tree as it stands in the store."""

    tree: CompactRange
    at: datetime


class Sequencer:
    """Appends what waits in the inbox; several may run, one at a time gets the turn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def advance(self, also: Callable[[Connection], None] | None = None) -> int:
        """Append one batch in one transaction, and return the number of entries appended.

        Args:
            also: further writes for the same transaction, called only when there is something to append.
        Raises:
            IntegrityFailed: head and leaves do not fit together; nothing was appended.
            Unavailable: the store cannot be written.
        """
        with self._database.read() as connection:
            if connection.scalar(select(inbox.c.seq).limit(1)) is None:
                return 0
        with self._database.write() as connection:
            appended = self.append(connection)
            if appended and also is not None:
                also(connection)
            return appended

    def append(self, connection: Connection) -> int:
        """Append one batch in the caller's transaction, which then holds the head until it ends."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        waiting = connection.execute(select(inbox).order_by(inbox.c.seq).limit(BATCH_SIZE)).all()
        if waiting:
            self._append(connection, waiting)
        return len(waiting)

    def _append(self, connection: Connection, waiting: _Waiting) -> None:
        before = read_head(connection)
        check_head(connection, before)
        tree = CompactRange(before.tree.size, list(before.tree.peaks)) if before else CompactRange()
        rows, roots = _grow(tree, waiting)
        connection.execute(insert(leaf), rows)
        if roots:
            connection.execute(insert(subtree), roots)
        latest = max([row.at for row in waiting] + ([before.at] if before else []))
        _write_head(connection, tree, latest, is_first=before is None)
        connection.execute(delete(inbox).where(inbox.c.seq.in_([row.seq for row in waiting])))


def read_head(connection: Connection) -> Head | None:
    """Return the stored head, or None before the first entry.

    Raises:
        IntegrityFailed: the head's bytes make no tree.
    """
    row = connection.execute(select(head)).one_or_none()
    if row is None:
        return None
    peaks = [row.peaks[start : start + HASH_BYTES] for start in range(0, len(row.peaks), HASH_BYTES)]
    if len(row.peaks) != HASH_BYTES * row.size.bit_count():
        raise IntegrityFailed("The log's head is damaged", hint="Export the log and verify it.")
    return Head(CompactRange(row.size, peaks), row.at)


def check_head(connection: Connection, stored: Head | None) -> None:
    """Raise ``IntegrityFailed`` unless the head counts exactly the leaves that are there."""
    last = connection.scalar(select(func.max(leaf.c.leaf_index)))
    size = stored.tree.size if stored else 0
    if size != (0 if last is None else last + 1):
        raise IntegrityFailed(
            f"The log's head counts {size} entries, the leaves do not", hint="Export and verify the log."
        )


def _grow(tree: CompactRange, waiting: _Waiting) -> tuple[list[_LeafRow], list[_SubtreeRow]]:
    rows: list[_LeafRow] = []
    roots: list[_SubtreeRow] = []
    for entry in waiting:
        hashed = leaf_hash(entry.body)
        rows.append(_leaf_row(tree.size, entry, hashed))
        completed = tree.append(hashed)
        for level, root in enumerate(completed[FAN_OUT_BITS::FAN_OUT_BITS], start=1):
            roots.append({"level": level, "position": (tree.size >> level * FAN_OUT_BITS) - 1, "hash": root})
    return rows, roots


def _leaf_row(index: int, entry: Row[tuple[int, str, datetime, bytes]], hashed: bytes) -> _LeafRow:
    members = decode_entry(entry.body)
    if members.get("id") != entry.entry_id:
        raise IntegrityFailed(
            f"Inbox entry {entry.entry_id} does not hold its own bytes", hint="The data store was changed."
        )
    row: _LeafRow = {
        "leaf_index": index,
        "entry_id": entry.entry_id,
        "body": entry.body,
        "leaf_hash": hashed,
        "at": entry.at,
        "alias": _text(members.get("subject")),
    }
    return row | {name: _text(members.get(name)) for name in _EXTRACTED}


def _text(member: JsonValue) -> str | None:
    return member if isinstance(member, str) else None


def _write_head(connection: Connection, tree: CompactRange, at: datetime, *, is_first: bool) -> None:
    values = {"size": tree.size, "peaks": b"".join(tree.peaks), "at": at}
    statement = insert(head).values(id=1, **values) if is_first else update(head).where(head.c.id == 1).values(**values)
    connection.execute(statement)
