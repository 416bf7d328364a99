"""Servers and signers as operators run them: real commands, each ended by its own process id."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from consentry.platform import open_platform
from tests.crash.ward import SEALED, Notes, Ward

COMMAND = (sys.executable, "-c", "from consentry.cli import main; main()")
PATIENCE_SECONDS = 60.0


def start(*words: object, log: Path) -> subprocess.Popen:
    """Run a command in the background; what it says goes to a file."""
    with log.open("ab") as said:
        return subprocess.Popen([*COMMAND, *map(str, words)], cwd=log.parent, stdout=said, stderr=said)


def kill(process: subprocess.Popen) -> None:
    """End it without warning, and wait until it is gone."""
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


@dataclass
class Serving:
    """`consentry serve` for one ward, and a client with the doctor's token."""

    ward: Ward
    folder: Path
    bearer: str = ""
    process: subprocess.Popen | None = None
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        if not self.bearer:
            with open_platform(self.ward.settings, clock=self.ward.clock) as platform:
                self.bearer = platform.tokens.issue(self.ward.doctor.principal_id)
        self.client.base_url = f"http://127.0.0.1:{port}/v1"
        words = ("serve", "--home", self.ward.settings.home, "--port", port)
        self.process = start(*words, log=self.folder / "server.log")
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._listens():
            said = (self.folder / "server.log").read_text()
            assert self.process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.05)

    def _listens(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return bool(self.client.get("/health").status_code)
        return False

    def reveal(self) -> httpx.Response:
        """Ask to open the patient's diagnosis."""
        body = {"purpose": "P02", "fields": ["diagnosis"], "reason": "consultation"}
        headers = {"Authorization": f"Bearer {self.bearer}"}
        return self.client.post(f"/subjects/{self.ward.subject}/reveal", json=body, headers=headers)

    def opens(self, notes: Notes) -> None:
        """Open it, and tell so."""
        said = self.reveal()
        assert said.status_code == 200, said.text
        assert SEALED in said.text
        notes.tell("opened", said.json()["entry_id"], said.json()["log_index"])

    def refuses(self) -> str:
        """Ask, and be told 503 and what to do, without the value."""
        said = self.reveal()
        assert said.status_code == 503, said.text
        assert SEALED not in said.text
        detail: str = said.json()["detail"]
        return detail

    def decides(self) -> int:
        """Ask what may be opened, which is recorded and opens nothing; returns the status."""
        body = {"subject_id": self.ward.subject, "purpose": "P02", "fields": ["diagnosis"]}
        headers = {"Authorization": f"Bearer {self.bearer}"}
        return self.client.post("/decisions", json=body, headers=headers).status_code

    def kill(self) -> None:
        """End it without warning."""
        if self.process is not None and self.process.poll() is None:
            kill(self.process)


@contextlib.contextmanager
def serving(ward: Ward, folder: Path) -> Iterator[Serving]:
    """Run a server for the length of a with block."""
    server = Serving(ward, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.client.close()


@contextlib.contextmanager
def mounted(place: Path, size_kib: int) -> Iterator[Path]:
    """A small file system in memory; what works on it has ended before the block does.

    Raises:
        PermissionError: this account may not mount.
    """
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(place)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.decode())
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
