"""Erase what cancelled accounts kept: a task at once, and the erasure itself before the law's days are over (R27)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from audit.events import Act
from consent.asking import Asking
from consent.closures import closing_task, find_cancelled
from consent.entries import event_of, now_in_log
from consent.standing import Standing, find_standings
from consent.tasks import Task, TaskKind, create_tasks, done_task, open_tasks
from consentry.platform import Platform

_AT_ONCE = 200
_REASON = "the account was cancelled"


def note_cancelled(platform: Platform, asking: Asking) -> int:
    """Make the tasks of accounts that were cancelled since, and return how many; safe to repeat."""
    with platform.data.write() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        wanted = [closing_task(one, platform.catalogue) for one in find_cancelled(connection)]
        return len(create_tasks(connection, wanted, asking=asking, log=platform.log, now=now))


def close_due_accounts(platform: Platform, asking: Asking) -> Iterator[Task]:
    """Erase those whose days would be over before the next cycle, and yield each task that is done with.

    A task is also done where somebody has erased the person already. One whose account was opened again stays for an
    officer to look at.
    """
    within = timedelta(hours=platform.settings.sweep_hours)
    for task in _open(platform):
        with platform.data.read() as connection:
            now = now_in_log(connection, platform.log, platform.clock)
            is_cancelled = next(find_cancelled(connection, [task.subject]), None) is not None
        if is_cancelled and task.due_at <= now + within:
            platform.eraser.erase(task.subject, asking=asking, reason=_REASON)
        if _is_closed(platform, task):
            yield _finish(platform, asking, task)


def _open(platform: Platform) -> Sequence[Task]:
    with platform.data.read() as connection:
        return open_tasks(connection, kind=TaskKind.CLOSE_ACCOUNT, limit=_AT_ONCE)


def _is_closed(platform: Platform, task: Task) -> bool:
    """Say whether the person was erased, but for what a hold keeps."""
    with platform.data.read() as connection:
        found = find_standings(connection, [task.subject]).get(task.subject)
    return found is not None and found.state in (Standing.ERASED, Standing.RESTRICTED)


def _finish(platform: Platform, asking: Asking, task: Task) -> Task:
    refs = {"task": task.task_id, "kind": task.kind.value}
    event = replace(event_of(asking, Act.TASK_DONE), subject=task.subject, purpose=task.purpose, refs=refs)
    with platform.data.write() as connection:
        entry_id = platform.log.record(connection, event)
        return done_task(connection, task.task_id, entry_id=entry_id, at=platform.log.now(connection))
