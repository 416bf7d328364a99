"""Tasks against the entries that made and finished them: one that is gone would leave a duty undone, unseen."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from audit.events import Act
from audit.scanning import ScannedEntry, find_scanned
from consent.comparing import Names, is_told_at
from consent.inspection import Findings, names_behind, pages
from consent.tables import task
from kernel.clock import format_instant
from kernel.database import Database

_ACTS = frozenset({Act.TASK_CREATED.value, Act.TASK_DONE.value})

_Row = Row[tuple[Any, ...]]


def inspect_told_tasks(connection: Connection, batch: Sequence[ScannedEntry], found: Findings) -> None:
    """Look up the row of every entry that tells of a task."""
    telling = {entry.entry_id: entry for entry in batch if entry.members.get("act") in _ACTS}
    if not telling:
        return
    named = {str(entry.refs.get("task")) for entry in telling.values()}
    rows = {row.task_id: row for row in connection.execute(select(task).where(task.c.task_id.in_(named)))}
    names = names_behind(connection, telling.values())
    for entry_id, entry in telling.items():
        row = rows.get(str(entry.refs.get("task")))
        if row is None:
            found.add("entry", entry_id, [f"no task {entry.refs.get('task')}"])
        else:
            found.add("task", row.task_id, _differing(row, entry, names))


def inspect_done_tasks(database: Database, found: Findings) -> None:
    """Compare every task that is said to be done with the entry that tells so; a pruned one tells nothing."""
    for connection, rows in pages(database, select(task), task.c.task_id):
        found.read("tasks", len(rows))
        done = [row for row in rows if row.done_at is not None]
        entries = find_scanned(connection, [str(row.done_entry) for row in done])
        for row in done:
            entry = entries.get(str(row.done_entry))
            is_told = entry is not None and (not entry.members or _tells_done(row, entry))
            found.add("task", row.task_id, [] if is_told else ["done_entry"])


def _tells_done(row: _Row, entry: ScannedEntry) -> bool:
    return entry.members.get("act") == Act.TASK_DONE.value and entry.refs.get("task") == row.task_id


def _differing(row: _Row, entry: ScannedEntry, names: Names) -> list[str]:
    said = entry.members.get("subject")
    differs = {
        "kind": entry.refs.get("kind") != row.kind,
        "subject": said in names.subjects and not names.stands_for(said, row.subject_id),
    }
    if entry.members.get("act") == Act.TASK_DONE.value:
        differs["done_entry"] = row.done_entry != entry.entry_id
        differs["done_at"] = row.done_at is None or not is_told_at(entry, "done_at", row.done_at)
    else:
        due_at = format_instant(row.due_at)
        differs["purpose"] = (entry.members.get("purpose") or "") != row.purpose
        differs["cause"] = entry.refs.get("cause") != row.cause
        differs["due_at"] = entry.refs.get("due_at", due_at) != due_at
    return [name for name, does in differs.items() if does]
