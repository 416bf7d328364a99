"""Tasks for people that follow from the register: to tell of an emergency, to ask somebody anew.

One task for each kind, subject, purpose and cause, so that whoever finds the cause again creates nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from audit.events import Act, Event
from consent.asking import Asking
from consent.entries import EntryLog, event_of
from consent.tables import task
from kernel.clock import format_instant
from kernel.errors import Conflict, NotFound
from kernel.ids import EntryId, SubjectId, new_id


class TaskKind(StrEnum):
    """What has to be done."""

    NOTIFY_EMERGENCY = "notify_emergency"
    ASK_AGAIN = "ask_again"
    INFORM = "inform"
    CLOSE_ACCOUNT = "close_account"


@dataclass(frozen=True, slots=True)
class NewTask:
    """What is to become a task; ``cause`` is the entry, permit or decision that it follows."""

    kind: TaskKind
    subject: SubjectId
    purpose: str
    cause: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """One task; open while ``done_at`` is None, and ``done_entry`` then tells who did it."""

    task_id: str
    kind: TaskKind
    subject: SubjectId
    purpose: str
    cause: str
    created_at: datetime
    due_at: datetime
    done_at: datetime | None = None
    done_entry: EntryId | None = None


def create_tasks(
    connection: Connection, wanted: Sequence[NewTask], *, asking: Asking, log: EntryLog, now: datetime
) -> list[Task]:
    """Create the tasks that are not there yet, each with its entry, in the caller's transaction.

    Returns:
        Those that are new, in the order asked for.
    """
    if not wanted:
        return []
    drafted = [_drafted(item, now) for item in dict.fromkeys(wanted)]
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    inserting = dialect_insert(task).on_conflict_do_nothing().returning(task.c.task_id)
    fresh = set(connection.execute(inserting, [_row(item) for item in drafted]).scalars())
    created = [item for item in drafted if item.task_id in fresh]
    log.record_many(connection, [_event(asking, item) for item in created])
    return created


def open_tasks(
    connection: Connection,
    *,
    kind: TaskKind | None = None,
    subject: SubjectId | None = None,
    due_by: datetime | None = None,
    after: Task | None = None,
    limit: int = 100,
) -> list[Task]:
    """Return open tasks, the most urgent first; those that come after one, to page on."""
    statement = select(task).where(task.c.done_at.is_(None)).order_by(task.c.due_at, task.c.task_id).limit(limit)
    if kind is not None:
        statement = statement.where(task.c.kind == kind)
    if subject is not None:
        statement = statement.where(task.c.subject_id == subject)
    if due_by is not None:
        statement = statement.where(task.c.due_at <= due_by)
    if after is not None:
        same = and_(task.c.due_at == after.due_at, task.c.task_id > after.task_id)
        statement = statement.where(or_(task.c.due_at > after.due_at, same))
    return [_task(row) for row in connection.execute(statement)]


def get_task(connection: Connection, task_id: str) -> Task:
    """Return one task.

    Raises:
        NotFound: there is none under this id.
    """
    row = connection.execute(select(task).where(task.c.task_id == task_id)).one_or_none()
    if row is None:
        raise NotFound(f"Task {task_id} does not exist", hint="See the open tasks.")
    return _task(row)


def done_task(connection: Connection, task_id: str, *, entry_id: EntryId, at: datetime) -> Task:
    """Mark a task as done; the caller has recorded the entry in this transaction.

    Raises:
        NotFound: there is none under this id.
        Conflict: it is done already.
    """
    open_one = task.c.task_id == task_id, task.c.done_at.is_(None)
    done = connection.execute(update(task).where(*open_one).values(done_at=at, done_entry=entry_id))
    found = get_task(connection, task_id)
    if done.rowcount == 0:
        raise Conflict(
            f"Task {task_id} is done already; entry {found.done_entry} tells of it", hint="See the open tasks."
        )
    return found


def _drafted(wanted: NewTask, now: datetime) -> Task:
    return Task(new_id("tsk"), wanted.kind, wanted.subject, wanted.purpose, wanted.cause, now, wanted.due_at)


def _event(asking: Asking, created: Task) -> Event:
    refs = {
        "task": created.task_id,
        "kind": created.kind.value,
        "cause": created.cause,
        "due_at": format_instant(created.due_at),
    }
    return replace(
        event_of(asking, Act.TASK_CREATED), subject=created.subject, purpose=created.purpose or None, refs=refs
    )


def _row(drafted: Task) -> dict[str, object]:
    return {
        "task_id": drafted.task_id,
        "kind": drafted.kind.value,
        "subject_id": drafted.subject,
        "purpose": drafted.purpose,
        "cause": drafted.cause,
        "created_at": drafted.created_at,
        "due_at": drafted.due_at,
    }


def _task(row: Row[*tuple[Any, ...]]) -> Task:
    return Task(
        task_id=row.task_id,
        kind=_KINDS[row.kind],
        subject=SubjectId(row.subject_id),
        purpose=row.purpose,
        cause=row.cause,
        created_at=row.created_at,
        due_at=row.due_at,
        done_at=row.done_at,
        done_entry=None if row.done_entry is None else EntryId(row.done_entry),
    )


_KINDS: Final = {kind.value: kind for kind in TaskKind}
