"""A cohort's situations as keys: SQL reduces each subject to what the rule can tell apart, Python judges each key once.

A key is text: the standing, then for each track that matters the covering row's act, its place in time, whether uses
are left, whether its author might decide, its notice with edition, and its fields. ``situation_of`` turns a key back
into a situation with the same answers, so that ``consent.rules`` stays the only place where anything is decided.
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
    literal,
    literal_column,
    null,
    or_,
    type_coerce,
)

from consent.ages import ADULT_YEARS, CHILD_YEARS, AgeClass
from consent.rules import Current, DecisionAct, Question, Situation, Track, gate_state, is_permissive
from consent.standing import Standing
from consent.tables import consent_current, subject_standing
from kernel.database import Instant
from kernel.ids import DecisionId

SEPARATOR: Final = "\x1f"
PARTS_APART: Final = "\x1e"
"""Both stand in none of the texts that a key is made of: codes and act names have none, JSON escapes them."""


class Flag(IntFlag):
    """What a key says of a row beside its texts."""

    GENERAL = 1
    NOT_BEGUN = 2
    OVER = 4
    COUNTED = 8
    SPENT = 16
    ENTITLED = 32


_NOBODY: Final = "-"
_NOTHING: Final = ""
_ELSEWHERE: Final = "elsewhere"
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
    """Expressions over the people of a batch: the subject, its key, the decisions behind it, and where they come from.

    Parameters: ``purpose``, ``recipient`` (empty for none), ``now``, ``first``, ``last``, and those of the batch.
    """

    subject: ColumnElement[str]
    situation: ColumnElement[str]
    decisions: Mapping[Track, ColumnElement[Any]]
    source: FromClause


def keyed(plan: KeyPlan, people: FromClause) -> Keyed:
    """Return the expressions for ``people``, who stand in a column ``subject_id``."""
    standing = subject_standing
    is_registered = people is standing
    source: FromClause = people
    if not is_registered:
        source = people.outerjoin(standing, standing.c.subject_id == people.c.subject_id)
    key = _standing_part(is_registered=is_registered)
    decisions: dict[Track, ColumnElement[Any]] = dict.fromkeys(Track, cast(null(), String))
    for track in plan.tracks:
        row = consent_current.alias(f"of_{track.value}")
        source = source.outerjoin(row, _covers(plan, row, track))
        key = key + literal(PARTS_APART) + _track_part(plan, row, track)
        decisions[track] = row.c.decision_id
    return Keyed(people.c.subject_id, key, decisions, source)


def situation_of(key: str, question: Question, tracks: Sequence[Track]) -> Situation | None:
    """Return a situation that the rule answers as it answers everybody's with this key; None for nobody's."""
    standing, *parts = key.split(PARTS_APART)
    if standing == _NOBODY:
        return None
    state, deceased = standing[1:], standing[0] == "1"
    rows = [_row(part, question, track) for track, part in zip(tracks, parts, strict=True) if part != _NOTHING]
    return Situation(gate_state(Standing(state), deceased=deceased), _EVER, rows, deceased=deceased)


def _row(part: str, question: Question, track: Track) -> Current:
    """Return a row with the same answers; childhood never ends here, so that its author counts only as a guardian."""
    if part == _ELSEWHERE:
        return Current(DecisionId(""), f"{question.recipient or ''}{SEPARATOR}", track, DecisionAct.GRANT, True,
                       question.now, None, None, None, None)  # fmt: skip
    bits, act, code, edition, fields = part.split(SEPARATOR)
    flags = Flag(int(bits))
    return Current(
        decision_id=DecisionId("dec"),
        recipient="" if Flag.GENERAL in flags else question.recipient or "",
        track=track,
        act=DecisionAct(act),
        by_guardian=Flag.ENTITLED in flags,
        decided_at=question.now,
        valid_until=question.now if Flag.OVER in flags else None,
        notice_code=code or None,
        notice_edition=int(edition) if edition else None,
        fields=_fields(fields),
        valid_from=question.now + timedelta(microseconds=1) if Flag.NOT_BEGUN in flags else None,
        max_uses=1 if Flag.COUNTED in flags else None,
        uses=1 if Flag.SPENT in flags else 0,
    )


def _fields(text: str) -> frozenset[str] | None:
    return frozenset(json.loads(text)) if text else None


def _standing_part(*, is_registered: bool) -> ColumnElement[str]:
    """Return state and death; ``-`` for a subject that nobody registered."""
    standing = subject_standing.c
    known = case((standing.deceased, literal("1")), else_=literal("0")) + standing.state
    return known if is_registered else func.coalesce(known, literal(_NOBODY))


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
        speaks = and_(speaks, column.act.in_(_CLOSING))
    return and_(place, or_(column.recipient == asked, speaks))


def _track_part(plan: KeyPlan, row: FromClause, track: Track) -> ColumnElement[str]:
    """Return what a row says, or, since every text with a null in it is null, whether somebody else's row opens."""
    column, now, apart = row.c, bindparam("now", type_=Instant()), literal(SEPARATOR)
    flags = (
        _bit(Flag.GENERAL, column.recipient == "")
        + _bit(Flag.NOT_BEGUN, column.valid_from > now)
        + _bit(Flag.OVER, column.valid_until <= now)
        + _bit(Flag.COUNTED, column.max_uses.is_not(None))
        + _bit(Flag.SPENT, column.uses >= column.max_uses)
        + _bit(Flag.ENTITLED, _may_decide(plan, row))
    )
    notice = func.coalesce(column.notice_code + apart + cast(column.notice_edition, String), apart)
    found = cast(flags, String) + apart + column.act + apart + notice + apart + func.coalesce(column.fields, "")
    other = consent_current.alias(f"other_{track.value}")
    elsewhere = exists().where(
        _is_theirs(plan, other.c.subject_id),
        other.c.purpose == bindparam("purpose"),
        other.c.track == track.value,
        other.c.act.not_in(_CLOSING),
    )
    return func.coalesce(found, case((elsewhere, literal(_ELSEWHERE)), else_=literal(_NOTHING)))


def _may_decide(plan: KeyPlan, row: FromClause) -> ColumnElement[bool]:
    """Say whether the author of a decision was a guardian, or no child then; see ``consent.rules.may_decide``."""
    standing = subject_standing.c
    of_age = type_coerce(row.c.decided_at, BigInteger) >= _childhood_ends(plan)
    minors = standing.age_class.in_([AgeClass.UNDER_14.value, AgeClass.UNDER_18.value])
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
    return case((condition, literal_column(str(int(flag)))), else_=literal_column("0"))
