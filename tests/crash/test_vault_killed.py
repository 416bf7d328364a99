"""The vault's works, broken off at random points on both engines: whole or not at all, and nothing left behind."""

import errno
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from consentry.key_tending import KeyTender
from consentry.platform import Platform
from consentry.settings import load_settings
from consentry.tending import Finisher
from consentry.workflows.initialise import initialise
from kernel.clock import FixedClock
from kernel.errors import Unavailable
from tests.crash.faults import Fault, Injector, ServerInjector
from tests.crash.practice import Practice, check_stores, check_whole, look, started_twice
from tests.crash.ward import STARTED, Notes, Ward, Work, in_child, rest, work_with
from tests.crash.works import WORKS, Make, Task

NIGHTLY = os.environ.get("CONSENTRY_NIGHTLY") == "1"
TRIALS = int(os.environ.get("CRASH_TRIALS", "500" if NIGHTLY else "10"))
"""On each engine."""

POINTS = {
    "sqlite": {
        "ingestion": 147, "bulk_load": 287, "upload": 230, "erasure": 273, "part_erasure": 217, "sweep": 284,
        "data_key_rotation": 201, "suite_change": 206, "epoch_change": 1484, "reindexing": 171, "merge": 291,
        "split": 304, "restoration": 266, "data_restoration": 299,
    },
    "postgresql": {
        "ingestion": 22, "bulk_load": 41, "upload": 26, "erasure": 46, "part_erasure": 28, "sweep": 41,
        "data_key_rotation": 43, "suite_change": 43, "epoch_change": 27, "reindexing": 33, "merge": 47, "split": 45,
        "restoration": 82, "data_restoration": 314,
    },
}  # fmt: skip
"""About how many points each work has; `make nightly` counts them."""

ERRORS = {Fault.READ_ONLY: errno.EROFS, Fault.FULL: errno.ENOSPC}
START_POINTS = 40
"""About as many as a start has that finishes a work."""

AWAY = timedelta(minutes=61)
"""How long nobody starts it again: a file that stopped coming is given up after an hour."""


@dataclass
class Trials:
    """Breaks works off, one after the other, on a practice that goes on all the time.

    Attributes:
        seed: of all that is drawn; CRASH_SEED repeats it.
        points: how many each work has, about; one that is not named is done once without a fault, and they are counted.
    """

    practice: Practice
    make: Callable[..., Injector]
    seed: int
    points: dict[str, int] = field(default_factory=dict)

    def run(self, work: Make, fault: Fault | None) -> None:
        """Prepare the work, do it in a child, and look at what is left."""
        with self.practice.ward.opened() as platform:
            task = work(self.practice, platform)
            platform.log.settle()
        number = 0 if fault is None else self.practice.random.randint(1, self.points[work.__name__])
        try:
            if task.lose is not None:
                task.lose()
            self.break_off(work, task, fault or Fault.KILLED, number)
            self.practice.ward.clock.advance(AWAY)
            if task.lose is not None:
                task.act(None)
            elif fault is Fault.TORN:
                self.break_off_start()
            self.look(task)
        except Exception as err:
            err.add_note(f"seed {self.seed}: {work.__name__}, {fault}, point {number}")
            raise

    def break_off(self, work: Make, task: Task, fault: Fault, number: int) -> None:
        """In a child: work with the fault; a failure is said by 503, goes on as in a server, and is asked for again."""
        injector = self.make(fault, number, ERRORS.get(fault, errno.EIO))

        def child(_ward: Ward, platform: Platform | None, notes: Notes) -> None:
            try:
                task.act(platform)
            except Unavailable as err:
                injector.mend()
                notes.tell("refused", work.__name__, fault.name, number, err.hint)
                if platform is not None:
                    Finisher(platform).work()
                    KeyTender(platform).work()
                task.act(platform)

        if task.lose is None:
            code = work_with(injector, self.practice.ward, self.practice.notes, child)
        else:
            code = in_child(lambda: self.without_stores(injector, child))
        assert code in (0, -signal.SIGKILL), f"exit {code}"
        self.learn(work, code, number)

    def learn(self, work: Make, code: int, number: int) -> None:
        """Keep how many points a work had that came to its end."""
        if code == 0:
            seen = int(self.practice.notes.told("points")[-1][0])
            if number == 0 or seen < number:
                assert seen > 10, "the work does nothing"
                self.points[work.__name__] = seen

    def break_off_start(self) -> None:
        """Start in a child, and kill it while it mends what was left, perhaps."""
        injector = self.make(Fault.KILLED, self.practice.random.randint(1, START_POINTS))
        code = work_with(injector, self.practice.ward, self.practice.notes, rest, at_start=True)
        assert code in (0, -signal.SIGKILL), f"start: exit {code}"

    def without_stores(self, injector: Injector, work: Work) -> None:
        """Work while no platform can be opened."""
        injector.install()
        injector.arm()
        work(self.practice.ward, None, self.practice.notes)
        injector.mend()
        self.practice.notes.tell("points", injector.seen)

    def look(self, task: Task) -> None:
        """Start; nothing or all of it is seen. Ask again; all of it is, and nothing waits."""
        before = dict(self.practice.seen)
        after = before | task.after
        with started_twice(self.practice) as platform:
            assert look(self.practice, platform) in (before, after)
            task.act(platform)
            platform.log.settle()
            self.practice.seen = after
            self.practice.gone |= set(task.going)
            assert look(self.practice, platform) == after
            check_stores(self.practice, platform)
            task.then(platform)


@pytest.fixture(params=["sqlite", "postgresql"])
def trials(request: pytest.FixtureRequest, tmp_path, notes) -> Trials:
    """A practice that nobody has come to yet."""
    stores = {}
    if request.param == "postgresql":
        make = request.getfixturevalue("pg_database")
        stores = {"data_store": make(), "key_store": make()}
    settings = load_settings(home=tmp_path / "home", busy_timeout_ms=5_000, **stores)
    clock = FixedClock(STARTED)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    settings = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    seed = int(os.environ.get("CRASH_SEED", random.randrange(2**32)))
    practice = Practice(Ward(settings, None, None, clock), notes, random.Random(seed), tmp_path)
    points = {} if NIGHTLY else dict(POINTS[request.param])
    return Trials(practice, ServerInjector if stores else Injector, seed, points)


def test_works_of_the_vault_are_whole_or_not_at_all(trials):
    """Killed, or with a call that fails: a start finishes or takes back, asked again it is done, once."""
    draw, works = trials.practice.random, []
    for _ in range(TRIALS):
        works = works or draw.sample(WORKS, len(WORKS))
        work = works.pop()
        if work.__name__ not in trials.points:
            trials.run(work, None)
        kills = [Fault.KILLED, Fault.TORN, Fault.KILLED]
        trials.run(work, draw.choice([*kills, Fault.REFUSED, Fault.LOST, Fault.FULL, Fault.READ_ONLY]))
    assert all(len(told) > 3 for told in trials.practice.notes.told("refused")), "a failure without a hint"
    check_whole(trials.practice)
