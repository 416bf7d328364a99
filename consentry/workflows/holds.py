"""Keep a person's data from erasure and expiry for a dispute or a duty, and let it go again."""

from dataclasses import replace
from datetime import datetime

from audit.events import Act, Event, Outcome
from consent.standing import get_standing
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.tickets import check_ticket
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed
from consentry.workflows.sweep import go_on_waiting, go_on_with_parts
from kernel.catalogue import Compartment
from kernel.clock import format_instant
from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.ids import SubjectId
from vault.holds import LegalHold, NewHold

HOLD_ACT = "hold.manage"


def set_hold(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    reference: str,
    reason: str,
    compartment: str | None = None,
    field: str | None = None,
    ends_at: datetime | None = None,
) -> LegalHold:
    """Set a hold on a subject, or on one compartment or field of it.

    Args:
        platform: every part.
        caller: an officer.
        subject: whose data.
        reference: the matter's number where it is kept; it stands in the log as it is.
        reason: the caller's own words, sealed beside the entry.
        compartment: only this one. field: only this one.
        ends_at: None for until it is released.

    Raises:
        Denied: the role may not.
        BadInput: no reason, a reference of another shape, an unknown compartment or field, or an end in the past.
        NotFound: nobody is registered under this id.
        Conflict: the subject is being erased, or is erased.
    """
    check_allowed(platform, caller, HOLD_ACT, persons_only=True, subject=subject)
    check_ticket(reference)
    asking = platform.asking(caller, reason=check_said(reason, what="A hold"))
    if field is not None:
        platform.catalogue.get_field(field)
    wanted = NewHold(subject, reference, _compartment(compartment), field, ends_at)
    with platform.data.write() as connection:
        made = platform.holds.set(connection, wanted, asking=asking)
    platform.log.settle()
    return made


def release_hold(platform: Platform, caller: Principal, hold_id: str, *, reason: str) -> LegalHold:
    """Release a hold, and go on with an erasure that waited for it; what has expired goes with the next sweep.

    Raises:
        Denied: the role may not.
        BadInput: no reason.
        NotFound: there is no such hold.
        Conflict: it was released before.
    """
    check_allowed(platform, caller, HOLD_ACT, persons_only=True)
    asking = platform.asking(caller, reason=check_said(reason, what="The release of a hold"))
    with platform.data.write() as connection:
        released = platform.holds.release(connection, hold_id, asking=asking)
    go_on_waiting(platform, replace(asking, reason=None), only=released.wanted.subject)
    go_on_with_parts(platform, replace(asking, reason=None), only=released.wanted.subject)
    platform.log.settle()
    return released


def list_holds(
    platform: Platform, caller: Principal, *, subject: SubjectId | None = None, after: str = "", limit: int = 100
) -> list[LegalHold]:
    """Return holds by id, also those that are over; the entry of this reading counts whom they name.

    Raises:
        Denied: the role may not.
        NotFound: nobody is registered under the subject's id; "no holds" would be a wrong answer.
    """
    check_allowed(platform, caller, HOLD_ACT, persons_only=True, subject=subject)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        if subject is not None:
            get_standing(connection, subject)
        found = platform.holds.list_all(connection, subject=subject, after=after, limit=limit)
        event = Event(
            Act.HOLDS_LISTED, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=subject,
            cohort=tuple(dict.fromkeys(one.wanted.subject for one in found)) if subject is None else (),
            counts={"holds": len(found)},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    return found


def hold_json(one: LegalHold, now: datetime) -> dict[str, JsonValue]:
    """Return a hold for programs; why it was set is read with its entry."""
    wanted = one.wanted
    return {
        "hold": one.hold_id,
        "subject": wanted.subject,
        "compartment": None if wanted.compartment is None else wanted.compartment.value,
        "field": wanted.field,
        "reference": wanted.reference,
        "is_live": one.is_live(now),
        "set_by": one.set_by,
        "set_at": format_instant(one.set_at),
        "ends_at": None if wanted.ends_at is None else format_instant(wanted.ends_at),
        "released_by": one.released_by,
        "released_at": None if one.released_at is None else format_instant(one.released_at),
        "entry": one.entry_id,
    }


def _compartment(name: str | None) -> Compartment | None:
    if name is None:
        return None
    try:
        return Compartment(name)
    except ValueError:
        raise BadInput("There is no such compartment", hint=f"One of {', '.join(sorted(Compartment))}.") from None
