"""One check beside the bare indexed SELECT, in an empty register and with ten million decisions loaded (SQLite)."""

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, select

from benchmarks.acts import LOCALE
from benchmarks.consent import FIELDS, register
from benchmarks.crowd import PURPOSE, add_decisions, fill
from benchmarks.deployment import new_deployment
from benchmarks.figures import Bound, Figure, Target
from consent.asking import Asking
from consent.rows import CURRENT_COLUMNS
from consent.tables import consent_current, subject_standing
from consentry.platform import Platform
from kernel.clock import to_micros
from kernel.ids import RequestId, SubjectId, new_id

PEOPLE: Final = 200
ROUNDS: Final = 5

_MICROSECONDS: Final = 1e6
_BARE: Final = (
    select(subject_standing.c.subject_id, subject_standing.c.state, *CURRENT_COLUMNS)
    .select_from(
        subject_standing.outerjoin(
            consent_current,
            (consent_current.c.subject_id == subject_standing.c.subject_id)
            & (consent_current.c.purpose == bindparam("purpose")),
        )
    )
    .where(subject_standing.c.subject_id == bindparam("subject"))
)


def run(*, people: int = 1_000_000, rounds: int = 10, calls: int = 2_000) -> list[Figure]:
    """Return the figures of this group.

    Args:
        people: registered for the large register.
        rounds: decisions of each of them.
        calls: of the gate, for each figure and turn.
    """
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        subjects = [SubjectId(new_id("sub")) for _ in range(PEOPLE)]
        register(platform, subjects, Asking("bench", "analyst", RequestId(new_id("req"))))
        empty = measured(platform, subjects, calls)
        notice = next(n.code for n in platform.catalogue.notices if PURPOSE in n.purposes and n.locale == LOCALE)
        at = to_micros(platform.clock.now() - timedelta(days=1))
        with platform.data.write() as connection:
            fill(connection, people, notice=notice, at_micros=at)
            add_decisions(connection, rounds, notice=notice, at_micros=at)
        return figures_of(empty, measured(platform, subjects, calls), people * rounds)


def measured(platform: Platform, subjects: Sequence[SubjectId], calls: int) -> dict[str, list[float]]:
    """Return the seconds of every call of the bare SELECT, of a decision alone and of a check with its entry."""
    asking = Asking("bench", "analyst", RequestId(new_id("req")))
    found: dict[str, list[float]] = {"bare": [], "decision": [], "check": []}
    turn = cycle(subjects)
    with platform.data.write() as connection:  # gives everybody the alias of the year, which happens once
        platform.gate.check_many(connection, asking=asking, purpose=PURPOSE, subjects=subjects, fields=FIELDS)
    for _ in range(ROUNDS):
        with platform.data.write() as connection:

            def bare() -> object:
                return connection.execute(_BARE, {"purpose": PURPOSE, "subject": next(turn)}).all()

            def decision() -> object:
                return platform.gate.preview_many(
                    connection, asking=asking, purpose=PURPOSE, subjects=[next(turn)], fields=FIELDS
                )  # fmt: skip

            def check() -> object:
                return platform.gate.check(
                    connection, asking=asking, purpose=PURPOSE, subject=next(turn), fields=FIELDS
                )  # fmt: skip

            for name, work in (("bare", bare), ("decision", decision), ("check", check)):
                found[name] += _each(work, calls)
    return found


def figures_of(empty: dict[str, list[float]], full: dict[str, list[float]], decisions: int) -> list[Figure]:
    """Return rates at the median, and the slowest in a hundred, of one check."""
    half, slow = Target(Bound.AT_LEAST, 0.5, of_ratio=True), Target(Bound.AT_MOST, 1000)
    near = Target(Bound.AT_MOST, 1.5, of_ratio=True)
    bare = 1 / _at(empty["bare"], 0.5)
    yardstick = "the bare SELECT by subject and purpose"
    checked, loaded = (_at(times["check"], 0.5) * _MICROSECONDS for times in (empty, full))
    alone, alone_loaded = (_at(times["decision"], 0.5) * _MICROSECONDS for times in (empty, full))
    size = f"{decisions:,} decisions"
    return [
        Figure("consent", "decision for one, alone", 1 / _at(empty["decision"], 0.5), "1/s", yardstick, bare, half),
        Figure("consent", "check of one with its entry, before the commit", 1 / _at(empty["check"], 0.5), "1/s",
               yardstick, bare),
        Figure("consent", "check of one with its entry, 99 in 100", _at(empty["check"], 0.99) * _MICROSECONDS, "µs",
               target=slow),
        Figure("consent", f"check of one, {size}", loaded, "µs", "an empty register", checked, near),
        Figure("consent", f"decision for one, {size}", alone_loaded, "µs", "an empty register", alone, near),
    ]  # fmt: skip


def _each(work: Callable[[], object], calls: int) -> list[float]:
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def _at(taken: Sequence[float], share: float) -> float:
    ordered = sorted(taken)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
