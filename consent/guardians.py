"""Guardians, kin and agents: who else may decide for a subject, how that was verified, and until when."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, insert, select, update

from audit.events import Act
from consent.asking import Asking
from consent.decisions import ActorNotEntitled, SubjectDeceased
from consent.entries import EntryLog, event_of, now_in_log
from consent.representatives import NO_END, Agent, Capacity, Guardian, check_of_age, read_agents, read_guardians
from consent.standing import SubjectStanding, bump_revisions, check_not_merged, get_standing, lock_subjects
from consent.tables import agent as agent_table
from consent.tables import guardian as guardian_table
from kernel.clock import format_instant, require_aware
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import EntryId, SubjectId, new_id
from kernel.ports import Clock

__all__ = [
    "Agent",
    "Capacity",
    "Guardian",
    "agents_of",
    "end_agent",
    "end_guardian",
    "end_relations",
    "guardians_of",
    "kin_of",
    "record_agent",
    "record_guardian",
    "record_kin",
]

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{1,63}")


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
        ActorNotEntitled: the guardian is not known to be of age, is deceased, or is the subject itself.
        SubjectDeceased: nobody becomes the guardian of the dead.
        Conflict: one of the two is being erased.
    """
    now = now_in_log(connection, log, clock)
    of, _ = _pair(connection, subject, guardian, now)
    if of.deceased:
        raise SubjectDeceased(f"Subject {subject} is deceased and has no guardian", hint="Record kin instead.")
    majority = of.majority_on
    ends_on = None if majority is None or majority <= now.date() else majority
    found = Guardian(new_id("grd"), subject, guardian, verification, now, ends_on, None)
    return _record_verified(connection, found, asking=asking, log=log)


def record_kin(
    connection: Connection,
    *,
    subject: SubjectId,
    kin: SubjectId,
    verification: str,
    asking: Asking,
    log: EntryLog,
    clock: Clock,
) -> Guardian:
    """Record verified near kin of a deceased, who may refuse and withdraw for them (PIPL 49).

    Raises:
        BadInput: no name of a verification method.
        NotFound: one of the two is not registered.
        ActorNotEntitled: the subject lives or has directed that no kin acts; the kin is not known to be of age, or is
            deceased.
        Conflict: one of the two is being erased.
    """
    now = now_in_log(connection, log, clock)
    of, _ = _pair(connection, subject, kin, now)
    if not of.deceased:
        raise ActorNotEntitled(f"Subject {subject} lives and decides itself", hint="Record the death first.")
    if of.no_kin:
        raise ActorNotEntitled(f"Subject {subject} has directed that no kin acts", hint="The directive stands.")
    found = Guardian(new_id("grd"), subject, kin, verification, now, None, None, Capacity.KIN)
    return _record_verified(connection, found, asking=asking, log=log)


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
        ActorNotEntitled: the agent is not known to be of age, is deceased, or is the subject itself.
        SubjectDeceased: the dead authorise nobody.
        Conflict: one of the two is being erased.
    """
    now = now_in_log(connection, log, clock)
    if not purposes or not all(map(_CODE.fullmatch, purposes)) or require_aware(expires_at) <= now:
        raise BadInput("An agent needs purposes by code and an end in the future", hint="Name both.")
    of, _ = _pair(connection, subject, agent, now)
    if of.deceased:
        raise SubjectDeceased(f"Subject {subject} is deceased and has no agent", hint="Record kin instead.")
    found = Agent(new_id("agt"), subject, agent, frozenset(purposes), now, expires_at, None)
    event = event_of(asking, Act.AGENT_RECORDED)
    refs = {
        "agent": agent,
        "relation": found.relation_id,
        "purposes": ",".join(sorted(purposes)),
        "expires_at": format_instant(expires_at),
    }
    entry_id = log.record(connection, replace(event, subject=subject, refs=refs))
    connection.execute(insert(agent_table), _agent_row(found, entry_id))
    bump_revisions(connection, [subject])
    return found


def end_guardian(connection: Connection, relation_id: str, *, asking: Asking, log: EntryLog, clock: Clock) -> None:
    """End a guardianship, or what kin may do, early; what the guardian has decided stays.

    Raises:
        NotFound: there is none under this id, or it has ended.
    """
    now = now_in_log(connection, log, clock)
    _end(connection, guardian_table, relation_id, now=now, asking=asking, log=log)


def end_agent(connection: Connection, relation_id: str, *, asking: Asking, log: EntryLog, clock: Clock) -> None:
    """End an agent's authority early; what the agent has decided stays.

    Raises:
        NotFound: there is none under this id, or it has ended.
    """
    now = now_in_log(connection, log, clock)
    _end(connection, agent_table, relation_id, now=now, asking=asking, log=log)


def end_relations(
    connection: Connection,
    ended: Sequence[tuple[Table, str, SubjectId]],
    *,
    reason: str | None,
    now: datetime,
    asking: Asking,
    log: EntryLog,
) -> None:
    """End live relations, given as table, id and subject; the subjects' rows are exclusively locked."""
    for table, relation_id, _ in ended:
        connection.execute(update(table).where(table.c.relation_id == relation_id).values(ended_at=now))
    events = [
        replace(event_of(asking, _ENDED[table.name]), subject=subject, reason=reason, refs={"relation": relation_id})
        for table, relation_id, subject in ended
    ]
    log.record_many(connection, events)
    bump_revisions(connection, sorted({subject for _, _, subject in ended}))


