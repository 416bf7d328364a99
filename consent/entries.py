"""What this package writes into the audit log: names, ids and counts, never a value."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.ages import age_told
from consent.asking import Asking
from consent.standing import SubjectStanding
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import EntryId, SubjectId
from kernel.ports import Clock


class EntryLog(Protocol):
    """The part of the audit log that this package writes to."""

    def now(self, connection: Connection) -> datetime:
        """Return the time to decide by: never before the latest entry's."""
        ...

    def record(self, connection: Connection, event: Event) -> EntryId:
        """Insert one entry in the caller's transaction."""
        ...

    def record_many(self, connection: Connection, events: Sequence[Event]) -> Sequence[EntryId]:
        """Insert entries in order in the caller's transaction."""
        ...

    def record_known(
        self, connection: Connection, event: Event, *, at: datetime, aliases: Mapping[SubjectId, str]
    ) -> EntryId:
        """Insert one entry whose time and aliases the caller has read in this transaction."""
        ...


def now_in_log(connection: Connection, log: EntryLog, clock: Clock) -> datetime:
    """Return the current instant; a clock that was set back cannot revive what has expired."""
    return max(clock.now(), log.now(connection))


def event_of(asking: Asking, act: Act, outcome: Outcome = Outcome.DONE) -> Event:
    """Return an event by the caller of a request; the caller's own words are sealed beside the entry."""
    return Event(
        act=act,
        outcome=outcome,
        actor=asking.actor,
        role=asking.role,
        request_id=asking.request_id,
        details=details_of(asking),
    )


def accepted_refs(asking: Asking) -> dict[str, str]:
    """Return who else stands for an act, as its entry refers to the person; nothing where one is enough."""
    return {} if asking.accepted_by is None else {"accepted_by": asking.accepted_by}


def age_refs(standing: SubjectStanding, at: datetime) -> dict[str, str]:
    """Return what an entry says of an age class and since when it stands; with a month at most, and no birthday."""
    age_class, until = age_told(standing.age_class, standing.age_class_until)
    return {"age_class": age_class, "age_until": until, "changed_at": format_instant(at)}


def aged_event(asking: Asking, refined: SubjectStanding, at: datetime) -> Event:
    """Return the entry of an age class that was refined after registration."""
    return replace(event_of(asking, Act.SUBJECT_AGED), subject=refined.subject, refs=age_refs(refined, at))


def details_of(asking: Asking) -> Mapping[str, JsonValue] | None:
    """Return the caller's own words, to be sealed beside an entry, or None without any."""
    return None if asking.reason is None else {"reason": asking.reason}
