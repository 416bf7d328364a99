"""Unusual access: the rules run over the log, and each finding is flagged there once, in an entry of its own.

What was found, and what an officer said about it, is folded from the log; there is no other place.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from audit.aliases import aliases_of
from audit.events import Act, Event, Outcome
from audit.queries import PAGE_MAX, Sought, find_page
from audit.scanning import ScannedEntry, entries_of
from audit.vigilance import READS, SENTENCES, WATCHED, Finding, Known, Look, Rule, find_unusual, look_at, overdue
from consent.ages import AgeClass
from consent.asking import Asking
from consent.representatives import read_agents, read_guardians, wards_with
from consent.standing import find_standings
from consent.words import Language, in_language
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import check_allowed
from consentry.workflows.watch_lists import Watched, read_lists
from kernel.catalogue import LawfulBasis
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import EntryId, SubjectId

READ: Final = "audit.read"
DEFAULT_DAYS: Final = 7
"""How far back is looked where nobody says."""


@dataclass(frozen=True, slots=True)
class Review:
    """What an officer said about a finding; the note is sealed beside the entry."""

    verdict: str
    reviewer: str
    at: datetime
    entry_id: str


@dataclass(frozen=True, slots=True)
class Flagged:
    """A finding as the log has it.

    Attributes:
        subject: the alias of the only person concerned, or None.
        due_at: until when it has to be reviewed; None where the rule sets no time.
        reviews: in the log's order; the last one counts.
    """

    finding: Finding
    finding_id: str
    entry_id: str
    flagged_at: datetime
    due_at: datetime | None
    reviews: tuple[Review, ...] = ()

    @property
    def verdict(self) -> str | None:
        """The verdict that stands, or None while nobody has reviewed it."""
        return self.reviews[-1].verdict if self.reviews else None


def flag_unusual(
    platform: Platform, asking: Asking, *, since: datetime | None = None, until: datetime | None = None
) -> list[Finding]:
    """Look for unusual access in a period and flag what was not flagged before, each in an entry of its own.

    For ``consentry serve``'s tender and for ``mark_unusual``; whoever calls has the right to.

    Args:
        platform: every part.
        asking: who looks.
        since: a week ago where it is None.
        until: to the log's end where it is None.
    Returns:
        What is new, in the order in which it was tripped.
    Raises:
        BadInput: the period has no length.
        IntegrityFailed, Unavailable: the log cannot be settled.
    """
    platform.log.settle()
    with platform.data.read() as connection:
        now = platform.log.now(connection)
        begin = (until or now) - timedelta(days=DEFAULT_DAYS) if since is None else since
        if begin >= (until or now):
            raise BadInput("The period has no length", hint="Give --since before --until.")
        found = _find(platform, connection, begin, until)
    with platform.data.write() as connection:
        flagged = read_findings(platform, connection)
        fresh = [one for one in [*found, *_overdue(platform, flagged, now)] if one.finding_id not in flagged]
        platform.log.record_many(connection, [_event(platform, connection, asking, one) for one in fresh])
    platform.log.settle()
    return fresh


def mark_unusual(
    platform: Platform, caller: Principal, *, since: datetime | None = None, until: datetime | None = None
) -> list[Finding]:
    """Run the rules for a person of staff; raises as ``flag_unusual``, and ``Denied`` for a role that may not."""
    check_allowed(platform, caller, READ, persons_only=True)
    return flag_unusual(platform, platform.asking(caller), since=since, until=until)


def list_findings(platform: Platform, caller: Principal, *, only_open: bool = False) -> list[Flagged]:
    """Return every finding that was flagged, the newest first; the reading leaves its entry first."""
    check_allowed(platform, caller, READ, persons_only=True)
    asking = platform.asking(caller)
    event = Event(
        Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, refs={"what": "findings"}
    )
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    platform.log.settle()
    with platform.data.read() as connection:
        found = read_findings(platform, connection)
    return [one for one in reversed(found.values()) if not (only_open and one.reviews)]


def read_findings(platform: Platform, connection: Connection) -> dict[str, Flagged]:
    """Return what was flagged by finding id, in the log's order, folded from the log."""
    found: dict[str, Flagged] = {}
    acts = entries_of(connection, [Act.ACCESS_FLAGGED.value, Act.ACCESS_REVIEWED.value, Act.BREAK_GLASS_REVIEWED.value])
    emergencies: dict[str, list[ScannedEntry]] = {}
    for entry in acts:
        name = str(entry.refs.get("finding"))
        if entry.members.get("act") == Act.BREAK_GLASS_REVIEWED.value:
            emergencies.setdefault(str(entry.refs.get("index")), []).append(entry)
        elif entry.members.get("act") == Act.ACCESS_FLAGGED.value:
            found.setdefault(name, _flagged(platform, connection, entry))
        elif name in found:
            found[name] = _reviewed(found[name], entry)
    for name, one in found.items():
        if one.finding.rule is Rule.BREAK_GLASS:
            for entry in emergencies.get(str(one.finding.evidence[-1]), ()):
                found[name] = _reviewed(found[name], entry)
    return found


