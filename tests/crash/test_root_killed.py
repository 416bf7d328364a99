"""Kill -9 while epoch keys move under another root key: both roots read everything at each point, and it goes on."""

import pytest

from consentry.custody import create_root_file
from consentry.platform import open_platform
from consentry.settings import load_custody
from consentry.workflows.rewrap_root import rewrap_root_key
from tests.consentry.conftest import ADMIN
from tests.crash.faults import Fault, Injector
from tests.crash.ward import access, every_kill, points
from vault.custodian import RootKeyWrong


@pytest.mark.parametrize(
    ("fault", "tried"), [(Fault.KILLED, points(first=3, step=90)), (Fault.TORN, points(first=60, step=900))]
)
def test_root_change_that_is_killed_goes_on(ward, notes, refitted, tmp_path, *, fault, tried):
    """After every kill the next start opens the patient's record; in the end the new root alone does."""
    other = tmp_path / "other.toml"
    other.write_text('root_key_file = "new.key"\n')
    moved = load_custody(other, ward.settings)
    create_root_file(moved, moved.root_key_path)
    both = refitted(custodian_also_file=other)

    def work(ward, platform, notes):
        rewrap_root_key(platform, ADMIN, to=other)
        access(ward, platform, notes)

    assert every_kill(lambda number: Injector(fault, number), both, notes, work, points=tried) > 50
    with open_platform(moved, clock=ward.clock) as platform:
        access(ward, platform, notes)
    with pytest.raises(RootKeyWrong), open_platform(ward.settings, clock=ward.clock):
        pass
