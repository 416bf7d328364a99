"""Approvals for staff to read an under-18's record (未成年人网络保护条例 36; R22): one gives, another reads."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.ages import AgeClass
from consent.entries import now_in_log
from consent.standing import SubjectStanding, find_standings, get_standing
from consentry.access import RuleDenied
from consentry.approval_inspection import SEALED, differing_approval, granted
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.approvals import ReadApproval, add_approval, find_approval, revoke
from consentry.words_said import check_said
from consentry.workflows.denials import check_allowed
from kernel.catalogue import LawfulBasis
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import SubjectId, new_id

MAX_HOURS: Final = 7 * 24
DEFAULT_HOURS: Final = 24

_READS: Final = frozenset({"vault.reveal", "tags.read", "tags.explain"})
"""Acts by which staff reads one person's record: in clear, as tags, and why it has them."""

_MINOR_OR_UNKNOWN: Final = frozenset({AgeClass.UNDER_14, AgeClass.UNDER_18, AgeClass.UNKNOWN})
"""Whose record needs an approval; somebody whose age is not known may be a minor."""


class ApprovalNeeded(RuleDenied):
    """An under-18's record is opened for staff only under an approval that fits."""

    rule = "APPROVAL"


def approve_read(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    role: str,
    reason: str,
    hours: int = DEFAULT_HOURS,
) -> ReadApproval:
    """Approve that people of a role read one subject's record for a purpose, for some hours.

    Raises:
        Denied: the caller's role may not approve, or the caller is no person.
        BadInput: an unknown purpose or role, a role that opens nothing for the purpose, no reason, or hours outside 1
            to ``MAX_HOURS``.
        NotFound: nobody is registered under this id.
    """
    check_allowed(platform, caller, "read.approve", persons_only=True, subject=subject)
    _check_sound(platform, purpose=purpose, role=role, reason=reason, hours=hours)
    asking = platform.asking(caller, reason=reason)
    with platform.data.write() as connection:
        get_standing(connection, subject)
        now = now_in_log(connection, platform.log, platform.clock)
        made = ReadApproval(
            new_id("apr"), subject, purpose, role, caller.principal_id, now, now + timedelta(hours=hours)
        )
        entry_id = platform.log.record(
            connection,
            Event(
                Act.READ_APPROVED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=purpose,
                subject=subject, refs={"approval": made.approval_id, "for_role": role}, counts={"hours": hours},
                details={"reason": reason, SEALED: granted(made)},
            ),
        )  # fmt: skip
        add_approval(connection, made, entry_id)
    return replace(made, entry_id=entry_id)


def revoke_approval(platform: Platform, caller: Principal, approval_id: str, *, reason: str) -> ReadApproval:
    """End an approval before its hours are over; from its entry on nobody reads under it.

    Raises:
        Denied: the caller's role may not approve, or the caller is no person.
        NotFound: there is no such approval.
        Conflict: it is over already.
        BadInput: no reason.
    """
    check_allowed(platform, caller, "read.approve", persons_only=True)
    asking = platform.asking(caller, reason=check_said(reason, what="A revocation"))
    with platform.data.write() as connection:
        found, now = find_approval(connection, approval_id), now_in_log(connection, platform.log, platform.clock)
        if found is None:
            raise NotFound("There is no such approval", hint="Give the id that `approve-read` printed.")
        if not found.is_live(now):
            raise Conflict(f"Approval {approval_id} is over already", hint="Nothing reads under it.")
        entry_id = platform.log.record(
            connection,
            Event(
                Act.READ_REVOKED, Outcome.DONE, asking.actor, asking.role, asking.request_id, purpose=found.purpose,
                subject=found.subject, refs={"approval": approval_id}, details={"reason": asking.reason},
            ),
        )  # fmt: skip
        revoke(connection, approval_id, by=caller.principal_id, at=now, entry_id=entry_id)
    platform.log.settle()
    return replace(found, revoked_at=now, revoked_by=caller.principal_id, revoked_entry=entry_id)


def hold_approval(connection: Connection, approval_id: str, now: datetime) -> None:
    """See to it that an approval, which was found to fit, is not revoked before the transaction ends.

    Raises:
        ApprovalNeeded: it was meanwhile.
    """
    found = find_approval(connection, approval_id, hold=True)
    if found is None or not found.is_live(now):
        raise ApprovalNeeded(f"Approval {approval_id} was revoked", hint="Have one given anew.")


def check_approved(
    platform: Platform,
    connection: Connection,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    approval: str | None,
) -> str | None:
    """Return the id of the approval that lets a person of staff read a subject; None where none is needed.

    None is needed for an adult, and in an emergency, which leaves the task to tell the person later (R20).

    Raises:
        ApprovalNeeded: the subject is under 18 or of unknown age, and the approval is missing, over, revoked, for
            somebody else, for another purpose or role, the caller's own, or not the one that the log tells of.
    """
    standing = find_standings(connection, [subject]).get(subject)
    declared = platform.catalogue.purposes.get(purpose)
    if standing is None or (declared is not None and LawfulBasis.EMERGENCY in declared.bases):
        return None
    now = now_in_log(connection, platform.log, platform.clock)
    if not is_minor_or_unknown(standing, now):
        return None
    found = None if approval is None else find_approval(connection, approval)
    fits = (
        found is not None
        and (found.subject, found.purpose, found.role) == (subject, purpose, caller.role)
        and found.approved_by != caller.principal_id
        and found.is_live(now)
    )
    if found is None or not fits:
        raise ApprovalNeeded(
            "The record of a minor opens only under an approval by somebody else",
            hint="Have one given for this subject, purpose and role, and name it.",
        )
    if differs := differing_approval(connection, platform.log, found):
        raise ApprovalNeeded(
            f"Approval {found.approval_id} is not the one that the log tells of: {', '.join(differs)} differ",
            hint="Have one given anew, and run `consentry audit reconcile`.",
        )
    return found.approval_id


def is_minor_or_unknown(standing: SubjectStanding, now: datetime) -> bool:
    """Say whether a subject is under 18, or of unknown age, at an instant."""
    return standing.age_class_on(now.date()) in _MINOR_OR_UNKNOWN


def _check_sound(platform: Platform, *, purpose: str, role: str, reason: str, hours: int) -> None:
    platform.catalogue.get_purpose(purpose)
    reader = platform.catalogue.get_role(role)
    if reader.acts.isdisjoint(_READS) or purpose not in reader.purposes:
        raise BadInput(f"Role {role!r} opens nothing for {purpose}", hint="Name the role and purpose of the reader.")
    check_said(reason, what="An approval")
    if not 1 <= hours <= MAX_HOURS:
        raise BadInput(f"An approval lasts 1 to {MAX_HOURS} hours", hint="Give hours within that range.")
