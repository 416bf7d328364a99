"""The lag in spite of a clock that steps: bounded by what was seen before."""

from datetime import timedelta

import pytest

from audit.lag import Lag, LagWatch


class Looking:
    """Looks at a log of which only numbers are known, in real time that the test lets pass."""

    def __init__(self) -> None:
        self.elapsed = 100.0
        self._watch = LagWatch(lambda: self.elapsed)

    def at(self, signed: int, entries: int, *, told: float, after: float = 0.5) -> float:
        """Look again a while after; ``told`` is what the clock says, in seconds."""
        self.elapsed += after
        return self._watch.bounded(Lag(entries, timedelta(seconds=told), signed)).oldest.total_seconds()


@pytest.fixture
def looking() -> Looking:
    """Nothing was seen yet."""
    return Looking()


def test_first_look_believes_the_clock(looking):
    """There is nothing else to go by."""
    assert looking.at(5, 2, told=3.0) == 3.0


def test_step_forward_cries_no_alarm(looking):
    """All was signed half a second ago: whatever waits now has not waited for a day."""
    looking.at(5, 0, told=0)
    assert looking.at(5, 2, told=86_400.25) == 0.5
    assert looking.at(7, 1, told=86_400.25) == 0.5


def test_step_back_hides_no_alarm(looking):
    """What was there two looks ago and is still unsigned has waited since, whatever the clock says."""
    looking.at(5, 1, told=0)
    assert looking.at(5, 1, told=0) == 0.5
    assert looking.at(5, 4, told=0) == 1.0
    assert looking.at(6, 3, told=0) == 0.5


def test_nothing_waits_for_no_time(looking):
    """Whatever was seen."""
    looking.at(5, 3, told=1)
    assert looking.at(8, 0, told=0, after=90) == 0
    assert looking.at(8, 1, told=0.2, after=90) == 0.2
