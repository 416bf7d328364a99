"""Seconds of two pieces of work side by side, and what a child process takes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROUNDS: Final = 5

_LAUNCHER: Final = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=open(sys.argv[1], "wb"), stderr=subprocess.STDOUT)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A process of its own starts the command: the kernel counts what the parent held at the start into a child's peak."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a command took: seconds on the clock and on the processors, and the peak memory of its largest process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def best_beside(
    work: Callable[[], object], yardstick: Callable[[], object], *, rounds: int = ROUNDS
) -> tuple[float, float]:
    """Return the best seconds of the work and of its yardstick.

    They take turns, so that a machine that is busy for a while slows both.
    """
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds_of(work))
        theirs.append(seconds_of(yardstick))
    return min(ours), min(theirs)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run_child(command: Sequence[str | Path], *, log: Path) -> Taken:
    """Run a command in a process of its own and return what it took.

    Args:
        command: program and arguments.
        log: takes what it prints.
    Raises:
        RuntimeError: it failed; the message holds the last lines that it printed.
    """
    launcher = (sys.executable, "-I", "-S", "-c", _LAUNCHER, str(log), *map(str, command))
    done = subprocess.run(launcher, check=True, capture_output=True)
    status, seconds, cpu_seconds, peak_mb = json.loads(done.stdout)
    if status != 0:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
        raise RuntimeError(f"{Path(command[0]).name} failed with status {status}:\n{last}")
    return Taken(seconds, cpu_seconds, peak_mb)
