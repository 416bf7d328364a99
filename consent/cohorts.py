"""The gate for cohorts of any size: verdicts are left in a table, batch by batch, each with its entry in the log.

A transaction takes as many batches as fit into a fifth of a second, so that on one hand nobody who closes something
waits for long, and on the other a million people cost some dozens of commits. How a batch is answered:
``consent.cohort_run``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, select

from consent.cohort_people import Population
from consent.cohort_run import CohortQuestion, CohortResult, CohortRun
from consent.entries import EntryLog
from consent.tables import cohort_batch, cohort_check, cohort_verdict
from kernel.catalogue import Catalogue
from kernel.database import Database
from kernel.errors import BadInput
from kernel.ids import EntryId, SubjectId
from kernel.ports import Clock

__all__ = ["BATCH_SUBJECTS", "CohortQuestion", "CohortResult", "Population", "check_cohort", "entries_of"]

BATCH_SUBJECTS: Final = 5_000
"""Of one entry; at the same time the finest step in which a transaction can be ended."""


def check_cohort(
    store: Database | Connection,
    question: CohortQuestion,
    *,
    catalogue: Catalogue,
    log: EntryLog,
    clock: Clock,
    batch_subjects: int = BATCH_SUBJECTS,
) -> CohortResult:
    """Decide for a cohort, field by field, and leave the verdicts in tables.

    Args:
        store: the data store, for a transaction of ``cohort_run.HELD_SECONDS`` after the other; or one write
            transaction for all, whose locks then last as long as it does.
        question: what is asked; a subject that nobody registered is answered like any other.
        catalogue: the pack.
        log: takes an entry for what passed and one for what did not, of each batch.
        clock: of the deployment.
        batch_subjects: at most ``BATCH_SUBJECTS``.

    Raises:
        BadInput: an unknown purpose, no field, or a batch that is too large.
        Unavailable: the gate is suspended; the batches of the transactions before stay.
    """
    if not question.fields:
        raise BadInput("A check without fields decides nothing", hint="Name the fields that are to be used.")
    if not 1 <= batch_subjects <= BATCH_SUBJECTS:
        raise BadInput(f"A batch holds 1 to {BATCH_SUBJECTS} subjects", hint="Leave it at its default.")
    run = CohortRun(question, catalogue=catalogue, log=log, clock=clock, batch_subjects=batch_subjects)
    under_way = True
    while under_way:
        with _transaction(store) as connection:
            under_way = run.go_on(connection)
    return run.result


def entries_of(connection: Connection, subject: SubjectId) -> list[EntryId]:
    """Return the entries of every cohort check that answered about a subject, for look-ups in the log."""
    batch, verdict = cohort_batch.c, cohort_verdict.c
    statement = (
        select(batch.permit_entry, batch.refusal_entry)
        .select_from(cohort_check)
        .join(cohort_verdict, (verdict.cohort_id == cohort_check.c.cohort_id) & (verdict.subject_id == subject))
        .join(cohort_batch, batch.cohort_id == cohort_check.c.cohort_id)
        .where(batch.first_subject <= subject, batch.last_subject >= subject)
        .order_by(cohort_check.c.asked_at, batch.batch)
    )
    return [EntryId(entry) for row in connection.execute(statement) for entry in row if entry is not None]


@contextmanager
def _transaction(store: Database | Connection) -> Iterator[Connection]:
    if isinstance(store, Connection):
        yield store
    else:
        with store.write() as connection:
            yield connection
