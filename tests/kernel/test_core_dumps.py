"""A process that may hold keys leaves no core."""

import os
import subprocess
import sys

import pytest

from kernel.core_dumps import forbid_core_dumps
from kernel.errors import ConfigurationError

SAY = (
    "import ctypes, resource, kernel.core_dumps as c; c.forbid_core_dumps();"
    "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
)
"""PR_GET_DUMPABLE is 3."""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_memory_of_a_process_stays_its_own():
    """The limit is zero for good, and the process is not dumpable."""
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True)
    assert said.stdout == "(0, 0) 0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_system_that_refuses_is_told_of(monkeypatch):
    """Nothing goes on as if it were done."""

    class Refusing:
        @staticmethod
        def prctl(*_arguments: int) -> int:
            return -1

    monkeypatch.setattr("kernel.core_dumps.ctypes.CDLL", lambda _name, **_how: Refusing)
    monkeypatch.setattr("kernel.core_dumps.ctypes.get_errno", lambda: 1)
    with pytest.raises(ConfigurationError, match=os.strerror(1)):
        forbid_core_dumps()


def test_other_systems_have_the_limit_alone(monkeypatch):
    """Where there is no prctl, nothing is asked of it."""
    monkeypatch.setattr("kernel.core_dumps.sys.platform", "darwin")
    monkeypatch.setattr("kernel.core_dumps.ctypes.CDLL", None)
    forbid_core_dumps()
