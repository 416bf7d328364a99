"""The turnstile serves its waiters in the order of their coming."""

import threading
import time

import pytest

from kernel.turnstile import Turnstile


def test_waiters_are_served_in_the_order_of_their_coming() -> None:
    """Threads that queued one after the other pass in that order."""
    turnstile, passed, threads = Turnstile(), [], []

    def go(number: int) -> None:
        with turnstile.turn(timeout_seconds=10):
            passed.append(number)

    with turnstile.turn(timeout_seconds=1):
        for number in range(8):
            thread = threading.Thread(target=go, args=(number,))
            thread.start()
            _until(lambda number=number: len(turnstile._waiting) == number + 1)
            threads.append(thread)
        assert passed == []
    for thread in threads:
        thread.join()
    assert passed == list(range(8))


def test_turn_that_does_not_come_in_time_is_given_up() -> None:
    """A waiter that gives up leaves the queue, and the next one is served."""
    turnstile = Turnstile()
    with turnstile.turn(timeout_seconds=1):
        with pytest.raises(TimeoutError), turnstile.turn(timeout_seconds=0.01):
            pass
        assert not turnstile._waiting
    with turnstile.turn(timeout_seconds=1):
        pass


def test_turn_is_passed_on_after_an_error() -> None:
    """An error inside the block does not keep the turn."""
    turnstile = Turnstile()
    with pytest.raises(ValueError, match="inside"), turnstile.turn(timeout_seconds=1):
        raise ValueError("inside")
    with turnstile.turn(timeout_seconds=0.1):
        pass


def test_turn_that_comes_in_the_last_instant_is_taken() -> None:
    """A ticket that was called between the time-out and the giving up still counts, and passes the turn on."""
    turnstile = Turnstile()
    ticket = turnstile._draw()
    assert ticket.is_set()
    assert turnstile._came_late(ticket)
    turnstile._pass_on()
    with turnstile.turn(timeout_seconds=0.1):
        pass


def _until(holds, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
