"""A cohort's situations as keys: SQL reduces each subject to what the rule can tell apart, Python judges each key once.

A key is the standing as a number, then for each track that matters what the covering row says: a number made of its
act, its place in time, whether uses are left, whether its author might decide and its notice's edition; the notice's
code; its fields. Numbers, since texts put together for each row would cost more than all the rest. ``situation_of``
turns a key back into a situation with the same answers, so that ``consent.rules`` stays the only place where anything
is decided.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntFlag
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
    extract,
    func,
    literal_column,
    null,
    or_,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from consent.ages import ADULT_YEARS, CHILD_YEARS, AgeClass
from consent.rules import Current, DecisionAct, Question, Situation, Track, gate_state, is_permissive
from consent.standing import Standing
from consent.tables import consent_current, subject_standing
from kernel.database import Instant
from kernel.ids import DecisionId

Key = tuple[int | str, ...]
"""The standing; then for each track of the plan what its row says, the notice's code and the fields."""


class Flag(IntFlag):
    """What a key's number for a track says of the row, in its lowest bits."""

    GENERAL = 1
    NOT_BEGUN = 2
    OVER = 4
    COUNTED = 8
    SPENT = 16
    ENTITLED = 32


_FLAGS: Final = 64
_ACTS: Final = tuple(DecisionAct)
_ACT_PLACES: Final = 16
_EDITION: Final = _FLAGS * _ACT_PLACES
"""A row's number is flags + ``_FLAGS`` × act + ``_EDITION`` × (edition + 1, or 0 for none)."""

_NOTHING: Final = -1
_ELSEWHERE: Final = -2
_NOBODY: Final = -1
_STATES: Final = tuple(Standing)
_DECEASED: Final = len(_STATES)
_CLOSING: Final = [act.value for act in DecisionAct if not is_permissive(act)]
_EVER: Final = date.max


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """What the statement depends on, beside its parameters.

    Attributes:
        dialect: of the store.
        tracks: those that an asked field rests on.
        named: whether a recipient is asked about.
        declared: whether the pack declares that recipient, so that a general decision covers it.
        digital_age: whole years.
    """

    dialect: str
    tracks: tuple[Track, ...]
    named: bool
    declared: bool
    digital_age: int


class Keyed(NamedTuple):
    """Expressions over the people of a batch: the subject, its key's parts, the decisions behind it, and the source.

    Parameters: ``purpose``, ``recipient`` (empty for none), ``now``, ``first``, ``last``, and those of the batch.
    """

    subject: ColumnElement[str]
    key: Sequence[ColumnElement[Any]]
    decisions: Mapping[Track, ColumnElement[Any]]
    source: FromClause


def keyed(plan: KeyPlan, people: FromClause) -> Keyed:
    """Return the expressions for ``people``, who stand in a column ``subject_id``."""
    standing = subject_standing
    is_registered = people is standing
    source: FromClause = people
    if not is_registered:
        source = people.outerjoin(standing, standing.c.subject_id == people.c.subject_id)
    key: list[ColumnElement[Any]] = [_standing_part(is_registered=is_registered)]
    decisions: dict[Track, ColumnElement[Any]] = dict.fromkeys(Track, cast(null(), String))
    for track in plan.tracks:
        row = consent_current.alias(f"of_{track.value}")
        source = source.outerjoin(row, _covers(plan, row, track))
        key += [
            _track_part(plan, row, track),
            func.coalesce(row.c.notice_code, literal_column("''")),
            func.coalesce(row.c.fields, literal_column("''")),
        ]
        decisions[track] = row.c.decision_id
    return Keyed(people.c.subject_id, key, decisions, source)


def key_columns(plan: KeyPlan) -> dict[str, TypeEngine[Any]]:
    """Return names and types for the parts of a key."""
    columns: dict[str, TypeEngine[Any]] = {"standing": Integer()}
    for track in plan.tracks:
        columns |= {
            f"{track.value}_row": Integer(),
            f"{track.value}_notice": String(),
            f"{track.value}_fields": String(),
        }
    return columns


def is_counted(key: Key) -> bool:
    """Say whether a decision behind a key holds for a number of permits."""
    return any(row >= 0 and Flag.COUNTED in Flag(row % _FLAGS) for row in key[1::3] if isinstance(row, int))


def situation_of(key: Key, question: Question, tracks: Sequence[Track]) -> Situation | None:
    """Return a situation that the rule answers as it answers everybody's with this key; None for nobody's."""
    standing, *parts = key
    if standing == _NOBODY:
        return None
    deceased, state = divmod(int(standing), _DECEASED)
    said = zip(tracks, parts[0::3], parts[1::3], parts[2::3], strict=True)
    rows = [
        _row(int(number), str(code), _fields(str(fields)), question, track)
        for track, number, code, fields in said
        if number != _NOTHING
    ]
    return Situation(gate_state(_STATES[state], deceased=bool(deceased)), _EVER, rows, deceased=bool(deceased))


