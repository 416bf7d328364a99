"""How grave a breach is, and whom the law wants told by when: pure functions of what is known (R42–R44)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from kernel.catalogue import Label
from kernel.oversight import BreachThresholds


class Grade(StrEnum):
    """How grave a breach is, by the number of people (分级指南; R43)."""

    PARTICULARLY_SERIOUS = "particularly_serious"
    SERIOUS = "serious"
    LARGER = "larger"
    ORDINARY = "ordinary"


class Profile(StrEnum):
    """A law that a breach falls under."""

    PIPL = "pipl"
    GDPR = "gdpr"
    HIPAA = "hipaa"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a breach, in numbers.

    Attributes:
        aware_at: when the operator learned of it; every timer counts from here.
        people: how many subjects are affected; where ``is_estimate``, by estimate.
        minors: how many of them are under 18.
        sensitive: how many of the people have sensitive data among what is affected.
        is_critical: the operator runs critical information infrastructure.
        profiles: the laws that it falls under.
    """

    aware_at: datetime
    people: int
    minors: int
    sensitive: int
    is_estimate: bool
    is_critical: bool
    profiles: frozenset[Profile]


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody who must be told, and by when; ``code`` is the law and the kind of recipient."""

    code: str
    due_at: datetime


GRADES: Final = {
    Grade.PARTICULARLY_SERIOUS: Label("特别重大", "particularly serious"),
    Grade.SERIOUS: Label("重大", "serious"),
    Grade.LARGER: Label("较大", "larger"),
    Grade.ORDINARY: Label("一般", "ordinary"),
}

DUTIES: Final = {
    "pipl.authority": Label("向主管部门报告", "report to the authority"),
    "pipl.individuals": Label("告知受影响的个人", "tell the people concerned"),
    "guardians": Label("告知受影响未成年人的监护人", "tell the guardians of affected minors"),
    "gdpr.authority": Label("向监管机构通报(GDPR 33)", "notify the supervisory authority (GDPR 33)"),
    "gdpr.individuals": Label("告知数据主体(GDPR 34)", "tell the data subjects (GDPR 34)"),
    "hipaa.individuals": Label("告知受影响的个人(164.404)", "notify the individuals (164.404)"),
    "hipaa.authority": Label("通报 HHS(164.408)", "notify the Secretary of HHS (164.408)"),
    "hipaa.media": Label("通知媒体(164.406)", "notify the media (164.406)"),
}
"""Every duty there is, for people."""


def grade_of(people: int, thresholds: BreachThresholds) -> Grade:
    """Return the grade for a number of people."""
    if people >= thresholds.particularly_serious:
        return Grade.PARTICULARLY_SERIOUS
    if people >= thresholds.serious:
        return Grade.SERIOUS
    return Grade.LARGER if people >= thresholds.larger else Grade.ORDINARY


def duties_of(facts: Facts, thresholds: BreachThresholds) -> list[Duty]:
    """Return whom the law wants told of a breach, the most urgent first.

    Source: PIPL 57; 国家网络安全事件报告管理办法 4; 未成年人网络保护条例 35; GDPR 33 and 34; 45 CFR 164.404–408.
    """
    return sorted(_duties(facts, thresholds), key=lambda duty: (duty.due_at, duty.code))


def _duties(facts: Facts, thresholds: BreachThresholds) -> Iterator[Duty]:
    at_once = facts.aware_at + timedelta(hours=thresholds.at_once_hours)
    if Profile.PIPL in facts.profiles:
        yield Duty("pipl.authority", facts.aware_at + timedelta(hours=_authority_hours(facts, thresholds)))
        yield Duty("pipl.individuals", at_once)
    if facts.minors:
        yield Duty("guardians", at_once)
    if Profile.GDPR in facts.profiles:
        yield Duty("gdpr.authority", facts.aware_at + timedelta(hours=thresholds.gdpr_hours))
        if facts.sensitive:
            yield Duty("gdpr.individuals", at_once)
    if Profile.HIPAA in facts.profiles:
        yield from _hipaa(facts, thresholds)


def _authority_hours(facts: Facts, thresholds: BreachThresholds) -> int:
    if facts.is_critical:
        return thresholds.critical_hours
    is_larger = grade_of(facts.people, thresholds) is not Grade.ORDINARY
    return thresholds.larger_hours if is_larger else thresholds.at_once_hours


def _hipaa(facts: Facts, thresholds: BreachThresholds) -> Iterator[Duty]:
    within = timedelta(days=thresholds.hipaa_days)
    yield Duty("hipaa.individuals", facts.aware_at + within)
    if facts.people >= thresholds.hipaa_people:
        yield Duty("hipaa.authority", facts.aware_at + within)
        yield Duty("hipaa.media", facts.aware_at + within)
    else:
        # Of fewer people the Secretary is told within the same time after the end of the calendar year (164.408(c)).
        year_end = datetime(facts.aware_at.astimezone(UTC).year + 1, 1, 1, tzinfo=UTC)
        yield Duty("hipaa.authority", year_end + within)
