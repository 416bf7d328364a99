"""Killed at every point of a withdrawal and its wake: nothing is lost, what was acknowledged is not sent twice.

A child process withdraws and empties the outbox; it is killed without warning at the first point, then, with another
person, at the second, and so on, until it comes to the end. Points are those that the wake marks, every commit of a
write, and every file that is put in place.
"""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

import consentry.platform
from consent.wake import LEASE, Closing, Outcome, WakeItem, WakeState
from consentry.platform import open_platform
from consentry.principals import Principal
from consentry.settings import Settings
from consentry.wake.runner import run_wake
from consentry.wake.tags import TagsHandler
from consentry.wake.views import ViewsHandler
from consentry.workflows.capture import withdraw_purpose
from kernel.clock import FixedClock
from kernel.ids import SubjectId

FORK = get_context("fork")
STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Postbox:
    """A recipient that acknowledges, and that can be asked whether it has: each delivery is a file, and a line."""

    folder: Path

    @property
    def name(self) -> str:
        return "postbox"

    def targets(self, connection: Connection, closing: Closing) -> tuple[str, ...]:
        return ("one",)

    def run(self, item: WakeItem) -> Outcome:
        place = self.folder / f"{item.closing.subject}-{item.target}"
        if place.exists():
            return Outcome("acknowledged_before")
        with place.open("a") as letters:
            letters.write(f"{item.item_id}\n")
        return Outcome()

    def letters(self, subject: SubjectId) -> list[int]:
        """How many letters each target has got for one subject."""
        return [len(place.read_text().splitlines()) for place in sorted(self.folder.glob(f"{subject}-*"))]


@dataclass(frozen=True)
class Scene:
    """A deployment, who acts, and where the letters go."""

    settings: Settings
    caller: Principal
    postbox: Postbox


@pytest.fixture
def posting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Postbox:
    """A postbox beside the handlers of what is derived, on every platform that is opened from now on."""
    (tmp_path / "letters").mkdir()
    postbox = Postbox(tmp_path / "letters")
    handlers = lambda parts: (ViewsHandler(parts), TagsHandler(parts), postbox)  # noqa: E731 - once
    monkeypatch.setattr(consentry.platform, "handlers_of", handlers)
    return postbox


def hour(number: int) -> datetime:
    """The time of the n-th kill; the log's time never runs backwards."""
    return STARTED + timedelta(hours=number)


def killed_at(number: int, scene: Scene, subject: SubjectId, *, everywhere: bool) -> None:
    """In a child process: withdraw and empty the outbox, and die at the n-th point."""
    seen = 0

    def point(_name: str = "") -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit(connection: Connection) -> None:
        if connection.get_execution_options().get("consentry_write"):
            point()

    put = Path.replace

    def replace(self: Path, target: Path) -> Path:
        point()
        return put(self, target)

    with open_platform(scene.settings, clock=FixedClock(hour(number)), at=point) as platform:
        if everywhere:
            event.listen(Engine, "commit", commit)
            Path.replace = replace  # type: ignore[method-assign]  # the child has no other use of it
        withdraw_purpose(platform, scene.caller, subject, "P07", recipient=None)
        run_wake(platform, 100)


def kill(number: int, scene: Scene, subject: SubjectId, *, everywhere: bool) -> bool:
    """Run the child; says whether it came to the n-th point."""
    child = FORK.Process(target=killed_at, args=(number, scene, subject), kwargs={"everywhere": everywhere})
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def check_recovered(number: int, scene: Scene, subject: SubjectId, shelving: Callable) -> int:
    """Open the deployment again when the lease is over, empty the outbox, and look; returns how many items."""
    with open_platform(scene.settings, clock=FixedClock(hour(number) + LEASE)) as platform:
        shelf = shelving(platform, None)
        run_wake(platform, 100)
        items = shelf.items(subject)
        with platform.data.read() as connection:
            made = platform.registry.history(connection, subject)
        if [one.act.value for one in made if one.purpose == "P07"] == ["grant"]:
            assert items == []
            assert scene.postbox.letters(subject) == []
            assert shelf.rows_of(subject) > 0
            return 0
        assert {item.state for item in items} == {WakeState.DONE}
        handled = sorted((item.handler, item.target) for item in items)
        assert handled == [
            ("postbox", "one"),
            ("tags", ""),
            ("views", "event_rows"),
            ("views", "subject_profile"),
        ]
        assert scene.postbox.letters(subject) == [1]
        assert (shelf.rows_of(subject), shelf.tags_of(subject)) == (0, 0)
        told = [entry["refs"]["item"] for entry in shelf.entries("wake.done")]
        assert sorted(i for i in told if i in {item.item_id for item in items}) == sorted(i.item_id for i in items)
        return len(items)


def every_kill(scene: Scene, people: list[SubjectId], shelving: Callable, *, everywhere: bool) -> tuple[int, int]:
    """Kill at each point in turn; returns how many points there were, and how many of them lost nothing planned."""
    planned = 0
    for number, subject in enumerate(people, start=1):
        reached = kill(number, scene, subject, everywhere=everywhere)
        planned += check_recovered(number, scene, subject, shelving) > 0
        if not reached:
            return number - 1, planned
    raise AssertionError("there are more points than people")


@pytest.fixture
def scene_on(posting: Postbox, capturing: Callable, shelving: Callable) -> Iterator[Callable]:
    """Fills a deployment with people to be withdrawn."""

    def fill(settings: Settings, count: int) -> tuple[Scene, list[SubjectId]]:
        with open_platform(settings, clock=FixedClock(STARTED)) as platform:
            captured = capturing(platform)
            shelf = shelving(platform, captured)
            shelf.fill(count, builds=1)
            return Scene(settings, captured.caller, posting), shelf.people

    return fill


def test_nothing_is_lost_or_repeated_wherever_the_process_is_killed(deployment, scene_on, shelving) -> None:
    """R14, R15: at every point either nothing was withdrawn, or all that follows it gets done, once for each target."""
    scene, people = scene_on(deployment.settings, 45)
    points, planned = every_kill(scene, people, shelving, everywhere=True)
    assert 20 < points - 1 <= planned


def test_nothing_is_lost_or_repeated_on_postgresql(copied_to, tmp_path, scene_on, shelving) -> None:
    """The same at every point that the wake marks, with both stores on PostgreSQL."""
    scene, people = scene_on(copied_to("postgresql", tmp_path / "pg").settings, 25)
    points, planned = every_kill(scene, people, shelving, everywhere=False)
    assert 10 < points - 1 <= planned
