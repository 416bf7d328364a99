"""What follows a closing act: an outbox in the act's transaction, and the handlers that empty it.

A withdrawal takes effect with its commit, because the gate reads what it wrote. What was made before is cleared away
by handlers: each part registers its own. An item is planned in the transaction of the act, so that it can neither be
lost nor be there without the act; it is done when the handler's outcome, the entry that tells of it and the mark stand
in one commit. A handler may be called again after a crash and must not mind.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event
from audit.events import Outcome as Ended
from consent.asking import Asking
from consent.entries import EntryLog, event_of, now_in_log
from consent.handling import Handler, Hopeless, NotNow, Outcome, TargetFailed, WakePlanner
from consent.outbox import (
    NARROW,
    REVISED,
    WAITS,
    Closing,
    Part,
    WakeItem,
    WakeState,
    change_item,
    count_items,
    find_outdated,
    get_item,
    holds_lease,
    insert_items,
    items_of,
    lease_next,
    oldest_unfinished,
    packed,
    pause_target,
    rouse_items,
)
from kernel.database import Database
from kernel.errors import ConfigurationError, Conflict
from kernel.ids import RequestId, SubjectId, new_id
from kernel.ports import Clock

__all__ = [
    "LEASE",
    "MAX_ATTEMPTS",
    "NARROW",
    "REVISED",
    "Closing",
    "Handler",
    "Hopeless",
    "NotNow",
    "Outcome",
    "Tally",
    "TargetFailed",
    "Wake",
    "WakeItem",
    "WakePlanner",
    "WakeState",
    "delay_after",
    "no_point",
    "system_asking",
]

MAX_ATTEMPTS: Final = 8
"""After that an item is dead until an officer has it tried again; the attempts spread over more than a day."""

LEASE: Final = timedelta(minutes=5)
"""How long one process has for one item; when it is killed, another one begins anew after this."""

_FIRST_DELAY: Final = timedelta(seconds=5)
_FACTOR: Final = 6
_LONGEST_DELAY: Final = timedelta(hours=10)

LONGEST_PAUSE: Final = timedelta(minutes=5)
"""How long one failure of a target at most keeps back what else is planned for it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one round did: items done, to be tried again, dead."""

    done: int = 0
    again: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        """How many items were begun."""
        return self.done + self.again + self.dead

    def plus(self, state: WakeState) -> "Tally":
        """Count one item by the state that it ended in."""
        match state:
            case WakeState.DONE:
                return replace(self, done=self.done + 1)
            case WakeState.DEAD:
                return replace(self, dead=self.dead + 1)
            case WakeState.OPEN | WakeState.SENDING:
                return replace(self, again=self.again + 1)


def system_asking() -> Asking:
    """Return who asks when nobody does: the deployment itself, following up on an act."""
    return Asking("system", "system", RequestId(new_id("req")))


def delay_after(attempts: int) -> timedelta:
    """Return how long a failed item waits: 5 s, 30 s, 3 min, 18 min, 1 h 48 min, then 10 h each time."""
    factor: int = _FACTOR ** (attempts - 1)
    return min(_FIRST_DELAY * factor, _LONGEST_DELAY)


def no_point(_point: str) -> None:
    """Stand where tests mark a point."""


class Wake:
    """The outbox and its handlers; any number of processes may run it."""

    def __init__(
        self,
        handlers: Sequence[Handler],
        log: EntryLog,
        clock: Clock,
        database: Database,
        *,
        at: Callable[[str], None] = no_point,
    ) -> None:
        """Take the handlers, in the order of planning.

        Args:
            at: called at each point where a crash leaves another state, with its name.
        """
        self._handlers = {handler.name: handler for handler in handlers}
        self._log = log
        self._clock = clock
        self._database = database
        self._at = at

    def plan(self, connection: Connection, closings: Sequence[Closing]) -> None:
        """Insert an item for each handler and target, in the caller's transaction.

        A closing that another of the same call covers plans nothing of its own: withdrawing a purpose altogether is
        one act, however many recipients it reaches. What only narrows covers nothing but what narrows.
        """
        wanted = _widest(closings)
        insert_items(
            connection,
            [
                (closing, handler.name, target)
                for closing in wanted
                for handler in self._handlers.values()
                for target in handler.targets(connection, closing)
            ],
        )
        self._at("planned")

    def run_due(self, limit: int, *, subject: SubjectId | None = None) -> Tally:
        """Work on what is due, oldest first, at most ``limit`` items; of one subject only, where one is given."""
        tally = Tally()
        while tally.total < limit:
            ended = self.run_next(subject=subject)
            if ended is None:
                break
            tally = tally.plus(ended.state)
        return tally

    def run_next(
        self,
        *,
        subject: SubjectId | None = None,
        only: frozenset[str] | None = None,
        but: frozenset[str] = frozenset(),
    ) -> WakeItem | None:
        """Work on the item that is due for longest; returns it as it is afterwards, None when nothing is due.

        Args:
            subject: whose items; None for everybody's.
            only: the handlers whose items; None for all.
            but: the handlers whose items are left to others.

        Raises:
            Unavailable: the data store or the log cannot be used; the item is taken up again when its lease is over.
        """
        item = self._lease(Part(subject, only, but))
        if item is None or item.state is WakeState.DEAD:
            return item
        self._at("leased")
        try:
            outcome = self._handler_of(item).run(item)
        except NotNow as err:
            return self._waits(item, err)
        except Hopeless as err:
            return self._failed(item, type(err).__name__, is_final=True)
        except TargetFailed as err:
            return self._failed(item, type(err).__name__, is_target=True)
        except Exception as err:  # noqa: BLE001 - whatever one handler does, it ends as its own item's dead letter
            return self._failed(item, type(err).__name__)
        self._at("handled")
        return self._done(item, outcome)

    def rouse(self, connection: Connection, subject: SubjectId) -> None:
        """Let a subject's items that wait go on now, in the transaction of what they wait for."""
        rouse_items(connection, subject, now=now_in_log(connection, self._log, self._clock))

    def retry(self, item_id: str, asking: Asking) -> WakeItem:
        """Let a dead item, or one that waits after a failure, be tried again now, with all its attempts.

        Raises:
            NotFound: there is no such item.
            Conflict: it is done, or being done.
        """
        with self._database.write() as connection:
            item = get_item(connection, item_id, lock=True)
            if item.state not in (WakeState.DEAD, WakeState.OPEN):
                raise Conflict(f"Item {item_id} is {item.state}", hint="Only what is dead or waits can be tried again.")
            self._log.record(connection, self._event(item, Act.WAKE_RETRIED, asking=asking))
            now = now_in_log(connection, self._log, self._clock)
            return change_item(
                connection, item_id, state=WakeState.OPEN, attempts=0, next_at=now,
                finished_at=None, finished_entry=None,
            )  # fmt: skip

    def of_subject(self, connection: Connection, subject: SubjectId) -> list[WakeItem]:
        """Return all that a subject's closing acts have set in motion, in the order of planning."""
        return items_of(connection, subject)

    def outdated(self, connection: Connection, subject: SubjectId | None = None) -> frozenset[SubjectId]:
        """Return of whom something derived still stands that was made of other data than what is stored now.

        Whoever reads what was derived leaves them out until the handlers have taken it away.

        Args:
            subject: of whom alone it is asked; everybody without.
        """
        return find_outdated(connection, subject)

    def counts(self, connection: Connection, states: Collection[WakeState] = tuple(WakeState)) -> dict[WakeState, int]:
        """Return how many items there are in each of some states, or in all."""
        return count_items(connection, states)

    def oldest_open(self, connection: Connection) -> timedelta | None:
        """Return how long the oldest item is due or tried again; None when there is none.

        What waits for something else, such as the end of a restriction, is not counted here.
        """
        since = oldest_unfinished(connection)
        return None if since is None else now_in_log(connection, self._log, self._clock) - since

    def _handler_of(self, item: WakeItem) -> Handler:
        handler = self._handlers.get(item.handler)
        if handler is None:
            raise ConfigurationError(f"No handler {item.handler!r}", hint="It was planned by another version.")
        return handler

    def _lease(self, part: Part) -> WakeItem | None:
        """Take one item; one whose process died at its last attempt is dead."""
        with self._database.write() as connection:
            now = now_in_log(connection, self._log, self._clock)
            item = lease_next(connection, now=now, until=now + LEASE, part=part)
            if item is not None and item.attempts > MAX_ATTEMPTS:
                return self._bury(connection, item, "LeaseLapsed", now)
            return item

    def _done(self, item: WakeItem, outcome: Outcome) -> WakeItem:
        with self._database.write() as connection:
            if not holds_lease(connection, item):
                return get_item(connection, item.item_id)
            event = self._event(item, Act.WAKE_DONE)
            event = replace(event, counts=outcome.counts, refs={**outcome.refs, **event.refs, "result": outcome.result})
            entry = self._log.record(connection, event)
            done = change_item(
                connection, item.item_id, state=WakeState.DONE, leased_until=None, problem=None, finished_entry=entry,
                finished_at=now_in_log(connection, self._log, self._clock), outcome=packed(outcome.as_json()),
            )  # fmt: skip
            self._at("marked")
        self._at("finished")
        return done

    def _waits(self, item: WakeItem, err: NotNow) -> WakeItem:
        """Put an item back as it was before this attempt, to be looked at again later."""
        with self._database.write() as connection:
            if not holds_lease(connection, item):
                return get_item(connection, item.item_id)
            now = now_in_log(connection, self._log, self._clock)
            return change_item(
                connection, item.item_id, state=WakeState.OPEN, leased_until=None, next_at=now + err.after,
                attempts=item.attempts - 1, problem=f"{WAITS}{type(err).__name__}"[:_NAME_LENGTH],
            )  # fmt: skip

    def _failed(self, item: WakeItem, problem: str, *, is_final: bool = False, is_target: bool = False) -> WakeItem:
        with self._database.write() as connection:
            if not holds_lease(connection, item):
                return get_item(connection, item.item_id)
            now = now_in_log(connection, self._log, self._clock)
            if is_target:
                pause_target(connection, item, until=now + min(delay_after(item.attempts), LONGEST_PAUSE))
            if is_final or item.attempts >= MAX_ATTEMPTS:
                return self._bury(connection, item, problem, now)
            return change_item(
                connection, item.item_id, state=WakeState.OPEN, leased_until=None, problem=problem[:_NAME_LENGTH],
                next_at=now + delay_after(item.attempts),
            )  # fmt: skip

    def _bury(self, connection: Connection, item: WakeItem, problem: str, now: datetime) -> WakeItem:
        event = replace(self._event(item, Act.WAKE_DEAD, Ended.FAILED), reason=problem[:_NAME_LENGTH])
        return change_item(
            connection, item.item_id, state=WakeState.DEAD, leased_until=None, problem=problem[:_NAME_LENGTH],
            attempts=min(item.attempts, MAX_ATTEMPTS), finished_at=now,
            finished_entry=self._log.record(connection, event),
        )  # fmt: skip

    def _event(self, item: WakeItem, act: Act, outcome: Ended = Ended.DONE, *, asking: Asking | None = None) -> Event:
        closing = item.closing
        refs = {"item": item.item_id, "closing": closing.entry_id, "handler": item.handler, "cause": closing.cause}
        if item.target:
            refs["target"] = item.target
        return replace(
            event_of(asking or system_asking(), act, outcome),
            subject=closing.subject,
            purpose=closing.purpose or None,
            recipient=closing.recipient or None,
            basis=closing.decision_id,
            refs=refs,
        )


def _widest(closings: Sequence[Closing]) -> list[Closing]:
    """Return the closings that no other one covers, the first of those that reach the same."""
    whole = {closing.reach for closing in closings if closing.cause != NARROW}
    every = {closing.reach for closing in closings}
    wanted: dict[tuple[SubjectId, str, str], Closing] = {}
    for closing in closings:
        is_part = closing.cause == NARROW
        covering = every if is_part else whole
        if covering.isdisjoint(closing.wider) and not (is_part and closing.reach in whole):
            wanted.setdefault(closing.reach, closing)
    return list(wanted.values())


_NAME_LENGTH: Final = 80
"""Of an error's name, as ``wake_item.problem`` holds it."""
