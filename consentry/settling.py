"""What a server does beside answering: at short intervals, whether or not anybody asks."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from audit.lag import Lag
from kernel.errors import ConsentryError

INTERVAL_SECONDS: Final = 0.5
"""How long an entry may wait in the inbox of an idle server."""


class Background(ABC):
    """A thread that does one thing at short intervals.

    A failure does not end it: the next round tries again. The failure is logged, and ``problem`` holds its message
    until a round succeeds.
    """

    name: str = "background"
    complaint: str = "background.failed"

    def __init__(self, *, interval_seconds: float) -> None:
        self.problem: str | None = None
        self._interval = interval_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_ending(self) -> bool:
        """Whether the round under way is the last, and should be short."""
        return self._stop.is_set()

    @abstractmethod
    def work(self) -> None:
        """Do it once."""

    def work_once(self) -> None:
        """Do it once, and keep the message of a failure."""
        try:
            self.work()
        except ConsentryError as err:
            if self.problem is None:
                structlog.get_logger().error(self.complaint, problem=err.message)
            self.problem = err.message
        else:
            self.problem = None

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.work_once()


class Settles(Protocol):
    """The part of the audit log that the settler uses."""

    def lag(self) -> Lag:
        """Return what is committed and not yet under a signed checkpoint."""
        ...

    def settle(self) -> object:
        """Bring every committed entry under a signed checkpoint."""
        ...


class Settler(Background):
    """Brings committed log entries under a signed checkpoint; reads fail closed by themselves while it cannot."""

    name = "settler"
    complaint = "log.not_settled"

    def __init__(self, log: Settles, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        super().__init__(interval_seconds=interval_seconds)
        self._log = log

    def work(self) -> None:
        """Settle, and raise the alarm where entries had to wait for longer than a second."""
        lag = self._log.lag()
        if lag.is_alarming:
            seconds = round(lag.oldest.total_seconds(), 3)
            structlog.get_logger().error("log.lagging", entries=lag.entries, oldest_seconds=seconds)
        self._log.settle()
