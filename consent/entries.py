"""What this package writes into the audit log: names, ids and counts, never a value."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.rules import Question
from consent.verdicts import Verdict
from kernel.catalogue import Catalogue
from kernel.encoding import JsonValue
from kernel.ids import EntryId, PermitId, SubjectId
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


def now_in_log(connection: Connection, log: EntryLog, clock: Clock) -> datetime:
    """Return the current instant; a clock that was set back cannot revive what has expired."""
    return max(clock.now(), log.now(connection))


def event_of(asking: Asking, act: Act, outcome: Outcome = Outcome.DONE) -> Event:
    """Return an event by the caller of a request; the caller's own words are sealed beside the entry."""
    details: Mapping[str, JsonValue] | None = None if asking.reason is None else {"reason": asking.reason}
    return Event(
        act=act,
        outcome=outcome,
        actor=asking.actor,
        role=asking.role,
        request_id=asking.request_id,
        details=details,
    )


def permit_event(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], permit_id: PermitId, catalogue: Catalogue
) -> Event:
    """Return the entry of a permit.

    The permit for a batch names the decisions that it rests on by a digest over their random ids; they are found again
    through the subjects.
    """
    fields = frozenset[str]().union(*{verdict.passed for verdict in verdicts.values()})
    return replace(
        event_of(asking, Act.PERMIT, Outcome.ALLOWED),
        purpose=question.purpose.code,
        recipient=question.recipient,
        fields=tuple(sorted(fields)),
        level=_level(fields, catalogue),
        refs={"permit": permit_id, "catalogue": catalogue.hash, "decisions": _decisions(verdicts)},
    )


def refusal_event(
    asking: Asking, question: Question, verdicts: Mapping[SubjectId, Verdict], catalogue: Catalogue
) -> Event:
    """Return the entry of refusals; ``counts`` holds the number of refused fields over all subjects by reason.

    A field that the catalogue does not know is counted, not named: its name was written outside and may be anything.
    """
    counts: Counter[str] = Counter()
    fields: set[str] = set()
    for refused in (verdict.refused for verdict in verdicts.values()):
        counts.update(reason.value for reason in refused.values())
        fields.update(refused)
    known = frozenset(fields & catalogue.fields.keys())
    return replace(
        event_of(asking, Act.REFUSAL, Outcome.DENIED),
        purpose=question.purpose.code,
        recipient=question.recipient,
        fields=tuple(sorted(known)),
        level=_level(known, catalogue),
        reason=counts.most_common(1)[0][0],
        counts=dict(sorted(counts.items())),
        refs={"catalogue": catalogue.hash},
    )


def _level(fields: frozenset[str], catalogue: Catalogue) -> int | None:
    return max((catalogue.fields[code].level for code in fields), default=None)


def _decisions(verdicts: Mapping[SubjectId, Verdict]) -> str:
    return sha256("\n".join(sorted(verdict.basis for verdict in verdicts.values())).encode()).hexdigest()
