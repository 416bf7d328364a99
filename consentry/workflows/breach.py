"""Breach cases: opened, told of, and closed only when everybody was told whom the law names (R41–R44)."""

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from audit.events import Act, Event, Outcome
from consent.ages import AgeClass
from consent.asking import Asking
from consent.entries import now_in_log
from consent.standing import find_standings
from consent.tables import task
from consent.tasks import NewTask, TaskKind, create_tasks, done_task
from consentry.access import can_act
from consentry.breach_acts import BreachNotice, BreachReport, BreachWaiver
from consentry.breach_duties import Facts, duties_of
from consentry.breach_facts import PROFILES, Named, facts_from
from consentry.breach_report import case_json
from consentry.breaches import Case, facts_members, get_case, read_cases
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.words_said import check_said
from consentry.workflows.breach_accesses import LISTED, digest_of, find_accesses
from consentry.workflows.denials import check_allowed
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict
from kernel.ids import EntryId, SubjectId, new_id

OPEN_ACT: Final = "breach.open"
"""Opens a case and sees how cases stand."""

MANAGE_ACT: Final = "breach.manage"
"""Moves a case on, reads its words, and closes it."""

WORDS: Final = ("categories", "cause", "harm", "measures", "self_protection", "contact")
"""What a notification has to say (PIPL 57); sealed beside the entries."""

_MINORS: Final = frozenset({AgeClass.UNDER_14, AgeClass.UNDER_18})


def open_breach(platform: Platform, caller: Principal, report: BreachReport) -> Case:
    """Open a case; its timers count from when the breach was learned of.

    Raises:
        BadInput: one of the six words is missing, the numbers do not fit, or the time lies ahead.
        Denied: the role may not.
    """
    check_allowed(platform, caller, OPEN_ACT, persons_only=True)
    missing = [name for name in WORDS if not (getattr(report, name) or "").strip()]
    if missing:
        raise BadInput(f"A breach case needs {', '.join(missing)}", hint="Say each in words; they are sealed.")
    if report.people is None and report.subjects is None:
        raise BadInput("A breach case needs people", hint="Give their number, or an estimate with `estimate`.")
    return _tell(platform, caller, report, case_id=None)


def change_breach(platform: Platform, caller: Principal, case_id: str, report: BreachReport) -> Case:
    """Record what turned out later: numbers, words, subjects, accesses.

    Raises:
        BadInput: nothing is said, the numbers do not fit, or the breach would have been learned of later.
        Conflict: the case is closed.
        Denied: the role may not.
        NotFound: there is no such case.
    """
    check_allowed(platform, caller, MANAGE_ACT, persons_only=True)
    if not report.model_fields_set:
        raise BadInput("Nothing is changed", hint="Say what turned out.")
    return _tell(platform, caller, report, case_id=case_id)


def notify_breach(platform: Platform, caller: Principal, case_id: str, notice: BreachNotice) -> Case:
    """Record that somebody was told; the text itself is not kept.

    Raises:
        BadInput: the law names no such duty for the case, or the time lies ahead or before the breach was learned of.
        Conflict: the case is closed.
        Denied: the role may not.
        NotFound: there is no such case.
    """
    check_allowed(platform, caller, MANAGE_ACT, persons_only=True)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        case = _open_case(connection, case_id)
        _check_duty(platform, case, notice.duty)
        now = now_in_log(connection, platform.log, platform.clock)
        at = notice.at or now
        if not case.facts.aware_at <= at <= now:
            raise BadInput("Nobody was told then", hint="Give a moment between the awareness and now.")
        refs = {
            "case": case_id,
            "duty": notice.duty,
            "channel": notice.channel,
            "text_hash": hashlib.sha256(notice.text.encode()).hexdigest(),
            "notified_at": format_instant(at),
        }
        counts = {"people": notice.people, "complete": int(notice.complete)}
        details = None if notice.recipient is None else {"recipient": notice.recipient}
        event = _event(asking, Act.BREACH_NOTIFIED, counts=counts, refs=refs, details=details)
        platform.log.record(connection, event)
        return get_case(connection, case_id)


def waive_breach(platform: Platform, caller: Principal, case_id: str, waiver: BreachWaiver) -> Case:
    """Say that a duty need not be done; it counts once two different people have said so.

    Tasks to tell guardians are done with it, each by an entry with the second reason.

    Raises:
        BadInput: the law names no such duty for the case, or no reason.
        Conflict: the case is closed, or the caller has said so already.
        Denied: the role may not.
        NotFound: there is no such case.
    """
    check_allowed(platform, caller, MANAGE_ACT, persons_only=True)
    reason = check_said(waiver.reason, what="A waiver")
    with platform.data.write() as connection:
        case = _open_case(connection, case_id)
        _check_duty(platform, case, waiver.duty)
        if caller.principal_id in case.waivers.get(waiver.duty, {}):
            raise Conflict("You have waived this duty already", hint="A second person has to say so too.")
        refs = {"case": case_id, "waives": waiver.duty}
        details, asking = {"reason": reason}, platform.asking(caller)
        platform.log.record(connection, _event(asking, Act.BREACH_CHANGED, refs=refs, details=details))
        waived = get_case(connection, case_id)
        _finish_waived_tasks(platform, connection, asking, waived, reason=reason)
        return waived


