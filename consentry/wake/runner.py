"""Empties the outbox: beside a running server, and at the end of commands that close something."""

import time
from typing import Final

from consent.wake import Tally, Wake
from consentry.platform import Platform
from consentry.settling import Background
from kernel.ids import SubjectId

INTERVAL_SECONDS: Final = 0.5
"""How long an item may wait on an idle server before somebody looks."""

ROUND_ITEMS: Final = 100
COMMAND_SECONDS: Final = 5.0
"""No item is begun after this at the end of a command; what is left is the server's."""


def run_wake(platform: Platform, limit: int) -> Tally:
    """Work on what is due, oldest first, at most ``limit`` items; what it logged is settled.

    Raises:
        Unavailable: the data store or the log cannot be used.
    """
    tally = platform.wake.run_due(limit)
    if tally.total:
        platform.log.settle()
    return tally


def run_wake_of(platform: Platform, subject: SubjectId, *, seconds: float = COMMAND_SECONDS) -> Tally:
    """Work on what is due for one subject, and begin nothing more after so many seconds."""
    tally, deadline = Tally(), time.monotonic() + seconds
    while time.monotonic() < deadline and (ended := platform.wake.run_next(subject=subject)) is not None:
        tally = tally.plus(ended.state)
    return tally


class Waker(Background):
    """Runs the outbox of a deployment beside its server."""

    name = "waker"
    complaint = "wake.not_run"

    def __init__(self, wake: Wake, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._wake = wake

    def work(self) -> None:
        """Work on what is due, and stop between two items when the server ends."""
        for _ in range(ROUND_ITEMS):
            if self.is_ending or self._wake.run_next() is None:
                return
