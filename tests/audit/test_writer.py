"""Writing together: who waits at the same time shares one commit and one signature."""

import signal
import threading
import time

import pytest
from sqlalchemy.event import listen
from sqlalchemy.exc import OperationalError

from audit.checkpoints import Checkpointer
from audit.events import Act, Event, Outcome
from audit.recovery import Recovery, check_reason, open_origin
from audit.signer import TreeSigner
from audit.signing import create_signing_key
from kernel.errors import BadInput, ConsentryError, IntegrityFailed, Unavailable
from kernel.ids import RequestId, SubjectId, new_id


def at_once(count, work):
    """Run the same work in many threads, and return what each returned or raised."""
    results = [None] * count

    def run(number):
        try:
            results[number] = work(number)
        except (ConsentryError, OperationalError) as err:
            results[number] = err

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_entry_is_under_the_checkpoint_that_comes_back(any_desk, subject):
    """Index, id and checkpoint fit together, and what waited in the inbox stands before it."""
    any_desk.fill(2)
    written = any_desk.log.write(any_desk.permit(subject))
    assert (written.index, written.checkpoint.size) == (2, 3)
    assert any_desk.rows("SELECT entry_id FROM audit_leaf WHERE leaf_index = 2") == [(written.entry_id,)]
    assert any_desk.rows("SELECT count(*) FROM audit_inbox") == [(0,)]


def test_thirty_two_writers_get_places_of_their_own(any_desk):
    """Nothing is lost, nothing stands twice, and everybody's entry is covered."""
    written = at_once(32, lambda number: [any_desk.log.write(any_desk.permit(counts={"n": number})) for _ in range(4)])
    entries = [one for group in written for one in group]
    assert sorted(one.index for one in entries) == list(range(128))
    assert all(one.index < one.checkpoint.size for one in entries)
    assert any_desk.log.settle().size == 128


def test_bad_event_fails_alone(desk):
    """One that cannot stand in the log takes nobody else with it."""

    def work(number):
        actor = "bad\n" if number == 3 else "prn_1"
        return desk.log.write(Event(Act.VIEW_READ, Outcome.DONE, actor, "operator", RequestId("req_1")))

    results = at_once(8, work)
    assert [number for number, one in enumerate(results) if isinstance(one, BadInput)] == [3]
    assert desk.log.settle().size == 7


def test_store_that_refuses_reaches_every_waiting_caller(desk, monkeypatch):
    """Nobody is told that an entry stands which does not."""

    def refuse(*_):
        raise OperationalError("COMMIT", {}, Exception("disk is full"))

    desk.log.settle()
    with monkeypatch.context() as patch:
        patch.setattr("audit.sequencer.append_entries", refuse)
        results = at_once(6, lambda _: desk.log.write(desk.permit()))
    assert all(isinstance(one, Unavailable) for one in results)
    assert desk.log.write(desk.permit()).index == 0


def test_signer_that_refuses_reaches_every_waiting_caller(desk):
    """An entry that is not signed for is not told to stand."""
    desk.log.settle()
    whole = desk.state_path.read_bytes()
    desk.state_path.write_bytes(b"damaged")
    results = at_once(6, lambda _: desk.log.write(desk.permit()))
    assert all(isinstance(one, IntegrityFailed) for one in results)
    desk.state_path.write_bytes(whole)
    desk.log.settle()


def test_lag_counts_what_has_no_checkpoint(desk, clock):
    """In the inbox or in the tree: what is not signed for lags."""
    from datetime import timedelta

    assert (desk.log.lag().entries, desk.log.lag().oldest) == (0, timedelta(0))
    desk.fill(2)
    clock.advance(timedelta(seconds=2))
    assert (desk.log.lag().entries, desk.log.lag().is_alarming) == (2, True)
    desk.sequencer.advance()
    desk.fill(1)
    assert (desk.log.lag().entries, desk.log.lag().oldest) == (3, timedelta(seconds=2))
    desk.log.settle()
    assert desk.log.lag().entries == 0


def recovery(desk, **members):
    given = {"actor": "prn_1", "role": "administrator", "request_id": RequestId("req_1"), "reason": "disk lost",
             "accepted_by": ("prn_1", "prn_2"), "origin_name": "audit.example/log#2", "last_known": None}  # fmt: skip
    return Recovery(**given | members)


def test_new_origin_begins_with_an_entry_that_commits_to_the_old_one(any_desk, tmp_path):
    """Its tree starts at 0; what was signed, what survived and the reason are in its first entry."""
    any_desk.fill(5)
    signed = any_desk.log.settle()
    any_desk.fill(2)
    with any_desk.database.write() as connection:
        entry_id = open_origin(connection, any_desk.journal, recovery(any_desk, last_known=signed))
    signer = TreeSigner(create_signing_key(tmp_path / "new.key", "audit.example/log#2"), tmp_path / "new.state")
    fresh = Checkpointer(any_desk.database, signer)
    assert fresh.sign_head().size == 1
    any_desk.sequencer.advance()
    assert (fresh.sign_head().size, fresh.sign_head().origin) == (3, "audit.example/log#2")
    ((body,),) = any_desk.rows("SELECT body FROM audit_leaf WHERE leaf_index = 5")
    import json

    told = json.loads(bytes(body))
    assert (told["id"], told["act"]) == (entry_id, "log.recovered")
    assert told["counts"] == {"previous_size": 5, "surviving_size": 5}
    assert told["refs"]["previous_root"] == told["refs"]["surviving_root"]
    assert told["refs"]["cosigned_by"] == "unwitnessed"
    with any_desk.database.read() as connection:
        details = any_desk.journal.read_details(connection, entry_id)
    assert check_reason(details, told["refs"]["reason_digest"])
    assert not check_reason(details | {"reason": "nothing happened"}, told["refs"]["reason_digest"])
    with pytest.raises(IntegrityFailed, match="another origin"):
        any_desk.log.settle()


