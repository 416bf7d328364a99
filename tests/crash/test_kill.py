"""Kill -9 at every numbered point of the writing path: nothing is opened without its entry, and a start finishes it."""

import contextlib

import pytest
from sqlalchemy import func, select

from audit.events import Act
from audit.tables import leaf
from consentry.workflows.reveal import NotPermitted
from tests.consentry.conftest import Captured
from tests.crash.faults import Fault, Injector
from tests.crash.ward import Notes, Ward, access, check_started, every_kill, ingestion, points, rest, work_with

LAST_TORN = 80
"""Beyond the last point at which an access leaves half of a commit."""


@pytest.mark.parametrize(
    ("fault", "work", "tried"),
    [
        pytest.param(Fault.KILLED, access, points(first=1, step=2), id="access-killed"),
        pytest.param(Fault.TORN, access, points(first=2, step=2), id="access-torn"),
        pytest.param(Fault.KILLED, ingestion, points(first=1, step=24), id="ingestion-killed"),
        pytest.param(Fault.TORN, ingestion, points(first=13, step=24), id="ingestion-torn"),
    ],
)
def test_killed_at_every_point(ward, notes, fault, work, tried):
    """Whatever was acknowledged stands under a signed checkpoint, once, and the next start needs no hand."""
    assert every_kill(lambda number: Injector(fault, number), ward, notes, work, points=tried) > 50


def test_killed_again_while_a_start_mends_what_the_first_kill_left(ward, notes):
    """A start that finds half a commit puts the store back; it can be killed at each of its own points, too."""
    torn = next(number for number in range(LAST_TORN, 0, -1) if leaves_work_for_a_start(number, ward, notes))
    for number in range(2, 1_000):
        assert work_with(Injector(Fault.TORN, torn), ward, notes, access) < 0
        if work_with(Injector(Fault.KILLED, number), ward, notes, rest, at_start=True) == 0:
            break
    assert number > 2
    check_started(ward, notes)


def leaves_work_for_a_start(number: int, ward: Ward, notes: Notes) -> bool:
    """Whether an access that is torn there leaves the next start something to do."""
    torn = work_with(Injector(Fault.TORN, number), ward, notes, access)
    return torn < 0 and work_with(Injector(Fault.KILLED, 1), ward, notes, rest, at_start=True) < 0


def test_use_is_never_counted_twice_or_given_back(ward, notes):
    """A consent for eight uses: kills use some of them up, and never are there more openings than uses."""
    with ward.opened() as platform:
        Captured(platform).grant("u-1", "P02", act_id="act-uses", max_uses=8)
    for _ in range(2):  # the first has more points than all that follow
        assert work_with(Injector(Fault.KILLED, 999), ward, notes, try_access) == 0
    last = int(notes.told("points")[-1][0])
    for number in (1, last // 4, *range(last, last - 14, -2), *([999] * 6)):
        work_with(Injector(Fault.KILLED, number), ward, notes, try_access)
    with ward.opened() as platform:
        with pytest.raises(NotPermitted):
            access(ward, platform, notes)
        with platform.data.read() as connection:
            permits = select(func.count()).where(leaf.c.act == Act.PERMIT.value)
            before = connection.scalar(permits.where(leaf.c.actor == ward.doctor.principal_id))
    assert before == 8
    assert 2 <= len(notes.told("opened")) < 8
    check_started(ward, notes)


def try_access(ward, platform, notes) -> None:
    """Open, unless every use is used up."""
    with contextlib.suppress(NotPermitted):
        access(ward, platform, notes)
