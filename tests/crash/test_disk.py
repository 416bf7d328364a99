"""A full disk and a store that can only be read, on a real file system: 503 and a hint, and afterwards it goes on."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from consentry.settings import load_settings
from consentry.workflows.initialise import initialise
from kernel.clock import SystemClock
from kernel.errors import Unavailable
from tests.crash.conftest import furnished
from tests.crash.processes import Serving, mounted, serving
from tests.crash.ward import Ward, access, check_started


@dataclass
class SmallDisk:
    """A disk of its own with a ward on it."""

    place: Path

    def fill(self) -> None:
        """Leave no byte."""
        with (self.place / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        """Give the room back."""
        (self.place / "filler").unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Mount it for reading alone; nobody may have a file of it open for writing."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.place)], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(self.place)], check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """Sixteen megabytes in memory, where this account may mount."""
    place = tmp_path_factory.mktemp("small") / "disk"
    try:
        with mounted(place, 16_384) as found:
            yield SmallDisk(found)
    except PermissionError:
        pytest.skip("a file system cannot be mounted here; the faults of test_refused.py stand in for it")


@pytest.fixture(scope="module")
def server(disk: SmallDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose stores and signer's state lie on the small disk."""
    settings = load_settings(home=disk.place / "home")
    clock = SystemClock()
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    settings = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    ward = furnished(Ward(settings, None, None, clock))
    with serving(ward, tmp_path_factory.mktemp("said")) as running:
        yield running


def test_full_disk_opens_nothing_and_the_server_goes_on_with_room(server, disk, notes):
    """While it is full every access is a 503 that says so; with room again the same process opens."""
    server.opens(notes)
    disk.fill()
    for _ in range(3):
        assert "The disk is full; nothing was changed. Free space and try again." in server.refuses()
    assert server.client.get("/health").status_code == 200  # nothing waits for its signature
    disk.free()
    server.opens(notes)
    check_started(server.ward, notes)


def test_read_only_disk_is_said_and_opens_nothing(server, disk, notes):
    """No command and no server opens anything from it; mounted for writing again, the next start works."""
    server.kill()
    with disk.read_only():
        with pytest.raises(Unavailable, match="Read-only file system") as said, server.ward.opened() as platform:
            access(server.ward, platform, notes)
        assert said.value.hint
    server.start()
    server.opens(notes)
    check_started(server.ward, notes)
