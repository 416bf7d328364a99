"""The officer's verdict on a finding: justified, or an incident; nobody reviews an own access."""

from enum import StrEnum

from audit.events import Act, Event, Outcome
from audit.queries import get_entry
from audit.vigilance import Rule
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.emergencies import emergency_of_entry
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed, record_denial
from consentry.workflows.review_emergency import review_emergency
from consentry.workflows.unusual_access import Flagged, read_findings
from consentry.workflows.watch_lists import REVIEW
from kernel.errors import Conflict, Denied, NotFound


class ReviewVerdict(StrEnum):
    """What a review comes to."""

    JUSTIFIED = "justified"
    INCIDENT = "incident"


class OwnAccess(Denied):
    """The finding is about the reviewer's own access."""


def review_finding(
    platform: Platform, caller: Principal, finding_id: str, *, verdict: ReviewVerdict, note: str
) -> Flagged:
    """Record what an officer says about a finding; the note is sealed beside the entry.

    What was found justified can still become an incident; an incident stays one.

    Raises:
        Denied: the role may not review, or the caller is no person.
        OwnAccess: the finding is about the caller; the try stays in the log.
        NotFound: nothing was flagged under this id.
        Conflict: it has this verdict, or is an incident.
        BadInput: no note.
    """
    check_allowed(platform, caller, REVIEW, persons_only=True)
    note = check_said(note, what="A review")
    with platform.data.read() as connection:
        found = _get(read_findings(platform, connection), finding_id)
    if found.finding.actor == caller.principal_id:
        record_denial(platform, caller, reason="OWN_ACCESS", refs={"act": REVIEW, "finding": found.finding_id})
        raise OwnAccess("Nobody reviews an own access", hint="Ask another compliance officer.")
    if (emergency := _emergency(platform, found)) is not None:
        review_emergency(platform, caller, emergency, verdict=verdict.value, note=note)
        with platform.data.read() as connection:
            return _get(read_findings(platform, connection), finding_id)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        _check_news(_get(read_findings(platform, connection), finding_id), verdict)
        event = Event(
            Act.ACCESS_REVIEWED, Outcome.DONE, asking.actor, asking.role, asking.request_id,
            reason=verdict.value, refs={"finding": finding_id}, details={"note": note},
        )  # fmt: skip
        platform.log.record(connection, event)
        reviewed = _get(read_findings(platform, connection), finding_id)
    platform.log.settle()
    return reviewed


def _emergency(platform: Platform, found: Flagged) -> str | None:
    """Return the emergency access behind a finding, whose review is the finding's; None for any other finding."""
    if found.finding.rule is not Rule.BREAK_GLASS:
        return None
    with platform.data.read() as connection:
        opened = get_entry(connection, found.finding.evidence[-1])
        made = None if opened is None else emergency_of_entry(connection, opened.entry_id)
    return None if made is None else made.emergency_id


def _get(found: dict[str, Flagged], finding_id: str) -> Flagged:
    if finding_id not in found:
        raise NotFound("No finding has this id", hint="See `consentry audit findings`.")
    return found[finding_id]


def _check_news(found: Flagged, verdict: ReviewVerdict) -> None:
    if found.verdict in (verdict.value, ReviewVerdict.INCIDENT.value):
        raise Conflict(
            f"The finding was reviewed: {found.verdict}", hint="Only what was justified can become an incident."
        )
