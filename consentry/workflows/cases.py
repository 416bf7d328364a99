"""Case grants for the most sensitive fields (GB/T 39725, 45574; R49): one asks, another gives, for some hours.

Only who asked opens under it, in the same role, what was asked for, of that person, for that purpose. It ends by
itself, or when it is revoked.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import now_in_log
from consent.standing import get_standing
from consentry.access import RuleDenied, can_act, reach_of
from consentry.case_inspection import GRANTED, REFUSED, SEALED, decided, differing_case
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.readings import Reading
from consentry.stores.cases import (
    Case,
    CaseState,
    add_case,
    cases_of,
    change_case,
    get_case,
    hold_case,
    newest_cases,
)
from consentry.tickets import check_ticket
from consentry.words_said import check_said
from consentry.workflows.denials import Tried, check_allowed, record_denial
from kernel.catalogue import Compartment
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict, Denied
from kernel.ids import EntryId, PrincipalId, SubjectId, new_id

_NO_ENTRY: Final = EntryId("")
"""Of a case that is not stored yet."""

ASK: Final = "case.request"
GIVE: Final = "case.grant"
DEFAULT_HOURS: Final = 8


class CaseNeeded(RuleDenied):
    """One of the most sensitive fields opens only under a case grant that fits."""

    rule = "CASE"


class OwnCase(Denied):
    """The case is the caller's own."""


def request_case(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    reason: str,
    fields: Collection[str] = (),
    compartment: Compartment | None = None,
    hours: int = DEFAULT_HOURS,
    ticket: str | None = None,
) -> Case:
    """Ask for a case grant; it opens nothing until somebody else gives it.

    Args:
        platform: every part.
        caller: a person whose role reaches these fields by a case.
        subject: whose record. purpose: of the caller's role.
        reason: the caller's own words, sealed beside the entry.
        fields: codes; together with those of the compartment.
        compartment: all of its fields that a case of this role and purpose can open.
        hours: from the decision on.
        ticket: name of the occasion in a system of the operator's.

    Raises:
        Denied: the role may not ask, not for this purpose, or not for one of these fields.
        BadInput: no reason, no field that needs a case, an unknown field, or hours beyond the pack's.
        NotFound: nobody is registered under this id.
    """
    tried = Tried(purpose, fields)
    check_allowed(platform, caller, ASK, persons_only=True, subject=subject, tried=tried)
    said = check_said(reason, what="A case")
    check_ticket(ticket)
    _check_hours(platform, hours)
    asked = _asked(platform, caller, purpose, fields, compartment)
    asking = platform.asking(caller, reason=said)
    with platform.data.write() as connection:
        get_standing(connection, subject)
        now = now_in_log(connection, platform.log, platform.clock)
        made = Case(
            new_id("cas"), subject, purpose, asked, caller.role, caller.principal_id, now, hours, _NO_ENTRY, ticket
        )
        entry_id = platform.log.record(
            connection, _event(platform, asking, made, Act.CASE_REQUESTED, {"reason": said}, hours=hours)
        )
        made = replace(made, asked_entry=entry_id)
        add_case(connection, made)
    platform.log.settle()
    return made


def grant_case(platform: Platform, caller: Principal, case_id: str, *, reason: str) -> Case:
    """Give a case that somebody else has asked for; its hours begin now.

    Raises:
        Denied: the caller's role may not, or records consents as well; or the caller is no person.
        OwnCase: the caller has asked for it; the try stays in the log.
        NotFound: there is no such case.
        Conflict: it was decided or revoked before.
        BadInput: no reason.
    """
    return _decide(platform, caller, case_id, GRANTED, reason)


def refuse_case(platform: Platform, caller: Principal, case_id: str, *, reason: str) -> Case:
    """Refuse a case that somebody else has asked for; raises as ``grant_case``."""
    return _decide(platform, caller, case_id, REFUSED, reason)


