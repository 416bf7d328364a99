"""Duties that begin with a number of people: what is reached, what follows, until when, and what was recorded last.

Source: 促进和规范数据跨境流动规定 (2024) 5, 7, 8 (R11); 个人信息保护合规审计管理办法 (2025) 4, 12 (R45);
未成年人网络保护条例 37 (R46). Pure functions: counts and what was filed come in.
"""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from kernel.catalogue import Label
from kernel.oversight import DutyThresholds


class Duty(StrEnum):
    """What the law can ask for."""

    TRANSFER_CONTRACT = "TRANSFER_CONTRACT"
    TRANSFER_ASSESSMENT = "TRANSFER_ASSESSMENT"
    COMPLIANCE_AUDIT = "COMPLIANCE_AUDIT"
    OFFICER_FILED = "OFFICER_FILED"
    RESPONSIBLE_PERSON = "RESPONSIBLE_PERSON"
    MINORS_AUDIT = "MINORS_AUDIT"


FOLLOWS: Final[Mapping[Duty, Label]] = {
    Duty.TRANSFER_CONTRACT: Label(
        "须订立个人信息出境标准合同或通过认证", "a standard contract or a certification for transfers abroad"
    ),
    Duty.TRANSFER_ASSESSMENT: Label("须申报数据出境安全评估", "a security assessment of transfers abroad"),
    Duty.COMPLIANCE_AUDIT: Label("须至少每两年开展一次合规审计", "a compliance audit at least every two years"),
    Duty.OFFICER_FILED: Label(
        "须在三十个工作日内报送个人信息保护负责人", "the officer is filed with the authority within 30 working days"
    ),
    Duty.RESPONSIBLE_PERSON: Label("须指定个人信息保护负责人", "a responsible person is named"),
    Duty.MINORS_AUDIT: Label(
        "须每年对未成年人个人信息开展合规审计，次年一月底前报告",
        "a yearly audit of minors' data, reported by the end of January",
    ),
}


class DutyState(StrEnum):
    """Where a duty stands today."""

    NOT_REACHED = "not_reached"
    DUE = "due"
    OVERDUE = "overdue"
    FULFILLED = "fulfilled"


@dataclass(frozen=True, slots=True)
class Filing:
    """What was recorded of a duty: when it was done, and under which reference."""

    duty: Duty
    on: date
    reference: str
    by: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of people today.

    Attributes:
        subjects, sensitive, minors: whose data, sensitive data, or data as minors are held.
        abroad, abroad_sensitive: whose data, or sensitive data, went abroad this year.
        mechanisms_suffice: whether every recipient abroad has a recorded mechanism that answers this year's need.
        reached_on: the day on which the threshold of a duty was reached; missing where it was not.
    """

    subjects: int
    sensitive: int
    minors: int
    abroad: int
    abroad_sensitive: int
    mechanisms_suffice: bool = True
    reached_on: Mapping[Duty, date] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DutyStatus:
    """One duty today.

    Attributes:
        numbers, thresholds: by what is counted; one threshold of several is enough.
        due_on: the last day for what is to be done next; None where nothing is.
        filed: what was recorded last.
    """

    duty: Duty
    numbers: Mapping[str, int]
    thresholds: Mapping[str, int]
    state: DutyState
    due_on: date | None
    filed: Filing | None


def judge_duties(
    tally: Tally, filings: Sequence[Filing], thresholds: DutyThresholds, *, today: date
) -> list[DutyStatus]:
    """Return every duty as it stands on a day.

    Args:
        tally: of today.
        filings: in the order of recording.
        thresholds: of the pack.
        today: in the pack's time zone.
    """
    last = {filing.duty: filing for filing in sorted(filings, key=lambda filing: filing.on)}
    return [_judge(duty, tally, last.get(duty), thresholds, today) for duty in Duty]


def thresholds_of(duty: Duty, given: DutyThresholds) -> dict[str, int]:
    """Return from how many people on a duty begins, by what is counted; "more than" is one more."""
    match duty:
        case Duty.TRANSFER_CONTRACT:
            return {"abroad": given.subjects_for_contract, "abroad_sensitive": 1}
        case Duty.TRANSFER_ASSESSMENT:
            return {"abroad": given.subjects_for_assessment, "abroad_sensitive": given.sensitive_for_assessment}
        case Duty.COMPLIANCE_AUDIT:
            return {"subjects": given.subjects_for_audit + 1}
        case Duty.OFFICER_FILED:
            return {"subjects": given.subjects_for_officer}
        case Duty.RESPONSIBLE_PERSON:
            return {"sensitive": given.sensitive_for_person + 1}
        case Duty.MINORS_AUDIT:
            return {"minors": 1}


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, its last one where there is no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def add_working_days(day: date, number: int) -> date:
    """Return the day after so many days from Monday to Friday.

    Public holidays are not known here; with them the real term ends later, never earlier.
    """
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < _SATURDAY
    return day


def _judge(duty: Duty, tally: Tally, filed: Filing | None, given: DutyThresholds, today: date) -> DutyStatus:
    thresholds = thresholds_of(duty, given)
    numbers = {name: int(getattr(tally, name)) for name in thresholds}
    if all(numbers[name] < thresholds[name] for name in thresholds):
        return DutyStatus(duty, numbers, thresholds, DutyState.NOT_REACHED, None, filed)
    due_on = _next_due(duty, tally, filed, given, today)
    state = DutyState.OVERDUE if due_on is not None and due_on < today else DutyState.DUE
    if due_on is None or (filed is not None and state is DutyState.DUE):
        state = DutyState.FULFILLED
    return DutyStatus(duty, numbers, thresholds, state, due_on, filed)


def _next_due(duty: Duty, tally: Tally, filed: Filing | None, given: DutyThresholds, today: date) -> date | None:
    """Return the last day for what is to be done next; None where what was done is enough for now."""
    reached = tally.reached_on.get(duty, today)
    match duty:
        case Duty.TRANSFER_CONTRACT | Duty.TRANSFER_ASSESSMENT:
            is_done = tally.mechanisms_suffice or (filed is not None and filed.on.year == today.year)
            return None if is_done else reached
        case Duty.COMPLIANCE_AUDIT:
            return add_months(reached if filed is None else filed.on, given.audit_months)
        case Duty.OFFICER_FILED:
            return add_working_days(reached, given.officer_working_days) if filed is None else None
        case Duty.RESPONSIBLE_PERSON:
            return reached if filed is None else None
        case Duty.MINORS_AUDIT:
            return _end_of_january(reached if filed is None else filed.on, after=filed is not None)


def _end_of_january(day: date, *, after: bool) -> date:
    """Return the first end of January from a day on; with ``after`` the one that follows it.

    A report that is filed until the end of January is the one that was due then.
    """
    first = date(day.year if day.month == 1 else day.year + 1, 1, 31)
    return date(first.year + after, 1, 31)


_SATURDAY: Final = 5
