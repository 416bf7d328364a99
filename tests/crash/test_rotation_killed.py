"""Kill -9 at numbered points of rotations: what is sealed opens, whoever is linked is found, and a start goes on."""

import os
import signal
from collections.abc import Iterable

import pytest

from consentry.workflows.rotate import key_status, resume_rotations, rotate_blind_index, rotate_data, rotate_keys
from tests.consentry.conftest import ADMIN
from tests.crash.faults import Fault, Injector
from tests.crash.ward import access, check_started, points, work_with
from vault.data_rotation import DataKeys


def end_epoch(_ward, platform, _notes) -> None:
    """End an epoch."""
    rotate_keys(platform, ADMIN)


def reseal(_ward, platform, _notes) -> None:
    """Give every data key a successor."""
    rotate_data(platform, ADMIN, DataKeys())


def index_anew(_ward, platform, _notes) -> None:
    """Give the index of source ids another key."""
    rotate_blind_index(platform, ADMIN, "source_subject")


def some(*numbers: int) -> Iterable[int]:
    """These points, of which an epoch has more than a thousand; each of the first thousand in `make nightly`."""
    return points(step=1) if os.environ.get("CONSENTRY_NIGHTLY") == "1" else numbers


@pytest.mark.parametrize(
    ("fault", "work", "tried"),
    [
        pytest.param(Fault.KILLED, end_epoch, some(9, 40, 75, 110, 600), id="epoch-killed"),
        pytest.param(Fault.TORN, end_epoch, some(44, 90), id="epoch-torn"),
        pytest.param(Fault.KILLED, reseal, some(15, 50, 85, 120), id="reseal-killed"),
        pytest.param(Fault.KILLED, index_anew, some(12, 45, 78, 111), id="index-killed"),
    ],
)
def test_killed_at_points_of_a_rotation(ward, notes, fault, work, tried):
    """After each kill the next process opens and finds as before, ends what was begun, and leaves one epoch."""
    codes = []
    for number in tried:
        codes.append(work_with(Injector(fault, number), ward, notes, work))
        assert codes[-1] in (0, -signal.SIGKILL), f"point {number}: exit {codes[-1]}"
        check_goes_on(ward, notes)
        if codes[-1] == 0:
            break
    assert codes[0] != 0, "there must be points to be killed at"
    check_started(ward, notes)


def check_goes_on(ward, notes) -> None:
    """Start, open and look up; go on with what was begun, and do it once more."""
    with ward.opened() as platform:
        for _ in range(2):
            access(ward, platform, notes)
            assert platform.resolver.find("app", "u-1") == ward.subject
            resume_rotations(platform, ADMIN)
        report = key_status(platform, ADMIN)
    assert len(report.epochs) == 1
    assert report.unfinished == []
