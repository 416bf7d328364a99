"""The outbox: planned with the act, leased to one process, tried again, dead in the end, told of in the log."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from consent.asking import Asking
from consent.tables import wake_item
from consent.wake import (
    LEASE,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    NARROW,
    Closing,
    Hopeless,
    NotNow,
    Outcome,
    Tally,
    TargetFailed,
    Wake,
    WakeItem,
    WakeState,
    delay_after,
)
from kernel.database import Database, open_database
from kernel.errors import Conflict, NotFound, Unavailable
from kernel.ids import EntryId, RequestId, SubjectId

ASKING = Asking("prn_test", "compliance_officer", RequestId("req_test"))


@dataclass
class Bell:
    """A handler that notes what it was called for."""

    name: str = "bell"
    at: tuple[str, ...] = ("",)
    act: Callable[[WakeItem], Outcome] = field(default=lambda _item: Outcome(counts={"rung": 1}, refs={"bell": "b1"}))
    called: list[WakeItem] = field(default_factory=list)

    def targets(self, connection: Connection, closing: Closing) -> Sequence[str]:
        return self.at

    def run(self, item: WakeItem) -> Outcome:
        self.called.append(item)
        return self.act(item)


def wake_of(office, *handlers: Bell, **more: object) -> Wake:
    return Wake(handlers, office.journal, office.clock, office.database, **more)


def closing(office, subject: SubjectId, **changes: object) -> Closing:
    facts: dict[str, object] = {
        "cause": "withdraw",
        "purpose": "P08",
        "recipient": "",
        "decision_id": "dec_1",
        "entry_id": EntryId("ent_closing"),
        "at": office.clock.now(),
    }
    return Closing(subject=subject, **(facts | changes))


def plan(office, wake: Wake, *closings: Closing) -> None:
    with office.database.write() as connection:
        wake.plan(connection, closings)


def items(office, wake: Wake, subject: SubjectId) -> list[WakeItem]:
    with office.database.read() as connection:
        return wake.of_subject(connection, subject)


def fail(_item: WakeItem) -> Outcome:
    raise Unavailable("The target does not answer")


def test_items_stand_or_fall_with_the_transaction_of_the_act(either_office) -> None:
    """R15: what a closing sets in motion is there exactly when the closing is."""
    office, bell = either_office, Bell(at=("a", "b"))
    subject, wake = office.subject(), wake_of(office, bell)

    def plan_and_fail() -> None:
        with office.database.write() as connection:
            wake.plan(connection, [closing(office, subject)])
            raise Unavailable("The disk is full")

    with pytest.raises(Unavailable):
        plan_and_fail()
    assert items(office, wake, subject) == []
    plan(office, wake, closing(office, subject))
    planned = items(office, wake, subject)
    assert [(item.handler, item.target, item.state) for item in planned] == [
        ("bell", "a", WakeState.OPEN),
        ("bell", "b", WakeState.OPEN),
    ]


def test_done_item_is_marked_with_its_entry(either_office) -> None:
    """The entry names closing, handler, target, decision and counts; the item names the entry."""
    office, bell = either_office, Bell(at=("view_1",))
    subject, wake = office.subject(), wake_of(office, bell)
    plan(office, wake, closing(office, subject, recipient="lab"))
    assert wake.run_due(10) == Tally(done=1)
    (item,) = items(office, wake, subject)
    (entry,) = [entry for entry in office.entries() if entry["act"] == "wake.done"]
    assert entry["id"] == item.finished_entry
    assert entry["refs"] == {
        "bell": "b1",
        "cause": "withdraw",
        "closing": "ent_closing",
        "handler": "bell",
        "item": item.item_id,
        "result": "done",
        "target": "view_1",
    }
    assert (entry["counts"], entry["basis"], entry["purpose"], entry["recipient"]) == (
        {"rung": 1},
        "dec_1",
        "P08",
        "lab",
    )
    assert item.outcome == {"result": "done", "counts": {"rung": 1}, "refs": {"bell": "b1"}}
    assert (item.state, item.leased_until, item.attempts) == (WakeState.DONE, None, 1)
    assert wake.run_due(10) == Tally()


def test_failed_item_waits_ever_longer_and_dies_after_eight_attempts(office) -> None:
    """Backoff is exponential and bounded; the last failure leaves an entry with the error's name."""
    bell = Bell(act=fail)
    subject, wake = office.subject(), wake_of(office, bell)
    plan(office, wake, closing(office, subject))
    waits = []
    for attempt in range(1, MAX_ATTEMPTS):
        assert wake.run_due(10) == Tally(again=1)
        (item,) = items(office, wake, subject)
        assert (item.state, item.problem, item.attempts) == (WakeState.OPEN, "Unavailable", attempt)
        waits.append(item.next_at - office.clock.now())
        office.clock.advance(waits[-1] - timedelta(seconds=1))
        assert wake.run_due(10) == Tally()
        office.clock.advance(timedelta(seconds=1))
    assert waits == [delay_after(attempt) for attempt in range(1, MAX_ATTEMPTS)]
    assert waits[0] == timedelta(seconds=5)
    assert all(after >= before for before, after in itertools.pairwise(waits))
    assert sum(waits, timedelta()) < timedelta(days=2)
    assert wake.run_due(10) == Tally(dead=1)
    (item,) = items(office, wake, subject)
    (entry,) = [entry for entry in office.entries() if entry["act"] == "wake.dead"]
    assert (item.state, item.attempts, item.finished_entry) == (WakeState.DEAD, MAX_ATTEMPTS, entry["id"])
    assert (entry["outcome"], entry["reason"]) == ("failed", "Unavailable")
    office.clock.advance(timedelta(days=30))
    assert wake.run_due(10) == Tally()


