"""Looking things up in the log, page by page; only entries in the tree are seen, so settle first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from audit.aliases import aliases_of
from audit.entries import decode_entry
from audit.events import Act, Outcome
from audit.tables import cohort_member, leaf
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import EntryId, RequestId, SubjectId

PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry with its place in the log; ``body`` are the bytes that were hashed."""

    index: int
    entry_id: EntryId
    at: datetime
    body: bytes = field(repr=False)

    @property
    def members(self) -> Mapping[str, JsonValue]:
        """The entry's members, parsed from its bytes."""
        return decode_entry(self.body)


def find_entries(
    connection: Connection,
    *,
    subject: SubjectId | None = None,
    actor: str | None = None,
    act: Act | None = None,
    purpose: str | None = None,
    outcome: Outcome | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    request_id: RequestId | None = None,
    after_index: int | None = None,
    limit: int = 100,
    also: Collection[EntryId] = (),
) -> list[EntryView]:
    """Return the entries that fit every given condition, in the log's order.

    Args:
        connection: a read transaction of the data store.
        subject: as the subject, or as one of a cohort, under any of its aliases.
        actor: id of the principal.
        act: the act.
        purpose: the purpose code.
        outcome: how it ended.
        since: first instant.
        until: first instant that is no longer asked for.
        request_id: chain of one request.
        after_index: the last index of the page before.
        limit: at most 1,000.
        also: entries that are about the subject too, without naming it: those of large cohorts.
    Raises:
        BadInput: the limit is out of range.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise BadInput(f"A page holds 1 to {PAGE_MAX} entries", hint="Page on with the last index.")
    equal = {"actor": actor, "act": act, "purpose": purpose, "outcome": outcome, "request_id": request_id}
    conditions = [leaf.c[name] == str(value) for name, value in equal.items() if value is not None]
    conditions += _range(since, until, after_index)
    if subject is not None:
        conditions.append(_is_about(aliases_of(connection, subject), also))
    return _page(connection, select(leaf).where(*conditions).order_by(leaf.c.leaf_index).limit(limit))


def get_entry(connection: Connection, index: int) -> EntryView | None:
    """Return the entry at an index, or None beyond the tree's end."""
    return next(iter(_page(connection, select(leaf).where(leaf.c.leaf_index == index))), None)


def _page(connection: Connection, query: Select[tuple[object, ...]]) -> list[EntryView]:
    rows = connection.execute(query).all()
    return [EntryView(row.leaf_index, EntryId(row.entry_id), row.at, row.body) for row in rows]


def _range(since: datetime | None, until: datetime | None, after_index: int | None) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if since is not None:
        bounds.append(leaf.c.at >= since)
    if until is not None:
        bounds.append(leaf.c.at < until)
    if after_index is not None:
        bounds.append(leaf.c.leaf_index > after_index)
    return bounds


def _is_about(aliases: Sequence[str], also: Collection[EntryId]) -> ColumnElement[bool]:
    in_cohort = select(cohort_member.c.entry_id).where(cohort_member.c.alias.in_(aliases))
    named = leaf.c.alias.in_(aliases), leaf.c.entry_id.in_(in_cohort)
    return or_(*named, leaf.c.entry_id.in_(list(also))) if also else or_(*named)
