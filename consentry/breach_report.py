"""A breach case as programs and people read it: how grave, whom to tell by when, and what was done in time."""

from collections.abc import Mapping
from datetime import datetime

from consent.words import Language, in_language
from consentry.breach_duties import DUTIES, GRADES, Duty, duties_of
from consentry.breaches import Case
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.oversight import BreachThresholds


def case_json(case: Case, thresholds: BreachThresholds, now: datetime, locale: str) -> dict[str, JsonValue]:
    """Return a case without its words.

    Args:
        case: as its entries tell it.
        thresholds: of the pack.
        now: by which timers are told.
        locale: ``zh-CN`` or ``en``, of the labels.
    """
    grade, facts, language = case.grade(thresholds), case.facts, Language.of(locale)
    return {
        "case": case.case_id,
        "state": "open" if case.closed_at is None else "closed",
        "grade": grade.value,
        "grade_label": in_language(GRADES[grade], language),
        "aware_at": format_instant(facts.aware_at),
        "opened_at": format_instant(case.opened_at),
        "closed_at": None if case.closed_at is None else format_instant(case.closed_at),
        "people": facts.people,
        "minors": facts.minors,
        "sensitive": facts.sensitive,
        "estimate": facts.is_estimate,
        "critical": facts.is_critical,
        "profiles": sorted(facts.profiles),
        "overdue": [duty.code for duty in case.overdue(thresholds, now)],
        "duties": [_duty(case, duty, now, language) for duty in duties_of(facts, thresholds)],
        "notifications": [
            {
                "duty": one.duty,
                "channel": one.channel,
                "text_hash": one.text_hash,
                "at": format_instant(one.at),
                "people": one.people,
                "complete": one.is_complete,
                "entry": one.entry_id,
            }
            for one in case.notifications
        ],
        "accesses": None if case.accesses is None else dict(zip(("entries", "digest"), case.accesses, strict=True)),
        "entries": list(case.entries),
    }


def _duty(case: Case, duty: Duty, now: datetime, language: Language) -> Mapping[str, JsonValue]:
    done = case.done_at(duty.code)
    return {
        "duty": duty.code,
        "label": in_language(DUTIES[duty.code], language),
        "due_at": format_instant(duty.due_at),
        "done_at": None if done is None else format_instant(done),
        "state": _state(case, duty, done, now),
        "waived_by": sorted(case.waivers.get(duty.code, {})),
    }


def _state(case: Case, duty: Duty, done: datetime | None, now: datetime) -> str:
    if done is not None:
        return "on_time" if done <= duty.due_at else "late"
    if case.is_waived(duty.code):
        return "waived"
    return "overdue" if duty.due_at < now else "open"
