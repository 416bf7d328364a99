"""A pass over the whole log below a signed checkpoint, hashed again while it is read, in flat memory."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from audit.entries import decode_entry
from audit.tables import head, inbox, leaf
from audit.verifier import Checkpoint, CompactRange, leaf_hash
from kernel.clock import format_instant
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import BadInput, IntegrityFailed

_BATCH: Final = 2_048
"""Entries in one read transaction: writers of a SQLite store wait for no longer than it takes."""

_BOUND_VALUES: Final = 5_000


@dataclass(frozen=True, slots=True)
class ScannedEntry:
    """One entry as its stored bytes say it; ``members`` is empty where the bytes are no entry.

    Attributes:
        index: its place in the tree; None while it waits for it.
        differing: the look-up columns that do not say what the bytes say; filled by ``scan_entries``.
    """

    entry_id: str
    members: Mapping[str, JsonValue] = field(repr=False)
    index: int | None = None
    differing: tuple[str, ...] = ()

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
        query = select(leaf).where(leaf.c.leaf_index.between(first, last))
        with database.read() as connection:
            rows = connection.execute(query.order_by(leaf.c.leaf_index)).all()
        for row in rows:
            tree.append(leaf_hash(row.body))
        yield [_compared(row) for row in rows]
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
        rows = connection.execute(_STORED.where(leaf.c.entry_id.in_(wanted)))
        found.update((row.entry_id, _scanned(row.entry_id, row.body, row.leaf_index)) for row in rows)
    missing = set(entry_ids) - found.keys()
    if missing:
        found.update((one.entry_id, one) for one in waiting_entries(connection) if one.entry_id in missing)
    return found


def entries_of(connection: Connection, acts: Collection[str], *, since: int = 0) -> Iterator[ScannedEntry]:
    """Yield the entries of some acts in order from an index on, those that wait for the tree included.

    Found by the look-up column ``act``, which ``scan_entries`` compares; hold one snapshot for all of them.
    """
    last = since - 1
    while True:
        page = _STORED.where(leaf.c.act.in_(acts), leaf.c.leaf_index > last).order_by(leaf.c.leaf_index).limit(_BATCH)
        rows = connection.execute(page).all()
        yield from (_scanned(row.entry_id, row.body, row.leaf_index) for row in rows)
        if len(rows) < _BATCH:
            break
        last = rows[-1].leaf_index
    yield from (entry for entry in waiting_entries(connection) if entry.members.get("act") in acts)


def differing_head(connection: Connection) -> list[str]:
    """Return what the log's head says otherwise than its entries: the latest time, by which the gate decides."""
    stored = connection.scalar(select(head.c.at))
    return [] if stored == connection.scalar(select(func.max(leaf.c.at))) else ["at"]


def waiting_entries(connection: Connection) -> Iterator[ScannedEntry]:
    """Yield the entries that are committed and not in the tree yet."""
    for row in connection.execute(select(inbox.c.entry_id, inbox.c.body).order_by(inbox.c.seq)):
        yield _scanned(row.entry_id, row.body)


def _compared(row: Row[*tuple[Any, ...]]) -> ScannedEntry:
    """Return an entry with the names of the look-up columns that differ from its bytes."""
    entry = _scanned(row.entry_id, row.body, row.leaf_index)
    differing = [name for name, member in _LOOKED_UP.items() if getattr(row, name) != _text(entry.members.get(member))]
    if not entry.members:
        differing = ["entry_id"]
    elif format_instant(row.at) != entry.members.get("at"):
        differing.append("at")
    return replace(entry, differing=tuple(differing)) if differing else entry


def _text(member: JsonValue) -> str | None:
    return member if isinstance(member, str) else None


def _scanned(entry_id: str, body: bytes, index: int | None = None) -> ScannedEntry:
    try:
        members = decode_entry(body)
    except (BadInput, ValueError):
        members = {}
    return ScannedEntry(entry_id, members if members.get("id") == entry_id else {}, index)


_LOOKED_UP: Final = {name: name for name in ("act", "outcome", "actor", "role", "purpose", "request_id")} | {
    "alias": "subject"
}
"""Look-up columns of texts, each with the member of the entry that it repeats."""

_STORED: Final = select(leaf.c.entry_id, leaf.c.body, leaf.c.leaf_index)
