"""Unusual access: rules over the log that explain themselves by a code, a threshold, numbers and the entries behind.

Pure functions: entries, thresholds and what is known about people come in, findings go out. A finding is named by what
tripped it, so that the same entries always give the same one, however often and late they are looked at.
"""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from statistics import median
from typing import Final, TypeAlias

from audit.events import Act, Outcome
from audit.queries import EntryView
from kernel.catalogue import Label
from kernel.ids import is_id
from kernel.oversight import AccessThresholds


class Rule(StrEnum):
    """What is unusual about an access."""

    VOLUME_CAP = "VOLUME_CAP"
    VOLUME_HISTORY = "VOLUME_HISTORY"
    HOUR = "HOUR"
    SELF_LOOKUP = "SELF_LOOKUP"
    FAMILY_LOOKUP = "FAMILY_LOOKUP"
    VIP_LOOKUP = "VIP_LOOKUP"
    DENIAL_STREAK = "DENIAL_STREAK"
    BREAK_GLASS = "BREAK_GLASS"
    BREAK_GLASS_OVERDUE = "BREAK_GLASS_OVERDUE"
    MINOR_UNAPPROVED = "MINOR_UNAPPROVED"
    LIMIT_REACHED = "LIMIT_REACHED"


SENTENCES: Final[Mapping[Rule, Label]] = {
    Rule.VOLUME_CAP: Label(
        "{actor} 在 {day} 查看了 {number} 人的记录，超过每日上限 {threshold} 人。",
        "{actor} opened records of {number} people on {day}, more than the daily cap of {threshold}.",
    ),
    Rule.VOLUME_HISTORY: Label(
        "{actor} 在 {day} 查看了 {number} 人的记录，超过该角色平日中位数 {usual} 人所允许的 {threshold} 人。",
        "{actor} opened records of {number} people on {day}; from the role's usual {usual} a day, at most {threshold} "
        "would be expected.",
    ),
    Rule.HOUR: Label(
        "{actor} 在 {day} {hour} 时访问；此前 {accesses} 次访问中，该时段及相邻时段一次也没有。",
        "{actor} made an access on {day} in hour {hour}; none of {accesses} earlier ones fell in or next to that hour.",
    ),
    Rule.SELF_LOOKUP: Label(
        "{actor} 在 {day} 以工作账号查看了本人的记录。",
        "{actor} looked at the own record with a work account on {day}.",
    ),
    Rule.FAMILY_LOOKUP: Label(
        "{actor} 在 {day} 以工作账号查看了家人的记录。",
        "{actor} looked at the record of a relative with a work account on {day}.",
    ),
    Rule.VIP_LOOKUP: Label(
        "{actor} 在 {day} 查看了重点保护人员的记录。",
        "{actor} looked at the record of a specially protected person on {day}.",
    ),
    Rule.DENIAL_STREAK: Label(
        "{actor} 在 {day} 的 {minutes} 分钟内被拒绝 {number} 次，达到 {threshold} 次。",
        "{actor} was denied {number} times within {minutes} minutes on {day}; {threshold} are told.",
    ),
    Rule.BREAK_GLASS: Label(
        "{actor} 在 {day} 以紧急目的查看了记录，须在 {threshold} 小时内复核。",
        "{actor} opened a record in an emergency on {day}; it has to be reviewed within {threshold} hours.",
    ),
    Rule.BREAK_GLASS_OVERDUE: Label(
        "{actor} 在 {day} 的紧急查看在 {threshold} 小时内没有复核。",
        "The emergency access of {actor} on {day} was not reviewed within {threshold} hours.",
    ),
    Rule.MINOR_UNAPPROVED: Label(
        "{actor} 在 {day} 未经批准查看了未成年人的记录。",
        "{actor} opened the record of somebody under 18 without an approval on {day}.",
    ),
    Rule.LIMIT_REACHED: Label(
        "{actor} 在 {day} 达到查看上限而被拒绝。",
        "{actor} was refused on {day} because a limit of reading was reached.",
    ),
}
"""Each rule in words; the names in braces are ``actor``, ``day`` and the numbers of a finding."""

READS: Final = frozenset({Act.REVEAL, Act.TAGS_READ, Act.TAGS_EXPLAINED})
"""Acts by which staff reads one person's record."""

LOOKS: Final = READS | {Act.SUBJECT_LOOKED_UP, Act.CONSENT_READ, Act.EVIDENCE_READ}
"""Acts by which staff looks at one person at all."""

DENIALS: Final = frozenset({Act.ACCESS_DENIED, Act.REFUSAL})
WATCHED: Final = LOOKS | DENIALS
"""Acts that the rules read."""

OVER_LIMIT: Final = "RATE"
"""The reason of a denial that a limit of reading has made."""

_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Look:
    """One entry as the rules see it; ``day`` and ``hour`` are those of the pack's time zone."""

    index: int
    at: datetime
    day: date
    hour: int
    act: Act
    denied: bool
    actor: str
    role: str
    subject: str | None
    purpose: str | None
    approved: bool
    reason: str | None = None

    @property
    def is_staff(self) -> bool:
        """Whether somebody else than a data subject looks."""
        return not is_id(self.actor, "als")