def revoke_case(platform: Platform, caller: Principal, case_id: str, *, reason: str) -> Case:
    """End a case early: by who gives cases, or by who has asked for it; from its entry on nothing opens under it.

    Raises:
        Denied: the caller is neither.
        NotFound: there is no such case.
        Conflict: it is over.
        BadInput: no reason.
    """
    gives = can_act(platform.catalogue, caller, GIVE)
    check_allowed(platform, caller, GIVE if gives else ASK, persons_only=True)
    said = check_said(reason, what="A revocation")
    with platform.data.read() as connection:
        found = get_case(connection, case_id)
    if found.asked_by != caller.principal_id:
        check_allowed(platform, caller, GIVE, persons_only=True, subject=found.subject)
    asking = platform.asking(caller, reason=said)
    with platform.data.write() as connection:
        found, now = get_case(connection, case_id, change=True), now_in_log(connection, platform.log, platform.clock)
        if found.state(now) not in (CaseState.ASKED, CaseState.GRANTED):
            raise Conflict(f"Case {case_id} is {found.state(now)}", hint="Nothing opens under it.")
        entry_id = platform.log.record(connection, _event(platform, asking, found, Act.CASE_REVOKED, {"reason": said}))
        ended = {"revoked_at": now, "revoked_by": caller.principal_id, "revoked_entry": entry_id}
        change_case(connection, case_id, **ended)
        changed = get_case(connection, case_id)
    platform.log.settle()
    return changed


def list_cases(platform: Platform, caller: Principal, *, undecided_only: bool = False) -> list[tuple[Case, CaseState]]:
    """Return the newest hundred cases: all to who gives them, to others their own; the reading leaves its entry."""
    gives = can_act(platform.catalogue, caller, GIVE)
    check_allowed(platform, caller, GIVE if gives else ASK, persons_only=True)
    asked_by = None if gives else PrincipalId(caller.principal_id)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = newest_cases(connection, asked_by=asked_by, undecided_only=undecided_only)
        event = Event(
            Act.AUDIT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            cohort=tuple(dict.fromkeys(one.subject for one in found)), refs={"what": "cases"},
            counts={"cases": len(found)},
        )  # fmt: skip
        platform.log.record(connection, event)
        now = platform.log.now(connection)
    platform.log.settle()
    return [(one, one.state(now)) for one in found]


def check_case(
    platform: Platform, connection: Connection, reading: Reading, cased: frozenset[str], *, case: str | None
) -> str | None:
    """Return the id of the grant that lets the caller open the most sensitive fields; None where there are none.

    Args:
        platform: every part.
        connection: any transaction.
        reading: who, what, of whom.
        cased: which of its fields need a case.
        case: the id that the caller names; otherwise the newest grant that fits is found.

    Raises:
        CaseNeeded: none fits, or it is not the one that the log tells of.
    """
    if not cased:
        return None
    now = now_in_log(connection, platform.log, platform.clock)
    made = cases_of(connection, asked_by=reading.caller.principal_id, subject=reading.subject, purpose=reading.purpose)
    fitting = (
        one
        for one in made
        if case in (None, one.case_id)
        and one.state(now) is CaseState.GRANTED
        and one.role == reading.caller.role
        and one.decided_by != reading.caller.principal_id
        and cased <= one.fields
    )
    found = next(fitting, None)
    if found is None:
        raise CaseNeeded(
            f"{', '.join(sorted(cased))} open under a case grant only",
            hint="Ask for one with `consentry case request`, and have somebody else give it.",
        )
    if differs := differing_case(connection, platform.log, found):
        raise CaseNeeded(
            f"Case {found.case_id} is not the one that the log tells of: {', '.join(differs)} differ",
            hint="Ask for another one, and run `consentry audit reconcile`.",
        )
    return found.case_id


def hold_granted(connection: Connection, case_id: str, now: datetime) -> None:
    """See to it that a grant, which was found to fit, is not revoked before the transaction ends.

    Raises:
        CaseNeeded: it was meanwhile.
    """
    found = hold_case(connection, case_id)
    if found is None or found.state(now) is not CaseState.GRANTED:
        raise CaseNeeded(f"Case {case_id} is over", hint="Ask for another one.")


