"""Looking things up in the log, page by page; only entries in the tree are seen, so settle first.

Every statement follows one index in the log's order, or reads a bounded stretch of the log, so that a page costs the
same among a thousand entries and among ten million.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, func, select

from audit.aliases import aliases_of
from audit.entries import LEVELS, decode_entry
from audit.events import Act, Outcome
from audit.tables import cohort_member, leaf, prune
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import EntryId, RequestId, SubjectId

PAGE_MAX: Final = 1_000

STRETCH_ENTRIES: Final = 100_000
"""Entries that one statement reads at most where no index leads to what is asked for."""

_STRETCHES: Final = 5
"""Stretches in one page: a page that finds too little in them ends early and says where to go on."""

_BOUND_VALUES: Final = 5_000

_INDEX_DIGITS: Final = 18
"""Every index of so many digits is a number that the stores can hold."""

_Query: TypeAlias = Select[*tuple[Any, ...]]

_SKEW: Final = timedelta(hours=1)
"""How far the times of two entries may run against their order: longer than any transaction that writes one lasts."""


@dataclass(frozen=True)
class EntryView:
    """One entry with its place in the log; ``body`` are the bytes that were hashed, empty once it was pruned."""

    index: int
    entry_id: EntryId
    at: datetime
    body: bytes = field(repr=False)

    @cached_property
    def members(self) -> Mapping[str, JsonValue]:
        """The entry's members, parsed from its bytes; of a pruned one what is left of it."""
        if not self.body:
            return {"id": self.entry_id, "at": format_instant(self.at), "pruned": True}
        return decode_entry(self.body)


@dataclass(frozen=True, slots=True)
class PrunedStretch:
    """The beginning of the log, of which only hashes stay, but for entries that are always kept.

    Attributes:
        before: time of the first entry behind it.
        on: when it was pruned.
        entry_id: of the ``log.pruned`` entry that says so.
    """

    before: datetime
    on: datetime
    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class Sought:
    """What to look for; every condition that is given must hold.

    Attributes:
        subject: as the subject, or as one of a cohort, under any of its aliases.
        actor: id of the principal.
        level: the least level of the fields.
        since, until: half open.
        request_ids: chains of requests.
        after_index, before_index: both left out themselves.
        newest_first: against the log's order.
    """

    subject: SubjectId | None = None
    actor: str | None = None
    act: Act | None = None
    purpose: str | None = None
    outcome: Outcome | None = None
    level: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_ids: Collection[RequestId] = ()
    after_index: int | None = None
    before_index: int | None = None
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order that was asked for; ``next_index`` is where to go on, None at the end."""

    entries: list[EntryView]
    next_index: int | None


def find_entries(
    connection: Connection,
    *,
    request_id: RequestId | None = None,
    limit: int = 100,
    also: Collection[EntryId] = (),
    **conditions: Any,  # noqa: ANN401 - the members of ``Sought``, which checks their names
) -> list[EntryView]:
    """Return the entries of one page; see ``find_page`` and ``Sought``."""
    requests = () if request_id is None else (request_id,)
    sought = Sought(**({"request_ids": requests} | conditions))
    return find_page(connection, sought, limit=limit, also=also).entries


def find_page(connection: Connection, sought: Sought, *, limit: int = 100, also: Collection[EntryId] = ()) -> Page:
    """Return the entries that fit every given condition.

    Args:
        connection: a read transaction of the data store.
        sought: the conditions.
        limit: at most 1,000.
        also: entries that are about the subject too, without naming it: those of large cohorts.
    Raises:
        BadInput: limit or level is out of range.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise BadInput(f"A page holds 1 to {PAGE_MAX} entries", hint="Page on with the last index.")
    if sought.level is not None and sought.level not in LEVELS:
        raise BadInput("A level is 1 to 5", hint="Give the least level that you look for.")
    sought = _within_times(connection, sought)
    if sought.subject is not None:
        return _merged(connection, _about(connection, sought.subject, also), sought, limit)
    if sought.request_ids:
        return _merged(connection, _any_of("request_id", sought.request_ids), sought, limit)
    if sought.actor is not None:
        return _merged(connection, [_along("actor", sought.actor)], sought, limit)
    if sought.act is not None:
        return _merged(connection, [_along("act", str(sought.act))], sought, limit)
    return _read_stretches(connection, sought, limit)


def get_entry(connection: Connection, index: int) -> EntryView | None:
    """Return the entry at an index, or None beyond the tree's end."""
    return next(iter(_views(connection, select(leaf).where(leaf.c.leaf_index == index))), None)


def get_entries(connection: Connection, indexes: Collection[int]) -> list[EntryView]:
    """Return the entries at some indexes, in the log's order; what lies beyond the tree's end is left out."""
    wanted, found = sorted(set(indexes)), list[EntryView]()
    for start in range(0, len(wanted), _BOUND_VALUES):
        places = leaf.c.leaf_index.in_(wanted[start : start + _BOUND_VALUES])
        found += _views(connection, select(leaf).where(places).order_by(leaf.c.leaf_index))
    return found


def find_entry(connection: Connection, named: str) -> EntryView | None:
    """Return the entry with an id, or at an index that is given in digits; None where the tree has none."""
    if named.isascii() and named.isdigit():
        return get_entry(connection, int(named)) if len(named) <= _INDEX_DIGITS else None
    return next(iter(_views(connection, select(leaf).where(leaf.c.entry_id == named))), None)


