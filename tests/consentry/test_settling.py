"""The settler brings entries under a checkpoint and says when it cannot."""

import time
from datetime import timedelta

from structlog.testing import capture_logs

from audit.lag import Lag
from consentry.settling import Settler
from kernel.errors import Unavailable


class _Log:
    """Stands in for the log: fails as long as it is told to."""

    def __init__(self) -> None:
        self.fails = True
        self.rounds = 0
        self.waited = timedelta(0)

    def lag(self) -> Lag:
        """Say how long entries have waited."""
        return Lag(3, self.waited)

    def settle(self) -> None:
        """Count the round, or fail."""
        self.rounds += 1
        if self.fails:
            raise Unavailable("The data store cannot be used")


def test_problem_is_kept_until_a_round_succeeds() -> None:
    """A failing store shows, and goes away by itself."""
    log = _Log()
    settler = Settler(log)  # type: ignore[arg-type]  # a hand-written fake
    settler.work_once()
    assert settler.problem == "The data store cannot be used"
    log.fails = False
    settler.work_once()
    assert settler.problem is None


def test_thread_goes_on_after_a_failure_and_ends_with_the_block() -> None:
    """Rounds follow each other, failing or not, and none comes after the end."""
    log = _Log()
    with Settler(log, interval_seconds=0.001):  # type: ignore[arg-type]  # a hand-written fake
        deadline = time.monotonic() + 5
        while log.rounds < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        log.fails = False
    ended = log.rounds
    assert ended >= 3
    time.sleep(0.02)
    assert log.rounds == ended


def test_lag_above_a_second_is_an_alarm() -> None:
    """Entries that wait for longer than a second are told of; up to a second is daily life."""
    log = _Log()
    log.fails = False
    settler = Settler(log)  # type: ignore[arg-type]  # a hand-written fake
    with capture_logs() as told:
        log.waited = timedelta(seconds=1)
        settler.work_once()
        log.waited = timedelta(seconds=1, milliseconds=1)
        settler.work_once()
    assert [(one["event"], one["entries"], one["oldest_seconds"]) for one in told] == [("log.lagging", 3, 1.001)]
