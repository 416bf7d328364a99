"""Empties the outbox, beside a running server and at the end of commands; our own work waits for nobody outside."""

import time
from typing import Final

from consent.wake import Tally, Wake, WakeItem
from consentry.platform import Platform
from consentry.settling import Background
from consentry.wake.webhooks import WebhooksHandler
from kernel.ids import SubjectId

OUTSIDE: Final = frozenset({WebhooksHandler.name})
"""The handlers that wait for somebody outside; nothing of ours waits for them."""

INTERVAL_SECONDS: Final = 0.5
"""How long an item may wait on an idle server before somebody looks."""

ROUND_ITEMS: Final = 100
COMMAND_SECONDS: Final = 5.0
"""No item is begun after this at the end of a command; what is left is the server's."""


def run_wake(platform: Platform, limit: int) -> Tally:
    """Work on what is due, at most ``limit`` items; what it logged is settled.

    Raises:
        Unavailable: the data store or the log cannot be used.
    """
    tally = Tally()
    while tally.total < limit and (ended := _run_next(platform.wake)) is not None:
        tally = tally.plus(ended.state)
    if tally.total:
        platform.log.settle()
    return tally


def run_wake_of(platform: Platform, subject: SubjectId, *, seconds: float = COMMAND_SECONDS) -> Tally:
    """Work on what is due for one subject, and begin nothing more after so many seconds."""
    tally, deadline = Tally(), time.monotonic() + seconds
    while time.monotonic() < deadline and (ended := _run_next(platform.wake, subject)) is not None:
        tally = tally.plus(ended.state)
    return tally


def run_own_wake(platform: Platform, *, seconds: float = COMMAND_SECONDS) -> Tally:
    """Work on what is due and needs nobody outside, and begin nothing more after so many seconds."""
    tally, deadline = Tally(), time.monotonic() + seconds
    while time.monotonic() < deadline and (ended := platform.wake.run_next(but=OUTSIDE)) is not None:
        tally = tally.plus(ended.state)
    return tally


class Waker(Background):
    """Runs our own part of the outbox beside a server: whatever needs nobody outside."""

    name = "waker"
    complaint = "wake.not_run"

    def __init__(self, wake: Wake, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._wake = wake

    def work(self) -> None:
        """Work on what is due, oldest first, and stop between two items when the server ends."""
        for _ in range(ROUND_ITEMS):
            if self.is_ending or self.run_next() is None:
                return

    def run_next(self) -> WakeItem | None:
        """Work on one item."""
        return self._wake.run_next(but=OUTSIDE)


class Teller(Waker):
    """Runs the other part, in a thread of its own: what somebody outside is told."""

    name = "teller"
    complaint = "wake.not_told"

    def run_next(self) -> WakeItem | None:
        """Tell one receiver."""
        return self._wake.run_next(only=OUTSIDE)


def _run_next(wake: Wake, subject: SubjectId | None = None) -> WakeItem | None:
    """Work on one item; on what somebody outside is told when nothing else is due."""
    return wake.run_next(subject=subject, but=OUTSIDE) or wake.run_next(subject=subject, only=OUTSIDE)