def _decide(platform: Platform, caller: Principal, case_id: str, verdict: str, reason: str) -> Case:
    check_allowed(platform, caller, GIVE, persons_only=True)
    said = check_said(reason, what="A decision on a case")
    with platform.data.read() as connection:
        found = get_case(connection, case_id)
    _check_another(platform, caller, found)
    asking = platform.asking(caller, reason=said)
    with platform.data.write() as connection:
        found, now = get_case(connection, case_id, change=True), now_in_log(connection, platform.log, platform.clock)
        if found.state(now) is not CaseState.ASKED:
            raise Conflict(f"Case {case_id} is {found.state(now)}", hint="Have another one asked for.")
        expires_at = now + timedelta(hours=found.hours) if verdict == GRANTED else None
        made = replace(found, verdict=verdict, decided_by=caller.principal_id, decided_at=now, expires_at=expires_at)
        act = Act.CASE_GRANTED if verdict == GRANTED else Act.CASE_REFUSED
        details: dict[str, JsonValue] = {"reason": said, SEALED: decided(made)}
        entry_id = platform.log.record(connection, _event(platform, asking, made, act, details, hours=made.hours))
        change_case(
            connection, case_id, verdict=verdict, decided_by=caller.principal_id, decided_at=now,
            expires_at=expires_at, decided_entry=entry_id,
        )  # fmt: skip
    platform.log.settle()
    return replace(made, decided_entry=entry_id)


def _check_another(platform: Platform, caller: Principal, case: Case) -> None:
    """Raise unless somebody else than who asked decides, who records no consents either."""
    if case.asked_by == caller.principal_id:
        record_denial(
            platform, caller, reason="OWN_CASE", subject=case.subject, refs={"act": GIVE, "case": case.case_id}
        )
        raise OwnCase("Nobody decides on an own case", hint="Ask somebody else whose role gives cases.")
    if can_act(platform.catalogue, caller, "consent.capture"):
        record_denial(platform, caller, reason="ROLE", subject=case.subject, refs={"act": GIVE, "case": case.case_id})
        raise Denied("Who records consents gives no cases", hint="Ask somebody else whose role gives cases.")


def _asked(
    platform: Platform, caller: Principal, purpose: str, fields: Collection[str], compartment: Compartment | None
) -> frozenset[str]:
    """Return the codes that a case is asked for.

    Raises:
        Denied: the role does not reach one of them.
        BadInput: none, or one that opens without a case.
    """
    catalogue, role = platform.catalogue, platform.catalogue.get_role(caller.role)
    named = {catalogue.get_field(code).code for code in fields}
    for one in catalogue.fields.values():
        is_meant = one.compartment is compartment and purpose in one.purposes
        if is_meant and role.max_level < one.level <= (role.case_level or 0):
            named.add(one.code)
    reach = reach_of(catalogue, caller, purpose=purpose, fields=named, act=ASK)
    if not named:
        raise BadInput("A case names fields", hint="Give --fields, or a --compartment with fields that need a case.")
    if named - reach.cased:
        listed = ", ".join(sorted(named - reach.cased))
        raise BadInput(f"A case is for fields that need one: {listed}", hint="Name fields above the role's own level.")
    return frozenset(named)


def _check_hours(platform: Platform, hours: int) -> None:
    longest = platform.catalogue.oversight.reading.case_hours
    if not 1 <= hours <= longest:
        raise BadInput(f"A case lasts 1 to {longest} hours", hint="Give hours within that range.")


def _event(
    platform: Platform,
    asking: Asking,
    case: Case,
    act: Act,
    details: Mapping[str, JsonValue],
    *,
    hours: int | None = None,
) -> Event:
    levels = [platform.catalogue.fields[code].level for code in case.fields if code in platform.catalogue.fields]
    ticket = {} if case.ticket is None else {"ticket": case.ticket}
    return Event(
        act, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=case.purpose, subject=case.subject,
        fields=tuple(sorted(case.fields)), level=max(levels, default=None),
        counts={} if hours is None else {"hours": hours}, refs={"case": case.case_id, **ticket}, details=details,
    )  # fmt: skip
