"""What a subject's closing acts have set in motion: what is done, what is open, and another try for what is dead."""

from datetime import timedelta

from consent.standing import get_standing
from consent.wake import WakeItem, WakeState
from consentry.access import check_may_act
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.history import record_reading
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.ids import SubjectId


def show_wake(platform: Platform, caller: Principal, subject: SubjectId) -> list[dict[str, JsonValue]]:
    """Return one row for each item of a subject, in the order of planning; reading it leaves an entry.

    Raises:
        NotFound: nobody is registered under this id.
    """
    check_may_act(platform.catalogue, caller, "consent.read")
    with platform.data.write() as connection:
        get_standing(connection, subject)
        record_reading(platform, connection, platform.asking(caller), subject, what="wake", as_of=None)
        return [describe(item) for item in platform.wake.of_subject(connection, subject)]


def retry_item(platform: Platform, caller: Principal, item_id: str) -> dict[str, JsonValue]:
    """Let a dead or waiting item be tried again, as whoever may restrict a subject may order.

    Raises:
        NotFound: there is no such item.
        Conflict: it is done, or being done.
    """
    check_may_act(platform.catalogue, caller, "subject.restrict")
    return describe(platform.wake.retry(item_id, platform.asking(caller)))


def wake_counts(platform: Platform) -> tuple[dict[WakeState, int], timedelta | None]:
    """Return how many items there are in each state, and how long the oldest one is due or tried again."""
    with platform.data.read() as connection:
        return platform.wake.counts(connection), platform.wake.oldest_open(connection)


def wake_backlog(platform: Platform) -> tuple[int, int, timedelta | None]:
    """Return how many items are unfinished and dead, and how long the oldest one is due or tried again."""
    with platform.data.read() as connection:
        counts = platform.wake.counts(connection, (WakeState.OPEN, WakeState.SENDING, WakeState.DEAD))
        oldest = platform.wake.oldest_open(connection)
    return counts[WakeState.OPEN] + counts[WakeState.SENDING], counts[WakeState.DEAD], oldest


def describe(item: WakeItem) -> dict[str, JsonValue]:
    """Return an item for programs; names, ids and counts only."""
    closing = item.closing
    return {
        "item": item.item_id,
        "cause": closing.cause,
        "purpose": closing.purpose or None,
        "recipient": closing.recipient or None,
        "handler": item.handler,
        "target": item.target or None,
        "state": item.state.value,
        "attempts": item.attempts,
        "planned": format_instant(closing.at),
        "next": format_instant(item.next_at) if item.state is WakeState.OPEN else None,
        "finished": None if item.finished_at is None else format_instant(item.finished_at),
        "problem": item.problem,
        "outcome": None if item.outcome is None else dict(item.outcome),
        "closing_entry": closing.entry_id,
        "entry": item.finished_entry,
    }