def test_new_origin_needs_a_new_name(desk):
    """The old name's checkpoints would otherwise be forks."""
    desk.fill(1)
    signed = desk.log.settle()
    with pytest.raises(BadInput, match="new name"), desk.database.write() as connection:
        open_origin(connection, desk.journal, recovery(desk, last_known=signed, origin_name=signed.origin))


def test_subject_ids_never_reach_an_entry_that_was_written_alone(desk):
    """Aliases are made for entries of this way too."""
    subject = SubjectId(new_id("sub"))
    written = desk.log.write(desk.permit(subject))
    ((body,),) = desk.rows(f"SELECT body FROM audit_leaf WHERE leaf_index = {written.index}")
    assert subject.encode() not in bytes(body)


def test_who_was_served_together_is_waited_for(desk):
    """Callers in a closed loop share their rounds: far fewer commits than entries, and none left behind."""
    commits = []
    listen(desk.database.engine, "commit", commits.append)
    at_once(16, lambda _: [desk.log.write(desk.permit()) for _ in range(6)])
    assert desk.log.settle().size == 96
    assert len(commits) < 60


def test_nobody_waits_for_those_who_stay_away(desk):
    """After a crowd has gone, whoever comes alone waits a moment at most, and then not at all."""
    writer = desk.log._writer
    at_once(16, lambda _: desk.log.write(desk.permit()))
    writer._expected, writer._patience_seconds = 16, 0.2
    waited = []
    for _ in range(2):
        started = time.monotonic()
        desk.log.write(desk.permit())
        waited.append(time.monotonic() - started)
    assert waited[0] >= 0.2
    assert writer._expected == 1


def test_a_round_that_took_long_makes_nobody_wait_long(desk, hold_store, monkeypatch):
    """A lock or a slow signer is no reason to wait for others; after a failure nobody waits at all."""
    writer = desk.log._writer
    let_go = hold_store()
    thread, _ = write_in_thread(desk)
    time.sleep(0.3)
    let_go()
    thread.join(10)
    assert 0 < writer._patience_seconds <= 0.05

    def refuse(*_args):
        raise Unavailable("The signer does not answer", hint="Start it.")

    monkeypatch.setattr(desk.log.checkpointer, "sign_head", refuse)
    with pytest.raises(Unavailable):
        desk.log.write(desk.permit())
    assert writer._patience_seconds == 0


def test_a_leader_who_is_interrupted_while_it_waits_for_others_is_followed(desk):
    """It is not left in the queue as the leader of all who come later."""
    writer = desk.log._writer
    writer._expected, writer._patience_seconds = 9, 10.0
    interrupt_when(lambda: writer._gathering is not None)
    with pytest.raises(KeyboardInterrupt):
        desk.log.write(desk.permit())
    thread, told = write_in_thread(desk)
    thread.join(10)
    assert [written.index for written in told] == [0]


def eventually(is_so):
    """Wait until something is so."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def hold_store(desk):
    """Holds the store's write lock in a thread of its own; returns what lets it go."""
    ending = []

    def hold():
        going, held = threading.Event(), desk.database._turnstile
        before = len(held._waiting) + held._is_taken

        def run():
            with desk.database.write():
                going.wait(10)

        thread = threading.Thread(target=run)
        thread.start()
        ending.append((going, thread))
        eventually(lambda: len(held._waiting) + held._is_taken > before)
        return going.set

    yield hold
    for going, thread in ending:
        going.set()
        thread.join(10)


def write_in_thread(desk):
    """Start one caller, and return its thread and what it will have been told."""
    told = []
    thread = threading.Thread(target=lambda: told.append(desk.log.write(desk.permit())))
    thread.start()
    return thread, told


def interrupt_when(is_so):
    """Interrupt the main thread as the keyboard does, once something is so."""

    def run():
        eventually(is_so)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=run).start()


def test_who_is_interrupted_in_the_queue_leaves_it(desk, hold_store):
    """Whoever waited behind leads in its stead; nothing is written for the one who left."""
    queue = desk.log._writer._queue
    let_go = hold_store()
    others = [write_in_thread(desk)]
    eventually(lambda: desk.log._writer._is_led and not queue)

    def join_behind():
        eventually(lambda: len(queue) == 1)
        others.append(write_in_thread(desk))

    threading.Thread(target=join_behind).start()
    interrupt_when(lambda: len(queue) == 2)
    with pytest.raises(KeyboardInterrupt):
        desk.log.write(desk.permit())
    let_go()
    for thread, told in others:
        thread.join(10)
        assert len(told) == 1
    assert desk.log.settle().size == 2


def test_who_is_interrupted_in_a_round_wakes_the_next(desk, hold_store):
    """Its entry is written with the others', and those who were to be woken after it are woken."""
    queue = desk.log._writer._queue
    let_go = hold_store()
    others = [write_in_thread(desk)]
    eventually(lambda: desk.log._writer._is_led and not queue)
    let_go_again = hold_store()
    others.append(write_in_thread(desk))
    eventually(lambda: len(queue) == 1)

    def join_behind():
        eventually(lambda: len(queue) == 2)
        others.append(write_in_thread(desk))
        eventually(lambda: len(queue) == 3)
        let_go()
        eventually(lambda: not queue)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        let_go_again()

    threading.Thread(target=join_behind).start()
    with pytest.raises(KeyboardInterrupt):
        desk.log.write(desk.permit())
    for thread, told in others:
        thread.join(10)
        assert len(told) == 1
    assert desk.log.settle().size == 4
