"""For whom a data subject may speak: for itself, and for those whose live guardian, agent or kin it is (R21)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn

from sqlalchemy import Connection

from consent.registry import ActorKind, Decision
from consent.representatives import Capacity, can_represent, read_agents, read_guardians
from consent.standing import find_standings
from consentry.contracts import check_purposes, find_mandate
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import contract_kept, record_denial
from kernel.errors import BadInput, Denied, NotFound
from kernel.ids import DecisionId, SubjectId

ME: Final = "me"
"""Stands for the person whose own token it is."""


class NotRepresented(Denied):
    """The token's person is neither the subject nor entitled to speak for it; nor is told whether there is one."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Somebody who speaks for a subject.

    Attributes:
        actor: the guardian, agent or kin; None for the subject itself, and for staff and keys that pass on its word.
        purposes: what an agent, or a processor whose key passes on the word, is entitled to; None for all.
    """

    subject: SubjectId
    kind: ActorKind = ActorKind.SELF
    actor: SubjectId | None = None
    purposes: frozenset[str] | None = None

    def covers(self, purpose: str) -> bool:
        """Say whether a purpose lies within what the actor is entitled to."""
        return self.purposes is None or purpose in self.purposes


def subject_named(caller: Principal, whom: str) -> SubjectId:
    """Return the subject that a path or body names; raises ``BadInput`` for ``me`` of somebody who is no subject."""
    if whom != ME:
        return SubjectId(whom)
    if caller.subject is None:
        raise BadInput("Only a subject token has a `me`", hint="Name the subject by its id.")
    return caller.subject


def acting_for(platform: Platform, caller: Principal, subject: SubjectId | None) -> Acting:
    """Return as whom the caller speaks for a subject; staff and keys pass on the subject's own word.

    Args:
        platform: every part.
        caller: who calls.
        subject: None for one that could not be found, which is refused like a stranger.

    Raises:
        NotRepresented: a subject token's person has no right to speak here; the refusal stays in the log.
    """
    if subject is not None and caller.processor is not None:
        return Acting(subject, purposes=_contracted(platform, caller))
    if subject is not None and caller.subject is None:
        return Acting(subject)
    found = None if subject is None or caller.subject is None else _own_or_related(platform, subject, caller.subject)
    if found is None:
        _refuse(platform, caller, subject)
    return found


def find_own_decision(platform: Platform, caller: Principal, decision_id: str) -> tuple[Decision, Acting]:
    """Return a decision, and as whom the caller speaks for its subject.

    Raises:
        NotFound: there is none under this id; a subject token is not told so.
        NotRepresented: a subject token's person may not speak for the subject, or not for this purpose, or there is no
            such decision.
        OutsideContract: the contract of a processor's key does not cover the purpose.
    """
    try:
        with contract_kept(platform, caller), platform.data.read() as connection:
            found = platform.registry.get(connection, DecisionId(decision_id))
            check_purposes(find_mandate(platform, connection, caller), [found.purpose])
    except NotFound:
        if caller.subject is None:
            raise
        _refuse(platform, caller, None)
    acting = acting_for(platform, caller, found.subject)
    return found, acting if acting.covers(found.purpose) else acting_for(platform, caller, None)


def _contracted(platform: Platform, caller: Principal) -> frozenset[str]:
    with platform.data.read() as connection:
        mandate = find_mandate(platform, connection, caller)
    return frozenset() if mandate is None else mandate.purposes


def _own_or_related(platform: Platform, subject: SubjectId, actor: SubjectId) -> Acting | None:
    """Return as whom a token's person speaks for a subject, or None; whoever holds a dead person's token is nobody."""
    with platform.data.read() as connection:
        now = max(platform.clock.now(), platform.log.now(connection))
        standings = find_standings(connection, {subject, actor})
        if actor == subject:
            return None if subject in standings and standings[subject].deceased else Acting(subject)
        if not can_represent(standings.get(actor), now):
            return None
        return _relation(connection, subject, actor, now)


def _relation(connection: Connection, subject: SubjectId, actor: SubjectId, now: datetime) -> Acting | None:
    guardians = [g for g in read_guardians(connection, [subject]) if g.guardian == actor and g.is_live(now)]
    agents = [a for a in read_agents(connection, [subject]) if a.agent == actor and a.is_live(now)]
    for known in guardians:
        kind = ActorKind.KIN if known.capacity is Capacity.KIN else ActorKind.GUARDIAN
        return Acting(subject, kind, actor)
    if agents:
        purposes = frozenset[str]().union(*(known.purposes for known in agents))
        return Acting(subject, ActorKind.AGENT, actor, purposes)
    return None


def _refuse(platform: Platform, caller: Principal, subject: SubjectId | None) -> NoReturn:
    with platform.data.read() as connection:
        is_known = subject is not None and bool(find_standings(connection, [subject]))
    record_denial(platform, caller, reason="REPRESENTATION", subject=subject if is_known else None)
    raise NotRepresented(
        "This token's person cannot speak for that subject", hint="Have the guardian or agent recorded first."
    )
