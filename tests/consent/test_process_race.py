"""Readers and a withdrawer in processes of their own: in the log no permit follows its withdrawal, on both engines."""

import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from audit.sequencer import Sequencer
from audit.tables import leaf
from consent.gate import Permit
from consent.registry import ActorKind, DecisionAct, DecisionRequest
from kernel.database import open_database

ROUNDS = 10_000 if os.environ.get("CONSENTRY_NIGHTLY") else 250
READERS = 2
PAUSE_SECONDS = 0.003
"""SQLite's writers do not queue across processes; without a pause two readers hold off the third."""

HEAD_START_SECONDS = 0.012
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Course:
    """What the processes share.

    Attributes:
        closed: for each round 1 from the moment on at which the withdrawal's transaction has returned.
    """

    url: str
    subjects: Sequence[str]
    start: Any
    closed: Any
    found: Any


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A store on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data.db'}"
    return request.getfixturevalue("pg_url")


def test_no_permit_follows_its_withdrawal_over_all_processes(url, offices, reopened):
    """R14: every permit stands before the withdrawal in the log, and no read that began after its commit succeeds."""
    office = offices(url)
    subjects = granted(office)
    context = multiprocessing.get_context("fork")
    course = Course(
        url, subjects, context.Barrier(READERS + 1), context.Array("b", len(subjects)), context.SimpleQueue()
    )
    office.database.dispose()  # no connection crosses the fork
    runners = [context.Process(target=read, args=(course, reopened)) for _ in range(READERS)]
    runners.append(context.Process(target=withdraw, args=(course, reopened)))
    for runner in runners:
        runner.start()
    reports = [course.found.get() for _ in runners]
    for runner in runners:
        runner.join(PATIENCE_SECONDS)
        assert runner.exitcode == 0

    permits = [pair for kind, pairs, _ in reports if kind == "read" for pair in pairs]
    withdrawals = dict(next(pairs for kind, pairs, _ in reports if kind == "withdraw"))
    assert [late for _, _, late in reports if late] == []
    places = sequenced(office)
    assert len(withdrawals) == ROUNDS
    assert [number for number, entry in permits if places[entry] > places[withdrawals[number]]] == []
    # Rounds are races only where a permit was given before the door closed.
    assert len({number for number, _ in permits}) > ROUNDS // 5


def granted(office):
    """Give every round a subject of its own, with a live grant."""
    subjects = [office.subject() for _ in range(ROUNDS)]
    requests = [office.request(subject, DecisionAct.GRANT, "P07") for subject in subjects]
    with office.database.write() as connection:
        said = office.registry.record_many(connection, requests, asking=office.asking)
    assert all(isinstance(made, tuple) for made in said)
    return subjects


def read(course, reopened):
    """Ask for each subject in turn until the gate refuses."""
    office = reopened(open_database(course.url, label="data store"))
    permits, late = [], []
    for number, subject in enumerate(course.subjects):
        course.start.wait(PATIENCE_SECONDS)
        while True:
            began_after = bool(course.closed[number])
            with office.database.write() as connection:
                said = office.gate.check(
                    connection, asking=office.asking, purpose="P07", subject=subject, fields=["reading"]
                )
            if not isinstance(said, Permit):
                break
            permits.append((number, said.entry_id))
            if began_after:
                late.append(number)
                break
            time.sleep(PAUSE_SECONDS)
    office.database.dispose()
    course.found.put(("read", permits, late))


def withdraw(course, reopened):
    """Withdraw for each subject in turn, a moment after the readers have begun."""
    office = reopened(open_database(course.url, label="data store"))
    chance = random.Random(7)
    withdrawals = []
    for number, subject in enumerate(course.subjects):
        course.start.wait(PATIENCE_SECONDS)
        time.sleep(chance.random() * HEAD_START_SECONDS)
        request = DecisionRequest(
            subject=subject, purposes=("P07",), act=DecisionAct.WITHDRAW, recipient=None, notice=None,
            actor_kind=ActorKind.SELF, actor_subject=None, evidence={}, decided_at=office.clock.now(),
        )  # fmt: skip
        with office.database.write() as connection:
            made = office.registry.record(connection, request, asking=office.asking)[0]
        course.closed[number] = 1
        withdrawals.append((number, made.entry_id))
    office.database.dispose()
    course.found.put(("withdraw", withdrawals, []))


def sequenced(office):
    """Bring everything into the tree, and return the place of each entry."""
    sequencer = Sequencer(office.database)
    while sequencer.advance() is not None:
        pass
    with office.database.read() as connection:
        rows = connection.execute(select(leaf.c.entry_id, leaf.c.leaf_index)).all()
    office.database.dispose()
    return {row.entry_id: row.leaf_index for row in rows}
