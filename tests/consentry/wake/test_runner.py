"""The outbox is emptied beside a running server, within a bound, and at the end of commands."""

import time
from datetime import UTC, datetime

from consent.wake import Outcome, Tally, Wake
from consentry.platform import open_platform
from consentry.wake.runner import Waker, run_wake
from consentry.workflows.capture import withdraw_purpose
from kernel.clock import FixedClock
from kernel.errors import Unavailable

BOUND_SECONDS = 5.0
"""As docs/explanation/withdrawal.md states it for a deployment of this size: the interval and the work."""


def test_views_and_tags_are_cleared_within_the_bound(deployment, shelving, capturing) -> None:
    """R15: from the withdrawal's commit until no view row and no tag is left, with the server's runner on."""
    clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    with open_platform(deployment.settings, clock=clock) as platform:
        shelf = shelving(platform, capturing(platform))
        shelf.fill(20)
        subject = shelf.people[0]
        assert shelf.rows_of(subject) > 0
        with Waker(platform.wake):
            withdraw_purpose(platform, shelf.captured.caller, subject, "P07", recipient=None)
            committed = time.monotonic()
            while shelf.rows_of(subject) or shelf.tags_of(subject):
                assert time.monotonic() - committed < BOUND_SECONDS, "rows or tags are left after the stated bound"
                time.sleep(0.01)


def test_runner_goes_on_after_a_store_that_could_not_be_used(platform, shelf) -> None:
    """A failure shows in ``problem`` until a round succeeds."""

    class Broken(Wake):
        """Fails as long as it is told to."""

        fails = True

        def run_next(self, *, subject=None):
            if self.fails:
                raise Unavailable("The data store cannot be used")
            return super().run_next(subject=subject)

    wake = Broken((), platform.log, platform.clock, platform.data)
    waker = Waker(wake)
    waker.work_once()
    assert waker.problem == "The data store cannot be used"
    wake.fails = False
    waker.work_once()
    assert waker.problem is None


def test_runner_ends_between_two_items(platform, shelf) -> None:
    """A server that ends waits for one item and not for a hundred."""
    shelf.fill(2, builds=1)
    withdraw_purpose(platform, shelf.captured.caller, shelf.people[0], "P07", recipient=None)
    waker = Waker(platform.wake)

    class Ends:
        """Stands in for the views' handler: the server ends while it works."""

        name = "views"

        def targets(self, connection, closing):
            return ()

        def run(self, item) -> Outcome:
            waker._stop.set()
            return Outcome()

    waker._wake = Wake((Ends(),), platform.log, platform.clock, platform.data)
    waker.work()
    done, *left = (item.state.value for item in shelf.items(shelf.people[0]))
    assert done == "done"
    assert len(left) >= 2
    assert set(left) == {"open"}


def test_run_settles_what_it_logged(platform, shelf) -> None:
    """Entries of the wake are under a signed checkpoint when a run returns; an idle run does nothing."""
    assert run_wake(platform, 10) == Tally()
    shelf.fill(2, builds=1)
    withdraw_purpose(platform, shelf.captured.caller, shelf.people[0], "P07", recipient=None)
    assert run_wake(platform, 2) == Tally(done=2)
    before = platform.log.settle().size
    assert platform.log.settle().size == before
    assert len(shelf.entries("wake.done")) == 2
