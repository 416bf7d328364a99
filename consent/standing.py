"""A subject's standing: the one row whose revision moves with every act that can end a permission, and its lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, assert_never

from sqlalchemy import Connection, Row, Select, Update, bindparam, select, update

from consent.ages import AgeClass, childhood_until, class_of_birth, class_on, majority_on
from consent.setwise import among_subjects, bind_subjects, insert_rows
from consent.tables import standing_change, subject_standing
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
    """One row of ``subject_standing``; ``age_class`` is as of registration, see ``age_class_on``.

    Attributes:
        deceased: nothing is opened any more, and only verified kin closes (PIPL 49).
        no_kin: the deceased has directed that not even kin acts.
        merged_into: the subject who goes on for the same person; this one stays restricted for good.
    """

    subject: SubjectId
    revision: int
    state: Standing
    age_class: AgeClass
    age_class_until: date | None
    deceased: bool = False
    no_kin: bool = False
    merged_into: SubjectId | None = None

    def age_class_on(self, day: date) -> AgeClass:
        """Return the age class that counts on a day (UTC)."""
        return class_on(self.age_class, self.age_class_until, day)

    def childhood_until(self, digital_age: int) -> date | None:
        """Return the day from which the subject consents by itself; None when not known to be or have been a child."""
        return childhood_until(self.age_class, self.age_class_until, digital_age)

    @property
    def is_present(self) -> bool:
        """Whether the subject is neither erased nor about to be."""
        return self.state not in (Standing.ERASING, Standing.ERASED)

    @property
    def majority_on(self) -> date | None:
        """The day of majority of a subject registered as a minor, or None."""
        return majority_on(self.age_class, self.age_class_until)


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration did; an entry has to tell of everybody named here.

    Attributes:
        fresh: those who were new.
        refined: those who were there before, and whose age class changed.
        at: the instant that stands in the rows.
    """

    fresh: Mapping[SubjectId, SubjectStanding]
    refined: Sequence[SubjectStanding]
    at: datetime


def register_subjects(
    connection: Connection, birth_dates: Mapping[SubjectId, date | None], *, clock: Clock
) -> Registered:
    """Give each subject a standing row, with the age class only and not the birth date.

    A subject that is there already keeps its state; its age class follows a birth date that is newly known, or that
    keeps it a minor for longer (the stricter side). The caller writes the entries: ``subject.registered`` with
    ``consent.ages.age_refs``, and ``consent.entries.aged_event``.
    """
    lock_subjects(connection, birth_dates, exclusive=True)
    known = find_standings(connection, birth_dates)
    now = clock.now()
    fresh = {
        subject: SubjectStanding(subject, 1, Standing.ACTIVE, *class_of_birth(birth_date, now.date()))
        for subject, birth_date in birth_dates.items()
        if subject not in known
    }
    insert_rows(connection, subject_standing, [_first_row(standing, now) for standing in fresh.values()])
    aged = [_refined(before, birth_dates[subject], now.date()) for subject, before in known.items()]
    refined = [standing for standing in aged if standing is not None]
    _set_ages(connection, refined)
    insert_rows(connection, standing_change, [_change_row(changed, now) for changed in (*fresh.values(), *refined)])
    return Registered(fresh, refined, now)


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


def set_standing(connection: Connection, subject: SubjectId, standing: Standing, *, now: datetime) -> SubjectStanding:
    """Move a subject to another state, under the exclusive lock of its row; the same state again changes nothing.

    Args:
        connection: a write transaction of the data store.
        subject: whose.
        standing: the state to move to.
        now: the instant that stands in the history of the states; see ``consent.entries.now_in_log``.

    Raises:
        NotFound: the subject is not registered.
        Conflict: the way is not open: erased is final, an erasure that has begun is not called off, and who was merged
            into another subject stays restricted.
    """
    lock_subjects(connection, [subject], exclusive=True)
    before = get_standing(connection, subject)
    if before.state is standing:
        return before
    if standing not in _next_states(before.state):
        raise Conflict(
            f"Subject {subject} is {before.state} and cannot become {standing}",
            hint="An erasure is final and is not called off.",
        )
    if standing is Standing.ACTIVE:
        check_not_merged(before)
    return _change(connection, replace(before, state=standing), now)


def set_deceased(connection: Connection, subject: SubjectId, *, no_kin: bool, now: datetime) -> SubjectStanding:
    """Mark a subject as deceased, under the exclusive lock of its row; the same again changes nothing.

    Raises:
        NotFound: the subject is not registered.
        Conflict: the death is recorded with another directive.
    """
    lock_subjects(connection, [subject], exclusive=True)
    before = get_standing(connection, subject)
    if before.deceased:
        if before.no_kin is not no_kin:
            raise Conflict(
                f"The death of subject {subject} is recorded with another directive about kin",
                hint="The directive of the first record stands.",
            )
        return before
    return _change(connection, replace(before, deceased=True, no_kin=no_kin), now)


def set_merged(connection: Connection, dropped: SubjectId, kept: SubjectId, *, now: datetime) -> SubjectStanding:
    """Restrict a subject for good, under the exclusive lock of its row: another one goes on for the same person.

    Raises:
        NotFound: the subject is not registered.
        Conflict: it is erased, or about to be, or was merged before.
    """
    check_not_merged(get_standing(connection, dropped))
    before = set_standing(connection, dropped, Standing.RESTRICTED, now=now)
    return _write(connection, replace(before, merged_into=kept))


def check_not_merged(standing: SubjectStanding) -> None:
    """Raise ``Conflict`` for somebody for whom another subject goes on."""
    if standing.merged_into is not None:
        raise Conflict(
            f"Subject {standing.subject} was merged into {standing.merged_into}",
            hint="Go on with the one that is kept.",
        )


