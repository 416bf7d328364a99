"""The command line, run in this process, on a copy of a fresh deployment."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from consentry.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an expected error."""
        assert self.err.startswith("consentry: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("consentry: ").rstrip("\n")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs one command line and says how it ended."""

    def run_command(*words: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run_command


@pytest.fixture
def home(deployment, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a fresh deployment; the settings come from nowhere else."""
    for name in ("CONSENTRY_HOME", "CONSENTRY_CONFIG", "CONSENTRY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return deployment.settings.home
