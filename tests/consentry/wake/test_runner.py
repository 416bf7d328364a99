"""The outbox is emptied beside a running server, within a bound, and at the end of commands."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from consent.wake import Closing, Outcome, Tally, Wake
from consentry.platform import open_platform
from consentry.wake.runner import Teller, Waker, run_wake, run_wake_of
from consentry.workflows.capture import withdraw_purpose
from kernel.clock import FixedClock
from kernel.errors import Unavailable
from kernel.ids import EntryId

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

        def run_next(self, **asked):
            if self.fails:
                raise Unavailable("The data store cannot be used")
            return super().run_next(**asked)

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


class Hook:
    """Stands in for the webhooks' handler: one target, which answers when it is let."""

    name = "webhooks"

    def __init__(self) -> None:
        self.begun, self.answers = threading.Event(), threading.Event()

    def targets(self, connection, closing):
        return ("wht_1",)

    def run(self, item) -> Outcome:
        self.begun.set()
        assert self.answers.wait(30)
        raise TimeoutError


class Ours:
    """Stands in for the vault's handler."""

    name = "vault"

    def __init__(self) -> None:
        self.did = []

    def targets(self, connection, closing):
        return ("",)

    def run(self, item) -> Outcome:
        self.did.append(item.closing.subject)
        return Outcome()


def close_for(platform, wake, subjects) -> None:
    at = platform.clock.now()
    with platform.data.write() as connection:
        for subject in subjects:
            wake.plan(connection, [Closing(subject, "withdraw", "P07", "", None, EntryId("ent_1"), at)])


def test_a_silent_receiver_holds_up_nothing_of_ours(platform, captured) -> None:
    """R15: while a webhook is not answered at all, twelve people's erasures end within the stated bound."""
    hook, ours = Hook(), Ours()
    wake = Wake((hook, ours), platform.log, platform.clock, platform.data)
    people = [captured.person(f"p-{number}") for number in range(12)]
    close_for(platform, wake, people)
    try:
        with Teller(wake), Waker(wake):
            assert hook.begun.wait(BOUND_SECONDS)
            began = time.monotonic()
            while len(ours.did) < len(people):
                assert time.monotonic() - began < BOUND_SECONDS, "our own work waits for a receiver"
                time.sleep(0.01)
            assert not hook.answers.is_set()
            hook.answers.set()
    finally:
        hook.answers.set()


def test_commands_tell_others_last(platform, captured) -> None:
    """An older webhook of the same person does not use up the seconds of a command before our own work is done."""
    order = []

    class Noted(Ours):
        def __init__(self, name) -> None:
            self.name = name

        def run(self, item) -> Outcome:
            order.append(self.name)
            return Outcome()

    hook = Noted("webhooks")
    subject = captured.person("p-1")
    close_for(platform, Wake((hook,), platform.log, platform.clock, platform.data), [subject])
    platform.clock.advance(timedelta(minutes=1))
    wake = Wake((hook, Noted("vault")), platform.log, platform.clock, platform.data)
    close_for(platform, wake, [subject])
    assert run_wake_of(replace(platform, wake=wake), subject) == Tally(done=3)
    assert order == ["vault", "webhooks", "webhooks"]
