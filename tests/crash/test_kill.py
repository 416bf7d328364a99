"""Kill -9 at every numbered point of the writing path: nothing is opened without its entry, and a start finishes it."""

import pytest

from tests.crash.faults import Fault, Injector
from tests.crash.ward import access, check_started, every_kill, ingestion, rest, steps, work_with


@pytest.mark.parametrize(("work", "seldom"), [(access, 2), (ingestion, 12)], ids=["access", "ingestion"])
@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.TORN], ids=lambda fault: fault.name.lower())
def test_killed_at_every_point(ward, notes, work, seldom, fault):
    """Whatever was acknowledged stands under a signed checkpoint, once, and the next start needs no hand."""
    step = steps(often=1, seldom=seldom)
    assert every_kill(lambda number: Injector(fault, number), ward, notes, work, step=step) > 50


def test_killed_again_while_a_start_mends_what_the_first_kill_left(ward, notes):
    """A start that finds half a commit puts the store back; it can be killed at each of its own points, too."""
    for number in range(1, 1_000):
        assert work_with(Injector(Fault.TORN, 20), ward, notes, access) < 0
        if work_with(Injector(Fault.KILLED, number), ward, notes, rest, at_start=True) == 0:
            break
    assert number > 2
    check_started(ward, notes)
