"""A cancelled account is erased within fifteen working days: a task at once, and the deed before the days are over."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from consent.standing import Standing, get_standing
from consent.tasks import TaskKind, open_tasks
from consentry.platform import Platform
from consentry.workflows import close_accounts
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.holds import set_hold
from consentry.workflows.represent import release_subject
from consentry.workflows.sweep import sweep_expired, sweep_in_steps
from consentry.workflows.tend import end_basis
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, Captured
from vault.tables import erasure, sealed_record


@pytest.fixture
def gone(platform: Platform, captured: Captured) -> SubjectId:
    """Somebody who cancelled the account; 21 November 2026 is a Saturday."""
    subject = captured.person("u-1", "P02", "P07", "P08")
    viewed = {"event_type": "page_view", "page": "home", "session_id": "s-1"}
    captured.store([captured.posted("u-1", kind="event", number="e-1", **viewed)])
    end_basis(platform, ADMIN, subject, "P01")
    return subject


def tasks(platform: Platform) -> list:
    with platform.data.read() as connection:
        return open_tasks(connection, kind=TaskKind.CLOSE_ACCOUNT)


def state(platform: Platform, subject: SubjectId) -> Standing:
    with platform.data.read() as connection:
        return get_standing(connection, subject).state


def test_a_cancelled_account_has_a_task_with_the_laws_days(platform: Platform, gone: SubjectId):
    """R27: due with the end of the fifteenth working day, in the pack's time zone; made once."""
    for _ in range(2):
        sweep_expired(platform, ADMIN)
    (task,) = tasks(platform)
    assert (task.subject, task.due_at.isoformat()) == (gone, "2026-12-11T16:00:00+00:00")
    assert state(platform, gone) is Standing.ACTIVE


def test_nobody_has_to_remember_it(platform: Platform, gone: SubjectId):
    """R27: the last sweep before the days are over erases, and the task is done."""
    sweep_expired(platform, ADMIN)
    platform.clock.advance(timedelta(days=19))
    assert sweep_expired(platform, ADMIN).closed_accounts == 0
    platform.clock.advance(timedelta(days=1))
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert (tasks(platform), state(platform, gone)) == ([], Standing.ERASED)
    with platform.data.read() as connection:
        assert connection.scalar(select(erasure.c.why)) == "ground_ended"


def test_a_server_does_it_as_well(platform: Platform, gone: SubjectId):
    """Beside its cycles."""
    list(sweep_in_steps(platform, platform.asking(ADMIN)))
    platform.clock.advance(timedelta(days=21))
    list(sweep_in_steps(platform, platform.asking(ADMIN)))
    assert state(platform, gone) is Standing.ERASED


def test_an_erasure_by_hand_closes_the_task(platform: Platform, gone: SubjectId):
    """Whoever is faster."""
    sweep_expired(platform, ADMIN)
    erase_subject(platform, ADMIN, subject=gone, reason="account cancelled")
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert tasks(platform) == []


def test_an_account_that_was_opened_again_is_not_erased(platform: Platform, captured: Captured, gone: SubjectId):
    """Its task stays for an officer to look at."""
    sweep_expired(platform, ADMIN)
    platform.clock.advance(timedelta(days=1))
    captured.record(captured.act("contract", {**captured.known("u-1"), "birth_date": "1990-05-20"}, "P01"))
    platform.clock.advance(timedelta(days=40))
    assert sweep_expired(platform, ADMIN).closed_accounts == 0
    assert (state(platform, gone), len(tasks(platform))) == (Standing.ACTIVE, 1)


def test_whose_data_are_restricted_stays_an_officers_task(platform: Platform, gone: SubjectId):
    """Restricted before or after: the task is there, stays open, and nothing goes before the restriction does."""
    restrict_subject(platform, ADMIN, subject=gone, reason="request 1")
    sweep_expired(platform, ADMIN)
    assert [task.subject for task in tasks(platform)] == [gone]
    platform.clock.advance(timedelta(days=40))
    assert sweep_expired(platform, ADMIN).closed_accounts == 0
    assert (state(platform, gone), len(tasks(platform))) == (Standing.RESTRICTED, 1)
    release_subject(platform, ADMIN, subject=gone, reason="request 2")
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert (state(platform, gone), tasks(platform)) == (Standing.ERASED, [])


def test_what_an_erasure_left_for_the_law_is_closed(platform: Platform, gone: SubjectId):
    """An officer's hold keeps it: the account is closed all the same, and no task is made again."""
    sweep_expired(platform, ADMIN)
    set_hold(platform, ADMIN, subject=gone, reference="case-17", reason="court order")
    platform.clock.advance(timedelta(days=21))
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    sweep_expired(platform, ADMIN)
    assert (state(platform, gone), tasks(platform)) == (Standing.RESTRICTED, [])


@pytest.fixture
def another(platform: Platform, captured: Captured, gone: SubjectId) -> SubjectId:
    """Somebody who cancelled a day after; both have their task."""
    platform.clock.advance(timedelta(days=2))
    subject = captured.person("u-2", "P02")
    end_basis(platform, ADMIN, subject, "P01")
    sweep_expired(platform, ADMIN)
    assert [task.subject for task in tasks(platform)] == [gone, subject]
    return subject


def test_tasks_that_stay_keep_nobody_waiting(
    platform: Platform, captured: Captured, another: SubjectId, monkeypatch: pytest.MonkeyPatch
):
    """However many accounts were opened again, the others are found behind them."""
    monkeypatch.setattr(close_accounts, "_AT_ONCE", 1)
    captured.record(captured.act("contract", {**captured.known("u-1"), "birth_date": "1990-05-20"}, "P01"))
    platform.clock.advance(timedelta(days=40))
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert state(platform, another) is Standing.ERASED


def test_one_row_that_does_not_verify_keeps_nobody_waiting(platform: Platform, gone: SubjectId, another: SubjectId):
    """The person of the changed row stays blocked, and a line names the task; the other is erased in time."""
    with platform.data.write() as connection:
        mine = sealed_record.c.subject_id == gone
        connection.execute(update(sealed_record).where(mine).values(held_until=datetime(2020, 1, 1, tzinfo=UTC)))
    first, _ = tasks(platform)
    platform.clock.advance(timedelta(days=40))
    with capture_logs() as lines:
        assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert (state(platform, gone), state(platform, another)) == (Standing.ERASING, Standing.ERASED)
    assert [line["task"] for line in lines if line["event"] == "account.not_closed"] == [first.task_id]
    assert tasks(platform) == [first]