def test_dead_item_is_tried_again_when_an_officer_says_so(office) -> None:
    """A retry leaves an entry by whoever ordered it, and gives all attempts back."""
    bell = Bell(act=fail)
    subject, wake = office.subject(), wake_of(office, bell)
    plan(office, wake, closing(office, subject))
    for _ in range(MAX_ATTEMPTS):
        wake.run_due(1)
        office.clock.advance(timedelta(hours=11))
    (dead,) = items(office, wake, subject)
    again = wake.retry(dead.item_id, ASKING)
    assert (again.state, again.attempts, again.finished_entry) == (WakeState.OPEN, 0, None)
    (entry,) = [entry for entry in office.entries() if entry["act"] == "wake.retried"]
    assert (entry["actor"], entry["refs"]["item"]) == (ASKING.actor, dead.item_id)
    bell.act = lambda _item: Outcome()
    assert wake.run_due(10) == Tally(done=1)
    with pytest.raises(Conflict, match="is done"):
        wake.retry(dead.item_id, ASKING)
    with pytest.raises(NotFound):
        wake.retry("wk_unknown", ASKING)


def test_defect_in_one_handler_does_not_hold_up_the_others(office) -> None:
    """An error that nobody foresaw is that item's problem alone, told by its type and not by its message."""

    def break_down(_item: WakeItem) -> Outcome:
        raise ValueError("13912345678")

    broken, bell = Bell("broken", act=break_down), Bell()
    subject, wake = office.subject(), wake_of(office, broken, bell)
    plan(office, wake, closing(office, subject))
    assert wake.run_due(10) == Tally(done=1, again=1)
    assert [item.problem for item in items(office, wake, subject)] == ["ValueError", None]


def test_item_of_a_handler_that_is_gone_is_not_lost(office) -> None:
    """It fails, by name, until the handler is back or an officer looks."""
    subject = office.subject()
    plan(office, wake_of(office, Bell("old")), closing(office, subject))
    wake = wake_of(office, Bell("new"))
    assert wake.run_due(10) == Tally(again=1)
    assert items(office, wake, subject)[0].problem == "ConfigurationError"


def test_killed_attempt_is_taken_up_again_when_its_lease_is_over(either_office) -> None:
    """Whatever ends a process in the middle, the item is there and is begun anew after the lease, not before."""
    office, bell = either_office, Bell()

    def die(point: str) -> None:
        if point == "handled":
            raise KeyboardInterrupt

    subject = office.subject()
    plan(office, wake_of(office, bell), closing(office, subject))
    with pytest.raises(KeyboardInterrupt):
        wake_of(office, bell, at=die).run_due(1)
    wake = wake_of(office, bell)
    office.clock.advance(LEASE - timedelta(seconds=1))
    assert wake.run_due(1) == Tally()
    office.clock.advance(timedelta(seconds=1))
    assert wake.run_due(1) == Tally(done=1)
    assert [item.attempts for item in bell.called] == [1, 2]


