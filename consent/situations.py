"""What the gate reads: the moment, and the situation of each subject for one purpose, in as few statements as can be.

Statements run at the driver's level (``kernel.prepared``): instants arrive as microseconds, and on SQLite dates as text
and booleans as numbers; ``_situations`` is the one place that knows.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, literal_column, select

from audit.aliases import alias_in_year
from audit.journal import latest_times
from consent.ages import AgeClass, childhood_until
from consent.rows import CURRENT_COLUMNS
from consent.rules import Current, DecisionAct, Situation, Track, gate_state
from consent.setwise import among_subjects
from consent.standing import Standing
from consent.tables import consent_current, register_head, subject_standing
from kernel.clock import from_micros
from kernel.ids import DecisionId, SubjectId
from kernel.prepared import Prepared, Rows

PersonRows = list[Sequence[Any]]
"""The driver's rows of one registered subject: its standing, and one decision in each; none in a single one."""

Shape = tuple[object, ...]
"""See ``shape_of``."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What one transaction sees apart from its subjects.

    Attributes:
        revision: of the register's head; see ``consent.terms``.
        latest: the time of the log's latest entry, or None while it is empty.
    """

    revision: int
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class Seen:
    """One subject with its moment, read in one statement; ``alias`` is its name in the log in the given year."""

    moment: Moment
    situation: Situation | None
    alias: str | None


def read_moment(connection: Connection) -> Moment:
    """Return the register's revision and the log's time."""
    return _moment(_MOMENT.rows(connection)[0])


def read_seen(connection: Connection, subject: SubjectId, *, purpose: str, year: int, digital_age: int) -> Seen:
    """Return all that a check of one subject asks the store, in one statement."""
    rows = _ONE.rows(connection, subject=subject, purpose=purpose, year=year)
    found = _situations(rows, _AT_SUBJECT, digital_age)
    return Seen(_moment(rows[0]), found.get(subject), rows[0][_ALIAS])


def read_situations(
    connection: Connection, subjects: Collection[SubjectId], *, purpose: str, digital_age: int
) -> dict[SubjectId, Situation]:
    """Return the situation of those subjects that are registered."""
    return _situations(_rows_of(connection, subjects, purpose), 0, digital_age)


def read_rows(connection: Connection, subjects: Collection[SubjectId], *, purpose: str) -> dict[SubjectId, PersonRows]:
    """Return the rows that make the situations of those subjects that are registered."""
    found: dict[SubjectId, PersonRows] = {}
    for row in _rows_of(connection, subjects, purpose):
        found.setdefault(row[0], []).append(row)
    return found


def counted_in(rows: Mapping[SubjectId, PersonRows]) -> list[SubjectId]:
    """Return those with a decision whose uses are counted."""
    return sorted({subject for subject, own in rows.items() for row in own if row[_MAX_USES] is not None})


def situation_of(rows: PersonRows, digital_age: int) -> Situation:
    """Return the situation that one subject's rows make."""
    (situation,) = _situations(rows, 0, digital_age).values()
    return situation


def decision_of(row: Sequence[Any]) -> str:
    """Return the id of the decision that a row of ``read_rows`` holds."""
    decision: str = row[_DECISION]
    return decision


def shape_of(rows: PersonRows, now: int) -> Shape | None:
    """Return what one subject's rows tell the rule at an instant (microseconds), None where that is not all of it.

    Two subjects with the same shape are answered the same, by decisions at the same places of their rows.
    """
    shape: Shape = ()
    for row in rows:
        over, begins = row[_VALID_UNTIL], row[_VALID_FROM]
        if row[_CLASS_UNTIL] is not None or row[_MAX_USES] is not None:
            return None
        shape += (
            row[_STANDING_SAYS], row[_SAYS], row[_TOLD],
            over is not None and now >= over, begins is not None and now < begins,
        )  # fmt: skip
    return shape


def _rows_of(connection: Connection, subjects: Collection[SubjectId], purpose: str) -> Rows:
    bound = json.dumps(list(subjects)) if connection.dialect.name == "sqlite" else list(subjects)
    return _many(connection.dialect.name).rows(connection, subjects=bound, purpose=purpose)


