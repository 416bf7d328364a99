"""Look-ups in a long log by subject, actor and time, page by page.

A million entries; ten million, which take minutes and 7 GB of disk, where the environment says ``BENCH_FULL=1``.
"""

import os
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select

from audit.queries import Page, Sought, find_page
from audit.tables import alias
from benchmarks.audit_crowd import ACTORS, STEP_MICROS, fill
from benchmarks.audit_log import open_log
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import seconds_of
from kernel.clock import from_micros, parse_instant, to_micros
from kernel.database import Database, open_database
from kernel.ids import SubjectId

ENTRIES: Final = 1_000_000
ENTRIES_FULL: Final = 10_000_000
LOOKUPS: Final = 100

_START: Final = to_micros(parse_instant("2026-01-01T00:00:00Z"))
_PAGE: Final = 20
_WEEK: Final = timedelta(days=7)
_TARGET: Final = Target(Bound.AT_MOST, 50)
_BARE: Final = "SELECT body FROM audit_leaf WHERE alias = ? ORDER BY leaf_index LIMIT ?"


def run(*, entries: int | None = None, lookups: int = LOOKUPS) -> list[Figure]:
    """Return the figures of this module."""
    size = entries or (ENTRIES_FULL if os.environ.get("BENCH_FULL") == "1" else ENTRIES)
    with tempfile.TemporaryDirectory(prefix="consentry-bench-audit-") as name:
        with open_log(Path(name), is_hasty=True) as opened, opened.store.write() as connection:
            fill(connection, size, at_micros=_START)
        store = open_database(f"sqlite:///{name}/data.db", label="data store")
        try:
            return _looked_up(store, Path(name) / "data.db", size, lookups)
        finally:
            store.dispose()


def _looked_up(store: Database, file: Path, size: int, lookups: int) -> list[Figure]:
    """Measure look-ups, each for another subject, actor or week; of each kind 99 in 100 take less."""
    lot = random.Random(11)
    with store.read() as connection:
        known = connection.execute(select(alias.c.subject_id, alias.c.alias).limit(50_000)).all()
    subjects = lot.sample(known, min(lookups, len(known)))
    weeks = [from_micros(_START + lot.randrange(size) * STEP_MICROS) for _ in range(lookups)]
    by_subject = [Sought(subject=SubjectId(one.subject_id)) for one in subjects]
    later = [Sought(subject=one.subject, after_index=size // 2) for one in by_subject]
    by_actor = [Sought(actor=f"usr_{number % ACTORS}", newest_first=True) for number in range(lookups)]
    by_week = [Sought(actor=one.actor, since=at, until=at + _WEEK) for one, at in zip(by_actor, weeks, strict=True)]
    log = f"among {size:,} entries, 99 in 100"
    bare = _ninety_nine([_selecting(file, one.alias) for one in subjects])
    return [
        Figure("audit", f"first page of a subject {log}", _paged(store, by_subject), "ms", "the bare SELECT", bare,
               _TARGET),
        Figure("audit", f"later page of a subject {log}", _paged(store, later), "ms", "the bare SELECT", bare, _TARGET),
        Figure("audit", f"newest page of an actor {log}", _paged(store, by_actor), "ms", target=_TARGET),
        Figure("audit", f"page of an actor in one week {log}", _paged(store, by_week), "ms", target=_TARGET),
        Figure("audit", f"page of one week {log}", _paged(store, [Sought(since=at, until=at + _WEEK) for at in weeks]),
               "ms", target=_TARGET),
    ]  # fmt: skip


def _paged(store: Database, wanted: Sequence[Sought]) -> float:
    return _ninety_nine([_finding(store, one) for one in wanted])


def _finding(store: Database, sought: Sought) -> Callable[[], Page]:
    def find() -> Page:
        with store.read() as connection:
            page = find_page(connection, sought, limit=_PAGE)
        if not page.entries and sought.after_index is None and sought.since is None:
            raise AssertionError("nothing was found")
        return page

    return find


def _selecting(file: Path, name: str) -> Callable[[], object]:
    def select_bare() -> object:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute(_BARE, (name, _PAGE)).fetchall()

    return select_bare


def _ninety_nine(calls: Sequence[Callable[[], object]]) -> float:
    """Return the milliseconds that 99 in 100 calls do not exceed."""
    taken = sorted(seconds_of(call) for call in calls)
    return taken[len(taken) * 99 // 100 - 1] * 1000
