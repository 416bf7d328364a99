"""Read the log as an officer; this reading leaves its own entry first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from audit.events import Act, Event, Outcome
from audit.queries import EntryView, Sought, find_page
from consent.cohorts import entries_of
from consentry.access import check_may_act
from consentry.actors import names_of, resolve_actor
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.opened_words import check_may_open_words, open_words
from consentry.workflows.seen_by import pruned_of
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import RequestId, SubjectId, is_id

_E = TypeVar("_E", Act, Outcome)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to look for; every filter that is given must hold.

    Attributes:
        actor: an id as entries have it, or the name of an account.
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


@dataclass(frozen=True, slots=True)
class AuditEntries:
    """A page of entries.

    Attributes:
        entries: the members of each, with its index and the actor's name.
        next_after: where to go on; None at the end.
        pruned: what of the period has no bytes any more; None where all has.
    """

    entries: list[dict[str, JsonValue]]
    next_after: int | None
    pruned: dict[str, JsonValue] | None = None


def read_audit(platform: Platform, caller: Principal, query: AuditQuery, *, with_words: bool = False) -> AuditEntries:
    """Return a page of entries.

    A page can hold less than was asked for before the end, where what is sought is rare and no index leads to it.

    Args:
        platform: every part.
        caller: a person who may read the log.
        query: what to look for.
        with_words: opens what is sealed beside the entries, for who reviews accesses; that leaves an entry of its own.
    Raises:
        Denied: the role may not read the log, or not the words.
        BadInput: an unknown actor, act, purpose or outcome, no request's id, or a level or limit out of range.
    """
    check_may_act(platform.catalogue, caller, "audit.read")
    if with_words:
        check_may_open_words(platform, caller)
    query = _checked(platform, query)
    sought = _sought(query)
    _record_reading(platform, caller, query)
    platform.log.settle()
    with platform.data.read() as connection:
        also = () if sought.subject is None else entries_of(connection, sought.subject)
        page = find_page(connection, sought, limit=query.limit, also=also)
        names = names_of(connection, [str(entry.members.get("actor")) for entry in page.entries])
        pruned = pruned_of(connection, query.since)
    rows = [_row(entry, names) for entry in page.entries]
    if with_words:
        opened = open_words(platform, caller, page.entries, subject=sought.subject)
        for row, entry in zip(rows, page.entries, strict=True):
            row["words"] = dict(opened[entry.index]) if entry.index in opened else None
    return AuditEntries(rows, page.next_index, pruned)


def _row(entry: EntryView, names: Mapping[str, str]) -> dict[str, JsonValue]:
    return {"index": entry.index, **entry.members, "actor_name": names.get(str(entry.members.get("actor")))}


def _checked(platform: Platform, query: AuditQuery) -> AuditQuery:
    """Return a query with its actor's id; refuses what no entry can have, which an empty page would pass over."""
    if query.purpose is not None and query.purpose not in platform.catalogue.purposes:
        raise BadInput("There is no such purpose", hint=f"One of: {', '.join(sorted(platform.catalogue.purposes))}.")
    if query.request_id is not None and not is_id(query.request_id, "req"):
        raise BadInput("This is no request's id, which begins with req_", hint="Entries have it as `request_id`.")
    if query.actor is None:
        return query
    platform.log.settle()
    with platform.data.read() as connection:
        return replace(query, actor=resolve_actor(connection, query.actor))


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
