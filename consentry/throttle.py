"""Bounds within one process: how often somebody may fail, by name and all together, and how often a caller may call."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from kernel.errors import Denied
from kernel.ports import Clock

WINDOW: Final = timedelta(minutes=1)
PER_NAME: Final = 10
ALL_TOGETHER: Final = 100
"""Failed sign-ins in a window; they also bound the entries that a flood leaves in the log."""


class TooManyAttempts(Denied):
    """Too many failed attempts in a short time; nothing was looked at."""


class Throttle:
    """Counts failures in a sliding window."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._failures: deque[tuple[datetime, str]] = deque()

    def check(self, name: str) -> None:
        """Raise ``TooManyAttempts`` when this name, or everybody together, has failed too often just now."""
        with self._mutex:
            self._forget()
            mine = sum(1 for _, failed in self._failures if failed == name)
            if mine >= PER_NAME or len(self._failures) >= ALL_TOGETHER:
                raise TooManyAttempts("Too many failed attempts", hint="Wait a minute, then try again.")

    def failed(self, name: str) -> None:
        """Count one failure."""
        with self._mutex:
            self._forget()
            self._failures.append((self._clock.now(), name))

    def _forget(self) -> None:
        oldest = self._clock.now() - WINDOW
        while self._failures and self._failures[0][0] <= oldest:
            self._failures.popleft()


class TooManyRequests(Denied):
    """A caller has used up its requests for now; nothing was looked at.

    Attributes:
        wait_seconds: after that many, one request passes again.
    """

    def __init__(self, wait_seconds: int) -> None:
        super().__init__("Too many requests", hint=f"Send the request again in {wait_seconds} s.")
        self.wait_seconds = wait_seconds


class Pace:
    """Token buckets, one a caller: a minute's requests at once, then evenly.

    Args:
        per_minute: requests of one caller.
        seconds: a clock that nobody sets; the pace is none of the deployment's time.
    """

    def __init__(self, per_minute: int, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._per_second = per_minute / 60
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._sweep_above = MAX_CALLERS

    def take(self, caller: str) -> None:
        """Take one request of a caller; raises ``TooManyRequests``, with the time to wait."""
        with self._mutex:
            now = self._seconds()
            left, since = self._buckets.get(caller, (self._size, now))
            left = min(self._size, left + (now - since) * self._per_second)
            passes = left >= 1
            self._buckets[caller] = (left - 1 if passes else left, now)
            self._forget_the_idle(now)
        if not passes:
            raise TooManyRequests(math.ceil((1 - left) / self._per_second))

    def _forget_the_idle(self, now: float) -> None:
        """Drop callers whose buckets are full again, once there are many.

        The next time is when those who are left have doubled: a crowd of busy callers is not gone through at each call.
        """
        if len(self._buckets) <= self._sweep_above:
            return
        full_before = now - WINDOW.total_seconds()
        self._buckets = {name: state for name, state in self._buckets.items() if state[1] > full_before}
        self._sweep_above = max(MAX_CALLERS, 2 * len(self._buckets))


MAX_CALLERS: Final = 10_000
"""Buckets that are kept before idle ones are dropped; each is some 200 bytes."""
