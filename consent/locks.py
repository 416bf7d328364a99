"""The locks of a permit: the subjects' rows, then the register's head, shared; two round trips on PostgreSQL.

Whoever closes something for a subject, or changes the terms, holds the same rows exclusively and writes its entry under
that lock. On SQLite the write transaction itself is the lock.
"""

from collections.abc import Collection
from functools import cache

from sqlalchemy import Connection, func, select

from consent.setwise import among_subjects
from consent.tables import register_head, subject_standing
from consent.turnstile import NOTICES, queue, queue_for_everybody
from kernel.ids import SubjectId
from kernel.prepared import Prepared


def lock_for_permits(connection: Connection, subjects: Collection[SubjectId]) -> None:
    """Hold off everything that could end a permission of these subjects, until the transaction ends.

    What is read afterwards by another statement is what the holders before have committed. The subjects come first,
    as in every transaction that closes something and then asks the gate.
    """
    if connection.dialect.name == "sqlite" or not subjects:
        return
    queue(connection, [*subjects, NOTICES], exclusive=False)
    _locking(connection.dialect.name).rows(connection, subjects=list(subjects))


@cache
def _locking(dialect: str) -> Prepared:
    """Lock by one statement; both parts are evaluated, since the result counts their rows."""
    column = subject_standing.c.subject_id
    people = select(column).where(among_subjects(column, dialect)).order_by(column).with_for_update(read=True)
    head = select(register_head.c.head_id).where(register_head.c.head_id == 1).with_for_update(read=True)
    counted = [select(func.count()).select_from(part.cte(name)).scalar_subquery()
               for name, part in (("people", people), ("head", head))]  # fmt: skip
    return Prepared(select(*counted))


def lock_for_cohort(connection: Connection) -> None:
    """Hold off everything that could end a permission of anybody, until the transaction ends, which is to be soon.

    Thousands of row locks cost more than reading the rows. Whoever closes something passes the turnstile before the
    rows (``consent.standing.lock_subjects``) and keeps it until its end, so that the turnstile alone is the lock here.
    """
    queue_for_everybody(connection, exclusive=False)
