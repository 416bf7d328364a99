"""Erase what cancelled accounts kept: a task at once, and the erasure itself before the law's days are over (R27)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from audit.events import Act
from consent.asking import Asking
from consent.closures import closing_task, find_cancelled
from consent.entries import event_of, now_in_log
from consent.standing import Standing, find_standings
from consent.tasks import Task, TaskKind, create_tasks, done_task, open_tasks
from consentry.platform import Platform
from kernel.errors import IntegrityFailed
from vault.leftovers import find_leftovers, is_leftover
from vault.scopes import Why

_AT_ONCE: Final = 200
_REASON: Final = "the account was cancelled"


def note_cancelled(platform: Platform, asking: Asking) -> int:
    """Make the tasks of accounts that were cancelled since, and return how many; safe to repeat.

    Whose data are restricted has one as well; what an erasure left for the law has none.
    """
    with platform.data.write() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        found = list(find_cancelled(connection))
        left = find_leftovers(connection, [one.subject for one in found if one.is_restricted])
        wanted = [closing_task(one, platform.catalogue) for one in found if one.subject not in left]
        return len(create_tasks(connection, wanted, asking=asking, log=platform.log, now=now))


def close_due_accounts(platform: Platform, asking: Asking) -> Iterator[Task]:
    """Erase those whose days would be over before the next cycle, and yield each task that is done with.

    A task is also done where somebody has erased the person already. One whose account was opened again, whose data
    are restricted, or of whom a row does not verify, stays for an officer to look at, and keeps nobody else waiting.
    """
    for task in _open(platform):
        if _is_due(platform, task):
            try:
                platform.eraser.erase(task.subject, asking=asking, reason=_REASON, why=Why.GROUND_ENDED)
            except IntegrityFailed as err:
                structlog.get_logger().error("account.not_closed", task=task.task_id, why=err.diagnostics())
        if _is_closed(platform, task):
            yield _finish(platform, asking, task)


def _open(platform: Platform) -> Iterator[Task]:
    last: Task | None = None
    while True:
        with platform.data.read() as connection:
            page = open_tasks(connection, kind=TaskKind.CLOSE_ACCOUNT, after=last, limit=_AT_ONCE)
        yield from page
        if len(page) < _AT_ONCE:
            return
        last = page[-1]


def _is_due(platform: Platform, task: Task) -> bool:
    """Say whether the person is to be erased in this cycle: still cancelled, and restricted by nobody."""
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        if task.due_at > now + timedelta(hours=platform.settings.sweep_hours):
            return False
        return any(not one.is_restricted for one in find_cancelled(connection, [task.subject]))


def _is_closed(platform: Platform, task: Task) -> bool:
    """Say whether the person was erased, but for what a hold keeps, or another subject goes on for the same person."""
    with platform.data.read() as connection:
        found = find_standings(connection, [task.subject]).get(task.subject)
        if found is None or found.state is not Standing.RESTRICTED:
            return found is not None and found.state is Standing.ERASED
        return found.merged_into is not None or is_leftover(connection, task.subject)


def _finish(platform: Platform, asking: Asking, task: Task) -> Task:
    refs = {"task": task.task_id, "kind": task.kind.value}
    event = replace(event_of(asking, Act.TASK_DONE), subject=task.subject, purpose=task.purpose, refs=refs)
    with platform.data.write() as connection:
        entry_id = platform.log.record(connection, event)
        return done_task(connection, task.task_id, entry_id=entry_id, at=platform.log.now(connection))
