"""Open fields of one subject for a person: role, gate, durable entry, receipt, then and only then the vault."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.admit import NotPermitted, admit, begin_reading
from kernel.ids import SubjectId
from vault.records import OpenedRecord

__all__ = ["NotPermitted", "Opened", "reveal"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The opened records and where the log says so.

    Attributes:
        masked: fields of which the records hold what the masks leave.
    """

    records: Sequence[OpenedRecord] = field(repr=False)
    entry_id: str
    log_index: int
    tree_size: int
    masked: frozenset[str] = frozenset()


def reveal(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    reason: str,
    approval: str | None = None,
    case: str | None = None,
    ticket: str | None = None,
) -> Opened:
    """Open fields of one subject.

    Args:
        platform: every part.
        caller: a person of staff.
        subject: whose record. purpose: of the caller's role, and no emergency. fields: codes.
        reason: the caller's own words, sealed beside the entries.
        approval: id of the approval that a minor's record needs (R22).
        case: id of the case grant that the most sensitive fields need (R49); found by itself where it is not named.
        ticket: name of the occasion in a system of the operator's; it stands in the entries (R52).

    Raises:
        Denied, Unavailable: see ``consentry.workflows.admit``; nothing was opened.
    """
    reading = begin_reading(
        platform, caller, subject=subject, purpose=purpose, fields=fields, reason=reason, ticket=ticket
    )
    admitted = admit(platform, reading, approval=approval, case=case, opens=True)
    permit, receipt = admitted.permit, admitted.receipt
    records = platform.vault.open(
        permit, receipt, subject=subject, fields=permit.fields, masked=admitted.masked, gathered=admitted.gathered
    )
    return Opened(records, permit.entry_id, receipt.index, receipt.tree_size, admitted.masked)