def test_item_whose_every_attempt_is_killed_dies(office) -> None:
    """A handler that takes its process down with it does not do so for ever."""

    def die(_item: WakeItem) -> Outcome:
        raise KeyboardInterrupt

    bell = Bell(act=die)
    subject, wake = office.subject(), wake_of(office, bell)
    plan(office, wake, closing(office, subject))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            wake.run_due(1)
        office.clock.advance(LEASE)
    assert wake.run_due(1) == Tally(dead=1)
    (item,) = items(office, wake, subject)
    assert (item.problem, item.attempts, len(bell.called)) == ("LeaseLapsed", MAX_ATTEMPTS, MAX_ATTEMPTS)


@pytest.mark.parametrize("fails", [False, True])
def test_whoever_lost_the_lease_marks_nothing(either_office, *, fails: bool) -> None:
    """An attempt that took too long, and was taken over, changes nothing any more: one entry tells of one end."""
    office, other = either_office, Bell()

    def be_overtaken(item: WakeItem) -> Outcome:
        office.clock.advance(LEASE)
        assert wake_of(office, other).run_due(1) == Tally(done=1)
        return fail(item) if fails else Outcome(counts={"late": 1})

    subject, wake = office.subject(), wake_of(office, Bell(act=be_overtaken))
    plan(office, wake, closing(office, subject))
    wake.run_due(1)
    (item,) = items(office, wake, subject)
    assert (item.state, item.outcome) == (WakeState.DONE, Outcome(counts={"rung": 1}, refs={"bell": "b1"}).as_json())
    assert sum(entry["act"] == "wake.done" for entry in office.entries()) == 1


