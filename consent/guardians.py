"""Guardians and agents: who else may decide for a subject, how that was verified, and until when."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, insert, select, update

from audit.events import Act
from consent.ages import AgeClass
from consent.asking import Asking
from consent.decisions import ActorNotEntitled
from consent.entries import EntryLog, event_of, now_in_log
from consent.standing import Standing, bump_revisions, get_standing, lock_subjects
from consent.tables import agent as agent_table
from consent.tables import guardian as guardian_table
from kernel.clock import require_aware
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId, SubjectId, new_id
from kernel.ports import Clock

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{1,63}")
_MINOR: Final = frozenset({AgeClass.UNDER_14, AgeClass.UNDER_18})


@dataclass(frozen=True, slots=True)
class Guardian:
    """A verified guardian 监护人.

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

    def is_live(self, now: datetime) -> bool:
        """Say whether the guardian may decide at an instant."""
        return self.ended_at is None and (self.ends_on is None or now.date() < self.ends_on)


@dataclass(frozen=True, slots=True)
class Agent:
    """An authorised agent 受托人, for some purposes and until an instant (half open)."""

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


def record_guardian(
    connection: Connection,
    *,
    subject: SubjectId,
    guardian: SubjectId,
    verification: str,
    asking: Asking,
    log: EntryLog,
    clock: Clock,
) -> Guardian:
    """Record a verified guardian; the same live one again changes nothing.

    Raises:
        BadInput: no name of a verification method.
        NotFound: one of the two is not registered.
        ActorNotEntitled: the guardian is a minor, or the subject itself.
        Conflict: one of the two is being erased.
    """
    if not _CODE.fullmatch(verification):
        raise BadInput("A guardian needs the name of the verification", hint="For example household_register.")
    now = now_in_log(connection, log, clock)
    _check_pair(connection, subject, guardian, now)
    for known in guardians_of(connection, subject):
        if known.guardian == guardian and known.is_live(now):
            return known
    ends_on = get_standing(connection, subject).majority_on
    ends_on = None if ends_on is None or ends_on <= now.date() else ends_on
    found = Guardian(new_id("grd"), subject, guardian, verification, now, ends_on, None)
    event = event_of(asking, Act.GUARDIAN_RECORDED)
    refs = {"guardian": guardian, "relation": found.relation_id, "verification": verification}
    entry_id = log.record(connection, replace(event, subject=subject, refs=refs))
    connection.execute(insert(guardian_table), _guardian_row(found, entry_id))
    bump_revisions(connection, [subject])
    return found


def record_agent(
    connection: Connection,
    *,
    subject: SubjectId,
    agent: SubjectId,
    purposes: Collection[str],
    expires_at: datetime,
    asking: Asking,
    log: EntryLog,
    clock: Clock,
) -> Agent:
    """Record that a subject has authorised an agent for some purposes until an instant.

    Raises:
        BadInput: no purpose, or an end that lies in the past.
        NotFound: one of the two is not registered.
        ActorNotEntitled: the agent is a minor, or the subject itself.
        Conflict: one of the two is being erased.
    """
    now = now_in_log(connection, log, clock)
    if not purposes or not all(map(_CODE.fullmatch, purposes)) or require_aware(expires_at) <= now:
        raise BadInput("An agent needs purposes by code and an end in the future", hint="Name both.")
    _check_pair(connection, subject, agent, now)
    found = Agent(new_id("agt"), subject, agent, frozenset(purposes), now, expires_at, None)
    event = event_of(asking, Act.AGENT_RECORDED)
    refs = {"agent": agent, "relation": found.relation_id, "purposes": ",".join(sorted(purposes))}
    entry_id = log.record(connection, replace(event, subject=subject, refs=refs))
    connection.execute(insert(agent_table), _agent_row(found, entry_id))
    bump_revisions(connection, [subject])
    return found


def end_guardian(connection: Connection, relation_id: str, *, asking: Asking, log: EntryLog, clock: Clock) -> None:
    """End a guardianship early; what the guardian has decided stays.

    Raises:
        NotFound: there is none under this id, or it has ended.
    """
    _end(connection, guardian_table, relation_id, Act.GUARDIAN_RECORDED, asking=asking, log=log, clock=clock)


def end_agent(connection: Connection, relation_id: str, *, asking: Asking, log: EntryLog, clock: Clock) -> None:
    """End an agent's authority early; what the agent has decided stays.

    Raises:
        NotFound: there is none under this id, or it has ended.
    """
    _end(connection, agent_table, relation_id, Act.AGENT_RECORDED, asking=asking, log=log, clock=clock)


