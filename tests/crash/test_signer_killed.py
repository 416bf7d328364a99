"""The signer as its own process is killed, or the server, or both: nothing opens meanwhile, all works afterwards."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from audit.rotation import load_tree_signer
from audit.signer_service import serve_signer
from audit.signing import create_signing_key
from consentry.settings import load_settings
from consentry.workflows.initialise import initialise
from kernel.clock import FixedClock, SystemClock
from kernel.errors import Unavailable
from kernel.ports import Clock
from tests.crash.conftest import furnished
from tests.crash.faults import Fault, Injector
from tests.crash.processes import kill, serving, start
from tests.crash.ward import FORK, STARTED, Ward, access, check_started, every_kill, points


class Signer:
    """A signer in a child process, with or without a fault; started again by the next call."""

    def __init__(self, folder: Path) -> None:
        self.key, self.state, self.socket = folder / "key", folder / "state", folder / "s"
        self._child = None

    def start(self, injector: Injector | None = None) -> None:
        """Start it; a fault counts from its first request on."""
        is_ready = FORK.Event()

        def work() -> None:
            if injector is not None:
                injector.install()
            with serve_signer(load_tree_signer(self.key, self.state), self.socket) as server:
                if injector is not None:
                    injector.arm()
                is_ready.set()
                server.serve_forever()

        self._child = FORK.Process(target=work)
        self._child.start()
        assert is_ready.wait(30)

    def wait_killed(self) -> None:
        """Wait for its own end."""
        assert self._child is not None
        self._child.join(30)
        assert self._child.exitcode == -signal.SIGKILL

    def kill(self) -> None:
        """End it without warning."""
        if self._child is not None:
            self._child.kill()
            self._child.join(30)


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    """A running signer with a fresh key."""
    (tmp_path / "signer").mkdir()
    made = Signer(tmp_path / "signer")
    create_signing_key(made.key, "hospital.example/log")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def outfitted(tmp_path: Path) -> Callable[[Path, Clock], Ward]:
    """Makes a ward whose heads are signed behind a socket."""

    def make(path: Path, clock: Clock) -> Ward:
        settings = load_settings(home=tmp_path / "home", busy_timeout_ms=5_000, signer_socket=path)
        made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
        settings = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
        return furnished(Ward(settings, None, None, clock))

    return make


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.TORN], ids=lambda fault: fault.name.lower())
def test_signer_killed_at_every_point(outfitted, signer, notes, fault):
    """Before it writes, flushes or answers: nothing opens; once it is back, the same platform opens again."""
    ward = outfitted(signer.socket, FixedClock(STARTED))
    with ward.opened() as platform:
        for number in range(1, 100):
            platform.log.settle()
            signer.kill()
            signer.start(Injector(fault, number))
            if can_open(ward, platform, notes):
                break
            signer.wait_killed()
            with pytest.raises(Unavailable, match="signer does not answer"):
                access(ward, platform, notes)
            signer.start()
            access(ward, platform, notes)
    assert number > 5
    assert len(notes.told("opened")) == number
    signer.kill()
    signer.start()
    check_started(ward, notes)


def test_server_killed_at_every_point_beside_a_signer_that_lives(outfitted, signer, notes):
    """The signer knows more than anybody was told, never less than the log."""
    ward = outfitted(signer.socket, FixedClock(STARTED))
    tried = points(step=10)
    assert every_kill(lambda number: Injector(Fault.KILLED, number), ward, notes, access, points=tried) > 50


def test_both_killed_at_once(outfitted, signer, notes):
    """The server dies in the middle of its commit or of a request, the signer with it; both start by themselves."""
    ward = outfitted(signer.socket, FixedClock(STARTED))

    def make(number: int) -> Injector:
        signer.kill()
        signer.start()
        return Injector(Fault.TORN, number)

    assert every_kill(make, ward, notes, access, points=points(first=5, step=12)) > 50


def test_signer_killed_under_a_server(outfitted, signer, notes, tmp_path):
    """Over HTTP: 503 with what to do while it is down, 200 when it is back, without a restart of the server."""
    ward = outfitted(signer.socket, SystemClock())
    signer.kill()
    words = ("audit", "signer", "--key", signer.key, "--state", signer.state, "--socket", signer.socket)
    running = start(*words, log=tmp_path / "signer.log")
    wait_for(signer.socket)
    with serving(ward, tmp_path) as server:
        server.opens(notes)
        kill(running)
        detail = server.refuses()
        assert "The signer does not answer" in detail
        assert "Nothing was opened" in detail
        assert server.decides() == 200
        running = start(*words, log=tmp_path / "signer.log")
        wait_for(signer.socket)
        server.opens(notes)
        streams = [threading.Thread(target=stream, args=(server, notes)) for _ in range(3)]
        for one in streams:
            one.start()
        until = time.monotonic() + 30
        while len(notes.told("opened")) < 6 and time.monotonic() < until:
            time.sleep(0.01)
        kill(running)
        server.kill()
        for one in streams:
            one.join(30)
    signer.start()
    assert len(notes.told("opened")) >= 6
    check_started(replace(ward, clock=SystemClock()), notes)


def can_open(ward, platform, notes) -> bool:
    """Try to open."""
    try:
        access(ward, platform, notes)
    except Unavailable:
        return False
    return True


def wait_for(path: Path) -> None:
    """Wait until somebody listens on a socket."""
    until = time.monotonic() + 30
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(str(path))
                return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)


def stream(server, notes) -> None:
    """Open until the server is gone."""
    with contextlib.suppress(httpx.TransportError):
        while True:
            said = server.reveal()
            if said.status_code == 200:
                notes.tell("opened", said.json()["entry_id"], said.json()["log_index"])
