"""A pass over the whole log below a signed checkpoint, hashed again while it is read, in flat memory.

Of a pruned entry the stored hash stands for its bytes; that it was pruned is believed only where the log says so.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from audit.entries import cohort_digest, decode_entry
from audit.events import Act
from audit.origins import current_origin
from audit.pruned import KeptDigest, PrunedAge, Pruning, is_kept
from audit.tables import cohort, cohort_member, head, inbox, leaf, prune
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
        index: its ``leaf_index``; None while it waits for the tree.
        differing: the look-up columns that do not say what the bytes say, and ``cohort`` where the names beside an
            entry are not those of its digest; filled by ``scan_entries``.
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

    Those of earlier origins come first; they are compared with their stored hashes. Pruned entries are left out.

    Raises:
        IntegrityFailed: after the last batch, when the bytes that were read are not those that were signed, or more
            is empty than the log says.
    """
    with database.read() as connection:
        base, pruning = current_origin(connection).base, read_pruning(connection)
    scan = _Scan(base, pruning)
    end = base + signed.size
    for first in range(0, end, _BATCH):
        query = select(leaf).where(leaf.c.leaf_index.between(first, min(first + _BATCH, end) - 1))
        with database.read() as connection:
            rows = connection.execute(query.order_by(leaf.c.leaf_index)).all()
        entries = [entry for row in rows if (entry := scan.read(row)) is not None]
        yield [entry if _has_its_cohort(database, entry) else _differing(entry, "cohort") for entry in entries]
    scan.conclude(signed)


def signed_end(connection: Connection, signed: Checkpoint) -> int:
    """Return the ``leaf_index`` of the first entry that a checkpoint of the current origin does not cover."""
    return current_origin(connection).base + signed.size


def read_pruning(connection: Connection) -> Pruning:
    """Return up to where the log was pruned, and whether an entry says so too."""
    row = connection.execute(select(prune).order_by(prune.c.below.desc()).limit(1)).one_or_none()
    if row is None:
        return Pruning()
    entry = find_scanned(connection, [row.entry_id]).get(row.entry_id)
    counts = {} if entry is None else entry.members.get("counts")
    is_told = (
        entry is not None
        and entry.members.get("act") == Act.LOG_PRUNED.value
        and isinstance(counts, Mapping)
        and counts.get("bound") == row.below
    )
    kept = None if entry is None else entry.refs.get("kept")
    at = None if entry is None else _instant(entry.members.get("at"))
    return Pruning(row.below, kept if isinstance(kept, str) else None, is_told, at)


class _Scan:
    """Grows the tree again, row by row, and counts which entries keep their bytes."""

    def __init__(self, base: int, pruning: Pruning) -> None:
        self._base = base
        self._pruning = pruning
        self._tree = CompactRange()
        self._kept = KeptDigest()
        self._age = PrunedAge(pruning.at)

    def read(self, row: Row[*tuple[Any, ...]]) -> ScannedEntry | None:
        """Take one row in, and return its entry; None where it was pruned and nothing is left of it."""
        is_pruned = self._pruning.is_told and row.leaf_index < self._pruning.below and not row.body
        hashed = row.leaf_hash if is_pruned else leaf_hash(row.body)
        if row.leaf_index >= self._base:
            self._tree.append(hashed)
        entry = _compared(row, is_pruned=is_pruned)
        self._age.hear(row.at, entry.members)
        if row.leaf_index < self._pruning.below:
            self._age.take(row.at)
            if is_kept(entry.members):
                self._kept.add(row.leaf_index)
        if hashed != row.leaf_hash:
            return _differing(entry, "leaf_hash")
        return None if is_pruned and not entry.differing else entry

    def conclude(self, signed: Checkpoint) -> None:
        """Raise ``IntegrityFailed`` unless what was read is what was signed."""
        if self._tree.size != signed.size or self._tree.root() != signed.root:
            raise IntegrityFailed(
                f"The {signed.size} signed entries are not those that are stored",
                hint="Export the log and run consentry-verify, which names the first bad one.",
            )
        if not self._pruning.is_told or (self._pruning.below and self._pruning.kept != self._kept.hexdigest()):
            raise IntegrityFailed(
                f"The log does not say that what is empty below {self._pruning.below} was pruned",
                hint="Compare it with a backup: entries that must be kept were emptied.",
            )
        if not self._age.is_enough:
            raise IntegrityFailed(
                f"What the log says was pruned below {self._pruning.below} was not old enough to be",
                hint="Compare it with a backup, and the log.pruned entries with who approved them.",
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
    stored = connection.scalar(select(func.max(head.c.at)))
    return [] if stored == connection.scalar(select(func.max(leaf.c.at))) else ["at"]


def waiting_entries(connection: Connection) -> Iterator[ScannedEntry]:
    """Yield the entries that are committed and not in the tree yet."""
    for row in connection.execute(select(inbox.c.entry_id, inbox.c.body).order_by(inbox.c.seq)):
        yield _scanned(row.entry_id, row.body)


def _compared(row: Row[*tuple[Any, ...]], *, is_pruned: bool) -> ScannedEntry:
    """Return an entry with the names of the look-up columns that differ from its bytes."""
    entry = _scanned(row.entry_id, row.body, row.leaf_index)
    if is_pruned:
        differing = [name for name in (*_LOOKED_UP, "level") if getattr(row, name)]
        return replace(entry, differing=tuple(differing))
    differing = [name for name, member in _LOOKED_UP.items() if getattr(row, name) != _text(entry.members.get(member))]
    if not entry.members:
        differing = ["entry_id"]
    elif format_instant(row.at) != entry.members.get("at"):
        differing.append("at")
    if entry.members and row.level != entry.members.get("level"):
        differing.append("level")
    return replace(entry, differing=tuple(differing)) if differing else entry


def _differing(entry: ScannedEntry, name: str) -> ScannedEntry:
    return replace(entry, differing=(*entry.differing, name))


def _has_its_cohort(database: Database, entry: ScannedEntry) -> bool:
    """Say whether the names beside an entry are those of its cohort's digest; true without a cohort.

    Each is read in a transaction of its own, together with whether the entry was pruned meanwhile.
    """
    stated = entry.members.get("cohort")
    if stated is None:
        return True
    with database.read() as connection:
        of_entry = leaf.c.entry_id == entry.entry_id, func.length(leaf.c.body) > 0
        if connection.scalar(select(leaf.c.leaf_index).where(*of_entry)) is None:
            return True
        salt = connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry.entry_id))
        members = select(cohort_member.c.alias).where(cohort_member.c.entry_id == entry.entry_id)
        names = connection.scalars(members).all()
    return salt is not None and stated == {"size": len(names), "digest": cohort_digest(salt, names)}


def _instant(member: JsonValue) -> datetime | None:
    """Return the time that an entry states, or None where it is none."""
    try:
        at = datetime.fromisoformat(member if isinstance(member, str) else "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


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