def guardians_of(connection: Connection, subject: SubjectId) -> list[Guardian]:
    """Return every guardian that was recorded for a subject, ended ones included."""
    rows = connection.execute(select(guardian_table).where(guardian_table.c.subject_id == subject))
    return [_guardian(row) for row in rows]


def agents_of(connection: Connection, subject: SubjectId) -> list[Agent]:
    """Return every agent that was recorded for a subject, ended and expired ones included."""
    rows = connection.execute(select(agent_table).where(agent_table.c.subject_id == subject))
    return [_agent(row) for row in rows]


def check_guardian(connection: Connection, subject: SubjectId, guardian: SubjectId, now: datetime) -> None:
    """Raise ``ActorNotEntitled`` unless the guardian is verified and live."""
    if not any(known.guardian == guardian and known.is_live(now) for known in guardians_of(connection, subject)):
        raise ActorNotEntitled(
            f"Subject {guardian} is no verified guardian of {subject}", hint="Verify and record the guardian first."
        )


def check_agent(
    connection: Connection, subject: SubjectId, agent: SubjectId, purposes: Collection[str], now: datetime
) -> None:
    """Raise ``ActorNotEntitled`` unless one live authority of the agent covers all the purposes."""
    for known in agents_of(connection, subject):
        if known.agent == agent and known.is_live(now) and known.purposes.issuperset(purposes):
            return
    raise ActorNotEntitled(
        f"Subject {agent} is no agent of {subject} for {', '.join(sorted(purposes))}",
        hint="Record the authority, with these purposes and an end.",
    )


def _check_pair(connection: Connection, subject: SubjectId, other: SubjectId, now: datetime) -> None:
    lock_subjects(connection, [subject], exclusive=True)
    if subject == other:
        raise ActorNotEntitled(f"Subject {subject} cannot stand in for itself", hint="Let it decide as itself.")
    for standing in (get_standing(connection, subject), get_standing(connection, other)):
        if standing.state in (Standing.ERASING, Standing.ERASED):
            raise Conflict(f"Subject {standing.subject} is {standing.state}")
    if standing.age_class_on(now.date()) in _MINOR:
        raise ActorNotEntitled(f"Subject {other} is a minor and cannot decide for others", hint="Name an adult.")


def _end(
    connection: Connection, table: Table, relation_id: str, act: Act, *, asking: Asking, log: EntryLog, clock: Clock
) -> None:
    subject = connection.scalar(select(table.c.subject_id).where(table.c.relation_id == relation_id))
    if subject is not None:
        lock_subjects(connection, [subject], exclusive=True)
    live = table.c.relation_id == relation_id, table.c.ended_at.is_(None)
    ended = connection.execute(update(table).where(*live).values(ended_at=now_in_log(connection, log, clock)))
    if subject is None or ended.rowcount == 0:
        raise NotFound(f"No relation {relation_id} stands", hint="See the subject's guardians and agents.")
    event = event_of(asking, act)
    log.record(connection, replace(event, subject=subject, reason="ENDED", refs={"relation": relation_id}))
    bump_revisions(connection, [subject])


def _guardian_row(found: Guardian, entry_id: EntryId) -> dict[str, object]:
    return {
        "relation_id": found.relation_id,
        "subject_id": found.subject,
        "guardian": found.guardian,
        "verification": found.verification,
        "recorded_at": found.recorded_at,
        "ends_on": found.ends_on,
        "entry_id": entry_id,
    }


def _agent_row(found: Agent, entry_id: EntryId) -> dict[str, object]:
    return {
        "relation_id": found.relation_id,
        "subject_id": found.subject,
        "agent": found.agent,
        "purposes": json.dumps(sorted(found.purposes)),
        "recorded_at": found.recorded_at,
        "expires_at": found.expires_at,
        "entry_id": entry_id,
    }


def _guardian(row: Row[*tuple[Any, ...]]) -> Guardian:
    return Guardian(
        row.relation_id,
        SubjectId(row.subject_id),
        SubjectId(row.guardian),
        row.verification,
        row.recorded_at,
        row.ends_on,
        row.ended_at,
    )


def _agent(row: Row[*tuple[Any, ...]]) -> Agent:
    return Agent(
        row.relation_id,
        SubjectId(row.subject_id),
        SubjectId(row.agent),
        frozenset(json.loads(row.purposes)),
        row.recorded_at,
        row.expires_at,
        row.ended_at,
    )
