"""What time makes due is recorded beside the server, once, however many servers there are."""

import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from consent.rules import DecisionAct
from consent.standing import Standing, get_standing
from consent.tables import decision, task
from consentry import tending
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.tending import Finisher, Tender
from consentry.workflows.erase import erase_subject
from consentry.workflows.represent import merge_subjects
from consentry.workflows.tend import expire_in_steps
from kernel.clock import FixedClock
from kernel.errors import Unavailable
from tests.consentry.conftest import ADMIN, SECOND
from vault.tables import record_change


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path, copied_to):
    """A deployment on either engine."""
    made = copied_to(request.param, tmp_path / "home").settings
    return load_settings(**{**made.model_dump(), "busy_timeout_ms": 20_000})


def end_soon(captured, people, *, purpose="P07"):
    """People whose grant ends within the hour."""
    ends = (captured.platform.clock.now() + timedelta(hours=1)).isoformat()
    for number in range(people):
        captured.person(f"u-{number}")
        captured.grant(f"u-{number}", purpose, valid_until=ends)


def expired(platform):
    """How many expiries stand in the register."""
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).where(decision.c.act == DecisionAct.EXPIRE.value))


def planned(platform):
    """How many items wait, by handler."""
    with platform.data.read() as connection:
        return sum(platform.wake.counts(connection).values())


def child_of_then(captured):
    """Somebody whose guardian granted while they were a child, weeks before their birthday."""
    captured.person("parent")
    captured.person("kid", birth_date="2012-12-05")
    actor = {"kind": "guardian", "subject": captured.known("parent")}
    proof = {"mechanism": "document_check", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("kid"), actor=actor, evidence=proof))
    notice = next(n for n in captured.platform.catalogue.notices if n.audience == "child")
    shown = {"code": notice.code, "version": notice.version, "locale": notice.locale}
    captured.record(captured.act("grant", captured.known("kid"), "P06", actor=actor, notice=shown))


def test_expiry_is_recorded_and_its_wake_planned_without_any_command(platform, captured) -> None:
    """The end of a grant sets in motion what a withdrawal does, while a server runs (R15)."""
    end_soon(captured, 3)
    platform.clock.advance(timedelta(hours=2))
    before = planned(platform)
    with Tender(platform, interval_seconds=0.01):
        deadline = time.monotonic() + 20
        while expired(platform) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert expired(platform) == 3
    assert planned(platform) > before


def test_who_has_come_of_age_is_to_be_asked_once(platform, captured) -> None:
    """One task, whoever looks and however often (R21)."""
    child_of_then(captured)
    platform.clock.advance(timedelta(days=60))
    for _ in range(2):
        Tender(platform).work()
    with platform.data.read() as connection:
        assert list(connection.scalars(select(task.c.kind))) == ["ask_again"]


def test_two_servers_record_everything_once(settings, capturing) -> None:
    """Both look in the same moment; each expiry, its wake and each task is there once, on either engine."""
    clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    with ExitStack() as opened:
        servers = [opened.enter_context(open_platform(settings, clock=clock)) for _ in range(2)]
        captured = capturing(servers[0])
        end_soon(captured, 12)
        child_of_then(captured)
        clock.advance(timedelta(days=60))
        tenders = [Tender(server) for server in servers for _ in range(2)]
        start = threading.Barrier(len(tenders))

        def race(tender: Tender) -> None:
            start.wait(20)
            tender.work_once()

        threads = [threading.Thread(target=race, args=(tender,)) for tender in tenders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for tender in tenders:
            tender.work_once()
        assert [tender.problem for tender in tenders] == [None] * len(tenders)
        with servers[0].data.read() as connection:
            names = list(connection.scalars(select(decision.c.subject_id).where(decision.c.act == "expire")))
            assert len(list(connection.scalars(select(task.c.task_id)))) == 1
        assert (len(names), len(set(names))) == (12, 12)


def test_round_goes_on_where_one_transaction_is_full_and_stops_with_the_server(platform, captured, monkeypatch) -> None:
    """Steps are short; a server that ends waits for one of them."""
    monkeypatch.setattr(tending, "AT_ONCE", 2)
    end_soon(captured, 5)
    platform.clock.advance(timedelta(hours=2))

    class Ending(Tender):
        """A server that is told to end while its first step runs."""

        is_ending = True

    Ending(platform).work()
    assert expired(platform) == 2
    Tender(platform).work()
    assert expired(platform) == 5
    assert list(expire_in_steps(platform, platform.asking(ADMIN))) == [0]


def test_failure_shows_until_a_round_succeeds(platform, monkeypatch) -> None:
    """A store that cannot be used does not end the thread."""
    tender = Tender(platform)

    def broken(*_args: object, **_named: object) -> None:
        raise Unavailable("The data store cannot be used")

    with monkeypatch.context() as patched:
        patched.setattr(tending, "expire_in_steps", broken)
        tender.work_once()
    assert tender.problem == "The data store cannot be used"
    tender.work_once()
    assert tender.problem is None


def test_server_finishes_what_a_full_disk_broke_off(settings, clock, capturing):
    """An erasure and a merge that failed half way are done without a restart; those that are whole stay as they are."""
    with open_platform(settings, clock=clock) as platform:
        captured = capturing(platform)
        gone, kept, dropped = (captured.person(f"u-{number}") for number in range(3))
        for number in range(3):
            captured.store([captured.posted(f"u-{number}", "profile", f"r-{number}", mobile=f"1380013800{number}")])
        with full(platform.keys), pytest.raises(Unavailable):
            erase_subject(platform, ADMIN, subject=gone, reason="asked")
        with full(platform.keys), pytest.raises(Unavailable):
            merge_subjects(platform, ADMIN, kept=kept, dropped=dropped, reason="one person", accepted_by=SECOND)
        Finisher(platform).work()
        with platform.data.read() as connection:
            assert get_standing(connection, gone).state is Standing.ERASED
            assert set(connection.scalars(select(record_change.c.state))) == {"done"}
        assert platform.resolver.find("app", "u-2") == kept
        before = planned(platform)
        Finisher(platform).work()
        assert planned(platform) == before


@contextmanager
def full(database):
    """The store takes no commit of a write any more."""

    def refuse(connection):
        if connection.get_execution_options().get("consentry_write"):
            raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    event.listen(database.engine, "commit", refuse)
    try:
        yield
    finally:
        event.remove(database.engine, "commit", refuse)
