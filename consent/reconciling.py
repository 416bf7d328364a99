"""What the gate reads, compared with the log: every row with its entry, and every entry with its row.

The gate decides by rows; the log is what was signed. Whoever changes a row behind the triggers' back, inserts one, or
takes one away leaves a difference here. Everything is read in batches, each in a transaction of its own, so that
memory stays flat and nobody waits for long.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, func, select

import audit.tables
from audit.events import Act
from audit.scanning import ScannedEntry, find_scanned, scan_entries, signed_end, waiting_entries
from audit.verifier import Checkpoint
from consent.beside_inspection import BesideInspection
from consent.comparing import (
    Names,
    differing_assessment,
    differing_decision,
    differing_notice,
    differing_recipient,
    differing_representative,
    is_told_at,
)
from consent.head_inspection import inspect_head, inspect_notice_changes
from consent.inspection import Findings, names_behind, pages
from consent.recording import DECISION_ACTS
from consent.rows import to_decision
from consent.standing import Standing
from consent.subject_inspection import inspect_subjects
from consent.tables import (
    agent,
    assessment,
    decision,
    guardian,
    notice,
    notice_head,
    recipient,
    subject_standing,
)
from consent.task_inspection import inspect_done_tasks, inspect_told_tasks
from consent.use_inspection import UseInspection
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import IntegrityFailed
from kernel.ports import Sealer


def reconcile_register(database: Database, catalogue: Catalogue, signed: Checkpoint, *, sealer: Sealer) -> Findings:
    """Compare the whole register with the log below a checkpoint that was signed just now.

    Args:
        database: the data store.
        catalogue: of the pack in use.
        signed: the checkpoint.
        sealer: knows the marks of the names under which people stand in the log.
    """
    found = Findings()
    _entries(database, signed, found, sealer)
    _decisions(database, found)
    _representatives(database, guardian, "guardian", found)
    _representatives(database, agent, "agent", found)
    inspect_subjects(database, found)
    with database.read() as connection:
        inspect_head(connection, found)
        _published(connection, catalogue, found)
        inspect_notice_changes(connection, found)
        _pack(connection, catalogue, found)
    return found


def _entries(database: Database, signed: Checkpoint, found: Findings, sealer: Sealer) -> None:
    """Look up the row of every entry that tells of one, and the uses of every permit; the log is hashed on the way."""
    uses, beside = UseInspection(found), BesideInspection(found, sealer)
    try:
        for batch in scan_entries(database, signed):
            found.read("entries", len(batch))
            for entry in batch:
                found.add("entry", entry.entry_id, [f"index {name}" for name in entry.differing])
            with database.read() as connection:
                for row_kind in _ROW_KINDS:
                    _rows_of_entries(connection, row_kind, batch, found)
                uses.compare(connection, batch)
                beside.compare(connection, batch)
                inspect_told_tasks(connection, batch, found)
    except IntegrityFailed as broken:
        found.add("log", signed.origin, (broken.message,))
    with database.read() as connection:
        uses.conclude(connection, signed_end(connection, signed))
    beside.conclude(database)
    inspect_done_tasks(database, found)


@dataclass(frozen=True, slots=True)
class _RowKind:
    """Which rows some acts tell of, and under which reference.

    Attributes:
        keys: the columns that make the row's name in the entry, joined by ``/``.
        is_end: the entry tells that the row was ended, rather than made.
    """

    acts: frozenset[str]
    ref: str
    table: Table
    keys: tuple[str, ...]
    is_end: bool = False

    def tells(self, entry: ScannedEntry) -> bool:
        """Say whether an entry tells of such a row."""
        act = entry.members.get("act")
        ends = entry.members.get("reason") == "ENDED" or act in _END_ACTS
        return act in self.acts and ends is self.is_end

    def rows(self, connection: Connection, names: Collection[str]) -> dict[str, Row[*tuple[Any, ...]]]:
        """Return the rows with these names; of a table with a composite key, which is small, every row."""
        columns = [self.table.c[key] for key in self.keys]
        more = self.table.c.ended_at if self.is_end else self.table.c.entry_id
        statement = select(*columns, more.label("told"))
        if len(columns) == 1:
            statement = statement.where(columns[0].in_(names))
        return {"/".join(map(str, row[:-1])): row for row in connection.execute(statement)}


_END_ACTS: Final = frozenset({Act.GUARDIAN_ENDED.value, Act.AGENT_ENDED.value})
_GUARDIAN_ACTS: Final = frozenset({Act.GUARDIAN_RECORDED.value, Act.GUARDIAN_ENDED.value})
_AGENT_ACTS: Final = frozenset({Act.AGENT_RECORDED.value, Act.AGENT_ENDED.value})

_ROW_KINDS: Final = (
    _RowKind(frozenset(act.value for act in DECISION_ACTS.values()), "decision", decision, ("decision_id",)),
    _RowKind(frozenset({Act.NOTICE_PUBLISHED.value}), "notice", notice, ("code", "version", "locale")),
    _RowKind(frozenset({Act.ASSESSMENT_RECORDED.value}), "assessment", assessment, ("assessment_id", "version")),
    _RowKind(frozenset({Act.RECIPIENT_RECORDED.value}), "recipient", recipient, ("code", "version")),
    _RowKind(_GUARDIAN_ACTS, "relation", guardian, ("relation_id",)),
    _RowKind(_AGENT_ACTS, "relation", agent, ("relation_id",)),
    _RowKind(_GUARDIAN_ACTS, "relation", guardian, ("relation_id",), is_end=True),
    _RowKind(_AGENT_ACTS, "relation", agent, ("relation_id",), is_end=True),
)


def _rows_of_entries(connection: Connection, kind: _RowKind, batch: Sequence[ScannedEntry], found: Findings) -> None:
    telling = {entry.entry_id: str(entry.refs.get(kind.ref)) for entry in batch if kind.tells(entry)}
    if not telling:
        return
    rows = kind.rows(connection, set(telling.values()))
    for entry_id, name in telling.items():
        row = rows.get(name)
        if row is None:
            found.add("entry", entry_id, (f"no {kind.table.name} {name}",))
        elif (row.told is None) if kind.is_end else (row.told != entry_id):
            found.add("entry", entry_id, (f"{kind.table.name} {name}",))


def _decisions(database: Database, found: Findings) -> None:
    """Compare every decision with its entry."""
    for connection, rows in pages(database, select(decision), decision.c.position):
        found.read("decisions", len(rows))
        entries = find_scanned(connection, [row.entry_id for row in rows])
        names = names_behind(connection, entries.values())
        for row in rows:
            try:
                differs = differing_decision(to_decision(row), entries.get(row.entry_id), names)
            except (KeyError, ValueError):
                differs = ["unreadable"]
            found.add("decision", row.decision_id, _tolerated(connection, row, differs, entries, names))


def _representatives(database: Database, table: Table, role: str, found: Findings) -> None:
    """Compare every guardian, kin or agent with its entry, and every end with the entry of the end."""
    for connection, rows in pages(database, select(table), table.c.relation_id):
        found.read("representatives", len(rows))
        entries = find_scanned(connection, [row.entry_id for row in rows])
        names = names_behind(connection, entries.values())
        for row in rows:
            differs = differing_representative(row, entries.get(row.entry_id), names, representative=role)
            if row.ended_at is not None and not _is_end_told(connection, row):
                differs.append("ended_at")
            found.add(role, row.relation_id, _tolerated(connection, row, differs, entries, names))


def _is_end_told(connection: Connection, row: Row[*tuple[Any, ...]]) -> bool:
    """Say whether the log tells of the end of a relation, then; looked up by its subject, because ends are rare."""
    aliases = select(audit.tables.alias.c.alias).where(audit.tables.alias.c.subject_id == row.subject_id)
    acts = [*_GUARDIAN_ACTS, *_AGENT_ACTS]
    about = audit.tables.leaf.c.alias.in_(aliases), audit.tables.leaf.c.act.in_(acts)
    ids = connection.scalars(select(audit.tables.leaf.c.entry_id).where(*about)).all()
    logged = [*find_scanned(connection, ids).values(), *waiting_entries(connection)]
    return any(
        entry.refs.get("relation") == row.relation_id
        and any(kind.is_end and kind.tells(entry) for kind in _ROW_KINDS)
        and is_told_at(entry, "ended_at", row.ended_at)
        for entry in logged
    )


def _tolerated(
    connection: Connection,
    row: Row[*tuple[Any, ...]],
    differs: list[str],
    entries: Mapping[str, ScannedEntry],
    names: Names,
) -> list[str]:
    """Forget what cannot be told any more: the names of an erased subject are destroyed after the log's floor.

    A name that still leads to somebody is told, whoever was erased.
    """
    entry, lost = entries.get(row.entry_id), {*differs}
    if "subject" in lost:
        lost.discard("ended_at")  # the end is looked up by the subject's names
    if not lost or entry is None or not lost <= {*_NAMED}:
        return differs
    said = [entry.members.get("subject") if name == "subject" else entry.refs.get(name) for name in lost]
    people = {getattr(row, _NAMED[name]) for name in lost}
    is_lost = all(isinstance(text, str) and text not in names.subjects for text in said)
    standing = subject_standing.c
    erased = select(func.count()).where(standing.subject_id.in_(people), standing.state == Standing.ERASED)
    return [] if is_lost and connection.scalar(erased) == len(people) else differs


_NAMED: Final[Mapping[str, str]] = {
    "subject": "subject_id",
    "actor_subject": "actor_subject",
    "guardian": "guardian",
    "agent": "agent",
}
"""What of a row is a person, each with its column."""


def _published(connection: Connection, catalogue: Catalogue, found: Findings) -> None:
    """Compare notices, assessments and recipients; there are few of each."""
    compared: tuple[tuple[Table, Callable[[Any, ScannedEntry | None], list[str]], tuple[str, ...]], ...] = (
        (notice, differing_notice, ("code", "version", "locale")),
        (assessment, lambda row, entry: differing_assessment(row, entry, catalogue), ("assessment_id", "version")),
        (recipient, differing_recipient, ("code", "version")),
    )
    for table, differing_row, keys in compared:
        rows = connection.execute(select(table)).all()
        found.read(f"{table.name}s", len(rows))
        entries = find_scanned(connection, [row.entry_id for row in rows])
        for row in rows:
            name = "/".join(str(getattr(row, key)) for key in keys)
            found.add(table.name, name, differing_row(row, entries.get(row.entry_id)))
    newest = select(notice.c.code, func.max(notice.c.edition).label("edition")).group_by(notice.c.code)
    stored = {row.code: row.edition for row in connection.execute(select(notice_head.c.code, notice_head.c.edition))}
    for code, edition in connection.execute(newest):
        found.add("notice", code, ["head"] if stored.get(code) != edition else [])


def _pack(connection: Connection, catalogue: Catalogue, found: Findings) -> None:
    """Compare the pack, and with it roles and purposes, with the one that was loaded last."""
    leaf = audit.tables.leaf.c
    loaded = select(leaf.entry_id).where(leaf.act == Act.PACK_LOADED.value).order_by(leaf.leaf_index.desc()).limit(1)
    entry_id = connection.scalar(loaded)
    entry = None if entry_id is None else find_scanned(connection, [entry_id]).get(entry_id)
    logged = None if entry is None else entry.refs.get("hash")
    found.add("pack", f"{catalogue.pack} {catalogue.version}", ["hash"] if logged != catalogue.hash else [])