def has_actor(connection: Connection, actor: str) -> bool:
    """Say whether any entry of the tree is by an actor; one that was pruned names nobody."""
    return connection.scalar(select(leaf.c.leaf_index).where(leaf.c.actor == actor).limit(1)) is not None


def read_pruned(connection: Connection) -> PrunedStretch | None:
    """Return up to when entries were pruned, or None where none ever was."""
    row = connection.execute(select(prune).order_by(prune.c.below.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    before = connection.scalar(select(leaf.c.at).where(leaf.c.leaf_index == row.below))
    return PrunedStretch(before or row.at, row.at, EntryId(row.entry_id))


def _merged(connection: Connection, queries: Iterable[_Query], sought: Sought, limit: int) -> Page:
    """Return the first entries over several queries, each of which follows an index."""
    found = {
        view.index: view
        for query in queries
        for view in _views(connection, _narrowed(connection, query, sought, limit))
    }
    indexes = sorted(found, reverse=sought.newest_first)[:limit]
    return Page([found[index] for index in indexes], indexes[-1] if len(indexes) == limit else None)


def _read_stretches(connection: Connection, sought: Sought, limit: int) -> Page:
    """Read the log itself, stretch after stretch, until the page is full or the bound is reached."""
    size = (connection.scalar(select(func.max(leaf.c.leaf_index))) or 0) + 1
    first = 0 if sought.after_index is None else sought.after_index + 1
    end = size if sought.before_index is None else min(size, sought.before_index)
    entries: list[EntryView] = []
    for _ in range(_STRETCHES):
        if first >= end:
            return Page(entries, None)
        stretch = _stretch(first, end, newest_first=sought.newest_first)
        bounded = replace(sought, after_index=stretch.start - 1, before_index=stretch.stop)
        entries += _views(connection, _narrowed(connection, select(leaf), bounded, limit - len(entries)))
        if len(entries) == limit:
            return Page(entries, entries[-1].index)
        first, end = (first, stretch.start) if sought.newest_first else (stretch.stop, end)
    return Page(entries, None if first >= end else end if sought.newest_first else first - 1)


def _stretch(first: int, end: int, *, newest_first: bool) -> range:
    return (
        range(max(first, end - STRETCH_ENTRIES), end)
        if newest_first
        else range(first, min(end, first + STRETCH_ENTRIES))
    )


def _about(connection: Connection, subject: SubjectId, also: Collection[EntryId]) -> Iterator[_Query]:
    """Yield queries for the entries that name a subject, and for those whose cohort it belongs to."""
    aliases = aliases_of(connection, subject)
    members = select(cohort_member.c.entry_id).where(cohort_member.c.alias.in_(aliases))
    yield from (_along("alias", alias) for alias in aliases)
    yield from _any_of("entry_id", sorted({*connection.scalars(members), *also}))


def _along(column: str, value: str) -> _Query:
    """Return a query that follows the index of a column in the log's order."""
    return select(leaf).where(leaf.c[column] == value)


def _any_of(column: str, values: Collection[str]) -> Iterator[_Query]:
    """Yield queries that look each value up."""
    wanted = list(values)
    for start in range(0, len(wanted), _BOUND_VALUES):
        yield select(leaf).where(leaf.c[column].in_(wanted[start : start + _BOUND_VALUES]))


def _narrowed(connection: Connection, query: _Query, sought: Sought, limit: int) -> _Query:
    """Return a query with every other condition, in the order asked for.

    SQLite keeps no statistics and would take any index of the same shape; an expression in place of the column keeps
    it on the one that leads to what is asked for. PostgreSQL knows what is rare.
    """
    place = leaf.c.leaf_index
    is_blind = connection.dialect.name == "sqlite"
    conditions = _conditions(sought, is_blind=is_blind)
    return query.where(*conditions).order_by(place.desc() if sought.newest_first else place).limit(limit)


def _conditions(sought: Sought, *, is_blind: bool) -> Iterator[ColumnElement[bool]]:
    column = leaf.c
    equal = {"actor": sought.actor, "act": sought.act, "purpose": sought.purpose, "outcome": sought.outcome}
    for name, value in equal.items():
        if value is not None:
            yield (column[name].concat("") if is_blind else column[name]) == str(value)
    if sought.request_ids:
        yield column.request_id.in_(list(sought.request_ids))
    if sought.level is not None:
        yield column.level >= sought.level
    if sought.since is not None:
        yield column.at >= sought.since
    if sought.until is not None:
        yield column.at < sought.until
    if sought.after_index is not None:
        yield column.leaf_index > sought.after_index
    if sought.before_index is not None:
        yield column.leaf_index < sought.before_index


def _within_times(connection: Connection, sought: Sought) -> Sought:
    """Return what is sought with the places in the log between which its times must lie.

    Entries stand nearly in the order of their times: none lies further from its place than ``_SKEW``.
    """
    at, place = leaf.c.at, leaf.c.leaf_index
    after, before = [sought.after_index], [sought.before_index]
    if sought.since is not None:
        earlier = select(place).where(at < sought.since - _SKEW).order_by(at.desc()).limit(1)
        after.append(connection.scalar(earlier))
    if sought.until is not None:
        later = select(place).where(at >= sought.until + _SKEW).order_by(at).limit(1)
        before.append(connection.scalar(later))
    return replace(
        sought,
        after_index=max((index for index in after if index is not None), default=None),
        before_index=min((index for index in before if index is not None), default=None),
    )


def _views(connection: Connection, query: _Query) -> list[EntryView]:
    rows = connection.execute(query).all()
    return [EntryView(row.leaf_index, EntryId(row.entry_id), row.at, row.body) for row in rows]
