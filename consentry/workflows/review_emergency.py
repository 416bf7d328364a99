"""What an officer says of an emergency access: justified, or an incident, which freezes the account (R49)."""

from sqlalchemy import Connection, select

from audit.events import Act, Event, Outcome
from audit.tables import leaf
from consent.asking import Asking
from consent.entries import now_in_log
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.emergencies import INCIDENT, Emergency, change_emergencies, get_emergency, newest_emergencies
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed, record_denial
from consentry.workflows.freezing import tell_frozen
from consentry.workflows.watch_lists import REVIEW
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import Conflict, Denied

READ = "audit.read"


class OwnEmergency(Denied):
    """The emergency is the reviewer's own."""


def review_emergency(platform: Platform, caller: Principal, emergency_id: str, *, verdict: str, note: str) -> Emergency:
    """Record what an officer says of an emergency access; the note is sealed beside the entry.

    What was found justified can still become an incident; an incident stays one. A late review releases nothing.

    Args:
        platform: every part.
        caller: somebody else than who opened.
        emergency_id: of the access.
        verdict: ``justified`` or ``incident``.
        note: what was found out.

    Raises:
        Denied: the role may not review, or the caller is no person.
        OwnEmergency: it is the caller's own; the try stays in the log.
        NotFound: there is no such emergency.
        Conflict: it has this verdict, or is an incident.
        BadInput: no note.
    """
    check_allowed(platform, caller, REVIEW, persons_only=True)
    note = check_said(note, what="A review")
    with platform.data.read() as connection:
        found = get_emergency(connection, emergency_id)
    if found.principal == caller.principal_id:
        record_denial(platform, caller, reason="OWN_ACCESS", refs={"act": REVIEW, "emergency": emergency_id})
        raise OwnEmergency("Nobody reviews an own emergency", hint="Ask another compliance officer.")
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = get_emergency(connection, emergency_id, change=True)
        if found.verdict in (verdict, INCIDENT):
            raise Conflict(
                f"The emergency was reviewed: {found.verdict}", hint="Only what was justified can become an incident."
            )
        _record(platform, connection, asking, found, verdict=verdict, note=note)
        reviewed = get_emergency(connection, emergency_id)
    platform.log.settle()
    return reviewed


def list_emergencies(platform: Platform, caller: Principal, *, unreviewed_only: bool = False) -> list[Emergency]:
    """Return the newest hundred emergency accesses; the reading leaves its entry first."""
    check_allowed(platform, caller, READ, persons_only=True)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = newest_emergencies(connection, unreviewed_only=unreviewed_only)
        event = Event(
            Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            cohort=tuple(dict.fromkeys(one.subject for one in found if one.subject is not None)),
            refs={"what": "emergencies"}, counts={"emergencies": len(found)},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    return found


def emergency_json(platform: Platform, one: Emergency) -> dict[str, JsonValue]:
    """Return an emergency for programs; ``frozen`` says whether the account is frozen by it now."""
    with platform.data.read() as connection:
        now = platform.log.now(connection)
    return {
        "emergency": one.emergency_id,
        "actor": one.principal,
        "role": one.role,
        "subject": one.subject,
        "purpose": one.purpose,
        "opened_at": format_instant(one.opened_at),
        "due_at": format_instant(one.due_at),
        "verdict": one.verdict,
        "reviewed_by": one.reviewed_by,
        "frozen": one.freezes(now),
        "entry": one.entry_id,
    }


def _record(
    platform: Platform, connection: Connection, asking: Asking, found: Emergency, *, verdict: str, note: str
) -> None:
    now = now_in_log(connection, platform.log, platform.clock)
    index = connection.scalar(select(leaf.c.leaf_index).where(leaf.c.entry_id == found.entry_id))
    reviewed_at = found.reviewed_at or now
    named = {"reviewed_at": format_instant(reviewed_at)} | ({} if index is None else {"index": str(index)})
    event = Event(
        Act.BREAK_GLASS_REVIEWED, Outcome.DONE, asking.actor, asking.role, asking.request_id, reason=verdict,
        refs={"emergency": found.emergency_id, **named}, details={"note": note},
    )  # fmt: skip
    entry_id = platform.log.record(connection, event)
    change_emergencies(
        connection, [found.emergency_id],
        verdict=verdict, reviewed_by=asking.actor, review_entry=entry_id, reviewed_at=reviewed_at,
    )  # fmt: skip
    if verdict == INCIDENT:
        tell_frozen(platform, connection, asking, found, reason="INCIDENT", now=now)
