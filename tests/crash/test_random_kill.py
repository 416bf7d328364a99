"""Kill -9 at random times, with several who open and one who stores: nothing opened without its entry."""

import os
import random
import signal
import threading
import time
from dataclasses import fields, replace

from consentry.demo.shell import verify
from consentry.platform import Platform
from kernel.errors import Unavailable
from kernel.oversight import ReadingLimits
from tests.crash.ward import FORK, Notes, Ward, access, check_after, check_started, ingestion, send_again

TRIALS = 2_000 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 20
SPREAD_SECONDS = 0.15
"""Longer than an access, a batch and a common commit of all take."""


def unlimited(platform: Platform) -> Platform:
    """The platform without a limit that one doctor could reach: the clock of the trials stands still."""
    roles = platform.catalogue.roles
    more = {limit.name: 10**9 for limit in fields(ReadingLimits)}
    doctors = replace(roles["clinician"], limits=ReadingLimits(**more))
    return replace(platform, catalogue=replace(platform.catalogue, roles={**roles, "clinician": doctors}))


def work_without_end(ward: Ward, notes: Notes, is_ready: object) -> None:
    """In a child: open in three threads and store in a fourth, until killed."""
    with ward.opened() as started:
        platform = unlimited(started)
        send_again(platform, notes)
        access(ward, platform, notes)
        works = [access, access, access, ingestion]
        threads = [threading.Thread(target=repeat, args=(work, ward, platform, notes)) for work in works]
        for thread in threads:
            thread.start()
        is_ready.set()
        for thread in threads:
            thread.join()


def repeat(work, ward, platform, notes) -> None:
    """Do it again and again; a locked store is no end, any other failure is told."""
    while True:
        try:
            work(ward, platform, notes)
        except Unavailable:
            continue
        except Exception as err:
            notes.tell("broken", repr(err))
            raise


def killed_after(seconds: float, ward: Ward, notes: Notes) -> None:
    """Start a child, and kill it by its id so long after it began to work."""
    is_ready = FORK.Event()
    child = FORK.Process(target=work_without_end, args=(ward, notes, is_ready))
    child.start()
    assert is_ready.wait(60)
    time.sleep(seconds)
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    assert child.exitcode == -signal.SIGKILL


def test_killed_at_random_times(ward, notes, tmp_path):
    """What was opened or acknowledged stands, signed for, once; the export of the log that is left verifies."""
    seed = random.randrange(2**32)
    times = random.Random(seed)
    for trial in range(TRIALS):
        killed_after(times.uniform(0, SPREAD_SECONDS), ward, notes)
        try:
            check_after(ward, notes)
        except AssertionError as err:
            raise AssertionError(f"trial {trial} of seed {seed}: {err}") from err
    assert notes.told("broken") == []
    assert len(notes.told("opened")) > TRIALS
    check_started(ward, notes)
    with ward.opened() as platform:
        platform.log.export(tmp_path / "log")
        status, said = verify(tmp_path / "log", str(platform.signer.verifier_key))
    assert status == 0, said
