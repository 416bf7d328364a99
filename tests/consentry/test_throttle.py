"""Bounds on failures and requests within one process."""

import pytest

from consentry import throttle
from consentry.throttle import Pace, TooManyRequests


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def taken(pace: Pace, caller: str = "a") -> int:
    """Takes requests until one is refused; returns how many passed."""
    for passed in range(1_000):
        try:
            pace.take(caller)
        except TooManyRequests:
            return passed
    raise AssertionError("nothing is ever refused")


def test_minutes_requests_pass_at_once_then_evenly(seconds):
    """Sixty a minute: sixty now, and one more each second."""
    pace = Pace(60, seconds=seconds)
    assert taken(pace) == 60
    seconds.now += 2.5
    assert taken(pace) == 2
    seconds.now += 1_000
    assert taken(pace) == 60


def test_refusal_says_when_to_come_back(seconds):
    """After that time exactly one request passes."""
    pace = Pace(6, seconds=seconds)
    taken(pace)
    with pytest.raises(TooManyRequests) as refused:
        pace.take("a")
    assert (refused.value.wait_seconds, refused.value.hint) == (10, "Send the request again in 10 s.")
    seconds.now += refused.value.wait_seconds
    assert taken(pace) == 1


def test_callers_do_not_wait_for_each_other(seconds):
    """Each has a bucket of its own."""
    pace = Pace(2, seconds=seconds)
    assert (taken(pace, "a"), taken(pace, "b")) == (2, 2)


def test_idle_callers_are_forgotten(seconds, monkeypatch):
    """Whoever has not called for a minute has a full bucket anyway; memory is bounded."""
    monkeypatch.setattr(throttle, "MAX_CALLERS", 10)
    pace = Pace(2, seconds=seconds)
    for number in range(10):
        taken(pace, f"old-{number}")
    seconds.now += 61
    assert taken(pace, "new") == 2
    assert set(pace._buckets) == {"new"}


def test_crowd_of_busy_callers_is_not_swept_at_every_call(seconds, monkeypatch):
    """Going through all of them is paid for by as many new ones, and idle ones are still dropped in the end."""
    monkeypatch.setattr(throttle, "MAX_CALLERS", 10)
    pace = Pace(2, seconds=seconds)
    kept = []
    for number in range(100):
        pace.take(f"busy-{number}")
        kept.append(pace._sweep_above)
    assert sorted(set(kept)) == [10, 22, 46, 94, 190]
    seconds.now += 61
    for number in range(91):
        pace.take(f"new-{number}")
    assert set(pace._buckets) == {f"new-{number}" for number in range(91)}
