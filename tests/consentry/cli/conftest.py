"""The command line, run in this process, on a copy of a fresh deployment."""

import contextlib
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consentry.cli import main
from consentry.demo.files import SourceFiles, write_source_files
from consentry.demo.people import Person
from kernel.pack import builtin_pack_path, load_pack


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an expected error; before it stands nothing but what the service logs, with its time."""
        *logged, said = self.err.splitlines()
        assert all(re.match(r"\d{4}-\d{2}-\d{2} ", line) for line in logged), self.err
        assert said.startswith("consentry: "), self.err
        return said.removeprefix("consentry: ")


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


@dataclass(frozen=True)
class Clinic:
    """A made-up operator whose files were taken in and whose views and tags were made."""

    home: Path
    sources: Path
    files: SourceFiles
    passwords: dict[str, str]

    def subject(self, run: Callable[..., Ended], person: Person, *, source: str = "app") -> str:
        """The subject id behind a person of the app or the shop."""
        known_as = person.app_id if source == "app" else person.shop_id
        return run("subject", "find", "--source", source, "--id", known_as, "--home", self.home).out.strip()

    def token(self, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, name: str = "dr.lin") -> str:
        """Sign a person in with the password on standard input."""
        monkeypatch.setattr(sys, "stdin", io.StringIO(self.passwords[name] + "\n"))
        return run("account", "token", name, "--password-stdin", "--home", self.home).out.strip()


def quietly(*words: object) -> str:
    """Run a command that must succeed, outside any test; returns what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0, words
    return printed.getvalue()


@pytest.fixture(scope="session")
def stocked_clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """A clinic with 60 people; tests work on copies."""
    folder = tmp_path_factory.mktemp("clinic")
    pack = builtin_pack_path("medical")
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    files = write_source_files(load_pack(pack), folder / "sources", subjects=60, seed=7, today=today)
    home = folder / "home"
    accounts = json.loads(quietly("init", "--home", home, "--json"))["accounts"]
    for words in (
        ["ingest", "consents", files.consents],
        ["ingest", "fhir", files.hospital],
        ["ingest", "table", files.orders, "--map", files.order_map],
        ["ingest", "events", files.events, "--map", pack / "maps" / "tracker.yaml"],
        ["view", "build"],
        ["tags", "run"],
    ):
        quietly(*words, "--home", home)
    return Clinic(home, folder / "sources", files, {name: one["password"] for name, one in accounts.items()})


@pytest.fixture
def clinic(stocked_clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """A copy of that clinic."""
    for name in ("CONSENTRY_HOME", "CONSENTRY_CONFIG", "CONSENTRY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(stocked_clinic.home, tmp_path / "home")
    return replace(stocked_clinic, home=tmp_path / "home")
