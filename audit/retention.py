"""How long entries are kept, and what is destroyed when that is over: bytes, details, cohorts, names; never a hash.

What goes, goes in steps that can be repeated: the entry that says so stands first, with the row of ``audit_prune``
without which the store refuses to empty anything. Whatever a crash leaves undone is done by ``finish_pruning``.

Source: 网络安全法 23(3) and 45 CFR 164.316(b)(2); docs/explanation/retention-of-the-log.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Exists, Row, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from audit import pruned
from audit.aliases import forget_names, remove_names
from audit.entries import decode_entry, mentioned_aliases
from audit.events import Act
from audit.origins import current_origin
from audit.pruned import KeptDigest, is_kept
from audit.scanning import ScannedEntry, entries_of, read_pruning, scan_entries, signed_end
from audit.tables import alias, cohort, cohort_member, detail, leaf, prune
from audit.verifier import Checkpoint
from kernel.database import Database
from kernel.encoding import JsonValue
from kernel.errors import ConfigurationError, Conflict, IntegrityFailed
from kernel.ids import EntryId, SubjectId
from kernel.ports import Sealer

FLOOR_DAYS: Final = pruned.FLOOR_DAYS
RETENTION_MAX_DAYS: Final = pruned.RETENTION_MAX_DAYS
RETENTION_COUNT: Final = pruned.RETENTION_COUNT

_BATCH: Final = 2_048
"""Entries in one transaction: writers of a SQLite store wait for no longer than it takes."""

_SUBJECTS: Final = 1_000
"""Subjects in one statement."""

_NAMES: Final = 20_000
"""Names that one pass over the kept entries looks for: a few megabytes."""

_Leaf: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What would be pruned.

    Attributes:
        bound: ``leaf_index`` of the first entry that is too young; what is below and not kept loses its bytes.
        before: the bound of the pruning before this one.
        below: how many leading entries of the current origin lie below the bound.
        entries: how many entries lose their bytes.
        kept: how many below the bound keep them.
        kept_digest: over the places of these; see ``audit.pruned.KeptDigest``.
        older_than: the first instant that is too young.
    """

    bound: int
    before: int
    below: int
    entries: int
    kept: int
    kept_digest: str
    older_than: datetime

    def counts(self) -> dict[str, int]:
        """Return what the entry counts."""
        return {"below": self.below, "bound": self.bound, "entries": self.entries, "kept": self.kept}


def check_retention(connection: Connection, days: int) -> None:
    """Refuse a retention that is shorter than the floor, or than the log says that it is.

    Raises:
        ConfigurationError: entries would be kept for less than was promised.
    """
    promised = max(FLOOR_DAYS, recorded_retention(connection) or 0)
    if days < promised:
        raise ConfigurationError(
            f"The log is kept for {promised} days; {days} would shorten that",
            hint="Set audit_retention_days to that or to more.",
        )


def recorded_retention(connection: Connection) -> int | None:
    """Return the longest retention in days that the log was ever configured with; None before the first.

    What lies above ``RETENTION_MAX_DAYS`` counts as that: no setting can say more.
    """
    said = [_counted(entry.members, RETENTION_COUNT) for entry in entries_of(connection, [Act.LOG_CONFIGURED.value])]
    return max((min(days, RETENTION_MAX_DAYS) for days in said if days is not None), default=None)


def plan_pruning(database: Database, signed: Checkpoint, *, now: datetime, retention_days: int) -> PrunePlan:
    """Return what is old enough to be pruned, after the whole log was hashed again: no evidence is ever pruned.

    Args:
        database: the data store.
        signed: the newest checkpoint; nothing that it does not cover is pruned.
        now: the instant to count back from.
        retention_days: how long entries are kept; what the log recorded counts where it is longer.
    Raises:
        IntegrityFailed: the log is not what was signed, or an earlier pruning is not told by it.
    """
    with database.read() as connection:
        days = max(FLOOR_DAYS, retention_days, recorded_retention(connection) or 0)
        cutoff, base, before = now - timedelta(days=days), current_origin(connection).base, read_pruning(connection)
        young = connection.scalar(select(func.min(leaf.c.leaf_index)).where(leaf.c.at >= cutoff))
        end = signed_end(connection, signed)
    bound = max(before.below, min(end, end if young is None else young))
    digest, kept, entries = KeptDigest(), 0, 0
    for entry in _whole(database, signed):
        if entry.index is None or entry.index >= bound:
            continue
        if is_kept(entry.members):
            digest.add(entry.index)
            kept += 1
        else:
            entries += 1
    return PrunePlan(bound, before.below, max(0, bound - base), entries, kept, digest.hexdigest(), cutoff)


def _whole(database: Database, signed: Checkpoint) -> Iterator[ScannedEntry]:
    """Yield the entries that have their bytes; raises ``IntegrityFailed`` for one that is not as it was logged."""
    for batch in scan_entries(database, signed):
        for entry in batch:
            if entry.differing:
                raise IntegrityFailed(
                    f"Entry {entry.entry_id} is not as it was logged; nothing was pruned",
                    hint="Run `consentry audit reconcile` and export the log.",
                )
            yield entry


@contextmanager
def unpruned(database: Database) -> Iterator[None]:
    """Let the log be read in several transactions, outside any other; what was read whole is whole at the end.

    Raises:
        Conflict: it was pruned meanwhile, so that entries may be missing without a word.
    """
    with database.read() as connection:
        before = _marked(connection)
    yield
    with database.read() as connection:
        after = _marked(connection)
    if after != before:
        raise Conflict("The log was pruned while it was read", hint="Begin again, in a new folder.")


