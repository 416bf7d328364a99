"""Bounds how often somebody may fail: by name, and all together, within one process."""

import threading
from collections import deque
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
