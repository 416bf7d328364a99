"""Who may decide for others, as values: guardians, kin of the deceased and agents, read at once for a whole batch."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, or_, select

from consent.ages import AgeClass
from consent.decisions import ActorNotEntitled
from consent.setwise import among_subjects, bind_subjects
from consent.standing import SubjectStanding
from consent.tables import agent as agent_table
from consent.tables import guardian as guardian_table
from kernel.ids import SubjectId

NO_END: Final = "none"
"""What an entry says of a guardian whose ward is of age; an entry without a word is older than these words."""


class Capacity(StrEnum):
    """What a verified person is to the subject: guardian 监护人, or near kin 近亲属 of a deceased."""

    GUARDIAN = "guardian"
    KIN = "kin"


@dataclass(frozen=True, slots=True)
class Guardian:
    """A verified guardian, or verified kin.

    Attributes:
        verification: the name of the method, such as ``household_register``.
        ends_on: the ward's majority (UTC day, half open); None for an adult ward, whose verification is a court's.
        ended_at: when it was ended early.
    """

    relation_id: str
    subject: SubjectId
    guardian: SubjectId
    verification: str
    recorded_at: datetime
    ends_on: date | None
    ended_at: datetime | None
    capacity: Capacity = Capacity.GUARDIAN

    def is_live(self, now: datetime) -> bool:
        """Say whether the guardian may decide at an instant."""
        return self.ended_at is None and (self.ends_on is None or now.date() < self.ends_on)


@dataclass(frozen=True, slots=True)
class Agent:
    """An authorised agent 受托代办人, for some purposes and until an instant (half open)."""

    relation_id: str
    subject: SubjectId
    agent: SubjectId
    purposes: frozenset[str]
    recorded_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        """Say whether the agent may decide at an instant."""
        return self.ended_at is None and now < self.expires_at


class Representatives:
    """Everybody who was recorded for the subjects of a batch, ended relations included."""

    def __init__(self, guardians: Iterable[Guardian], agents: Iterable[Agent]) -> None:
        self._guardians: dict[tuple[SubjectId, SubjectId], list[Guardian]] = {}
        for known in guardians:
            self._guardians.setdefault((known.subject, known.guardian), []).append(known)
        self._agents: dict[tuple[SubjectId, SubjectId], list[Agent]] = {}
        for named in agents:
            self._agents.setdefault((named.subject, named.agent), []).append(named)

    def has_guardian(self, subject: SubjectId, guardian: SubjectId, now: datetime, *, capacity: Capacity) -> bool:
        """Say whether somebody is a live guardian, or live kin, of a subject."""
        known = self._guardians.get((subject, guardian), ())
        return any(one.capacity is capacity and one.is_live(now) for one in known)

    def check_guardian(self, subject: SubjectId, guardian: SubjectId, now: datetime, *, capacity: Capacity) -> None:
        """Raise ``ActorNotEntitled`` unless the guardian, or the kin, is verified and live."""
        if not self.has_guardian(subject, guardian, now, capacity=capacity):
            raise ActorNotEntitled(
                f"Subject {guardian} is no verified {capacity} of {subject}",
                hint=f"Verify and record the {capacity} first.",
            )

    def check_agent(self, subject: SubjectId, agent: SubjectId, purposes: Collection[str], now: datetime) -> None:
        """Raise ``ActorNotEntitled`` unless one live authority of the agent covers all the purposes."""
        known = self._agents.get((subject, agent), ())
        if not any(one.is_live(now) and one.purposes.issuperset(purposes) for one in known):
            raise ActorNotEntitled(
                f"Subject {agent} is no agent of {subject} for {', '.join(sorted(purposes))}",
                hint="Record the authority, with these purposes and an end.",
            )


def check_of_age(who: SubjectStanding, now: datetime) -> None:
    """Raise ``ActorNotEntitled`` for somebody who decides for nobody else: the dead, minors and those of unknown age.

    A child could be behind an unknown age.
    """
    if who.age_class_on(now.date()) is not AgeClass.ADULT:
        raise ActorNotEntitled(
            f"Subject {who.subject} is a minor or of unknown age and cannot decide for others",
            hint="Name an adult, registered with the birth date.",
        )
    if who.deceased:
        raise ActorNotEntitled(
            f"Subject {who.subject} is deceased and cannot decide for others", hint="Name another adult."
        )


def check_can_represent(who: SubjectStanding | None, now: datetime) -> None:
    """Raise ``ActorNotEntitled`` unless somebody is as fit to decide for others now as when it was recorded."""
    if who is None or not who.is_present:
        raise ActorNotEntitled("Who is erased decides for nobody", hint="Record another adult.")
    check_of_age(who, now)


def can_represent(who: SubjectStanding | None, now: datetime) -> bool:
    """Say whether somebody is as fit to decide for others now as when it was recorded."""
    try:
        check_can_represent(who, now)
    except ActorNotEntitled:
        return False
    return True


def read_live_relations(connection: Connection, subject: SubjectId) -> list[tuple[Table, str, SubjectId]]:
    """Return table, id and ward of every live relation in which somebody is ward, guardian, kin or agent."""
    found: list[tuple[Table, str, SubjectId]] = []
    for table, other in ((guardian_table, guardian_table.c.guardian), (agent_table, agent_table.c.agent)):
        stands_in = or_(table.c.subject_id == subject, other == subject)
        statement = select(table.c.relation_id, table.c.subject_id).where(stands_in, table.c.ended_at.is_(None))
        rows = connection.execute(statement.order_by(table.c.relation_id))
        found += [(table, row.relation_id, SubjectId(row.subject_id)) for row in rows]
    return found


def wards_with(connection: Connection, subject: SubjectId) -> list[SubjectId]:
    """Return, in order, whose rows must be locked to end a subject's relations: its own and its wards'."""
    return sorted({subject, *(ward for _, _, ward in read_live_relations(connection, subject))})


def read_representatives(connection: Connection, subjects: Collection[SubjectId]) -> Representatives:
    """Return who was recorded for the subjects, in one statement for guardians and kin and one for agents."""
    return Representatives(read_guardians(connection, subjects), read_agents(connection, subjects))


def read_guardians(connection: Connection, subjects: Collection[SubjectId]) -> list[Guardian]:
    """Return every guardian and kin of the subjects in the order of recording, ended ones included."""
    statement = _of_subjects(guardian_table, connection.dialect.name)
    return [_guardian(row) for row in connection.execute(statement, bind_subjects(connection, subjects))]


def read_agents(connection: Connection, subjects: Collection[SubjectId]) -> list[Agent]:
    """Return every agent of the subjects in the order of recording, ended and expired ones included."""
    statement = _of_subjects(agent_table, connection.dialect.name)
    return [_agent(row) for row in connection.execute(statement, bind_subjects(connection, subjects))]


@cache
def _of_subjects(table: Table, dialect: str) -> Select[*tuple[Any, ...]]:
    chosen = select(table).where(among_subjects(table.c.subject_id, dialect))
    return chosen.order_by(table.c.recorded_at, table.c.relation_id)


def _guardian(row: Row[*tuple[Any, ...]]) -> Guardian:
    return Guardian(
        relation_id=row.relation_id,
        subject=SubjectId(row.subject_id),
        guardian=SubjectId(row.guardian),
        verification=row.verification,
        recorded_at=row.recorded_at,
        ends_on=row.ends_on,
        ended_at=row.ended_at,
        capacity=Capacity(row.capacity),
    )


def _agent(row: Row[*tuple[Any, ...]]) -> Agent:
    return Agent(
        relation_id=row.relation_id,
        subject=SubjectId(row.subject_id),
        agent=SubjectId(row.agent),
        purposes=frozenset(json.loads(row.purposes)),
        recorded_at=row.recorded_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
    )
