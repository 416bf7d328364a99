"""What every opening of one person's record passes, in this order: role, approval, case, account, limits, gate, log.

Only then is there a receipt, and only with it does the vault open anything. Whatever is refused on the way stays in the
log, with the rule that refused.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from audit.events import Act
from audit.log import Claim
from audit.receipts import Receipt
from consent.entries import details_of
from consent.permits import Permit, Refusal
from consentry.access import Reach, RuleDenied, is_emergency, reach_of
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.readings import Reading
from consentry.tickets import ticket_refs
from consentry.words_said import check_said
from consentry.workflows.admit_together import JOINT, Asked, claim_of, opened_event
from consentry.workflows.approvals import check_approved, hold_approval
from consentry.workflows.cases import check_case, hold_granted
from consentry.workflows.denials import Tried, denial_of
from consentry.workflows.freezing import check_not_frozen
from consentry.workflows.limits import LimitReached, spend_reading, tell_first_refusal
from kernel.catalogue import Catalogue, FieldType
from kernel.errors import BadInput, Denied
from kernel.ids import EntryId, SubjectId
from vault.records import Gathered


class NotPermitted(Denied):
    """The gate refused; the message names each field with its reason."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the vault asks for, and which fields it must mask; ``entry_id`` is of the reading's own entry.

    Attributes:
        gathered: what the vault has read for all who were admitted together; None where it was asked for nothing.
    """

    permit: Permit
    receipt: Receipt
    masked: frozenset[str]
    entry_id: EntryId
    gathered: Gathered | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """The ids of the approval and the case grant that a reading needs; None where it needs none."""

    approval: str | None = None
    case: str | None = None

    @property
    def refs(self) -> dict[str, str]:
        """What entries name of it."""
        named = {"approval": self.approval, "case": self.case}
        return {name: value for name, value in named.items() if value is not None}

    def hold(self, connection: Connection, now: datetime) -> None:
        """See to it that neither is revoked before the transaction ends; raises where one was revoked meanwhile."""
        if self.approval is not None:
            hold_approval(connection, self.approval, now)
        if self.case is not None:
            hold_granted(connection, self.case, now)


def begin_reading(
    platform: Platform,
    caller: Principal,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
    reason: str,
    ticket: str | None = None,
    of_file: bool = False,
) -> Reading:
    """Return a reading, whose words, ticket and kind of fields were checked and nothing else.

    Raises:
        BadInput: no reason, a ticket of another shape, or a field of files where values are asked for: nothing of it
            would come, and the log would say that it was opened.
    """
    if not of_file:
        _check_values(platform.catalogue, fields)
    asking = platform.asking(caller, reason=check_said(reason, what="Opening a record"))
    return Reading(caller, asking, subject, purpose, frozenset(fields), ticket_refs(ticket))


def admit(
    platform: Platform,
    reading: Reading,
    *,
    act: Act = Act.REVEAL,
    approval: str | None = None,
    case: str | None = None,
    may_mask: bool = True,
    opens: bool = False,
) -> Admitted:
    """Let a person of staff open fields of one subject.

    Args:
        platform: every part.
        reading: who, what, of whom and why.
        act: of the reading's own entry.
        approval: id of the approval that a minor's record needs (R22).
        case: id of the case grant that the most sensitive fields need (R49); found by itself where it is not named.
        may_mask: whether the way that is asked for can mask values; otherwise masked fields are refused.
        opens: whether ``Vault.open`` comes next, so that it may read for several at once.

    Raises:
        ApprovalNeeded, CaseNeeded: the subject is under 18, or a field among the most sensitive, and no leave fits.
        AccountFrozen: an emergency access of the caller was not reviewed in time, or found to be an incident.
        LimitReached: the caller has read as much as it may for now.
        Denied: the role may not open these fields, or the gate refuses; all of this stays in the log.
        Unavailable: the log cannot be written or signed; nothing was opened.
    """
    with denials_recorded(platform, reading):
        reach = _reach(platform, reading, may_mask=may_mask)

        def enter_held(connection: Connection) -> tuple[tuple[Permit | Refusal, EntryId], Claim | None]:
            leave = leave_in(platform, connection, reading, reach.cased, approval=approval, case=case)
            if leave.refs:
                leave.hold(connection, platform.log.now(connection))
            spend_reading(platform, connection, reading)
            entered = enter(platform, connection, reading, act=act, masked=reach.masked, refs=leave.refs)
            return entered, claim_of(entered[0]) if isinstance(entered[0], Permit) else None

        if reach.cased:
            (said, entry_id), receipt = platform.log.perform(enter_held)
            gathered = None
        else:
            asked = Asked(platform, reading, act, reach.masked, opens)
            done = platform.log.perform_jointly(enter_held, joint=JOINT, asked=asked)
            (said, entry_id), receipt, gathered = done.result, done.receipt, done.gathered
    permit = permitted(said)
    return Admitted(permit, receipt or receipt_of(platform, permit), reach.masked, entry_id, gathered)


def find_leave(
    platform: Platform, reading: Reading, cased: frozenset[str], *, approval: str | None, case: str | None
) -> Leave:
    """Return the leave that a reading needs; raises as ``leave_in``."""
    with platform.data.read() as connection:
        return leave_in(platform, connection, reading, cased, approval=approval, case=case)


def leave_in(
    platform: Platform,
    connection: Connection,
    reading: Reading,
    cased: frozenset[str],
    *,
    approval: str | None,
    case: str | None,
) -> Leave:
    """Return the leave that a reading needs, in the caller's transaction.

    Raises:
        ApprovalNeeded, CaseNeeded: none fits.
    """
    return Leave(
        check_approved(
            platform, connection, reading.caller,
            subject=reading.subject, purpose=reading.purpose, approval=approval,
        ),
        check_case(platform, connection, reading, cased, case=case),
    )  # fmt: skip


def enter(
    platform: Platform,
    connection: Connection,
    reading: Reading,
    *,
    act: Act,
    masked: frozenset[str],
    refs: Mapping[str, str],
) -> tuple[Permit | Refusal, EntryId]:
    """Ask the gate, and leave the reading's entry beside the permit's; returns the refusal with its own entry.

    Raises:
        AccountFrozen: see ``consentry.workflows.freezing``.
    """
    check_not_frozen(connection, reading.caller, platform.log.now(connection))
    said = platform.gate.check(
        connection, asking=reading.asking, purpose=reading.purpose, subject=reading.subject, fields=reading.fields
    )
    if isinstance(said, Refusal):
        return said, said.entry_id
    event = opened_event(reading, act, said.fields, said.permit_id, masked=masked, refs=refs)
    return said, platform.log.record(connection, event)


def _check_values(catalogue: Catalogue, fields: Collection[str]) -> None:
    known = [catalogue.fields[code] for code in sorted(fields) if code in catalogue.fields]
    files = [field.code for field in known if field.type is FieldType.ATTACHMENT]
    if files:
        raise BadInput(
            f"{', '.join(files)}: files, no values",
            hint="Leave it out: `consentry attach list` names a person's files, `consentry attach get` opens one.",
        )


def permitted(said: Permit | Refusal) -> Permit:
    """Return the gate's permit; raises ``NotPermitted`` for a refusal."""
    if isinstance(said, Refusal):
        listed = ", ".join(f"{name}: {why.value}" for name, why in sorted(said.reasons.items()))
        raise NotPermitted(f"The gate refuses {listed}", hint="Only what the subject has decided can be opened.")
    return said


