"""What time does to the register: what is over expires, who has come of age is asked anew, and tasks are done."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.decisions import ActorKind, Decision, DecisionRequest
from consent.rules import DecisionAct
from consent.tasks import Task, done_task, get_task, open_tasks
from consent.words import TASKS, Language, in_language
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId

_ACT: Final = "consent.tend"
"""What a role must be allowed: an officer's work."""

_AT_ONCE: Final = 1_000
"""Decisions in one transaction."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What one round did.

    Attributes:
        expired: decisions that were recorded as expired.
        asked_again: tasks that were created because somebody has come of age.
        open_tasks: those that people have to do, the most urgent first.
    """

    expired: int
    asked_again: int
    open_tasks: tuple[Task, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """Return the counts for programs."""
        return {"expired": self.expired, "asked_again": self.asked_again, "open_tasks": len(self.open_tasks)}


def tend(platform: Platform, caller: Principal) -> Tended:
    """Record what has expired and who is to be asked anew; to be run every day, or more often.

    The gate refuses what is over without it; this brings on what follows from it, as after a withdrawal.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    asking = platform.asking(caller)
    expired = sum(expire_in_steps(platform, asking))
    asked = sum(ask_again_in_steps(platform, asking))
    platform.log.settle()
    return Tended(expired, asked, tuple(list_tasks(platform, caller)))


def expire_in_steps(platform: Platform, asking: Asking, *, at_once: int = _AT_ONCE) -> Iterator[int]:
    """Record what has expired, so many decisions in one transaction; yields how many each step recorded.

    Another process that does the same in the same moment records nothing twice: what stands is read again under lock.
    """
    return _in_steps(platform, partial(platform.registry.expire_due, asking=asking, limit=at_once), at_once)


def ask_again_in_steps(platform: Platform, asking: Asking, *, at_once: int = _AT_ONCE) -> Iterator[int]:
    """Create the tasks to ask those again who have come of age; yields how many each step created."""
    return _in_steps(platform, partial(platform.registry.take_overs_due, asking=asking, limit=at_once), at_once)


def _in_steps(platform: Platform, step: Callable[[Connection], Sequence[object]], at_once: int) -> Iterator[int]:
    made = at_once
    while made == at_once:
        with platform.data.write() as connection:
            made = len(step(connection))
        yield made


def list_tasks(platform: Platform, caller: Principal, *, due_by: datetime | None = None) -> list[Task]:
    """Return open tasks, the most urgent first, at most a hundred; the entry of this reading counts whom they name."""
    check_may_act(platform.catalogue, caller, _ACT)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = open_tasks(connection, due_by=due_by)
        event = Event(
            Act.CONSENT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            cohort=tuple(dict.fromkeys(task.subject for task in found)), counts={"tasks": len(found)},
            refs={"what": "tasks"},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    return found


def finish_task(platform: Platform, caller: Principal, task_id: str, *, note: str | None = None) -> Task:
    """Mark a task as done, with its entry; the note is sealed beside it.

    Raises:
        NotFound: there is no such task.
        Conflict: it is done already.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    asking = replace(platform.asking(caller), reason=note)
    with platform.data.write() as connection:
        found = get_task(connection, task_id)
        event = Event(
            Act.TASK_DONE, Outcome.DONE, asking.actor, asking.role, asking.request_id,
            subject=found.subject, purpose=found.purpose or None,
            refs={"task": task_id, "kind": found.kind.value}, details=None if note is None else {"note": note},
        )  # fmt: skip
        entry_id = platform.log.record(connection, event)
        done = done_task(connection, task_id, entry_id=entry_id, at=platform.log.now(connection))
    platform.log.settle()
    return done


def end_basis(
    platform: Platform, caller: Principal, subject: SubjectId, purpose: str, *, recipient: str | None = None
) -> tuple[Decision, ...]:
    """Record that a contract or legal duty is over; what rested on it is cleared away as after a withdrawal.

    Raises:
        NothingToClose: none stands for the purpose.
        NotFound: nobody is registered under this id.
    """
    check_may_act(platform.catalogue, caller, _ACT)
    request = DecisionRequest(
        subject=subject,
        purposes=(purpose,),
        act=DecisionAct.END,
        recipient=recipient,
        notice=None,
        actor_kind=ActorKind.OPERATOR,
        actor_subject=None,
        evidence={"mechanism": "told_to_officer"},
        decided_at=platform.clock.now(),
    )
    with platform.data.write() as connection:
        made = platform.registry.record(connection, request, asking=platform.asking(caller))
    platform.log.settle()
    return made


def task_json(task: Task, locale: str) -> dict[str, JsonValue]:
    """Return one task for programs, with its words in the locale's language."""
    return {
        "task": task.task_id,
        "kind": task.kind.value,
        "words": in_language(TASKS[task.kind], Language.of(locale)),
        "subject": task.subject,
        "purpose": task.purpose,
        "cause": task.cause,
        "created_at": format_instant(task.created_at),
        "due_at": format_instant(task.due_at),
    }