def close_breach(platform: Platform, caller: Principal, case_id: str, *, reason: str) -> Case:
    """Close a case in which everybody was told, or two people waived it, and no guardian's task is open.

    Tasks of guardians whom two people waived, named since or before releases that did so with the waiver, are done.

    Raises:
        BadInput: no reason.
        Conflict: somebody is left to be told, or the case is closed already.
        Denied: the role may not.
        NotFound: there is no such case.
    """
    check_allowed(platform, caller, MANAGE_ACT, persons_only=True)
    reason = check_said(reason, what="Closing a case")
    with platform.data.write() as connection:
        case = _open_case(connection, case_id)
        left = [duty.code for duty in case.open_duties(platform.catalogue.oversight.breach)]
        if left:
            raise Conflict(
                f"Case {case_id} stays open: {', '.join(left)}",
                hint="Record who was told, or have two people waive it.",
            )
        asking = platform.asking(caller)
        _finish_waived_tasks(platform, connection, asking, case, reason=reason)
        if tasks := open_guardian_tasks(connection, case_id):
            raise Conflict(
                f"Case {case_id} stays open: {tasks} guardians' tasks", hint="See `consentry consent tasks`."
            )
        event = _event(asking, Act.BREACH_CLOSED, refs={"case": case_id}, details={"reason": reason})
        platform.log.record(connection, event)
        return get_case(connection, case_id)


def list_breaches(platform: Platform, caller: Principal, *, locale: str = "zh-CN") -> list[dict[str, JsonValue]]:
    """Return every case without its words, the oldest first, with its timers as of now.

    Raises:
        Denied: the role may not.
    """
    check_allowed(platform, caller, OPEN_ACT, persons_only=True)
    thresholds = platform.catalogue.oversight.breach
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        return [case_json(case, thresholds, now, locale) for case in read_cases(connection).values()]


def show_breach(
    platform: Platform, caller: Principal, case_id: str, *, locale: str = "zh-CN", with_words: bool = True
) -> dict[str, JsonValue]:
    """Return one case with the checkpoint that its entries lie under.

    Args:
        platform: every part.
        caller: who reads.
        case_id: the case.
        locale: ``zh-CN`` or ``en``, of the labels.
        with_words: opens the words for who manages cases; this reading leaves an entry.
    Raises:
        Denied: the role may not.
        NotFound: there is no such case.
    """
    check_allowed(platform, caller, OPEN_ACT, persons_only=True)
    with platform.data.read() as connection:
        case = get_case(connection, case_id)
    may_read = with_words and can_act(platform.catalogue, caller, MANAGE_ACT)
    words = read_words(platform, caller, case) if may_read else None
    signed = platform.log.settle()
    with platform.data.read() as connection:
        now = now_in_log(connection, platform.log, platform.clock)
        tasks = open_guardian_tasks(connection, case_id)
    told = case_json(case, platform.catalogue.oversight.breach, now, locale)
    checkpoint: dict[str, JsonValue] = {
        "origin": signed.origin,
        "size": signed.size,
        "root": base64.b64encode(signed.root).decode(),
    }
    return {**told, "words": words, "guardian_tasks": tasks, "checkpoint": checkpoint}


def open_guardian_tasks(connection: Connection, case_id: str) -> int:
    """Return how many guardians of listed minors are still to be told by name."""
    return connection.scalar(select(func.count()).select_from(task).where(*_unfinished(case_id))) or 0


def read_words(platform: Platform, caller: Principal, case: Case) -> dict[str, JsonValue]:
    """Open the words of a case, the newest of each, for who manages cases; this reading is logged too."""
    check_allowed(platform, caller, MANAGE_ACT, persons_only=True)
    asking = platform.asking(caller)
    platform.log.write(_event(asking, Act.AUDIT_READ, refs={"case": case.case_id}, outcome=Outcome.ALLOWED))
    words: dict[str, JsonValue] = {}
    with platform.data.read() as connection:
        for entry_id in case.entries:
            found = platform.log.read_details(connection, EntryId(entry_id)) or {}
            words.update({name: value for name, value in found.items() if name in {*WORDS, "accesses"}})
    return words