def _row(number: int, code: str, fields: frozenset[str] | None, question: Question, track: Track) -> Current:
    """Return a row with the same answers; childhood never ends here, so that its author counts only as a guardian."""
    if number == _ELSEWHERE:
        return Current(DecisionId(""), f"not {question.recipient or ''}", track, DecisionAct.GRANT, True,
                       question.now, None, None, None, None)  # fmt: skip
    edition, rest = divmod(number, _EDITION)
    act, bits = divmod(rest, _FLAGS)
    flags = Flag(bits)
    return Current(
        decision_id=DecisionId("dec"),
        recipient="" if Flag.GENERAL in flags else question.recipient or "",
        track=track,
        act=_ACTS[act],
        by_guardian=Flag.ENTITLED in flags,
        decided_at=question.now,
        valid_until=question.now if Flag.OVER in flags else None,
        notice_code=code or None,
        notice_edition=edition - 1 if edition else None,
        fields=fields,
        valid_from=question.now + timedelta(microseconds=1) if Flag.NOT_BEGUN in flags else None,
        max_uses=1 if Flag.COUNTED in flags else None,
        uses=1 if Flag.SPENT in flags else 0,
    )


def _fields(text: str) -> frozenset[str] | None:
    return frozenset(json.loads(text)) if text else None


def _standing_part(*, is_registered: bool) -> ColumnElement[int]:
    """Return state and death as one number."""
    standing = subject_standing.c
    state = case({state.value: _number(place) for place, state in enumerate(_STATES)}, value=standing.state)
    known = state + case((standing.deceased, _number(_DECEASED)), else_=_number(0))
    return known if is_registered else func.coalesce(known, _number(_NOBODY))


def _covers(plan: KeyPlan, row: FromClause, track: Track) -> ColumnElement[bool]:
    """Join the row that covers the asked recipient; see ``consent.rules.covering``."""
    column = row.c
    asked: ColumnElement[str] = bindparam("recipient", type_=String)
    place = and_(
        _is_theirs(plan, column.subject_id),
        column.purpose == bindparam("purpose"),
        column.track == track.value,
    )
    if not plan.named:
        return and_(place, column.recipient == "")
    own = consent_current.alias(f"named_{track.value}")
    is_named = exists().where(
        _is_theirs(plan, own.c.subject_id),
        own.c.purpose == bindparam("purpose"),
        own.c.recipient == asked,
        own.c.track == track.value,
    )
    speaks = and_(column.recipient == "", ~is_named)
    if not plan.declared:
        speaks = and_(speaks, _closes(column.act))
    return and_(place, or_(column.recipient == asked, speaks))


def _track_part(plan: KeyPlan, row: FromClause, track: Track) -> ColumnElement[int]:
    """Return what a row says as one number, or where there is none whether somebody else's row opens."""
    column, now = row.c, bindparam("now", type_=Instant())
    flags = (
        _bit(Flag.GENERAL, column.recipient == "")
        + _bit(Flag.NOT_BEGUN, column.valid_from > now)
        + _bit(Flag.OVER, column.valid_until <= now)
        + _bit(Flag.COUNTED, column.max_uses.is_not(None))
        + _bit(Flag.SPENT, column.uses >= column.max_uses)
        + _bit(Flag.ENTITLED, _may_decide(plan, row))
    )
    act = case({act.value: _number(place * _FLAGS) for place, act in enumerate(_ACTS)}, value=column.act)
    edition = func.coalesce((column.notice_edition + _number(1)) * _number(_EDITION), _number(0))
    other = consent_current.alias(f"other_{track.value}")
    elsewhere = exists().where(
        _is_theirs(plan, other.c.subject_id),
        other.c.purpose == bindparam("purpose"),
        other.c.track == track.value,
        ~_closes(other.c.act),
    )
    without = case((elsewhere, _number(_ELSEWHERE)), else_=_number(_NOTHING))
    return func.coalesce(flags + act + edition, without)  # no row, no act: the sum is null


def _closes(act: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(act == closing for closing in _CLOSING))


def _may_decide(plan: KeyPlan, row: FromClause) -> ColumnElement[bool]:
    """Say whether the author of a decision was a guardian, or no child then; see ``consent.rules.may_decide``."""
    standing = subject_standing.c
    of_age = type_coerce(row.c.decided_at, BigInteger) >= _childhood_ends(plan)
    minors = or_(standing.age_class == AgeClass.UNDER_14.value, standing.age_class == AgeClass.UNDER_18.value)
    return or_(row.c.by_guardian, standing.age_class_until.is_(None), ~minors, of_age)


def _childhood_ends(plan: KeyPlan) -> ColumnElement[int]:
    """Return the instant of ``consent.ages.childhood_until``, in microseconds."""
    standing = subject_standing.c
    later = {AgeClass.UNDER_14: plan.digital_age - CHILD_YEARS, AgeClass.UNDER_18: plan.digital_age - ADULT_YEARS}
    if plan.dialect == "sqlite":
        by_class = {age.value: f"{years:+d} years" for age, years in later.items()}
        seconds = func.strftime("%s", standing.age_class_until, case(by_class, value=standing.age_class))
        return cast(seconds, Integer) * 1_000_000
    by_class_years = {age.value: years for age, years in later.items()}
    until = standing.age_class_until + func.make_interval(case(by_class_years, value=standing.age_class))
    instant = func.timezone("UTC", cast(until, TIMESTAMP))
    return cast(extract("epoch", instant), BigInteger) * 1_000_000


def _is_theirs(plan: KeyPlan, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Join by the subject; the batch's range keeps PostgreSQL from going through the whole table."""
    joined = column == subject_standing.c.subject_id
    if plan.dialect == "sqlite":
        return joined
    return and_(joined, column.between(bindparam("first"), bindparam("last")))


def _bit(flag: Flag, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, _number(int(flag))), else_=_number(0))


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)
