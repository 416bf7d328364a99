"""What surrounds a remote custodian: each question ends in time, and its answer is held for a stated time only."""

import threading
import time
from datetime import timedelta

import pytest

from kernel.errors import IntegrityFailed
from vault.custodian import CustodianUnavailable, KeyfileCustodian, RootKeyWrong, wrapped_surely
from vault.custodians.either import EitherCustodian
from vault.custodians.held import HeldKeys
from vault.custodians.patience import Patience, TryAgain

KEY = bytes(range(32))


class Counting:
    """A key file that counts questions, waits when told, and refuses once its consent is withdrawn."""

    name = "counting"

    def __init__(self, path) -> None:
        self.inner = KeyfileCustodian.create(path)
        self.asked = 0
        self.revoked = False
        self.gate = threading.Event()
        self.gate.set()
        self.destroyed = []
        self.closed = False

    def wrap(self, key, context):
        return self.inner.wrap(key, context)

    def unwrap(self, blob, context):
        self.asked += 1
        self.gate.wait(10)
        if self.revoked:
            raise CustodianUnavailable("revoked")
        return self.inner.unwrap(blob, context)

    def destroy(self, context, *, keep=None):
        self.destroyed.append((context, keep))

    def close(self):
        self.closed = True


@pytest.fixture
def counting(tmp_path):
    return Counting(tmp_path / "root.key")


@pytest.fixture
def held(counting, clock):
    keys = HeldKeys(counting, clock, seconds=60)
    yield keys
    keys.close()


# patience


def test_an_answer_comes_through():
    """What is asked in another thread comes back, value or error."""
    patience = Patience("far", 5_000)
    assert patience.ask(lambda: 7) == 7
    with pytest.raises(IntegrityFailed, match="no"):
        patience.ask(lambda: (_ for _ in ()).throw(IntegrityFailed("no")))


def test_a_question_that_hangs_ends_in_time():
    """Whoever asks is told within the bound, and by name."""
    never = threading.Event()
    begun = time.monotonic()
    with pytest.raises(CustodianUnavailable, match="far did not answer within 100 ms"):
        Patience("far", 100).ask(never.wait)
    assert time.monotonic() - begun < 5
    never.set()


def test_with_four_questions_hanging_nobody_is_asked_any_more():
    """A dead peer does not eat a thread for each request."""
    never = threading.Event()
    patience = Patience("far", 100)
    for _ in range(4):
        with pytest.raises(CustodianUnavailable):
            patience.ask(never.wait)
    asked = []
    with pytest.raises(CustodianUnavailable, match="4 earlier questions"):
        patience.ask(lambda: asked.append(1))
    assert asked == []
    never.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert patience.ask(lambda: 1) == 1
            break
        except CustodianUnavailable:
            time.sleep(0.01)
    else:
        pytest.fail("the places were not given back")


def test_a_failure_that_passes_is_tried_again():
    """Throttled once, answered then."""
    tries = []

    def question():
        tries.append(1)
        if len(tries) == 1:
            raise TryAgain("throttled")
        return "done"

    assert Patience("far", 10_000).ask(question) == "done"


def test_a_failure_that_lasts_is_told_within_the_bound():
    """Tries end before the time does, and the last cause is named."""

    def question():
        raise TryAgain("status 500")

    begun = time.monotonic()
    with pytest.raises(CustodianUnavailable, match="far fails: status 500"):
        Patience("far", 250).ask(question)
    assert time.monotonic() - begun < 5


# holding


def test_a_held_key_is_not_asked_for_again(counting, held):
    """Thousands of records cost one question."""
    blob = held.wrap(KEY, b"e1")
    assert [held.unwrap(blob, b"e1") for _ in range(1_000)] == [KEY] * 1_000
    assert counting.asked == 1
    assert held.name == "counting"


def test_nothing_opens_a_minute_after_the_custodian_has_withdrawn_its_consent(counting, held, clock):
    """The bound is counted from the question, by the clock."""
    blob = held.wrap(KEY, b"e1")
    held.unwrap(blob, b"e1")
    counting.revoked = True
    clock.advance(timedelta(seconds=59))
    assert held.unwrap(blob, b"e1") == KEY
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CustodianUnavailable):
        held.unwrap(blob, b"e1")


def test_a_clock_that_goes_back_does_not_lengthen_the_hold(counting, held, clock):
    """Whichever way the clock moves, a key is not held for longer."""
    blob = held.wrap(KEY, b"e1")
    held.unwrap(blob, b"e1")
    clock.advance(timedelta(seconds=-1))
    held.unwrap(blob, b"e1")
    assert counting.asked == 2