def guardians_of(connection: Connection, subject: SubjectId) -> list[Guardian]:
    """Return every guardian that was recorded for a subject, ended ones included."""
    return [known for known in read_guardians(connection, [subject]) if known.capacity is Capacity.GUARDIAN]


def kin_of(connection: Connection, subject: SubjectId) -> list[Guardian]:
    """Return the kin that was recorded for a deceased, ended relations included."""
    return [known for known in read_guardians(connection, [subject]) if known.capacity is Capacity.KIN]


def agents_of(connection: Connection, subject: SubjectId) -> list[Agent]:
    """Return every agent that was recorded for a subject, ended and expired ones included."""
    return read_agents(connection, [subject])


def _pair(
    connection: Connection, subject: SubjectId, other: SubjectId, now: datetime
) -> tuple[SubjectStanding, SubjectStanding]:
    """Return the standings of a subject and of whoever is to stand in for it, both rows locked."""
    lock_subjects(connection, sorted({subject, other}), exclusive=True)
    if subject == other:
        raise ActorNotEntitled(f"Subject {subject} cannot stand in for itself", hint="Let it decide as itself.")
    of, who = get_standing(connection, subject), get_standing(connection, other)
    for standing in (of, who):
        if not standing.is_present:
            raise Conflict(
                f"Subject {standing.subject} is {standing.state}", hint="Register the person anew under another id."
            )
        check_not_merged(standing)
    check_of_age(who, now)
    return of, who


def _record_verified(connection: Connection, found: Guardian, *, asking: Asking, log: EntryLog) -> Guardian:
    if not _CODE.fullmatch(found.verification):
        raise BadInput("A guardian needs the name of the verification", hint="For example household_register.")
    for known in read_guardians(connection, [found.subject]):
        is_same = (known.guardian, known.capacity) == (found.guardian, found.capacity)
        if is_same and known.is_live(found.recorded_at):
            return known
    refs = {
        "guardian": found.guardian,
        "relation": found.relation_id,
        "verification": found.verification,
        "capacity": found.capacity.value,
        "ends_on": NO_END if found.ends_on is None else found.ends_on.isoformat(),
    }
    event = replace(event_of(asking, Act.GUARDIAN_RECORDED), subject=found.subject)
    entry_id = log.record(connection, replace(event, refs=refs))
    connection.execute(insert(guardian_table), _guardian_row(found, entry_id))
    bump_revisions(connection, [found.subject])
    return found


def _end(
    connection: Connection, table: Table, relation_id: str, *, now: datetime, asking: Asking, log: EntryLog
) -> None:
    subject = connection.scalar(select(table.c.subject_id).where(table.c.relation_id == relation_id))
    if subject is not None:
        lock_subjects(connection, [subject], exclusive=True)
    live = select(table.c.relation_id).where(table.c.relation_id == relation_id, table.c.ended_at.is_(None))
    if subject is None or connection.scalar(live) is None:
        raise NotFound(f"No relation {relation_id} stands", hint="See the subject's guardians and agents.")
    end_relations(connection, [(table, relation_id, subject)], reason=None, now=now, asking=asking, log=log)


def _guardian_row(found: Guardian, entry_id: EntryId) -> dict[str, object]:
    return {
        "relation_id": found.relation_id,
        "subject_id": found.subject,
        "guardian": found.guardian,
        "verification": found.verification,
        "recorded_at": found.recorded_at,
        "ends_on": found.ends_on,
        "entry_id": entry_id,
        "capacity": found.capacity.value,
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


_ENDED: Final = {guardian_table.name: Act.GUARDIAN_ENDED, agent_table.name: Act.AGENT_ENDED}
