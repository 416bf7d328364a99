"""What a permit brings about in its own transaction: uses taken, a task after an emergency, a transfer counted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from consent.asking import Asking
from consent.entries import EntryLog
from consent.rules import Question
from consent.tasks import NewTask, TaskKind, create_tasks
from consent.transfers import count_transfer, is_sensitive
from kernel.catalogue import Catalogue, LawfulBasis
from kernel.ids import PermitId, SubjectId

NOTIFY_WITHIN: Final = timedelta(days=3)
"""PIPL 18 paragraph 2 asks to tell people in time once the emergency is over and names no number; ours."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """What was permitted; every subject for at least one of the fields."""

    permit_id: PermitId
    subjects: Collection[SubjectId]
    fields: Collection[str]


def has_consequences(question: Question) -> bool:
    """Say whether a permit for this question has to be followed up."""
    return LawfulBasis.EMERGENCY in question.purpose.bases or question.terms.is_overseas


def follow_up(
    connection: Connection,
    question: Question,
    permitted: Permitted,
    *,
    asking: Asking,
    log: EntryLog,
    catalogue: Catalogue,
) -> None:
    """Write down what follows from a permitted.

    Use without consent in an emergency leaves a task to tell the person (R20); what may now go abroad is counted, each
    person once a year (R11).
    """
    if LawfulBasis.EMERGENCY in question.purpose.bases:
        kind, due_at = TaskKind.NOTIFY_EMERGENCY, question.now + NOTIFY_WITHIN
        tasks = [
            NewTask(kind, s, question.purpose.code, permitted.permit_id, due_at) for s in sorted(permitted.subjects)
        ]
        create_tasks(connection, tasks, asking=asking, log=log, now=question.now)
    if question.terms.is_overseas and question.recipient is not None:
        count_transfer(
            connection,
            catalogue,
            recipient=question.recipient,
            subjects=permitted.subjects,
            sensitive=is_sensitive(catalogue, question.purpose.code, permitted.fields),
            at=question.now,
        )