def finding_json(one: Flagged, locale: str) -> dict[str, JsonValue]:
    """Return a finding for programs, with its sentence in the locale's language."""
    finding, last = one.finding, one.reviews[-1] if one.reviews else None
    return {
        "finding": one.finding_id,
        "rule": finding.rule.value,
        "words": sentence(finding, locale),
        "actor": finding.actor,
        "role": finding.role,
        "subject": finding.subject,
        "at": format_instant(finding.at),
        "numbers": dict(finding.numbers),
        "evidence": list(finding.evidence),
        "flagged_at": format_instant(one.flagged_at),
        "due_at": None if one.due_at is None else format_instant(one.due_at),
        "verdict": one.verdict,
        "reviewer": None if last is None else last.reviewer,
        "reviewed_at": None if last is None else format_instant(last.at),
        "entry": one.entry_id,
    }


def sentence(finding: Finding, locale: str) -> str:
    """Return a finding in words."""
    words = in_language(SENTENCES[finding.rule], Language.of(locale))
    return words.format(actor=finding.actor, day=finding.day.isoformat(), **finding.numbers)


def _find(platform: Platform, connection: Connection, since: datetime, until: datetime | None) -> list[Finding]:
    zone, thresholds = ZoneInfo(platform.catalogue.time_zone), platform.catalogue.oversight.access
    first_day = since.astimezone(zone).date() - timedelta(days=thresholds.history_days)
    begin = datetime.combine(first_day, time.min, zone).astimezone(UTC)
    looks = sorted(_looks(connection, zone, begin, until), key=lambda look: look.index)
    known = _known(platform, connection, looks)
    return find_unusual(looks, known, thresholds, since=since)


def _looks(connection: Connection, zone: ZoneInfo, since: datetime, until: datetime | None) -> Iterator[Look]:
    for act in sorted(WATCHED):
        after: int | None = None
        while True:
            sought = Sought(act=act, since=since, until=until, after_index=after)
            page = find_page(connection, sought, limit=PAGE_MAX)
            yield from (look_at(view, zone) for view in page.entries if view.body)
            if page.next_index is None:
                break
            after = page.next_index


def _known(platform: Platform, connection: Connection, looks: list[Look]) -> Known:
    lists = read_lists(platform, connection)
    purposes = platform.catalogue.purposes.values()
    return Known(
        own={name: aliases_of(connection, subject) for name, subject in lists.staff.items()},
        kin=_kin(connection, lists),
        protected={alias for subject in lists.protected for alias in aliases_of(connection, subject)},
        minors_until=_minors(platform, connection, looks),
        emergencies={purpose.code for purpose in purposes if LawfulBasis.EMERGENCY in purpose.bases},
    )


