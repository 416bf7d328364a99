"""Breach cases: each is what its entries in the log say, one after the other; there is no other record of it.

Numbers, times and what was done stand in the entries; words are sealed beside them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act
from audit.scanning import ScannedEntry, entries_of
from consentry.breach_duties import Duty, Facts, Grade, Profile, duties_of, grade_of
from kernel.clock import format_instant, parse_instant
from kernel.encoding import JsonValue
from kernel.errors import NotFound
from kernel.oversight import BreachThresholds

CASE_ACTS: Final = (
    Act.BREACH_OPENED.value,
    Act.BREACH_CHANGED.value,
    Act.BREACH_NOTIFIED.value,
    Act.BREACH_CLOSED.value,
)
"""Acts whose entries make a case."""

_PEOPLE: Final = 2
"""How many must say that a duty need not be done."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Somebody was told.

    Attributes:
        duty: whom the law wants told; see ``consentry.breach_duties.DUTIES``.
        text_hash: SHA-256 of the exact text.
        people: how many were told with it.
        is_complete: nobody is left to be told under this duty.
    """

    duty: str
    channel: str
    text_hash: str
    at: datetime
    people: int
    is_complete: bool
    entry_id: str


@dataclass(frozen=True, slots=True)
class Case:
    """One breach as its entries tell it.

    Attributes:
        entries: ids of all its entries, the first the opening.
        waivers: duties of which people said that they need not be done, each with who said so in which entry; they
            lapse when the breach turns out to be larger.
        accesses: entries of the log that belong to the breach, by number, and the digest over their places.
    """

    case_id: str
    facts: Facts
    opened_at: datetime
    entries: tuple[str, ...]
    notifications: tuple[Notification, ...] = ()
    waivers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    accesses: tuple[int, str] | None = None
    closed_at: datetime | None = None

    def done_at(self, duty: str) -> datetime | None:
        """Return when everybody was told whom a duty names; None while somebody is left."""
        return min((one.at for one in self.notifications if one.duty == duty and one.is_complete), default=None)

    def is_waived(self, duty: str) -> bool:
        """Say whether two different people said that a duty need not be done."""
        return len(self.waivers.get(duty, ())) >= _PEOPLE

    def open_duties(self, thresholds: BreachThresholds) -> list[Duty]:
        """Return what is neither done nor waived, the most urgent first."""
        duties = duties_of(self.facts, thresholds)
        return [duty for duty in duties if self.done_at(duty.code) is None and not self.is_waived(duty.code)]

    def overdue(self, thresholds: BreachThresholds, now: datetime) -> list[Duty]:
        """Return the open duties whose time has passed."""
        if self.closed_at is not None:
            return []
        return [duty for duty in self.open_duties(thresholds) if duty.due_at < now]

    def grade(self, thresholds: BreachThresholds) -> Grade:
        """Return how grave it is."""
        return grade_of(self.facts.people, thresholds)


def read_cases(connection: Connection) -> dict[str, Case]:
    """Return every case by its id, the oldest first; entries that wait for the tree count too."""
    return fold(entries_of(connection, CASE_ACTS))


def get_case(connection: Connection, case_id: str) -> Case:
    """Return one case; raises ``NotFound``."""
    found = read_cases(connection).get(case_id)
    if found is None:
        raise NotFound(f"There is no breach case {case_id}", hint="See `consentry breach list`.")
    return found


def fold(entries: Iterable[ScannedEntry]) -> dict[str, Case]:
    """Return the cases that some entries tell of, given in the log's order."""
    cases: dict[str, Case] = {}
    for entry in entries:
        case_id = str(entry.refs.get("case"))
        if entry.members.get("act") == Act.BREACH_OPENED.value:
            cases[case_id] = Case(case_id, _facts(entry), _at(entry), (entry.entry_id,), accesses=_accesses(entry))
        elif case_id in cases:
            cases[case_id] = _after(cases[case_id], entry)
    return cases


def facts_members(facts: Facts) -> tuple[dict[str, int], dict[str, str]]:
    """Return the counts and references by which an entry tells the facts."""
    counts = {
        "people": facts.people,
        "minors": facts.minors,
        "sensitive": facts.sensitive,
        "estimate": int(facts.is_estimate),
        "critical": int(facts.is_critical),
    }
    return counts, {"aware_at": format_instant(facts.aware_at), "profiles": ",".join(sorted(facts.profiles))}


def _after(case: Case, entry: ScannedEntry) -> Case:
    refs = entry.refs
    told = replace(case, entries=(*case.entries, entry.entry_id))
    match entry.members.get("act"):
        case Act.BREACH_NOTIFIED.value:
            return replace(told, notifications=(*case.notifications, _notification(entry)))
        case Act.BREACH_CLOSED.value:
            return replace(told, closed_at=_at(entry))
    if "waives" in refs:
        duty, actor = str(refs["waives"]), str(entry.members.get("actor"))
        return replace(told, waivers={**case.waivers, duty: {**case.waivers.get(duty, {}), actor: entry.entry_id}})
    return _with_facts(told, entry)


def _with_facts(case: Case, entry: ScannedEntry) -> Case:
    facts, before = _facts(entry), case.facts
    is_larger = any(getattr(facts, name) > getattr(before, name) for name in ("people", "minors", "sensitive"))
    return replace(
        case,
        facts=facts,
        accesses=_accesses(entry) or case.accesses,
        waivers={} if is_larger else case.waivers,
    )


def _accesses(entry: ScannedEntry) -> tuple[int, str] | None:
    said = entry.refs.get("accesses")
    return None if said is None else (_count(entry, "accesses"), str(said))


def _facts(entry: ScannedEntry) -> Facts:
    return Facts(
        aware_at=parse_instant(str(entry.refs.get("aware_at"))),
        people=_count(entry, "people"),
        minors=_count(entry, "minors"),
        sensitive=_count(entry, "sensitive"),
        is_estimate=bool(_count(entry, "estimate")),
        is_critical=bool(_count(entry, "critical")),
        profiles=frozenset(Profile(name) for name in str(entry.refs.get("profiles")).split(",")),
    )


def _notification(entry: ScannedEntry) -> Notification:
    refs = entry.refs
    return Notification(
        duty=str(refs.get("duty")),
        channel=str(refs.get("channel")),
        text_hash=str(refs.get("text_hash")),
        at=parse_instant(str(refs.get("notified_at"))),
        people=_count(entry, "people"),
        is_complete=bool(_count(entry, "complete")),
        entry_id=entry.entry_id,
    )


def _at(entry: ScannedEntry) -> datetime:
    return parse_instant(str(entry.members.get("at")))


def _count(entry: ScannedEntry, name: str) -> int:
    counts: JsonValue = entry.members.get("counts")
    said = counts.get(name) if isinstance(counts, Mapping) else None
    return said if isinstance(said, int) else 0
