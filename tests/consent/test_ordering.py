"""The log's order is the truth: no permit follows what closed it, whoever raced whom, on both engines."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from audit.events import Act, Event, Outcome
from audit.tables import inbox
from consent.gate import Permit
from consent.registry import ActorKind, DecisionAct, DecisionRequest
from consent.standing import Standing, set_standing

CHECKERS = 3
HEAD_STARTS = 5
PAUSE_SECONDS = 0.004
"""SQLite's writers do not queue; without a pause three of them hold off a fourth beyond its time-out."""


@pytest.fixture(params=["sqlite", "postgresql"])
def racing(request, offices, tmp_path):
    """The parts over a store that several connections use at once."""
    if request.param == "sqlite":
        office = offices(f"sqlite:///{tmp_path / 'data.db'}")
    else:
        office = offices(request.getfixturevalue("pg_url"))
    yield office
    office.database.dispose()


def withdraw(office, connection, subject, _round):
    request = DecisionRequest(
        subject=subject,
        purposes=("P07",),
        act=DecisionAct.WITHDRAW,
        recipient=None,
        notice=None,
        actor_kind=ActorKind.SELF,
        actor_subject=None,
        evidence={},
        decided_at=office.clock.now(),
    )
    return office.registry.record(connection, request, asking=office.asking)[0].entry_id


def restrict(office, connection, subject, _round):
    set_standing(connection, subject, Standing.RESTRICTED, now=office.clock.now())
    event = Event(
        Act.SUBJECT_RESTRICTED, Outcome.DONE, "prn_test", "capture", office.asking.request_id, subject=subject
    )
    return office.journal.record(connection, event)


def change_notice(office, connection, _subject, number):
    table = ({"field": "x", "why": f"round {number}"},)
    return office.publish_in(connection, version=f"r{number}", collected=table).entry_id


@pytest.mark.parametrize(("close", "rounds"), [(withdraw, 50), (restrict, 15), (change_notice, 15)])
def test_no_permit_follows_what_closes_it(racing, close, rounds):
    """In the inbox's order every permit stands before the entry that closed it, over all rounds."""
    office = racing
    bystander = office.subject()
    closed, permitted = {}, {}
    with ThreadPoolExecutor(CHECKERS + 1) as pool:
        for number in range(rounds):
            subject = office.subject()
            for person in (subject, bystander):
                office.grant(person, "P07", notice=office.latest("care"))
            closed[number], permitted[number] = race(office, pool, subject, bystander, (close, number))
    places = order(office)
    late = [
        number for number, entries in permitted.items() for entry in entries if places[entry] > places[closed[number]]
    ]
    assert late == []
    # The rounds are races only where permits were given in some of them before the door closed.
    assert sum(map(bool, permitted.values())) > rounds // 5


def race(office, pool, subject, bystander, closing):
    """Let checkers ask until they are refused, close once, and return the closing entry and the permits' entries."""
    close, number = closing
    start, closed = threading.Barrier(CHECKERS + 1), threading.Event()

    def check_until_refused(alone):
        start.wait()
        found, last = [], False
        while not last:
            last = closed.is_set()  # one more check after the end, and it had better be refused
            with office.database.write() as connection:
                permit = ask(office, connection, subject, None if alone else bystander)
            if permit is None:
                return found
            found.append(permit.entry_id)
            time.sleep(PAUSE_SECONDS)
        return found

    def close_once():
        start.wait()
        time.sleep(number % HEAD_STARTS * PAUSE_SECONDS)  # from none at all to a few permits
        try:
            with office.database.write() as connection:
                return close(office, connection, subject, number)
        finally:
            closed.set()

    checkers = [pool.submit(check_until_refused, alone) for alone in (True, False, True)]
    closer = pool.submit(close_once)
    return closer.result(), [entry for checker in checkers for entry in checker.result()]


def ask(office, connection, subject, bystander):
    """Return a permit that covers the subject, asked alone or in a batch, or None."""
    if bystander is None:
        answer = office.gate.check(connection, asking=office.asking, purpose="P07", subject=subject, fields=["reading"])
        return answer if isinstance(answer, Permit) else None
    verdict = office.gate.check_many(
        connection, asking=office.asking, purpose="P07", subjects=[subject, bystander], fields=["reading"]
    )
    return verdict.permit if verdict.permit is not None and subject in verdict.permit.subjects else None


def order(office):
    with office.database.read() as connection:
        rows = connection.execute(select(inbox.c.entry_id, inbox.c.seq)).all()
    return {row.entry_id: row.seq for row in rows}