def read_kept(connection: Connection, subjects: Collection[SubjectId]) -> dict[SubjectId, SubjectId]:
    """Return, for those of the subjects that were merged away, who goes on for them."""
    found: dict[SubjectId, SubjectId] = {}
    asked = set(subjects)
    while asked:  # who is kept may have been merged into a third one afterwards, never back
        standings = find_standings(connection, asked).values()
        moved = {one.subject: one.merged_into for one in standings if one.merged_into is not None}
        found = {dropped: moved.get(kept, kept) for dropped, kept in found.items()}
        found |= {dropped: kept for dropped, kept in moved.items() if dropped in subjects}
        asked = set(moved.values())
    return found


def read_dropped(connection: Connection, kept: Collection[SubjectId]) -> dict[SubjectId, SubjectId]:
    """Return everybody who was merged into one of some subjects, over any number of merges, with that subject."""
    found: dict[SubjectId, SubjectId] = {}
    asked: dict[SubjectId, SubjectId] = {subject: subject for subject in kept}
    while asked:
        rows = connection.execute(_merged(connection.dialect.name), bind_subjects(connection, asked)).all()
        asked = {SubjectId(row.subject_id): asked[SubjectId(row.merged_into)] for row in rows}
        found |= asked
    return found


def keep_younger(
    connection: Connection, kept: SubjectStanding, other: SubjectStanding, *, now: datetime
) -> SubjectStanding:
    """Give a locked subject the age class of another one for the same person where that keeps it a minor for longer."""
    if _majority(other.age_class, other.age_class_until) <= _majority(kept.age_class, kept.age_class_until):
        return kept
    return _change(connection, replace(kept, age_class=other.age_class, age_class_until=other.age_class_until), now)


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
def _merged(dialect: str) -> Select[*tuple[Any, ...]]:
    columns = subject_standing.c
    return select(columns.subject_id, columns.merged_into).where(among_subjects(columns.merged_into, dialect))


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


def _refined(before: SubjectStanding, birth_date: date | None, today: date) -> SubjectStanding | None:
    """Return the standing with the stricter age class that a birth date tells of, or None where it tells of none."""
    if birth_date is None or before.state is Standing.ERASED:
        return None
    age_class, until = class_of_birth(birth_date, today)
    if before.age_class is not AgeClass.UNKNOWN and _majority(age_class, until) <= _majority(
        before.age_class, before.age_class_until
    ):
        return None
    return replace(before, age_class=age_class, age_class_until=until)


def _set_ages(connection: Connection, refined: Sequence[SubjectStanding]) -> None:
    if refined:
        moved = [
            {"moved": found.subject, "class_now": found.age_class, "until_now": found.age_class_until}
            for found in refined
        ]
        connection.execute(_SET_AGE, moved)


def _change(connection: Connection, after: SubjectStanding, now: datetime) -> SubjectStanding:
    """Write the changed standing of a locked subject, and a row of its history beside it."""
    written = _write(connection, after)
    insert_rows(connection, standing_change, [_change_row(after, now)])
    return written


def _write(connection: Connection, after: SubjectStanding) -> SubjectStanding:
    changed = update(subject_standing).where(subject_standing.c.subject_id == after.subject)
    connection.execute(
        changed.values(
            state=after.state,
            age_class=after.age_class,
            age_class_until=after.age_class_until,
            deceased=after.deceased,
            no_kin=after.no_kin,
            merged_into=after.merged_into,
            revision=subject_standing.c.revision + 1,
        )
    )
    return replace(after, revision=after.revision + 1)


def _first_row(standing: SubjectStanding, now: datetime) -> dict[str, object]:
    return {
        "subject_id": standing.subject,
        "revision": standing.revision,
        "state": standing.state,
        "age_class": standing.age_class,
        "age_class_until": standing.age_class_until,
        "deceased": False,
        "registered_at": now,
    }


def _change_row(standing: SubjectStanding, now: datetime) -> dict[str, object]:
    return {
        "subject_id": standing.subject,
        "state": standing.state,
        "deceased": standing.deceased,
        "age_class": standing.age_class,
        "age_class_until": standing.age_class_until,
        "changed_at": now,
    }


def _majority(age_class: AgeClass, until: date | None) -> date:
    return majority_on(age_class, until) or date.min


def _standing(row: Row[*tuple[Any, ...]]) -> SubjectStanding:
    return SubjectStanding(
        subject=SubjectId(row.subject_id),
        revision=row.revision,
        state=Standing(row.state),
        age_class=AgeClass(row.age_class),
        age_class_until=row.age_class_until,
        deceased=row.deceased,
        no_kin=row.no_kin,
        merged_into=None if row.merged_into is None else SubjectId(row.merged_into),
    )


def _unknown(subject: SubjectId) -> NotFound:
    return NotFound(f"Subject {subject} is not registered", hint="Check the id; `consentry subject find` looks it up.")


_COLUMNS: Final = (
    subject_standing.c.subject_id,
    subject_standing.c.revision,
    subject_standing.c.state,
    subject_standing.c.age_class,
    subject_standing.c.age_class_until,
    subject_standing.c.deceased,
    subject_standing.c.no_kin,
    subject_standing.c.merged_into,
)

_SET_AGE: Final = (
    update(subject_standing)
    .where(subject_standing.c.subject_id == bindparam("moved"))
    .values(
        age_class=bindparam("class_now"),
        age_class_until=bindparam("until_now"),
        revision=subject_standing.c.revision + 1,
    )
)
