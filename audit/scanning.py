"""A pass over the whole log below a signed checkpoint, hashed again while it is read, in flat memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select

from audit.entries import decode_entry
from audit.tables import inbox, leaf
from audit.verifier import Checkpoint, CompactRange, leaf_hash
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import BadInput, IntegrityFailed

_BATCH: Final = 2_048
"""Entries in one read transaction: writers of a SQLite store wait for no longer than it takes."""

_BOUND_VALUES: Final = 5_000


@dataclass(frozen=True, slots=True)
class ScannedEntry:
    """One entry as its stored bytes say it; ``members`` is empty where the bytes are no entry."""

    entry_id: str
    members: Mapping[str, JsonValue] = field(repr=False)

    @property
    def refs(self) -> Mapping[str, JsonValue]:
        """The entry's references; empty where it has none."""
        found = self.members.get("refs")
        return found if isinstance(found, Mapping) else {}


def scan_entries(database: Database, signed: Checkpoint) -> Iterator[list[ScannedEntry]]:
    """Yield the entries below a checkpoint in order, each batch in a read transaction of its own.

    Raises:
        IntegrityFailed: after the last batch, when the bytes that were read are not those that were signed.
    """
    tree = CompactRange()
    for first in range(0, signed.size, _BATCH):
        last = min(first + _BATCH, signed.size) - 1
        query = select(leaf.c.entry_id, leaf.c.body).where(leaf.c.leaf_index.between(first, last))
        with database.read() as connection:
            rows = connection.execute(query.order_by(leaf.c.leaf_index)).all()
        for row in rows:
            tree.append(leaf_hash(row.body))
        yield [_scanned(row.entry_id, row.body) for row in rows]
    if tree.size != signed.size or tree.root() != signed.root:
        raise IntegrityFailed(
            f"The {signed.size} signed entries are not those that are stored",
            hint="Export the log and run consentry-verify, which names the first bad one.",
        )


def find_scanned(connection: Connection, entry_ids: Sequence[str]) -> dict[str, ScannedEntry]:
    """Return the entries with these ids, in the log or waiting for it; those that are nowhere are missing."""
    found: dict[str, ScannedEntry] = {}
    for start in range(0, len(entry_ids), _BOUND_VALUES):
        wanted = entry_ids[start : start + _BOUND_VALUES]
        rows = connection.execute(select(leaf.c.entry_id, leaf.c.body).where(leaf.c.entry_id.in_(wanted)))
        found.update((row.entry_id, _scanned(row.entry_id, row.body)) for row in rows)
    missing = set(entry_ids) - found.keys()
    if missing:
        found.update((one.entry_id, one) for one in waiting_entries(connection) if one.entry_id in missing)
    return found


def waiting_entries(connection: Connection) -> Iterator[ScannedEntry]:
    """Yield the entries that are committed and not in the tree yet."""
    for row in connection.execute(select(inbox.c.entry_id, inbox.c.body).order_by(inbox.c.seq)):
        yield _scanned(row.entry_id, row.body)


def _scanned(entry_id: str, body: bytes) -> ScannedEntry:
    try:
        members = decode_entry(body)
    except (BadInput, ValueError):
        members = {}
    return ScannedEntry(entry_id, members if members.get("id") == entry_id else {})
