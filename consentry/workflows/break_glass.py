"""Break the glass (R49): open a record at once in an emergency, with a reason, and answer for it within a day.

No case grant and no approval is waited for. Role, purpose and levels bound it as ever, the gate is asked, and nothing
opens before its entry is durable and signed for. Officers are told at once, the person gets the task to be told (PIPL
18; R20), and an emergency that nobody has reviewed in time freezes the account.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.decisions import ActorKind, DecisionRequest
from consent.permits import Permit, Refusal
from consent.rows import read_standing_decisions
from consent.rules import DecisionAct
from consent.standing import Standing, find_standings
from consentry.access import RuleDenied, check_may_act, is_emergency, reach_of
from consentry.alarms import AlarmKind, raise_alarm
from consentry.platform import Platform
from consentry.principals import Principal, PrincipalKind
from consentry.readings import Reading
from consentry.stores.emergencies import Emergency, add_emergency, count_since
from consentry.workflows.admit import begin_reading, check_values, denials_recorded, enter, permitted, receipt_of
from consentry.workflows.limits import spend_reading
from consentry.workflows.reveal import Opened
from kernel.clock import format_instant
from kernel.errors import BadInput, Denied
from kernel.ids import EntryId, SubjectId, new_id

BREAK: Final = "vault.break_glass"
DECLARED: Final = "declared_emergency"
"""The mechanism in the evidence of a basis that an emergency itself brings about."""

_DAY: Final = timedelta(hours=24)


class TooManyEmergencies(RuleDenied):
    """Somebody has broken the glass as often as the pack lets it within 24 hours."""

    rule = "RATE"


def break_glass(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    fields: Collection[str],
    reason: str,
    purpose: str | None = None,
    ticket: str | None = None,
) -> tuple[Emergency, Opened]:
    """Open fields of one subject in an emergency.

    Args:
        platform: every part.
        caller: a person whose role breaks the glass.
        subject: whose record. fields: codes that the purpose covers.
        reason: the caller's own words, sealed beside the entries.
        purpose: of the caller's role, resting on an emergency; None where it has one only.
        ticket: name of the occasion in a system of the operator's.

    Raises:
        AccountFrozen: an earlier emergency of the caller's was not reviewed in time.
        TooManyEmergencies: the caller has broken the glass too often within 24 hours.
        Denied: the role may not, or the gate refuses, as for a restricted person; it stays in the log.
        BadInput: no reason, the purpose is not told, or a field is of files.
        Unavailable: the log cannot be written or signed; nothing was opened.
    """
    meant = _purpose(platform, caller, purpose)
    reading = begin_reading(
        platform, caller, subject=subject, purpose=meant, fields=fields, reason=reason, ticket=ticket
    )
    with denials_recorded(platform, reading):
        _check_may_break(platform, reading)
        with platform.data.write() as connection:
            now = platform.log.now(connection)
            spend_reading(platform, connection, reading, refuses=False)  # from here on the caller's others wait
            _check_often(platform, connection, reading, now)
            _declare(platform, connection, reading, now)
            said, made = _enter(platform, connection, reading, now)
    permit = permitted(said)
    structlog.get_logger().error(AlarmKind.BREAK_GLASS.value, **_told(made))
    receipt = receipt_of(platform, permit)
    records = platform.vault.open(permit, receipt, subject=subject, fields=permit.fields)
    return made, Opened(records, permit.entry_id, receipt.index, receipt.tree_size)


def _purpose(platform: Platform, caller: Principal, purpose: str | None) -> str:
    if purpose is not None:
        return purpose
    check_may_act(platform.catalogue, caller, BREAK)
    role = platform.catalogue.get_role(caller.role)
    fitting = [code for code in sorted(role.purposes) if is_emergency(platform.catalogue, code)]
    if len(fitting) != 1:
        raise BadInput(f"Role {caller.role!r} has {len(fitting)} emergency purposes", hint="Name the purpose.")
    return fitting[0]


def _check_may_break(platform: Platform, reading: Reading) -> None:
    """Raise unless the role reaches the fields in an emergency: what a case could open, and nothing beyond."""
    if reading.caller.kind is not PrincipalKind.PERSON:
        raise Denied("Only people break the glass", hint="Sign in as a person.")
    reach = reach_of(platform.catalogue, reading.caller, purpose=reading.purpose, fields=reading.fields, act=BREAK)
    check_values(platform.catalogue, reading)
    if not is_emergency(platform.catalogue, reading.purpose):
        raise Denied(f"{reading.purpose} rests on no emergency", hint="Open the record with `consentry reveal`.")
    if reach.masked:
        raise Denied(
            f"Role {reading.caller.role!r} sees {', '.join(sorted(reach.masked))} masked only",
            hint="Leave these fields out.",
        )


def _check_often(platform: Platform, connection: Connection, reading: Reading, now: datetime) -> None:
    most = platform.catalogue.oversight.reading.emergencies_day
    if count_since(connection, reading.caller.principal_id, now - _DAY) >= most:
        raise TooManyEmergencies(
            f"The glass was broken {most} times within 24 hours", hint="Ask a compliance officer, or another clinician."
        )


def _declare(platform: Platform, connection: Connection, reading: Reading, now: datetime) -> None:
    """Record the emergency as the basis of the purpose, unless one stands; it is nobody's consent.

    It stands until `consentry consent end`, and lets nobody in who does not break the glass. Of somebody who is not
    registered, restricted or erased the gate says what holds.
    """
    known = find_standings(connection, [reading.subject]).get(reading.subject)
    if known is None or known.state is not Standing.ACTIVE:
        return
    standing = read_standing_decisions(connection, reading.subject)
    if any(made.purpose == reading.purpose and made.act is DecisionAct.DUTY for made in standing):
        return
    request = DecisionRequest(
        subject=reading.subject,
        purposes=(reading.purpose,),
        act=DecisionAct.DUTY,
        recipient=None,
        notice=None,
        actor_kind=ActorKind.OPERATOR,
        actor_subject=None,
        evidence={"mechanism": DECLARED, "request": reading.asking.request_id},
        decided_at=now,
    )
    platform.registry.record(connection, request, asking=reading.asking)


def _enter(
    platform: Platform, connection: Connection, reading: Reading, now: datetime
) -> tuple[Permit | Refusal, Emergency]:
    """Ask the gate; where it permits, leave the entries of the opening and keep what has to be reviewed."""
    emergency_id = new_id("emg")
    said, entry_id = enter(
        platform, connection, reading, act=Act.REVEAL, masked=frozenset(), refs={"emergency": emergency_id}
    )
    made = Emergency(
        emergency_id, reading.caller.principal_id, reading.caller.role, reading.subject, reading.purpose, now,
        now + timedelta(hours=platform.catalogue.oversight.access.review_hours), entry_id,
    )  # fmt: skip
    if isinstance(said, Permit):
        platform.log.record(connection, _opened(reading, said, made, entry_id))
        add_emergency(connection, made)
        raise_alarm(connection, AlarmKind.BREAK_GLASS, _told(made), now=now)
    return said, made


def _opened(reading: Reading, permit: Permit, made: Emergency, entry_id: EntryId) -> Event:
    asking = reading.asking
    refs = {
        "emergency": made.emergency_id,
        "reading": entry_id,
        "permit": permit.permit_id,
        "due_at": format_instant(made.due_at),
    }
    return Event(
        Act.BREAK_GLASS_OPENED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=reading.purpose,
        subject=reading.subject, fields=tuple(sorted(reading.fields)), refs={**refs, **reading.refs},
        details={"reason": asking.reason},
    )  # fmt: skip


def _told(made: Emergency) -> dict[str, str]:
    return {
        "actor": made.principal,
        "role": made.role,
        "emergency": made.emergency_id,
        "purpose": made.purpose,
        "due_at": format_instant(made.due_at),
    }
