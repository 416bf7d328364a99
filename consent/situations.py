"""What the gate reads: the situation of each subject of a batch for one purpose, in one statement."""

from collections.abc import Collection
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, bindparam, select

from consent.ages import AgeClass, childhood_until
from consent.rows import CURRENT_COLUMNS, to_current
from consent.rules import Situation
from consent.setwise import among_subjects, bind_subjects
from consent.standing import Standing
from consent.tables import consent_current, notice_head, subject_standing
from consent.turnstile import NOTICES, queue
from kernel.ids import SubjectId


def read_situations(
    connection: Connection, subjects: Collection[SubjectId], *, purpose: str
) -> dict[SubjectId, Situation]:
    """Return the situation of those subjects that are registered."""
    statement = _situations(connection.dialect.name)
    rows = connection.execute(statement, bind_subjects(connection, subjects, purpose=purpose)).all()
    found: dict[SubjectId, Situation] = {}
    for subject, state, age_class, until, *current in rows:
        situation = found.get(subject)
        if situation is None:
            child_until = None if until is None else childhood_until(_AGES[age_class], until)
            situation = found[subject] = Situation(_STATES[state], child_until, [])
        if current[0] is not None:
            situation.current.append(to_current(current))
    return found


def material_editions(connection: Connection, *, lock: bool) -> dict[str, int]:
    """Return for each notice code its newest material edition.

    Args:
        connection: a transaction of the data store.
        lock: hold off publications until the transaction ends, so that the log's order is true for notices as well:
            no permit under an old notice follows the publication of a material change. A read-only transaction
            cannot lock and reads its snapshot.
    """
    if lock:
        queue(connection, [NOTICES], exclusive=False)
    rows = connection.execute(_LOCKED_EDITIONS if lock else _EDITIONS).all()
    return {code: edition for code, edition in rows}  # noqa: C416 - rows are no pairs to the type checker


@cache
def _situations(dialect: str) -> Select[*tuple[Any, ...]]:
    standing = subject_standing.c
    of_purpose = and_(
        consent_current.c.subject_id == standing.subject_id, consent_current.c.purpose == bindparam("purpose")
    )
    return (
        select(standing.subject_id, standing.state, standing.age_class, standing.age_class_until, *CURRENT_COLUMNS)
        .select_from(subject_standing.outerjoin(consent_current, of_purpose))
        .where(among_subjects(standing.subject_id, dialect))
    )


_STATES: Final = {state.value: state for state in Standing}
_AGES: Final = {age_class.value: age_class for age_class in AgeClass}
_EDITIONS: Final = select(notice_head.c.code, notice_head.c.material_edition).order_by(notice_head.c.code)
_LOCKED_EDITIONS: Final = _EDITIONS.with_for_update(read=True)
