"""The register as it was: what stood at a past instant, by what had been recorded by then.

Decisions, uses and changes of standing are append-only rows with the instant of their recording; of each place the
latest row up to the instant is what stood. The pack that is applied is today's, the terms are those of the instant.
"""

import json
from collections.abc import Collection
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, select, union_all

from consent.ages import AgeClass, childhood_until
from consent.decisions import ActorKind
from consent.rules import Current, DecisionAct, Situation, Track, gate_state
from consent.setwise import among_subjects, bind_subjects
from consent.standing import Standing
from consent.tables import decision, decision_use, notice, standing_change, subject_standing
from kernel.clock import require_aware
from kernel.database import Instant
from kernel.errors import BadInput
from kernel.ids import DecisionId, SubjectId


def situations_at(
    connection: Connection, subjects: Collection[SubjectId], as_of: datetime, *, purpose: str, digital_age: int
) -> dict[SubjectId, Situation]:
    """Return the situation that each subject was in, of those that were registered by then."""
    given = bind_subjects(connection, subjects, purpose=purpose, at=require_aware(as_of))
    dialect = connection.dialect.name
    found: dict[SubjectId, Situation] = {}
    for row in connection.execute(_standings(dialect), given):
        found[SubjectId(row.subject_id)] = Situation(
            gate_state(Standing(row.state), deceased=row.deceased),
            _child_until(row.age_class, row.age_class_until, digital_age),
            [],
            deceased=row.deceased,
        )
    for row in connection.execute(_decisions(dialect), given):
        if row.subject_id in found:
            found[SubjectId(row.subject_id)].current.append(_current(row))
    return found


def check_past(as_of: datetime, now: datetime) -> datetime:
    """Return an instant to look back to; raises ``BadInput`` for one that has not passed."""
    asked = require_aware(as_of)
    if asked > now:
        raise BadInput("Nobody knows yet what will be decided", hint="Ask as of an instant that has passed.")
    return asked


def _current(row: Row[*tuple[Any, ...]]) -> Current:
    return Current(
        DecisionId(row.decision_id),
        row.recipient,
        Track(row.track),
        DecisionAct(row.act),
        row.actor_kind == ActorKind.GUARDIAN,
        row.decided_at,
        row.valid_until,
        row.notice_code,
        row.edition,
        None if row.fields is None else frozenset(json.loads(row.fields)),
        row.valid_from,
        row.max_uses,
        row.uses,
        row.actor_subject,
    )


def _child_until(age_class: str, until: date | None, digital_age: int) -> date | None:
    return None if until is None else childhood_until(AgeClass(age_class), until, digital_age)


@cache
def _standings(dialect: str) -> Select[*tuple[Any, ...]]:
    """Select the latest change up to the instant; a subject whose changes were never kept counts from registration."""
    changes, now = standing_change.c, subject_standing.c
    latest = (
        select(func.max(changes.position))
        .where(among_subjects(changes.subject_id, dialect), changes.changed_at <= _AT)
        .group_by(changes.subject_id)
    )
    kept = select(changes.subject_id, changes.state, changes.deceased, changes.age_class, changes.age_class_until)
    bare = select(now.subject_id, now.state, now.deceased, now.age_class, now.age_class_until).where(
        among_subjects(now.subject_id, dialect),
        now.registered_at <= _AT,
        ~exists().where(standing_change.c.subject_id == now.subject_id),
    )
    both = union_all(kept.where(changes.position.in_(latest)), bare).subquery()
    return select(both)


@cache
def _decisions(dialect: str) -> Select[*tuple[Any, ...]]:
    made = decision.c
    latest = (
        select(func.max(made.position))
        .where(among_subjects(made.subject_id, dialect), made.purpose == bindparam("purpose"), made.recorded_at <= _AT)
        .group_by(made.subject_id, made.recipient, made.track)
    )
    uses = (
        select(func.count())
        .select_from(decision_use)
        .where(decision_use.c.decision_id == made.decision_id, decision_use.c.used_at <= _AT)
        .scalar_subquery()
    )
    shown = (
        (notice.c.code == made.notice_code)
        & (notice.c.version == made.notice_version)
        & (notice.c.locale == made.notice_locale)
    )
    return (
        select(decision, notice.c.edition, uses.label("uses"))
        .select_from(decision.outerjoin(notice, shown))
        .where(made.position.in_(latest))
        .order_by(made.position)
    )


_AT: Final = bindparam("at", type_=Instant())
