"""Duties that begin with a number of people."""

from dataclasses import replace
from datetime import date

import pytest

from audit.counters import (
    FOLLOWS,
    Duty,
    DutyState,
    Filing,
    Tally,
    add_months,
    add_working_days,
    judge_duties,
    thresholds_of,
)
from kernel.oversight import DutyThresholds

TODAY = date(2026, 11, 23)
LAW = DutyThresholds()
NOBODY = Tally(subjects=0, sensitive=0, minors=0, abroad=0, abroad_sensitive=0)


def status(duty, tally, *filed, today=TODAY):
    filings = [Filing(duty, date.fromisoformat(on), "REF-1", "usr_a", "ent_1") for on in filed]
    return next(one for one in judge_duties(tally, filings, LAW, today=today) if one.duty is duty)


def test_every_duty_has_its_words_and_threshold():
    """Nothing is counted without saying what follows."""
    assert set(FOLLOWS) == set(Duty)
    assert all(thresholds_of(duty, LAW) for duty in Duty)


@pytest.mark.parametrize(
    ("duty", "below", "reached"),
    [
        (Duty.TRANSFER_CONTRACT, {"abroad": 99_999}, {"abroad": 100_000}),
        (Duty.TRANSFER_CONTRACT, {"abroad_sensitive": 0}, {"abroad_sensitive": 1}),
        (Duty.TRANSFER_ASSESSMENT, {"abroad": 999_999}, {"abroad": 1_000_000}),
        (Duty.TRANSFER_ASSESSMENT, {"abroad_sensitive": 9_999}, {"abroad_sensitive": 10_000}),
        (Duty.COMPLIANCE_AUDIT, {"subjects": 10_000_000}, {"subjects": 10_000_001}),
        (Duty.OFFICER_FILED, {"subjects": 999_999}, {"subjects": 1_000_000}),
        (Duty.RESPONSIBLE_PERSON, {"sensitive": 100_000}, {"sensitive": 100_001}),
        (Duty.MINORS_AUDIT, {"minors": 0}, {"minors": 1}),
    ],
)
def test_duty_begins_at_its_number(duty, below, reached):
    """One person fewer and nothing follows (R11, R45, R46)."""
    tally = replace(NOBODY, mechanisms_suffice=False)
    assert status(duty, replace(tally, **below)).state is DutyState.NOT_REACHED
    assert status(duty, replace(tally, **reached)).state is DutyState.DUE


def test_transfer_is_answered_by_mechanisms_or_by_what_was_filed_this_year():
    """A recorded mechanism that suffices, or a filing of this year; last year's is none."""
    tally = replace(NOBODY, abroad_sensitive=1, mechanisms_suffice=False, reached_on={Duty.TRANSFER_CONTRACT: TODAY})
    assert status(Duty.TRANSFER_CONTRACT, replace(tally, mechanisms_suffice=True)).state is DutyState.FULFILLED
    assert status(Duty.TRANSFER_CONTRACT, tally, "2026-03-01").state is DutyState.FULFILLED
    assert status(Duty.TRANSFER_CONTRACT, tally, "2025-03-01", today=date(2026, 11, 24)).state is DutyState.OVERDUE


def test_compliance_audit_comes_round_every_two_years():
    """From the day on which the number was reached, then from the last audit (R45)."""
    tally = replace(NOBODY, subjects=10_000_001, reached_on={Duty.COMPLIANCE_AUDIT: date(2025, 1, 31)})
    first, done = status(Duty.COMPLIANCE_AUDIT, tally), status(Duty.COMPLIANCE_AUDIT, tally, "2026-05-01")
    assert (first.state, first.due_on) == (DutyState.DUE, date(2027, 1, 31))
    assert (done.state, done.due_on, done.filed.reference) == (DutyState.FULFILLED, date(2028, 5, 1), "REF-1")
    assert status(Duty.COMPLIANCE_AUDIT, tally, "2024-05-01").state is DutyState.OVERDUE


def test_officer_is_filed_within_thirty_working_days_once():
    """Weekends do not count (R45)."""
    tally = replace(NOBODY, subjects=1_000_000, reached_on={Duty.OFFICER_FILED: date(2026, 11, 20)})
    assert status(Duty.OFFICER_FILED, tally).due_on == date(2027, 1, 1)
    assert status(Duty.OFFICER_FILED, tally, today=date(2027, 1, 2)).state is DutyState.OVERDUE
    assert status(Duty.OFFICER_FILED, tally, "2026-12-01").state is DutyState.FULFILLED


def test_responsible_person_is_named_at_once():
    """There is no term (R45)."""
    tally = replace(NOBODY, sensitive=100_001, reached_on={Duty.RESPONSIBLE_PERSON: date(2026, 11, 20)})
    assert status(Duty.RESPONSIBLE_PERSON, tally).state is DutyState.OVERDUE
    assert status(Duty.RESPONSIBLE_PERSON, tally, "2026-11-23").state is DutyState.FULFILLED


@pytest.mark.parametrize(
    ("filed", "state", "due_on"),
    [
        ((), DutyState.DUE, date(2027, 1, 31)),
        (("2026-01-31",), DutyState.FULFILLED, date(2027, 1, 31)),
        (("2026-02-01",), DutyState.FULFILLED, date(2028, 1, 31)),
        (("2025-01-15",), DutyState.OVERDUE, date(2026, 1, 31)),
    ],
)
def test_minors_audit_is_reported_by_the_end_of_january(filed, state, due_on):
    """A report until the end of January is the one that was due then (R46)."""
    tally = replace(NOBODY, minors=1, reached_on={Duty.MINORS_AUDIT: date(2026, 3, 1)})
    told = status(Duty.MINORS_AUDIT, tally, *filed)
    assert (told.state, told.due_on) == (state, due_on)


def test_calendar_is_counted_as_people_do():
    """The last day of a shorter month, and weekends."""
    assert add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert add_months(date(2026, 12, 15), 24) == date(2028, 12, 15)
    friday, saturday, monday = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)
    assert add_working_days(friday, 1) == add_working_days(saturday, 1) == add_working_days(monday, 0) == monday
    assert add_working_days(monday, 15) == date(2026, 12, 14)