def receipt_of(platform: Platform, permit: Permit) -> Receipt:
    """Return the log's receipt for all that a permit covers, once its entry is durable and signed for."""
    return platform.log.receipt(
        permit.entry_id, actor=permit.actor, purpose=permit.purpose, subjects=permit.subjects, fields=permit.fields
    )


@contextmanager
def denials_recorded(platform: Platform, reading: Reading) -> Iterator[None]:
    """Leave the entry of what a rule denies, in a transaction of its own; at a limit officers are told as well."""
    try:
        yield
    except Denied as err:
        rule = err.rule if isinstance(err, RuleDenied) else RuleDenied.rule
        asking = reading.asking
        denial = denial_of(asking, reason=rule, subject=reading.subject, refs=reading.refs)
        told = Tried(reading.purpose, reading.fields).told(
            replace(denial, details=details_of(asking)), platform.catalogue
        )
        with platform.data.write() as connection:
            platform.log.record(connection, told)
            if isinstance(err, LimitReached):
                tell_first_refusal(platform, connection, reading.caller, err)
        raise


def _reach(platform: Platform, reading: Reading, *, may_mask: bool) -> Reach:
    reach = reach_of(platform.catalogue, reading.caller, purpose=reading.purpose, fields=reading.fields)
    if is_emergency(platform.catalogue, reading.purpose):
        raise Denied(
            f"For {reading.purpose} a record is opened by breaking the glass", hint="Use `consentry emergency open`."
        )
    if reach.masked and not may_mask:
        raise Denied(
            f"Role {reading.caller.role!r} sees {', '.join(sorted(reach.masked))} masked only",
            hint="Leave these fields out.",
        )
    return reach