def test_the_bound_is_also_kept_by_real_time(counting, clock):
    """What nobody asks for any more does not lie in memory."""
    keys = HeldKeys(counting, clock, seconds=0.1)
    blob = keys.wrap(KEY, b"e1")
    keys.unwrap(blob, b"e1")
    deadline = time.monotonic() + 10
    while keys._kept and time.monotonic() < deadline:
        time.sleep(0.02)
    assert keys._kept == {}
    keys.close()


def test_a_key_in_use_is_asked_for_again_beside_the_work(counting, clock):
    """Nobody who works waits for the custodian, and a failure leaves the first bound."""
    keys = HeldKeys(counting, clock, seconds=0.2)
    blob = keys.wrap(KEY, b"e1")
    keys.unwrap(blob, b"e1")
    keys.unwrap(blob, b"e1")
    deadline = time.monotonic() + 10
    while counting.asked < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    counting.revoked = True
    assert keys.unwrap(blob, b"e1") == KEY
    while keys._kept and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counting.asked == 3
    with pytest.raises(CustodianUnavailable):
        keys.unwrap(blob, b"e1")
    keys.close()


def test_holding_can_be_switched_off(counting, clock):
    """With 0 seconds each use asks."""
    keys = HeldKeys(counting, clock, seconds=0)
    blob = keys.wrap(KEY, b"e1")
    assert keys.unwrap(blob, b"e1") == keys.unwrap(blob, b"e1") == KEY
    assert counting.asked == 2


def test_the_end_of_an_epoch_drops_its_key_and_no_other(counting, held):
    """Its key is out of memory before the custodian destroys what wrapped it."""
    first, second = held.wrap(KEY, b"e1"), held.wrap(KEY, b"e2")
    held.unwrap(first, b"e1")
    held.unwrap(second, b"e2")
    held.destroy(b"e1", keep=b"x")
    assert counting.destroyed == [(b"e1", b"x")]
    held.unwrap(second, b"e2")
    assert counting.asked == 2
    held.unwrap(first, b"e1")
    assert counting.asked == 3


def test_closing_drops_every_key(counting, held):
    """Nothing is left in memory, and the custodian is closed as well."""
    blob = held.wrap(KEY, b"e1")
    held.unwrap(blob, b"e1")
    held.close()
    assert held._kept == {}
    assert counting.closed


@pytest.mark.parametrize("revoked", [False, True])
def test_who_asks_at_the_same_time_shares_one_answer(counting, held, revoked):
    """Also a failure: with a dead custodian nobody waits for those before him."""
    blob = held.wrap(KEY, b"e1")
    counting.gate.clear()
    counting.revoked = revoked
    got = []

    def ask():
        try:
            got.append(held.unwrap(blob, b"e1"))
        except CustodianUnavailable:
            got.append(None)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while not counting.asked and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    counting.gate.set()
    for thread in threads:
        thread.join()
    assert got == [None if revoked else KEY] * 8
    assert counting.asked == 1


# two at once, and what is believed


def test_either_custodian_reads_what_each_has_wrapped(tmp_path):
    """While epoch keys move, both are read and the first one wraps."""
    old, new = (KeyfileCustodian.create(tmp_path / name) for name in ("old", "new"))
    either = EitherCustodian(new, old)
    assert either.unwrap(old.wrap(KEY, b"e1"), b"e1") == KEY
    assert new.unwrap(either.wrap(KEY, b"e1"), b"e1") == KEY
    assert either.name == new.name
    third = KeyfileCustodian.create(tmp_path / "third")
    with pytest.raises(RootKeyWrong):
        either.unwrap(third.wrap(KEY, b"e1"), b"e1")


def test_either_custodian_destroys_and_closes_both(tmp_path):
    """Neither keeps what the end of an epoch destroys."""
    one, two = Counting(tmp_path / "one"), Counting(tmp_path / "two")
    either = EitherCustodian(one, two)
    either.destroy(b"e1", keep=b"x")
    either.close()
    assert one.destroyed == two.destroyed == [(b"e1", b"x")]
    assert one.closed
    assert two.closed


class Lying(Counting):
    """Gives back another key than it was given."""

    def unwrap(self, blob, context):
        return bytes(32)


def test_a_key_that_does_not_come_back_is_not_used(tmp_path):
    """What the custodian cannot give back must not become an epoch."""
    lying, dead = Lying(tmp_path / "lying"), Counting(tmp_path / "dead")
    with pytest.raises(IntegrityFailed, match="does not give back"):
        wrapped_surely(lying, KEY, b"e1", keep=b"x")
    assert lying.destroyed == [(b"e1", b"x")]
    dead.revoked = True
    with pytest.raises(CustodianUnavailable):
        wrapped_surely(dead, KEY, b"e1")
    assert dead.destroyed == [(b"e1", None)]
