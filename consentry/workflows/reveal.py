"""Open fields of one subject for a person: role, gate, durable entry, receipt, then and only then the vault."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import details_of
from consent.permits import Permit, Refusal
from consentry.access import check_may_open
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.words_said import check_said
from consentry.workflows.approvals import ApprovalNeeded, check_approved
from consentry.workflows.denials import Tried, denial_of
from kernel.errors import BadInput, Denied
from kernel.ids import SubjectId
from vault.records import OpenedRecord

_TICKET: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
"""It goes into the log as it is: a shape that no number of a person has; as ``consentry.acts.Name``."""


class NotPermitted(Denied):
    """The gate refused; the message names each field with its reason."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The opened records and where the log says so."""

    records: Sequence[OpenedRecord] = field(repr=False)
    entry_id: str
    log_index: int
    tree_size: int


def reveal(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    reason: str,
    approval: str | None = None,
    ticket: str | None = None,
) -> Opened:
    """Open fields of one subject.

    Args:
        platform: every part.
        caller: a person of staff.
        subject: whose record. purpose: of the caller's role. fields: codes.
        reason: the caller's own words, sealed beside the entries.
        approval: id of the approval that a minor's record needs (R22).
        ticket: name of the occasion in a system of the operator's; it stands in the entries (R52).

    Raises:
        ApprovalNeeded: the subject is under 18, and no approval by somebody else fits.
        Denied: the role may not open these fields, or the gate refuses; all of this stays in the log.
        Unavailable: the log cannot be written or signed; nothing was opened.
    """
    reason = check_said(reason, what="Opening a record")
    refs = _ticket_refs(ticket)
    asking = platform.asking(caller, reason=reason)
    with denials_recorded(platform, asking, subject=subject, purpose=purpose, fields=fields, refs=refs):
        check_may_open(platform.catalogue, caller, purpose=purpose, fields=fields)
        with platform.data.read() as connection:
            approved = check_approved(platform, connection, caller, subject=subject, purpose=purpose, approval=approval)
    permit = _permit(platform, asking, subject=subject, purpose=purpose, fields=fields, approval=approved, refs=refs)
    receipt = platform.log.receipt(
        permit.entry_id, actor=asking.actor, purpose=purpose, subjects=permit.subjects, fields=permit.fields
    )
    records = platform.vault.open(permit, receipt, subject=subject, fields=permit.fields)
    return Opened(records, permit.entry_id, receipt.index, receipt.tree_size)


@contextmanager
def denials_recorded(
    platform: Platform,
    asking: Asking,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    refs: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Leave the entry of what the role or a missing approval denies."""
    try:
        yield
    except Denied as err:
        rule = "APPROVAL" if isinstance(err, ApprovalNeeded) else "ROLE"
        denial = replace(
            denial_of(asking, reason=rule, subject=subject, refs=refs), details=details_of(asking)
        )  # fmt: skip
        with platform.data.write() as connection:
            platform.log.record(connection, Tried(purpose, fields).told(denial, platform.catalogue))
        raise


def _ticket_refs(ticket: str | None) -> dict[str, str]:
    if ticket is None:
        return {}
    if not _TICKET.fullmatch(ticket):
        raise BadInput(
            "A ticket begins with a letter and has at most 64 letters, digits, dots, dashes and underscores",
            hint="Give the occasion's number as your system has it, for example INC-4711.",
        )
    return {"ticket": ticket}


def _permit(
    platform: Platform,
    asking: Asking,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    approval: str | None,
    refs: Mapping[str, str],
) -> Permit:
    approved = {} if approval is None else {"approval": approval}
    with platform.data.write() as connection:
        said = platform.gate.check(connection, asking=asking, purpose=purpose, subject=subject, fields=fields)
        if isinstance(said, Permit):
            platform.log.record(
                connection,
                Event(
                    Act.REVEAL, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, purpose=purpose,
                    subject=subject, fields=tuple(sorted(said.fields)), details={"reason": asking.reason},
                    refs={"permit": said.permit_id, **approved, **refs},
                ),
            )  # fmt: skip
    if isinstance(said, Refusal):
        listed = ", ".join(f"{name}: {why.value}" for name, why in sorted(said.reasons.items()))
        raise NotPermitted(f"The gate refuses {listed}", hint="Only what the subject has decided can be opened.")
    return said
