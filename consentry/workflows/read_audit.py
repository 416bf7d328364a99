"""Read the log as an officer; this reading leaves its own entry first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from audit.events import Act, Event, Outcome
from audit.queries import Sought, find_page
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
    """What to look for; every filter that is given must hold.

    Attributes:
        level: the least level of the fields.
        after_index: where the page before ended.
        newest_first: against the log's order; ``after_index`` then stands further back.
    """

    subject: str | None = None
    actor: str | None = None
    act: str | None = None
    purpose: str | None = None
    outcome: str | None = None
    level: int | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after_index: int | None = None
    newest_first: bool = False
    limit: int = 100


def read_audit(
    platform: Platform, caller: Principal, query: AuditQuery
) -> tuple[list[dict[str, JsonValue]], int | None]:
    """Return a page of entries and the index to go on after, or None at the end.

    A page can hold less than was asked for before the end, where what is sought is rare and no index leads to it.

    Raises:
        Denied: the role may not read the log.
        BadInput: an unknown act or outcome, or a level or limit out of range.
    """
    check_may_act(platform.catalogue, caller, "audit.read")
    sought = _sought(query)
    _record_reading(platform, caller, query)
    platform.log.settle()
    with platform.data.read() as connection:
        also = () if sought.subject is None else entries_of(connection, sought.subject)
        page = find_page(connection, sought, limit=query.limit, also=also)
    return [{"index": entry.index, **entry.members} for entry in page.entries], page.next_index


def _sought(query: AuditQuery) -> Sought:
    return Sought(
        subject=None if query.subject is None else SubjectId(query.subject),
        actor=query.actor,
        act=_member(Act, query.act, "act"),
        purpose=query.purpose,
        outcome=_member(Outcome, query.outcome, "outcome"),
        level=query.level,
        since=query.since,
        until=query.until,
        request_ids=() if query.request_id is None else (RequestId(query.request_id),),
        after_index=None if query.newest_first else query.after_index,
        before_index=query.after_index if query.newest_first else None,
        newest_first=query.newest_first,
    )


def _record_reading(platform: Platform, caller: Principal, query: AuditQuery) -> None:
    asking = platform.asking(caller)
    filters = {name: str(value) for name in _FILTERS if (value := getattr(query, name)) is not None}
    with platform.data.write() as connection:
        platform.log.record(
            connection,
            Event(
                Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
                subject=None if query.subject is None else SubjectId(query.subject), details={"filters": filters},
            ),
        )  # fmt: skip


_FILTERS: Final = ("actor", "act", "purpose", "outcome", "level", "request_id", "since", "until", "after_index")


def _member(kind: type[_E], text: str | None, name: str) -> _E | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"There is no {name} {text!r}", hint=f"One of: {', '.join(kind)}.") from None
