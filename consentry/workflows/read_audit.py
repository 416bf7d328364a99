"""Read the log as an officer; this reading leaves its own entry first."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from audit.events import Act, Event, Outcome
from audit.queries import find_entries
from consent.cohorts import entries_of
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import RequestId, SubjectId

_E = TypeVar("_E", Act, Outcome)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; every filter that is given must hold."""

    subject: str | None = None
    actor: str | None = None
    act: str | None = None
    purpose: str | None = None
    outcome: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after_index: int | None = None
    limit: int = 100


def read_audit(
    platform: Platform, caller: Principal, query: AuditQuery
) -> tuple[list[dict[str, JsonValue]], int | None]:
    """Return a page of entries and the index to go on after, or None at the end.

    Raises:
        Denied: the role may not read the log.
        BadInput: an unknown act or outcome.
    """
    check_may_act(platform.catalogue, caller, "audit.read")
    act = _member(Act, query.act, "act")
    outcome = _member(Outcome, query.outcome, "outcome")
    _record_reading(platform, caller, query)
    platform.log.settle()
    subject = None if query.subject is None else SubjectId(query.subject)
    with platform.data.read() as connection:
        found = find_entries(
            connection,
            subject=subject,
            also=() if subject is None else entries_of(connection, subject),
            actor=query.actor,
            act=act,
            purpose=query.purpose,
            outcome=outcome,
            since=query.since,
            until=query.until,
            request_id=None if query.request_id is None else RequestId(query.request_id),
            after_index=query.after_index,
            limit=query.limit,
        )
    entries = [{"index": entry.index, **json.loads(entry.body)} for entry in found]
    return entries, found[-1].index if len(found) == query.limit else None


def _record_reading(platform: Platform, caller: Principal, query: AuditQuery) -> None:
    asking = platform.asking(caller)
    filters = {
        name: str(value)
        for name in ("actor", "act", "purpose", "outcome", "request_id", "since", "until", "after_index")
        if (value := getattr(query, name)) is not None
    }
    with platform.data.write() as connection:
        platform.log.record(
            connection,
            Event(
                Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
                subject=None if query.subject is None else SubjectId(query.subject), details={"filters": filters},
            ),
        )  # fmt: skip


def _member(kind: type[_E], text: str | None, name: str) -> _E | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"There is no {name} {text!r}", hint=f"One of: {', '.join(kind)}.") from None