def current_of(values: Sequence[Any]) -> Current:
    """Return one row of ``consent_current`` from the driver's values of ``CURRENT_COLUMNS``."""
    return Current(
        DecisionId(values[0]),
        values[1],
        _TRACKS[values[2]],
        _ACTS[values[3]],
        bool(values[4]),
        from_micros(values[5]),
        _instant(values[6]),
        values[7],
        values[8],
        None if values[9] is None else _fields(values[9]),
        _instant(values[10]),
        values[11],
        values[12],
        values[13],
    )


def _situations(rows: Iterable[Sequence[Any]], at: int, digital_age: int) -> dict[SubjectId, Situation]:
    """Return situations from rows that hold ``_STANDING`` and ``CURRENT_COLUMNS`` from place ``at`` on."""
    found: dict[SubjectId, Situation] = {}
    first = at + len(_STANDING)
    for row in rows:
        subject = row[at]
        if subject is None:
            continue
        situation = found.get(subject)
        if situation is None:
            situation = found[subject] = _situation(row[at + 1 : first], digital_age)
        if row[first] is not None:
            situation.current.append(current_of(row[first:]))
    return found


def _situation(values: Sequence[Any], digital_age: int) -> Situation:
    state, deceased, age_class, until = values
    day = date.fromisoformat(until) if isinstance(until, str) else until
    child_until = None if day is None else childhood_until(_AGES[age_class], day, digital_age)
    return Situation(gate_state(_STATES[state], deceased=bool(deceased)), child_until, [], deceased=bool(deceased))


def _moment(row: Sequence[Any]) -> Moment:
    revision, logged, waiting = row[:_AT_ALIAS]
    latest = max(logged or 0, waiting or 0)
    return Moment(revision or 0, from_micros(latest) if latest else None)


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


@lru_cache(maxsize=1024)
def _fields(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


_STANDING: Final = (
    subject_standing.c.subject_id,
    subject_standing.c.state,
    subject_standing.c.deceased,
    subject_standing.c.age_class,
    subject_standing.c.age_class_until,
)
_CLASS_UNTIL: Final = len(_STANDING) - 1
_STANDING_SAYS: Final = slice(1, _CLASS_UNTIL)
"""State, death and age class."""


def _place(column: ColumnElement[Any]) -> int:
    return len(_STANDING) + next(place for place, own in enumerate(CURRENT_COLUMNS) if own is column)


_DECISION: Final = _place(consent_current.c.decision_id)
_SAYS: Final = slice(_place(consent_current.c.recipient), _place(consent_current.c.by_guardian) + 1)
"""Recipient, track, act and by whom."""
_VALID_UNTIL: Final = _place(consent_current.c.valid_until)
_TOLD: Final = slice(_place(consent_current.c.notice_code), _place(consent_current.c.fields) + 1)
"""The notice's code and edition, and the fields."""
_VALID_FROM: Final = _place(consent_current.c.valid_from)
_MAX_USES: Final = _place(consent_current.c.max_uses)

_OF_PURPOSE: Final = and_(
    consent_current.c.subject_id == subject_standing.c.subject_id, consent_current.c.purpose == bindparam("purpose")
)
_REVISION: Final = select(register_head.c.revision).where(register_head.c.head_id == 1).scalar_subquery()
_AT_ALIAS: Final = 3
_ALIAS: Final = _AT_ALIAS
_AT_SUBJECT: Final = _AT_ALIAS + 1
_STATES: Final = {state.value: state for state in Standing}
_AGES: Final = {age_class.value: age_class for age_class in AgeClass}
_TRACKS: Final = {track.value: track for track in Track}
_ACTS: Final = {act.value: act for act in DecisionAct}


def _one() -> Select[*tuple[Any, ...]]:
    nobody = select(literal_column("1").label("one")).subquery("nobody")  # so that a stranger gives a row as well
    known = nobody.outerjoin(subject_standing, subject_standing.c.subject_id == bindparam("subject"))
    alias = alias_in_year(bindparam("subject"), bindparam("year"))
    return select(_REVISION, *latest_times(), alias, *_STANDING, *CURRENT_COLUMNS).select_from(
        known.outerjoin(consent_current, _OF_PURPOSE)
    )


@cache
def _many(dialect: str) -> Prepared:
    return Prepared(
        select(*_STANDING, *CURRENT_COLUMNS)
        .select_from(subject_standing.outerjoin(consent_current, _OF_PURPOSE))
        .where(among_subjects(subject_standing.c.subject_id, dialect))
    )


_MOMENT: Final = Prepared(select(_REVISION, *latest_times()))
_ONE: Final = Prepared(_one())
