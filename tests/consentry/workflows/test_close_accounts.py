"""A cancelled account is erased within fifteen working days: a task at once, and the deed before the days are over."""

from datetime import date, timedelta

import pytest

from consent.closures import working_days_after
from consent.standing import Standing, get_standing
from consent.tasks import TaskKind, open_tasks
from consentry.platform import Platform
from consentry.workflows.erase import erase_subject
from consentry.workflows.sweep import sweep_expired, sweep_in_steps
from consentry.workflows.tend import end_basis
from kernel.ids import SubjectId
from tests.consentry.conftest import ADMIN, Captured


@pytest.fixture
def gone(platform: Platform, captured: Captured) -> SubjectId:
    """Somebody who cancelled the account; 21 November 2026 is a Saturday."""
    subject = captured.person("u-1", "P02")
    end_basis(platform, ADMIN, subject, "P01")
    return subject


def tasks(platform: Platform) -> list:
    with platform.data.read() as connection:
        return open_tasks(connection, kind=TaskKind.CLOSE_ACCOUNT)


def state(platform: Platform, subject: SubjectId) -> Standing:
    with platform.data.read() as connection:
        return get_standing(connection, subject).state


def test_a_cancelled_account_has_a_task_with_the_laws_days(platform: Platform, gone: SubjectId):
    """Due with the end of the fifteenth working day, in the pack's time zone; made once."""
    for _ in range(2):
        sweep_expired(platform, ADMIN)
    (task,) = tasks(platform)
    assert (task.subject, task.due_at.isoformat()) == (gone, "2026-12-11T16:00:00+00:00")
    assert state(platform, gone) is Standing.ACTIVE


def test_nobody_has_to_remember_it(platform: Platform, gone: SubjectId):
    """The last sweep before the days are over erases, and the task is done."""
    sweep_expired(platform, ADMIN)
    platform.clock.advance(timedelta(days=19))
    assert sweep_expired(platform, ADMIN).closed_accounts == 0
    platform.clock.advance(timedelta(days=1))
    assert sweep_expired(platform, ADMIN).closed_accounts == 1
    assert (tasks(platform), state(platform, gone)) == ([], Standing.ERASED)


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


@pytest.mark.parametrize(
    ("day", "number", "then"),
    [
        (date(2026, 11, 20), 1, date(2026, 11, 23)),
        (date(2026, 11, 21), 1, date(2026, 11, 23)),
        (date(2026, 11, 23), 15, date(2026, 12, 14)),
        (date(2026, 11, 23), 0, date(2026, 11, 23)),
    ],
)
def test_working_days_leave_out_weekends(day: date, number: int, then: date):
    """Friday, Saturday and Monday."""
    assert working_days_after(day, number) == then
