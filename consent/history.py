"""A subject's whole history in the order of recording: decisions, representatives and changes of standing.

Everything is read as the register knew it at an instant (``as_of``): what was recorded later is left out, and a
representative who was ended later still stands.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, select

from consent.ages import AgeClass
from consent.decisions import Decision
from consent.rows import read_history
from consent.rules import DecisionAct, Track, is_permissive
from consent.standing import Standing
from consent.tables import agent, guardian, standing_change
from kernel.ids import DecisionId, SubjectId


class Representing(StrEnum):
    """As what somebody else decides for a subject."""

    GUARDIAN = "guardian"
    AGENT = "agent"
    KIN = "kin"


@dataclass(frozen=True, slots=True)
class Representation:
    """That a representative was recorded, or was ended early.

    Attributes:
        at: when it was recorded, or ended.
        verification: the method's name; None for an agent.
        purposes: an agent's; None for a guardian or kin.
        until: an agent's last instant, or a guardian's last day, half open; None for no end.
        entry_id: that of the recording; an end has an entry of its own, found by the relation.
    """

    at: datetime
    relation_id: str
    kind: Representing
    representative: SubjectId
    is_end: bool
    verification: str | None
    purposes: frozenset[str] | None
    until: datetime | date | None
    entry_id: str | None


@dataclass(frozen=True, slots=True)
class StandingChange:
    """What a subject's standing became; ``before`` is None for the registration."""

    at: datetime
    state: Standing
    deceased: bool
    age_class: AgeClass
    before: "StandingChange | None"


Happening: TypeAlias = Decision | Representation | StandingChange


def happened_at(happening: Happening) -> datetime:
    """Return when the register learned of it."""
    return happening.recorded_at if isinstance(happening, Decision) else happening.at


def read_happenings(connection: Connection, subject: SubjectId, *, as_of: datetime | None = None) -> list[Happening]:
    """Return all that happened, in the order of recording; for one instant see ``_rank``.

    Args:
        connection: a transaction of the data store.
        subject: whose history; an unknown one has none.
        as_of: the last instant that counts; None for all.
    """
    happenings: list[Happening] = [
        *_standing_changes(connection, subject),
        *_representations(connection, subject),
        *read_history(connection, subject),
    ]
    known = [one for one in happenings if as_of is None or happened_at(one) <= as_of]
    return sorted(known, key=lambda one: (happened_at(one), _rank(one)))


def decisions_among(happenings: Sequence[Happening]) -> list[Decision]:
    """Return the decisions of a history, in order."""
    return [one for one in happenings if isinstance(one, Decision)]


def idle_withdrawals(happenings: Sequence[Happening]) -> frozenset[DecisionId]:
    """Return the withdrawals in a history before which no consent stood: what they name was never consented to."""
    opened: set[tuple[str, str | None]] = set()
    idle: set[DecisionId] = set()
    for made in decisions_among(happenings):
        if made.track is not Track.CONSENT:
            continue
        place = made.purpose, made.recipient
        reached = opened & {place, (made.purpose, None)} if made.recipient else {o for o in opened if o[0] == place[0]}
        if made.act is DecisionAct.WITHDRAW and not reached:
            idle.add(made.decision_id)
        (opened.add if is_permissive(made.act) else opened.discard)(place)
    return frozenset(idle)


def _rank(happening: Happening) -> int:
    """Return the order at one instant: registration, who may decide, decisions, changes of standing, kin, ends."""
    match happening:
        case StandingChange():
            return 0 if happening.before is None else 3
        case Representation(is_end=True):
            return 5
        case Representation():
            return 4 if happening.kind is Representing.KIN else 1
        case Decision():
            return 2


def _standing_changes(connection: Connection, subject: SubjectId) -> list[StandingChange]:
    changes = standing_change.c
    rows = connection.execute(
        select(changes.changed_at, changes.state, changes.deceased, changes.age_class)
        .where(changes.subject_id == subject)
        .order_by(changes.position)
    )
    made: list[StandingChange] = []
    for changed_at, state, deceased, age_class in rows:
        before = made[-1] if made else None
        made.append(StandingChange(changed_at, Standing(state), deceased, AgeClass(age_class), before))
    return made


def _representations(connection: Connection, subject: SubjectId) -> list[Representation]:
    made: list[Representation] = []
    for row in connection.execute(select(guardian).where(guardian.c.subject_id == subject)):
        made += _recorded_and_ended(row, Representing(row.capacity), row.guardian, None, row.ends_on)
    for row in connection.execute(select(agent).where(agent.c.subject_id == subject)):
        made += _recorded_and_ended(
            row, Representing.AGENT, row.agent, frozenset(json.loads(row.purposes)), row.expires_at
        )
    return made


def _recorded_and_ended(
    row: Row[*tuple[Any, ...]],
    kind: Representing,
    representative: str,
    purposes: frozenset[str] | None,
    until: datetime | date | None,
) -> list[Representation]:
    def made(at: datetime, *, is_end: bool) -> Representation:
        return Representation(
            at=at,
            relation_id=row.relation_id,
            kind=kind,
            representative=SubjectId(representative),
            is_end=is_end,
            verification=None if kind is Representing.AGENT else row.verification,
            purposes=purposes,
            until=until,
            entry_id=None if is_end else row.entry_id,
        )

    recorded = [made(row.recorded_at, is_end=False)]
    return recorded if row.ended_at is None else [*recorded, made(row.ended_at, is_end=True)]