def _unfinished(case_id: str) -> tuple[ColumnElement[bool], ...]:
    return task.c.kind == TaskKind.INFORM.value, task.c.cause == case_id, task.c.done_at.is_(None)


def _finish_waived_tasks(
    platform: Platform, connection: Connection, asking: Asking, case: Case, *, reason: str
) -> None:
    """Mark the tasks of guardians as done once two people said that these need not be told (R44), with why."""
    if not case.is_waived("guardians"):
        return
    rows = connection.execute(select(task.c.task_id, task.c.subject_id).where(*_unfinished(case.case_id))).all()
    events = [
        replace(
            _event(asking, Act.TASK_DONE, details={"note": reason},
                   refs={"task": row.task_id, "kind": TaskKind.INFORM.value, "waived": case.case_id}),
            subject=SubjectId(row.subject_id),
        )
        for row in rows
    ]  # fmt: skip
    now = now_in_log(connection, platform.log, platform.clock)
    for row, entry_id in zip(rows, platform.log.record_many(connection, events), strict=True):
        done_task(connection, row.task_id, entry_id=entry_id, at=now)


def _tell(platform: Platform, caller: Principal, report: BreachReport, *, case_id: str | None) -> Case:
    asking = platform.asking(caller)
    found = None if report.accesses is None else find_accesses(platform, report.accesses)
    with platform.data.write() as connection:
        case = None if case_id is None else _open_case(connection, case_id)
        now = now_in_log(connection, platform.log, platform.clock)
        subjects = tuple(SubjectId(subject) for subject in dict.fromkeys(report.subjects or ()))
        minors = _minors_among(connection, subjects, now)
        before = None if case is None else case.facts
        by_place = PROFILES.get(platform.catalogue.jurisdiction)
        facts = facts_from(report, before, now=now, named=Named(len(subjects), len(minors)), by_place=by_place)
        told = case_id or new_id("brc")
        counts, refs = facts_members(facts)
        if found is not None:
            counts["accesses"], refs["accesses"] = len(found), digest_of(found)
        act = Act.BREACH_OPENED if case is None else Act.BREACH_CHANGED
        event = _event(asking, act, counts=counts, refs={"case": told, **refs}, details=_details(report, found))
        platform.log.record(connection, replace(event, cohort=subjects))
        wanted = _guardian_tasks(platform, told, facts, minors)
        create_tasks(connection, wanted, asking=asking, log=platform.log, now=now)
        return get_case(connection, told)


def _minors_among(connection: Connection, subjects: Sequence[SubjectId], now: datetime) -> list[SubjectId]:
    """Return the minors among some subjects; raises ``BadInput`` where one is not registered."""
    if not subjects:
        return []
    standings = find_standings(connection, subjects)
    if unknown := len(set(subjects) - standings.keys()):
        raise BadInput(f"{unknown} of the subjects are not registered", hint="Give the ids of registered subjects.")
    return [subject for subject in subjects if standings[subject].age_class_on(now.date()) in _MINORS]


def _guardian_tasks(platform: Platform, case_id: str, facts: Facts, minors: Collection[SubjectId]) -> list[NewTask]:
    """Return a task for each named minor: its guardian has to be told."""
    due = {duty.code: duty.due_at for duty in duties_of(facts, platform.catalogue.oversight.breach)}
    return [NewTask(TaskKind.INFORM, minor, "", case_id, due["guardians"]) for minor in minors]


def _details(report: BreachReport, places: Sequence[int] | None) -> dict[str, JsonValue] | None:
    details: dict[str, JsonValue] = {name: said for name in WORDS if (said := getattr(report, name)) is not None}
    if places is not None and report.accesses is not None:
        asked = report.accesses.model_dump(mode="json", exclude_none=True)
        details["accesses"] = {"filter": asked, "entries": list(places[:LISTED])}
    return details or None


def _open_case(connection: Connection, case_id: str) -> Case:
    case = get_case(connection, case_id)
    if case.closed_at is not None:
        raise Conflict(f"Case {case_id} is closed", hint="Open a new one.")
    return case


def _check_duty(platform: Platform, case: Case, duty: str) -> None:
    known = [one.code for one in duties_of(case.facts, platform.catalogue.oversight.breach)]
    if duty not in known:
        raise BadInput("The law names no such duty for this case", hint=f"One of: {', '.join(known)}.")


def _event(
    asking: Asking,
    act: Act,
    *,
    counts: Mapping[str, int] | None = None,
    refs: Mapping[str, str] | None = None,
    details: Mapping[str, JsonValue] | None = None,
    outcome: Outcome = Outcome.DONE,
) -> Event:
    return Event(
        act, outcome, asking.actor, asking.role, asking.request_id,
        counts=counts or {}, refs=refs or {}, details=details,
    )  # fmt: skip
