"""Brings committed log entries under a signed checkpoint while a server runs, whether or not anybody reads."""

import threading
from types import TracebackType
from typing import Final, Self

import structlog

from audit.log import AuditLog
from kernel.errors import ConsentryError

INTERVAL_SECONDS: Final = 0.5
"""How long an entry may wait in the inbox of an idle server."""


class Settler:
    """A thread that settles the log at short intervals.

    A failure does not end it: reads fail closed by themselves, and the next round tries again. The failure is logged,
    and ``problem`` holds its message until a round succeeds.
    """

    def __init__(self, log: AuditLog, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self.problem: str | None = None
        self._log = log
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def settle_once(self) -> None:
        """Settle, and keep the message of a failure."""
        try:
            self._log.settle()
        except ConsentryError as err:
            if self.problem is None:
                structlog.get_logger().error("log.not_settled", problem=err.message)
            self.problem = err.message
        else:
            self.problem = None

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.settle_once()
