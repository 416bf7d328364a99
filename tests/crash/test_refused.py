"""Calls that fail at every numbered point: a full disk, a broken one, an answer that is lost; the process lives on."""

import errno
import os

import pytest

from consentry.platform import Platform
from kernel.errors import Unavailable
from tests.crash.faults import Fault, Injector
from tests.crash.ward import Notes, Ward, Work, access, check_started, in_child, ingestion, points, send_again


def try_at_every_point(injector: Injector, ward: Ward, notes: Notes, work: Work, tried: range) -> None:
    """In a child: work with the fault at each point in turn, and once more after each without it."""
    injector.install()
    with ward.opened() as platform:
        platform.log.settle()
        for injector.number in tried:
            seen = try_once(injector, ward, platform, notes, work)
            send_again(platform, notes)
            work(ward, platform, notes)
            if seen < injector.number:
                notes.tell("end", injector.number)
                return


def try_once(injector: Injector, ward: Ward, platform: Platform, notes: Notes, work: Work) -> int:
    """Work with the fault; any failure but one that is answered by 503 ends the child. Returns the points seen."""
    injector.arm()
    try:
        work(ward, platform, notes)
    except Unavailable as err:
        notes.tell("refused", injector.number, err.hint)
    finally:
        injector.mend()
    return injector.seen


@pytest.mark.parametrize("work", [access, ingestion], ids=lambda work: work.__name__)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault.FULL, errno.ENOSPC, id="full"),
        pytest.param(Fault.READ_ONLY, errno.EROFS, id="read-only"),
        pytest.param(Fault.REFUSED, errno.ENOSPC, id="refused"),
        pytest.param(Fault.REFUSED, errno.EIO, id="broken"),
        pytest.param(Fault.LOST, errno.EIO, id="lost"),
    ],
)
def test_call_that_fails_opens_nothing_and_the_same_process_goes_on(ward, notes, work, fault, error):
    """Each failure is a 503 with a hint; without the fault the same process works; the log is whole, nothing twice."""
    tried = points(step=5 if work is access else 34)
    code = in_child(lambda: try_at_every_point(Injector(fault, 0, error), ward, notes, work, tried))
    assert code == os.EX_OK
    ((end,),) = notes.told("end")
    assert int(end) > 50
    refused = notes.told("refused")
    assert len(refused) > int(end) / tried.step / 2
    assert all(hint for _, *hint in refused)
    check_started(ward, notes)
