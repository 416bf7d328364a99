"""A subject's standing: the one row whose revision moves with every act that can end a permission, and its lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Any, Final, assert_never

from sqlalchemy import Connection, Row, Select, Update, select, update

from consent.ages import AgeClass, childhood_until, class_of_birth, class_on, majority_on
from consent.setwise import among_subjects, bind_subjects, insert_rows
from consent.tables import subject_standing
from consent.turnstile import queue
from kernel.errors import Conflict, NotFound
from kernel.ids import SubjectId
from kernel.ports import Clock


class Standing(StrEnum):
    """What may happen to a subject's data at all."""

    ACTIVE = "active"
    RESTRICTED = "restricted"
    ERASING = "erasing"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class SubjectStanding:
    """One row of ``subject_standing``; ``age_class`` is as of registration, see ``age_class_on``."""

    subject: SubjectId
    revision: int
    state: Standing
    age_class: AgeClass
    age_class_until: date | None

    def age_class_on(self, day: date) -> AgeClass:
        """Return the age class that counts on a day (UTC)."""
        return class_on(self.age_class, self.age_class_until, day)

    @property
    def childhood_until(self) -> date | None:
        """The day from which the subject decides without a guardian; None when not known to be or have been a child."""
        return childhood_until(self.age_class, self.age_class_until)

    @property
    def majority_on(self) -> date | None:
        """The day of majority of a subject registered as a minor, or None."""
        return majority_on(self.age_class, self.age_class_until)


def register_subject(connection: Connection, subject: SubjectId, *, birth_date: date | None, clock: Clock) -> None:
    """Register one subject; see ``register_subjects``."""
    register_subjects(connection, {subject: birth_date}, clock=clock)


def register_subjects(
    connection: Connection, birth_dates: Mapping[SubjectId, date | None], *, clock: Clock
) -> list[SubjectId]:
    """Give each subject a standing row, with the age class only and not the birth date.

    A subject that is there already keeps its state; its age class follows a birth date that is newly known, or that
    keeps it a minor for longer (the stricter side).

    Returns:
        The subjects that were new.
    """
    lock_subjects(connection, birth_dates, exclusive=True)
    known = find_standings(connection, birth_dates)
    now = clock.now()
    fresh = [subject for subject in birth_dates if subject not in known]
    rows = []
    for subject in fresh:
        age_class, until = class_of_birth(birth_dates[subject], now.date())
        rows.append(
            {
                "subject_id": subject,
                "revision": 1,
                "state": Standing.ACTIVE,
                "age_class": age_class,
                "age_class_until": until,
                "registered_at": now,
            }
        )
    insert_rows(connection, subject_standing, rows)
    for subject, before in known.items():
        _refine_age(connection, before, birth_dates[subject], now.date())
    return fresh


def find_standings(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, SubjectStanding]:
    """Return the standing of those subjects that are registered."""
    statement = _standings(connection.dialect.name)
    found = [_standing(row) for row in connection.execute(statement, bind_subjects(connection, subjects)).all()]
    return {standing.subject: standing for standing in found}


def get_standing(connection: Connection, subject: SubjectId) -> SubjectStanding:
    """Return a subject's standing.

    Raises:
        NotFound: the subject is not registered.
    """
    row = connection.execute(select(*_COLUMNS).where(subject_standing.c.subject_id == subject)).one_or_none()
    if row is None:
        raise _unknown(subject)
    return _standing(row)


def set_standing(connection: Connection, subject: SubjectId, standing: Standing) -> SubjectStanding:
    """Move a subject to another state, under the exclusive lock of its row; the same state again changes nothing.

    Raises:
        NotFound: the subject is not registered.
        Conflict: the way is not open: erased is final, and an erasure that has begun is not called off.
    """
    lock_subjects(connection, [subject], exclusive=True)
    before = get_standing(connection, subject)
    if before.state is standing:
        return before
    if standing not in _next_states(before.state):
        raise Conflict(f"Subject {subject} is {before.state} and cannot become {standing}")
    connection.execute(
        update(subject_standing)
        .where(subject_standing.c.subject_id == subject)
        .values(state=standing, revision=subject_standing.c.revision + 1)
    )
    return get_standing(connection, subject)


def lock_subjects(connection: Connection, subjects: Collection[SubjectId], *, exclusive: bool) -> None:
    """Hold the subjects' rows until the transaction ends, in the order of their ids.

    Shared holders (the gate) wait for an exclusive one (a withdrawal, a restriction) and the reverse; what a holder
    then reads by another statement is what the other one committed. On SQLite the write transaction itself is the
    lock. Take the exclusive locks of a transaction in one call, and before any shared one: a later upgrade can
    deadlock with another's.
    """
    if connection.dialect.name == "sqlite" or not subjects:
        return
    queue(connection, subjects, exclusive=exclusive)
    statement = _locking(connection.dialect.name, exclusive=exclusive)
    connection.execute(statement, bind_subjects(connection, subjects)).all()


def bump_revisions(connection: Connection, subjects: Collection[SubjectId]) -> None:
    """Move the revision of subjects whose rows are exclusively locked."""
    connection.execute(_bump(connection.dialect.name), bind_subjects(connection, subjects))


@cache
def _standings(dialect: str) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(among_subjects(subject_standing.c.subject_id, dialect))


@cache
def _locking(dialect: str, *, exclusive: bool) -> Select[*tuple[Any, ...]]:
    column = subject_standing.c.subject_id
    statement = select(column).where(among_subjects(column, dialect)).order_by(column)
    return statement.with_for_update(read=not exclusive)


@cache
def _bump(dialect: str) -> Update:
    moved = update(subject_standing).values(revision=subject_standing.c.revision + 1)
    return moved.where(among_subjects(subject_standing.c.subject_id, dialect))


def _next_states(state: Standing) -> Sequence[Standing]:
    match state:
        case Standing.ACTIVE:
            return (Standing.RESTRICTED, Standing.ERASING)
        case Standing.RESTRICTED:
            return (Standing.ACTIVE, Standing.ERASING)
        case Standing.ERASING:  # what a legal floor holds stays restricted, the rest is gone
            return (Standing.ERASED, Standing.RESTRICTED)
        case Standing.ERASED:
            return ()
        case _:
            assert_never(state)


def _refine_age(connection: Connection, before: SubjectStanding, birth_date: date | None, today: date) -> None:
    if birth_date is None or before.state is Standing.ERASED:
        return
    age_class, until = class_of_birth(birth_date, today)
    if before.age_class is not AgeClass.UNKNOWN and _majority(age_class, until) <= _majority(
        before.age_class, before.age_class_until
    ):
        return
    connection.execute(
        update(subject_standing)
        .where(subject_standing.c.subject_id == before.subject)
        .values(age_class=age_class, age_class_until=until, revision=subject_standing.c.revision + 1)
    )


def _majority(age_class: AgeClass, until: date | None) -> date:
    return majority_on(age_class, until) or date.min


def _standing(row: Row[*tuple[Any, ...]]) -> SubjectStanding:
    return SubjectStanding(
        SubjectId(row.subject_id), row.revision, Standing(row.state), AgeClass(row.age_class), row.age_class_until
    )


def _unknown(subject: SubjectId) -> NotFound:
    return NotFound(f"Subject {subject} is not registered", hint="Register the subject before recording its decisions.")


_COLUMNS: Final = (
    subject_standing.c.subject_id,
    subject_standing.c.revision,
    subject_standing.c.state,
    subject_standing.c.age_class,
    subject_standing.c.age_class_until,
)