def test_processes_side_by_side_never_take_the_same_item(either_office) -> None:
    """Four runners with connections of their own empty one outbox; every item is worked on once."""
    office, bell, count = either_office, Bell(), 24
    subjects = [office.subject() for _ in range(count)]
    plan(office, wake_of(office, bell), *(closing(office, subject) for subject in subjects))
    url = office.database.engine.url.render_as_string(hide_password=False)
    stores: list[Database] = [open_database(url, label="data store") for _ in range(4)]
    started = threading.Barrier(len(stores))

    def run(store: Database) -> None:
        wake = Wake([bell], office.journal, office.clock, store)
        started.wait()
        while wake.run_next() is not None:
            pass

    threads = [threading.Thread(target=run, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.dispose()
    assert sorted(item.closing.subject for item in bell.called) == sorted(subjects)
    with office.database.read() as connection:
        assert wake_of(office).counts(connection)[WakeState.DONE] == count


def test_what_a_wider_closing_of_the_same_act_covers_is_planned_once(office) -> None:
    """Withdrawing a purpose altogether reaches every recipient by one item; another purpose has its own."""
    one, two = office.subject(), office.subject()
    wake = wake_of(office, Bell())
    named = [closing(office, one, recipient=name) for name in ("lab", "", "lab")]
    plan(office, wake, *named, closing(office, one, purpose="P09", recipient="lab"), closing(office, two))
    reached = [(item.closing.purpose, item.closing.recipient) for item in items(office, wake, one)]
    assert reached == [("P08", ""), ("P09", "lab")]
    assert len(items(office, wake, two)) == 1
    plan(office, wake, closing(office, two, purpose="P09"), closing(office, two, purpose="", cause="restrict"))
    assert [item.closing.purpose for item in items(office, wake, two)] == ["P08", ""]


def test_run_of_one_subject_leaves_the_others(office) -> None:
    """A command works on its own subject; the counts and the oldest age tell of all."""
    one, two = office.subject(), office.subject()
    wake = wake_of(office, Bell(at=("a", "b")))
    with office.database.read() as connection:
        assert wake.oldest_open(connection) is None
    plan(office, wake, closing(office, one), closing(office, two))
    office.clock.advance(timedelta(minutes=3))
    assert wake.run_due(10, subject=two) == Tally(done=2)
    assert wake.run_due(1, subject=two) == Tally()
    with office.database.read() as connection:
        assert wake.counts(connection) == {
            WakeState.OPEN: 2,
            WakeState.SENDING: 0,
            WakeState.DONE: 2,
            WakeState.DEAD: 0,
        }
        assert wake.oldest_open(connection) == timedelta(minutes=3)


def test_limit_bounds_a_round(office) -> None:
    """A round of two begins two."""
    wake = wake_of(office, Bell(at=("a", "b", "c")))
    plan(office, wake, closing(office, office.subject()))
    assert wake.run_due(2) == Tally(done=2)
    with office.database.read() as connection:
        assert connection.scalar(select(func.count()).where(wake_item.c.state == "open")) == 1


def test_what_only_narrows_covers_no_withdrawal(office) -> None:
    """A withdrawal for one recipient keeps its own item beside a narrower grant for everybody; not the reverse."""
    one = office.subject()
    wake = wake_of(office, Bell())
    plan(office, wake, closing(office, one, cause=NARROW), closing(office, one, recipient="lab"))
    assert [item.closing.cause for item in items(office, wake, one)] == [NARROW, "withdraw"]
    two = office.subject()
    plan(office, wake, closing(office, two, cause=NARROW, recipient="lab"), closing(office, two))
    assert [item.closing.cause for item in items(office, wake, two)] == ["withdraw"]


def refuse(error: Exception) -> Callable[[WakeItem], Outcome]:
    def run(_item: WakeItem) -> Outcome:
        raise error

    return run


class Held(NotNow):
    """Waits for the test."""


def test_what_waits_counts_no_attempt_and_goes_on_when_it_is_roused(either_office) -> None:
    """It is looked at again after a while or when told so; its age is no backlog; others of the subject stay put."""
    office, bell, other = either_office, Bell(act=refuse(Held("Not yet"))), Bell("other", act=fail)
    subject, wake = office.subject(), wake_of(office, bell, other)
    plan(office, wake, closing(office, subject))
    for _ in range(MAX_ATTEMPTS + 1):
        assert wake.run_next(subject=subject, only=frozenset({"bell"})) is not None
        (item, _other) = items(office, wake, subject)
        assert (item.state, item.attempts, item.problem) == (WakeState.OPEN, 0, "waits: Held")
        assert item.next_at == office.clock.now() + Held.after
        office.clock.advance(Held.after)
    bell.act = lambda _item: Outcome()
    office.clock.advance(-Held.after)
    assert wake.run_due(10) == Tally(again=1)
    with office.database.read() as connection:
        assert wake.oldest_open(connection) == office.clock.now() - item.closing.at
    with office.database.write() as connection:
        wake.rouse(connection, subject)
    assert wake.run_due(10) == Tally(done=1)
    assert [one.state for one in items(office, wake, subject)] == [WakeState.DONE, WakeState.OPEN]


def test_what_only_waits_is_no_backlog(office) -> None:
    """The oldest age is that of what is due, tried again or being done."""
    bell = Bell(act=refuse(Held("Not yet")))
    wake = wake_of(office, bell)
    plan(office, wake, closing(office, office.subject()))
    wake.run_due(1)
    office.clock.advance(timedelta(minutes=3))
    with office.database.read() as connection:
        assert wake.oldest_open(connection) is None


def test_what_cannot_succeed_is_dead_at_once(office) -> None:
    """One attempt, one dead letter with its entry, which an officer can have tried again."""
    bell = Bell(act=refuse(Hopeless("Nobody is there")))
    subject, wake = office.subject(), wake_of(office, bell)
    plan(office, wake, closing(office, subject))
    assert wake.run_due(10) == Tally(dead=1)
    (entry,) = [entry for entry in office.entries() if entry["act"] == "wake.dead"]
    (item,) = items(office, wake, subject)
    assert (item.attempts, item.finished_entry, entry["reason"]) == (1, entry["id"], "Hopeless")
    bell.act = lambda _item: Outcome()
    wake.retry(item.item_id, ASKING)
    assert wake.run_due(10) == Tally(done=1)


@pytest.mark.parametrize(("error", "paused"), [(TargetFailed("Silent"), True), (Unavailable("Full"), False)])
def test_a_target_that_fails_is_paused_for_others_too(either_office, error, *, paused: bool) -> None:
    """One slow target costs one attempt and not one for each person; other targets and handlers are not paused."""
    office, other = either_office, Bell("other", at=("a",))
    bell = Bell(at=("a", "a/1", "b", "ab"), act=refuse(error))
    wake = wake_of(office, bell, other)
    first, second = office.subject(), office.subject()
    plan(office, wake, closing(office, first), closing(office, second))
    wake.run_next(only=frozenset({"bell"}))
    wait = office.clock.now() + delay_after(1)
    due = {(one.handler, one.target): one.next_at for one in items(office, wake, second)}
    assert [due["bell", target] == wait for target in ("a", "a/1")] == [paused, paused]
    assert {due["bell", "b"], due["bell", "ab"], due["other", "a"]} == {office.clock.now()}
    assert all(one.attempts == 0 for one in items(office, wake, second))


def test_a_pause_is_bounded_and_never_shortens_a_wait(office) -> None:
    """A target that comes back is found within five minutes by what is new; what waits longer goes on waiting."""
    bell = Bell(at=("a",), act=refuse(TargetFailed("Silent")))
    wake = wake_of(office, bell)
    old, new = office.subject(), office.subject()
    plan(office, wake, closing(office, old))
    for attempt in range(1, 6):
        wake.run_due(1)
        office.clock.advance(delay_after(attempt))
    plan(office, wake, closing(office, new))
    assert wake.run_due(1, subject=old) == Tally(again=1)
    assert items(office, wake, new)[0].next_at == office.clock.now() + LONGEST_PAUSE
    office.clock.advance(LONGEST_PAUSE)
    before = items(office, wake, old)[0].next_at
    assert wake.run_due(10) == Tally(again=1)
    assert items(office, wake, old)[0].next_at == before > office.clock.now()


def test_failing_targets_cost_a_working_one_an_attempt_each(office) -> None:
    """The bound of docs/explanation/withdrawal.md: whoever is told waits for one attempt of each target that fails."""
    seconds = timedelta(seconds=60)
    told = []

    def post(item: WakeItem) -> Outcome:
        if item.target == "works":
            told.append(office.clock.now())
            return Outcome()
        office.clock.advance(seconds)
        raise TargetFailed("Silent")

    slow = wake_of(office, Bell(at=("slow_1", "slow_2", "slow_3"), act=post))
    wake = wake_of(office, Bell(at=("works",), act=post))
    plan(office, slow, *(closing(office, office.subject()) for _ in range(20)))
    for _ in range(30):
        wake.run_due(7)
        planned = office.clock.now()
        plan(office, wake, closing(office, office.subject()))
        while wake.run_next() is not None and (not told or told[-1] < planned):
            pass
        assert told[-1] - planned <= 3 * seconds


@pytest.mark.parametrize("error", [Held("Not yet"), Hopeless("Nobody"), TargetFailed("Silent")])
def test_whoever_lost_the_lease_puts_nothing_back(office, error) -> None:
    """Whatever an overtaken attempt says, the item is as the other one left it."""

    def be_overtaken(_item: WakeItem) -> Outcome:
        office.clock.advance(LEASE)
        assert wake_of(office, Bell()).run_due(1) == Tally(done=1)
        raise error

    subject, wake = office.subject(), wake_of(office, Bell(act=be_overtaken))
    plan(office, wake, closing(office, subject))
    wake.run_due(1)
    assert items(office, wake, subject)[0].state is WakeState.DONE


def test_parts_of_the_outbox_are_worked_on_apart(office) -> None:
    """Who works on some handlers leaves the others' items, and the reverse; together they leave none."""
    wake = wake_of(office, Bell("ours"), Bell("theirs"))
    plan(office, wake, closing(office, office.subject()))
    theirs = frozenset({"theirs"})
    assert wake.run_next(but=theirs).handler == "ours"
    assert wake.run_next(but=theirs) is None
    assert wake.run_next(only=theirs).handler == "theirs"
    assert wake.run_next() is None
