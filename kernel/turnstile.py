"""A lock that serves its waiters in the order of their coming, so that a busy stream cannot starve anybody."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turnstile:
    """First come, first served; not re-entrant."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False

    @contextmanager
    def turn(self, *, timeout_seconds: float) -> Iterator[None]:
        """Wait for the turn, and hold it while the block runs.

        Raises:
            TimeoutError: the turn did not come in time.
        """
        ticket = self._draw()
        if not ticket.wait(timeout_seconds) and not self._came_late(ticket):
            raise TimeoutError
        try:
            yield
        finally:
            self._pass_on()

    def _draw(self) -> threading.Event:
        ticket = threading.Event()
        with self._mutex:
            if self._is_taken:
                self._waiting.append(ticket)
            else:
                self._is_taken = True
                ticket.set()
        return ticket

    def _came_late(self, ticket: threading.Event) -> bool:
        """Leave the queue; says whether the turn had come in the last instant after all."""
        with self._mutex:
            if ticket.is_set():
                return True
            self._waiting.remove(ticket)
            return False

    def _pass_on(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
