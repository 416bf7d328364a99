"""The outbox of closing acts: one row for each handler and target, leased to one process at a time."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, not_, or_, select, true, update

from consent.setwise import insert_rows
from consent.tables import wake_item
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import NotFound
from kernel.ids import EntryId, SubjectId, new_id


class WakeState(StrEnum):
    """How far an item is."""

    OPEN = "open"
    SENDING = "sending"
    DONE = "done"
    DEAD = "dead"


NARROW: Final = "narrow"
"""The cause of an opening that leaves out fields of the one before it: the rest of the purpose stays open."""

REVISED: Final = "revise"
"""The cause of a change of what is stored of a person: a correction, records that moved, or values that have expired.
It closes nothing; what was derived before is of other data than what stands now."""


WAITS: Final = "waits: "
"""Begins the ``problem`` of an open item that has not failed: what it waits for follows."""


@dataclass(frozen=True, slots=True)
class Closing:
    """An act that closed something.

    Attributes:
        cause: withdraw, refuse, expire, end, narrow, restrict, erase, deceased or revise.
        purpose: empty for all purposes.
        recipient: empty where none was named; it then speaks for every recipient.
        entry_id: the act's own entry in the log.
        fields: of a revision, the codes of what has changed; empty for anything. It counts when items are planned, and
            does not stay with them.
    """

    subject: SubjectId
    cause: str
    purpose: str
    recipient: str
    decision_id: str | None
    entry_id: EntryId
    at: datetime
    fields: frozenset[str] = frozenset()

    @property
    def reach(self) -> tuple[SubjectId, str, str]:
        """Whom and what it is about."""
        return self.subject, self.purpose, self.recipient

    @property
    def wider(self) -> set[tuple[SubjectId, str, str]]:
        """The reaches that include its own and more."""
        purposes, recipients = {"", self.purpose}, {"", self.recipient}
        return {(self.subject, p, r) for p in purposes for r in recipients} - {self.reach}


@dataclass(frozen=True, slots=True)
class WakeItem:
    """One thing that has to be done after a closing act.

    Attributes:
        target: what the handler is to do it to or tell it to; empty where the handler has one only.
        attempts: how often it was begun; while it is being done, also the mark of who does it.
        problem: the name of the last error; after ``WAITS``, of what it waits for.
        outcome: ``Outcome.as_json()`` of an item that is done.
        finished_entry: the entry that says so.
    """

    item_id: str
    closing: Closing
    handler: str
    target: str
    state: WakeState
    attempts: int
    next_at: datetime
    leased_until: datetime | None
    problem: str | None
    finished_at: datetime | None
    outcome: Mapping[str, JsonValue] | None
    finished_entry: EntryId | None


def insert_items(connection: Connection, planned: Sequence[tuple[Closing, str, str]]) -> None:
    """Insert an open item for each (closing, handler, target), due at once."""
    rows = [
        {
            "item_id": new_id("wk"),
            "subject_id": closing.subject,
            "cause": closing.cause,
            "decision_id": closing.decision_id,
            "closing_entry": closing.entry_id,
            "purpose": closing.purpose,
            "recipient": closing.recipient,
            "handler": handler,
            "target": target,
            "state": WakeState.OPEN,
            "attempts": 0,
            "created_at": closing.at,
            "next_at": closing.at,
        }
        for closing, handler, target in planned
    ]
    insert_rows(connection, wake_item, rows)


@dataclass(frozen=True, slots=True)
class Part:
    """Which of the items somebody works on; without any word, all of them.

    Attributes:
        only: the handlers whose items they are.
        but: the handlers whose items they are not.
    """

    subject: SubjectId | None = None
    only: frozenset[str] | None = None
    but: frozenset[str] = frozenset()

    @property
    def condition(self) -> ColumnElement[bool]:
        """What is asked of a row."""
        is_own = true() if self.subject is None else wake_item.c.subject_id == self.subject
        is_among = true() if self.only is None else wake_item.c.handler.in_(sorted(self.only))
        return and_(is_own, is_among, wake_item.c.handler.not_in(sorted(self.but)) if self.but else true())


def lease_next(connection: Connection, *, now: datetime, until: datetime, part: Part) -> WakeItem | None:
    """Take the item that is due for longest, or whose lease has run out, and count the attempt; None without any.

    Two processes never get the same one: PostgreSQL skips rows that another one is taking, SQLite has one writer.
    """
    due = or_(
        and_(wake_item.c.state == WakeState.OPEN, wake_item.c.next_at <= now),
        and_(wake_item.c.state == WakeState.SENDING, wake_item.c.leased_until <= now),
    )
    query = select(wake_item).where(due, part.condition).order_by(wake_item.c.next_at, wake_item.c.position).limit(1)
    found = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if found is None:
        return None
    taken = {"state": WakeState.SENDING, "attempts": found.attempts + 1, "leased_until": until}
    connection.execute(update(wake_item).where(wake_item.c.item_id == found.item_id).values(**taken))
    return get_item(connection, found.item_id)


def holds_lease(connection: Connection, item: WakeItem) -> bool:
    """Lock an item's row and say whether it is still as it was leased, and nobody has taken it over."""
    stored = get_item(connection, item.item_id, lock=True)
    return (stored.state, stored.attempts, stored.leased_until) == (item.state, item.attempts, item.leased_until)