@dataclass(frozen=True, slots=True)
class Known:
    """What the log does not say about people.

    Attributes:
        own: the aliases of a principal who is a data subject too, by principal.
        kin: the aliases of its relatives, as far as the register knows them.
        protected: the aliases of those whom an officer has put on the list.
        minors_until: the day of majority of whoever is or was a minor, by alias; None where it is not known.
        emergencies: purposes that rest on an emergency.
    """

    own: Mapping[str, Collection[str]] = field(default_factory=dict)
    kin: Mapping[str, Collection[str]] = field(default_factory=dict)
    protected: Collection[str] = ()
    minors_until: Mapping[str, date | None] = field(default_factory=dict)
    emergencies: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One unusual access.

    Attributes:
        numbers: the threshold and what was counted, by name.
        evidence: indexes of the entries, up to the one that tripped the rule.
        subject: the alias of the only person concerned, or None.
        at: of the entry that tripped it.
    """

    rule: Rule
    actor: str
    role: str
    at: datetime
    day: date
    numbers: Mapping[str, int]
    evidence: tuple[int, ...]
    subject: str | None = None

    @property
    def finding_id(self) -> str:
        """SHA-256 over rule, actor and evidence, its first 32 characters in hexadecimal."""
        told = "\n".join([self.rule.value, self.actor, *map(str, self.evidence)])
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def find_unusual(
    looks: Sequence[Look], known: Known, thresholds: AccessThresholds, *, since: datetime
) -> list[Finding]:
    """Return what is unusual from an instant on, in the order in which it was tripped.

    Args:
        looks: in the log's order, with ``thresholds.history_days`` before ``since``.
        known: about the people in them.
        thresholds: of the pack.
        since: findings that were tripped earlier are left out.
    """
    allowed = [look for look in looks if not look.denied and look.is_staff]
    found = [
        *_volumes(allowed, thresholds),
        *_hours(allowed, thresholds),
        *_lookups(allowed, known),
        *_streaks(looks, thresholds),
        *_emergencies(allowed, known, thresholds),
        *_minors(allowed, known),
        *_limits(looks),
    ]
    return sorted((one for one in found if one.at >= since), key=lambda one: (one.evidence[-1], one.rule))


def overdue(finding: Finding, *, now: datetime, thresholds: AccessThresholds) -> Finding | None:
    """Return the finding that an emergency access was not reviewed in time; None while there is time."""
    if now < finding.at + timedelta(hours=thresholds.review_hours):
        return None
    return Finding(
        Rule.BREAK_GLASS_OVERDUE, finding.actor, finding.role, finding.at, finding.day, finding.numbers,
        finding.evidence, finding.subject,
    )  # fmt: skip


def look_at(view: EntryView, zone: tzinfo) -> Look:
    """Return an entry as the rules see it."""
    members, local = view.members, view.at.astimezone(zone)
    refs = members.get("refs")
    return Look(
        index=view.index,
        at=view.at,
        day=local.date(),
        hour=local.hour,
        act=Act(str(members["act"])),
        denied=members.get("outcome") == Outcome.DENIED.value,
        actor=str(members["actor"]),
        role=str(members["role"]),
        subject=_optional(members.get("subject")),
        purpose=_optional(members.get("purpose")),
        approved=isinstance(refs, Mapping) and "approval" in refs,
        reason=_optional(members.get("reason")),
    )


_Days: TypeAlias = dict[tuple[str, str], dict[date, list[Look]]]
"""The first access to each person, by actor and role, and by day."""


def _volumes(looks: Iterable[Look], thresholds: AccessThresholds) -> Iterator[Finding]:
    days = _people_by_day(looks)
    counts: dict[str, dict[date, list[int]]] = defaultdict(lambda: defaultdict(list))
    for (_, role), by_day in days.items():
        for day, firsts in by_day.items():
            counts[role][day].append(len(firsts))
    for (_, role), by_day in days.items():
        for day, firsts in by_day.items():
            yield from _volume_of(firsts, _usual(counts[role], day, thresholds), thresholds)


def _volume_of(firsts: Sequence[Look], usual: int | None, thresholds: AccessThresholds) -> Iterator[Finding]:
    """Yield the findings of one actor and day; the evidence ends at the person who was one too many."""
    cap = thresholds.volume_cap
    if len(firsts) > cap:
        yield _finding(Rule.VOLUME_CAP, firsts[: cap + 1], {"number": cap + 1, "threshold": cap})
    expected = max(thresholds.volume_floor, thresholds.volume_factor * (usual or 0))
    if usual is not None and len(firsts) > expected:
        numbers = {"number": expected + 1, "threshold": expected, "usual": usual}
        yield _finding(Rule.VOLUME_HISTORY, firsts[: expected + 1], numbers)


def _usual(by_day: Mapping[date, Sequence[int]], day: date, thresholds: AccessThresholds) -> int | None:
    """Return the median people a day and actor of a role in the days before; None without a past."""
    earliest = day - timedelta(days=thresholds.history_days)
    past = [number for other, numbers in by_day.items() if earliest <= other < day for number in numbers]
    return round(median(past)) if past else None


def _people_by_day(looks: Iterable[Look]) -> _Days:
    days: _Days = defaultdict(dict)
    seen: set[tuple[str, str, date, str]] = set()
    for look in looks:
        key = (look.actor, look.role, look.day, look.subject or "")
        if look.act in READS and look.subject is not None and key not in seen:
            seen.add(key)
            days[look.actor, look.role].setdefault(look.day, []).append(look)
    return days


def _hours(looks: Iterable[Look], thresholds: AccessThresholds) -> Iterator[Finding]:
    """Yield the first access of an actor on each day that falls far from every hour of its past."""
    by_actor: dict[str, dict[date, list[Look]]] = defaultdict(lambda: defaultdict(list))
    for look in looks:
        by_actor[look.actor][look.day].append(look)
    for days in by_actor.values():
        for day, made in days.items():
            earliest = day - timedelta(days=thresholds.history_days)
            past = Counter(one.hour for other in days if earliest <= other < day for one in days[other])
            strange = next((look for look in made if _is_far(look.hour, past)), None)
            if strange is not None and past.total() >= thresholds.hour_accesses:
                numbers = {"hour": strange.hour, "accesses": past.total(), "threshold": thresholds.hour_accesses}
                yield _finding(Rule.HOUR, [strange], numbers)


def _is_far(hour: int, past: Counter[int]) -> bool:
    """Say whether neither an hour nor one beside it occurs in the past."""
    return not any(past[(hour + step) % _HOURS] for step in (-1, 0, 1))


def _lookups(looks: Iterable[Look], known: Known) -> Iterator[Finding]:
    """Yield looks at oneself, at relatives and at protected people: the first one of a day and person."""
    told: set[tuple[Rule, str, date, str]] = set()
    for look in looks:
        for rule in _relations(look, known):
            key = (rule, look.actor, look.day, look.subject or "")
            if key not in told:
                told.add(key)
                yield _finding(rule, [look], {"number": 1}, subject=look.subject)


def _relations(look: Look, known: Known) -> Iterator[Rule]:
    if look.subject is None or look.act not in LOOKS:
        return
    if look.subject in known.own.get(look.actor, ()):
        yield Rule.SELF_LOOKUP
    if look.subject in known.kin.get(look.actor, ()):
        yield Rule.FAMILY_LOOKUP
    if look.subject in known.protected:
        yield Rule.VIP_LOOKUP


def _streaks(looks: Iterable[Look], thresholds: AccessThresholds) -> Iterator[Finding]:
    """Yield each run of denials within the window; a run that was told begins anew."""
    window = timedelta(minutes=thresholds.denial_minutes)
    runs: dict[str, deque[Look]] = defaultdict(deque)
    for look in looks:
        if not look.denied or (look.act is Act.REFUSAL and look.subject is None):
            continue  # what a cohort's members have refused is no try at a person
        run = runs[look.actor]
        run.append(look)
        while look.at - run[0].at > window:
            run.popleft()
        if len(run) >= thresholds.denial_streak:
            numbers = {"number": len(run), "threshold": thresholds.denial_streak, "minutes": thresholds.denial_minutes}
            yield _finding(Rule.DENIAL_STREAK, list(run), numbers)
            run.clear()


def _emergencies(looks: Iterable[Look], known: Known, thresholds: AccessThresholds) -> Iterator[Finding]:
    for look in looks:
        if look.act in READS and look.purpose in known.emergencies:
            yield _finding(Rule.BREAK_GLASS, [look], {"threshold": thresholds.review_hours}, subject=look.subject)


def _minors(looks: Iterable[Look], known: Known) -> Iterator[Finding]:
    for look in looks:
        is_read = look.act in READS and not look.approved and look.purpose not in known.emergencies
        if is_read and look.subject is not None and look.subject in known.minors_until:
            until = known.minors_until[look.subject]
            if until is None or look.day < until:
                yield _finding(Rule.MINOR_UNAPPROVED, [look], {"number": 1}, subject=look.subject)


def _limits(looks: Iterable[Look]) -> Iterator[Finding]:
    """Yield the first refusal of an actor on each day for a limit of reading."""
    told: set[tuple[str, date]] = set()
    for look in looks:
        if look.act is Act.ACCESS_DENIED and look.reason == OVER_LIMIT and (look.actor, look.day) not in told:
            told.add((look.actor, look.day))
            yield _finding(Rule.LIMIT_REACHED, [look], {"number": 1})


def _finding(rule: Rule, looks: Sequence[Look], numbers: Mapping[str, int], *, subject: str | None = None) -> Finding:
    last = looks[-1]
    evidence = tuple(look.index for look in looks)
    return Finding(rule, last.actor, last.role, last.at, last.day, numbers, evidence, subject)


def _optional(value: object) -> str | None:
    return value if isinstance(value, str) else None