def _marked(connection: Connection) -> int:
    """Return up to where entries may be emptied; what the log says of it does not count here."""
    return connection.scalar(select(func.max(prune.c.below))) or 0


def mark_pruned(connection: Connection, plan: PrunePlan, *, entry_id: EntryId, at: datetime) -> None:
    """Let the store empty what is below the bound; the caller has recorded the entry in this transaction.

    Raises:
        Conflict: another pruning was marked since this one was planned; the transaction is of no use any more.
    """
    if _marked(connection) != plan.before:
        raise _overtaken()
    if plan.bound > plan.before:
        try:
            connection.execute(insert(prune), {"below": plan.bound, "entry_id": entry_id, "at": at})
        except IntegrityError:
            raise _overtaken() from None


def _overtaken() -> Conflict:
    return Conflict(
        "The log was pruned since this pruning was planned; nothing was changed",
        hint="Run `consentry audit prune` again: it counts anew.",
    )


def finish_pruning(database: Database) -> int:
    """Empty what the log says is pruned and is not yet, and return how many entries that were.

    Each batch loses its bytes, look-up columns, details and cohorts in one transaction; names that no entry mentions
    any more go last.
    """
    with database.read() as connection:
        pruning = read_pruning(connection)
    if not pruning.is_told or not pruning.below:
        return 0
    emptied = 0
    for rows in _below(database, pruning.below):
        over = [row for row in rows if not is_kept(decode_entry(row.body))]
        if over:
            with database.write() as connection:
                _empty(connection, [row.leaf_index for row in over], [row.entry_id for row in over])
            emptied += len(over)
    _forget_unmentioned(database, pruning.below)
    return emptied


def destroy_subjects(connection: Connection, subjects: Sequence[SubjectId], sealer: Sealer) -> dict[str, int]:
    """Destroy the names of erased subjects and the sealed details of entries about them; the entries stay.

    Args:
        connection: a write transaction of the data store.
        subjects: whose erasure was completed longer ago than the floor.
        sealer: marks the names as destroyed.
    Returns:
        How many subjects, names and details went.
    """
    aliases = details = 0
    for start in range(0, len(subjects), _SUBJECTS):
        named = select(alias.c.alias).where(alias.c.subject_id.in_(subjects[start : start + _SUBJECTS]))
        about = select(leaf.c.entry_id).where(or_(leaf.c.alias.in_(named), leaf.c.actor.in_(named)))
        details += connection.execute(delete(detail).where(detail.c.entry_id.in_(about))).rowcount
        aliases += forget_names(connection, subjects[start : start + _SUBJECTS], sealer)
    return {"subjects": len(subjects), "aliases": aliases, "details": details}


def _below(database: Database, bound: int) -> Iterator[Sequence[_Leaf]]:
    """Yield the entries below a bound that have their bytes, each batch from a read transaction of its own."""
    whole = select(leaf.c.leaf_index, leaf.c.entry_id, leaf.c.body).where(func.length(leaf.c.body) > 0)
    for first in range(0, bound, _BATCH):
        page = whole.where(leaf.c.leaf_index.between(first, min(first + _BATCH, bound) - 1))
        with database.read() as connection:
            rows = connection.execute(page.order_by(leaf.c.leaf_index)).all()
        yield rows


def _empty(connection: Connection, indices: Sequence[int], entry_ids: Sequence[str]) -> None:
    blank = dict.fromkeys(("act", "outcome", "actor", "role", "request_id"), "")
    nothing = dict.fromkeys(("purpose", "alias", "level"))
    emptied = update(leaf).where(leaf.c.leaf_index.in_(indices)).values(body=b"", **blank, **nothing)
    connection.execute(emptied)
    for table in (detail, cohort_member, cohort):
        connection.execute(delete(table).where(table.c.entry_id.in_(entry_ids)))


def _forget_unmentioned(database: Database, bound: int) -> None:
    """Delete the names of past years that no entry mentions any more.

    An entry mentions names of its own year only, so that the years that lie wholly below the bound are asked of what
    is kept there.
    """
    after = select(leaf.c.at).where(leaf.c.leaf_index >= bound).order_by(leaf.c.leaf_index).limit(_BATCH)
    with database.read() as connection:
        first = min(connection.scalars(after), default=None)
    if first is None:
        return
    after_name = ""
    while names := _past_names(database, first.year, after_name):
        after_name = names[-1]
        lost = _unmentioned(database, bound, names)
        for start in range(0, len(lost), _SUBJECTS):
            with database.write() as connection:
                remove_names(connection, lost[start : start + _SUBJECTS])


def _past_names(database: Database, year: int, after: str) -> Sequence[str]:
    """Return the next names of the years before one that no look-up column and no cohort holds, in their order."""
    past = select(alias.c.alias).where(alias.c.year < year, alias.c.alias > after)
    lost = past.where(~_is_there(leaf.c.alias == alias.c.alias), ~_is_there(cohort_member.c.alias == alias.c.alias))
    with database.read() as connection:
        return connection.scalars(lost.order_by(alias.c.alias).limit(_NAMES)).all()


def _unmentioned(database: Database, bound: int, names: Sequence[str]) -> list[str]:
    """Return which of some names no entry below a bound mentions as actor, recipient or reference either."""
    left = set(names)
    for rows in _below(database, bound):
        for row in rows:
            left -= mentioned_aliases(decode_entry(row.body))
    return sorted(left)


def _is_there(condition: ColumnElement[bool]) -> Exists:
    return select(literal(1)).where(condition).exists()


def _counted(members: Mapping[str, JsonValue], name: str) -> int | None:
    counts = members.get("counts")
    said = counts.get(name) if isinstance(counts, Mapping) else None
    return said if isinstance(said, int) else None