def pause_target(connection: Connection, item: WakeItem, *, until: datetime) -> None:
    """Let the other open items of an item's handler and target wait at least until then; no attempt is counted.

    A target is what stands before the first ``/``. Rows that somebody is taking now are left to them.
    """
    target, columns = item.target.partition("/")[0], wake_item.c
    others = select(columns.item_id).where(
        columns.state == WakeState.OPEN, columns.next_at < until, columns.handler == item.handler,
        or_(columns.target == target, columns.target.startswith(f"{target}/", autoescape=True)),
    )  # fmt: skip
    free = others.with_for_update(skip_locked=True)
    connection.execute(update(wake_item).where(columns.item_id.in_(free)).values(next_at=until))


def rouse_items(connection: Connection, subject: SubjectId, *, now: datetime) -> None:
    """Make a subject's items that wait for something due now."""
    is_waiting = and_(wake_item.c.state == WakeState.OPEN, wake_item.c.problem.startswith(WAITS))
    connection.execute(update(wake_item).where(wake_item.c.subject_id == subject, is_waiting).values(next_at=now))


def change_item(connection: Connection, item_id: str, **values: object) -> WakeItem:
    """Set columns of an item whose row is locked; returns it as it is now."""
    connection.execute(update(wake_item).where(wake_item.c.item_id == item_id).values(**values))
    return get_item(connection, item_id)


def get_item(connection: Connection, item_id: str, *, lock: bool = False) -> WakeItem:
    """Return one item; raises ``NotFound``."""
    query = select(wake_item).where(wake_item.c.item_id == item_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("No such item", hint="`consentry consent wake SUBJECT` lists a subject's items.")
    return _item(row)


def items_of(connection: Connection, subject: SubjectId) -> list[WakeItem]:
    """Return a subject's items in the order of planning."""
    query = select(wake_item).where(wake_item.c.subject_id == subject).order_by(wake_item.c.position)
    return [_item(row) for row in connection.execute(query)]


def others_waiting(connection: Connection, item: WakeItem, *, limit: int) -> list[SubjectId]:
    """Return whose open items have the handler, target and cause of an item, the oldest first; not its own subject."""
    columns, mine = wake_item.c, item.closing
    alike = and_(
        columns.state == WakeState.OPEN, columns.handler == item.handler, columns.target == item.target,
        columns.cause == mine.cause, columns.subject_id != mine.subject,
    )  # fmt: skip
    query = select(columns.subject_id).where(alike).order_by(columns.position).limit(limit)
    return [SubjectId(subject) for subject in dict.fromkeys(connection.scalars(query))]


def find_outdated(connection: Connection, subject: SubjectId | None) -> frozenset[SubjectId]:
    """Return of whom derived data are still to be taken away after a revision; a dead item stands for as long."""
    unfinished = wake_item.c.state.in_([*_UNFINISHED, WakeState.DEAD])
    query = select(wake_item.c.subject_id).where(unfinished, wake_item.c.cause == REVISED).distinct()
    if subject is not None:
        query = query.where(wake_item.c.subject_id == subject)
    return frozenset(SubjectId(one) for one in connection.scalars(query))


def count_items(connection: Connection, states: Collection[WakeState] = tuple(WakeState)) -> dict[WakeState, int]:
    """Return how many items there are in each of some states; those that are done are many, and cost accordingly."""
    wanted = wake_item.c.state.in_([state.value for state in states])
    query = select(wake_item.c.state, func.count()).where(wanted).group_by(wake_item.c.state)
    found = {WakeState(state): int(number) for state, number in connection.execute(query)}
    return {state: found.get(state, 0) for state in states}


def oldest_unfinished(connection: Connection) -> datetime | None:
    """Return since when the oldest item waits that is neither done nor dead nor waits for something else, or None."""
    problem = wake_item.c.problem
    is_held_up = and_(wake_item.c.state == WakeState.OPEN, problem.is_not(None), problem.startswith(WAITS))
    query = select(func.min(wake_item.c.created_at)).where(wake_item.c.state.in_(_UNFINISHED), not_(is_held_up))
    since: datetime | None = connection.scalar(query)
    return since


_UNFINISHED: Final = (WakeState.OPEN, WakeState.SENDING)


def packed(outcome: Mapping[str, JsonValue]) -> str:
    """Return an outcome as it is stored."""
    return canonical_json(outcome).decode()


def _item(row: Row[Any]) -> WakeItem:
    closing = Closing(
        SubjectId(row.subject_id), row.cause, row.purpose, row.recipient, row.decision_id,
        EntryId(row.closing_entry), row.created_at,
    )  # fmt: skip
    return WakeItem(
        item_id=row.item_id,
        closing=closing,
        handler=row.handler,
        target=row.target,
        state=WakeState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        leased_until=row.leased_until,
        problem=row.problem,
        finished_at=row.finished_at,
        outcome=None if row.outcome is None else json.loads(row.outcome),
        finished_entry=None if row.finished_entry is None else EntryId(row.finished_entry),
    )