def _kin(connection: Connection, lists: Watched) -> dict[str, set[str]]:
    """Return the aliases of whoever stands in for a person of staff, or it for them, by principal."""
    found: dict[str, set[str]] = {}
    for principal, subject in lists.staff.items():
        wards = wards_with(connection, subject)
        people = {*wards, *(one.guardian for one in read_guardians(connection, wards))}
        people |= {one.agent for one in read_agents(connection, wards)}
        found[principal] = {alias for other in people - {subject} for alias in aliases_of(connection, other)}
    return found


def _minors(platform: Platform, connection: Connection, looks: list[Look]) -> dict[str, date | None]:
    """Return until when whoever was read is a minor, by alias; None for an unknown age, which may be a minor's."""
    aliases = {look.subject for look in looks if look.act in READS and not look.denied and look.subject is not None}
    people = {
        alias: subject for alias in aliases if (subject := platform.log.find_subject(connection, alias)) is not None
    }
    standings = find_standings(connection, set(people.values()))
    found: dict[str, date | None] = {}
    for alias, subject in people.items():
        standing = standings.get(subject)
        if standing is None:
            continue
        if standing.age_class is AgeClass.UNKNOWN:
            found[alias] = None
        elif standing.majority_on is not None:
            found[alias] = standing.majority_on
    return found


def _overdue(platform: Platform, flagged: Mapping[str, Flagged], now: datetime) -> Iterator[Finding]:
    """Yield emergency accesses that were not reviewed in time, those that were reviewed too late among them."""
    for one in flagged.values():
        if one.finding.rule is not Rule.BREAK_GLASS:
            continue
        judged_at = one.reviews[0].at if one.reviews else now
        late = overdue(one.finding, now=judged_at, thresholds=platform.catalogue.oversight.access)
        if late is not None:
            yield late


def _event(platform: Platform, connection: Connection, asking: Asking, finding: Finding) -> Event:
    zone = ZoneInfo(platform.catalogue.time_zone)
    subject: SubjectId | None = (
        None if finding.subject is None else platform.log.find_subject(connection, finding.subject)
    )
    refs = {
        "finding": finding.finding_id,
        "actor": finding.actor,
        "role": finding.role,
        "at": format_instant(finding.at),
        "day": finding.at.astimezone(zone).date().isoformat(),
        "first": str(finding.evidence[0]),
        "last": str(finding.evidence[-1]),
    }
    return Event(
        Act.ACCESS_FLAGGED, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=subject,
        reason=finding.rule.value, counts=finding.numbers, refs=refs, details={"evidence": list(finding.evidence)},
    )  # fmt: skip


def _flagged(platform: Platform, connection: Connection, entry: ScannedEntry) -> Flagged:
    members, refs = entry.members, {name: str(value) for name, value in entry.refs.items()}
    counts, subject = members.get("counts"), members.get("subject")
    told = platform.log.read_details(connection, EntryId(entry.entry_id)) or {}
    evidence = told.get("evidence")
    indexes = evidence if isinstance(evidence, list) else [refs["first"], refs["last"]]
    finding = Finding(
        rule=Rule(str(members["reason"])),
        actor=refs["actor"],
        role=refs["role"],
        at=datetime.fromisoformat(refs["at"]),
        day=date.fromisoformat(refs["day"]),
        numbers={name: int(str(number)) for name, number in (counts if isinstance(counts, Mapping) else {}).items()},
        evidence=tuple(int(str(index)) for index in indexes),
        subject=subject if isinstance(subject, str) else None,
    )
    hours = platform.catalogue.oversight.access.review_hours
    due_at = finding.at + timedelta(hours=hours) if finding.rule is Rule.BREAK_GLASS else None
    return Flagged(finding, refs["finding"], entry.entry_id, _at(entry), due_at)


def _reviewed(known: Flagged, entry: ScannedEntry) -> Flagged:
    made = Review(str(entry.members["reason"]), str(entry.members["actor"]), _at(entry), entry.entry_id)
    return Flagged(
        known.finding, known.finding_id, known.entry_id, known.flagged_at, known.due_at, (*known.reviews, made)
    )


def _at(entry: ScannedEntry) -> datetime:
    return datetime.fromisoformat(str(entry.members["at"]))
