"""A ward of its own for each test: a copy of one that was made once."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.initialise import initialise
from kernel.clock import FixedClock
from tests.consentry.conftest import Captured
from tests.crash.ward import SEALED, STARTED, Notes, Ward


@pytest.fixture(scope="session")
def pristine_ward(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    """A patient with one sealed diagnosis, and a doctor."""
    settings = load_settings(home=tmp_path_factory.mktemp("ward") / "home", busy_timeout_ms=5_000)
    clock = FixedClock(STARTED)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    settings = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    return furnished(Ward(settings, None, None, clock))


def furnished(ward: Ward) -> Ward:
    """Register the patient and the doctor of a deployment, and store the diagnosis."""
    with open_platform(ward.settings, clock=ward.clock) as platform:
        captured = Captured(platform)
        subject = captured.person("u-1", "P02")
        at = (ward.clock.now() - timedelta(hours=1)).isoformat()
        captured.store([captured.posted("u-1", diagnosis=[SEALED]) | {"observed_at": at}])
        doctor, _ = captured.person_account("dr.wang", "clinician")
        platform.log.settle()
    return replace(ward, doctor=doctor, subject=subject)


@pytest.fixture
def ward(pristine_ward: Ward, tmp_path: Path) -> Ward:
    """The test's own copy."""
    home = tmp_path / "home"
    shutil.copytree(pristine_ward.settings.home, home)
    return replace(pristine_ward, settings=load_settings(**{**pristine_ward.settings.model_dump(), "home": home}))


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """What children tell."""
    return Notes(tmp_path / "notes")


@pytest.fixture
def refitted(ward: Ward) -> Callable[..., Ward]:
    """Changes settings of the ward."""
    return lambda **members: replace(ward, settings=load_settings(**{**ward.settings.model_dump(), **members}))
