"""Open fields of one subject for a person: role, gate, durable entry, receipt, then and only then the vault."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.permits import Permit, Refusal
from consentry.access import check_may_open
from consentry.platform import Platform
from consentry.principals import Principal
from kernel.errors import BadInput, Denied
from kernel.ids import SubjectId
from vault.records import OpenedRecord


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
) -> Opened:
    """Open fields of one subject.

    Raises:
        Denied: the role may not open these fields, or the gate refuses; both stay in the log.
        Unavailable: the log cannot be written or signed; nothing was opened.
    """
    if not reason.strip():
        raise BadInput("Opening a record needs a reason", hint="Say why in --reason.")
    asking = platform.asking(caller, reason=reason)
    _check_role(platform, caller, asking, subject=subject, purpose=purpose, fields=fields)
    permit = _permit(platform, asking, subject=subject, purpose=purpose, fields=fields)
    receipt = platform.log.receipt(
        permit.entry_id, actor=asking.actor, purpose=purpose, subjects=permit.subjects, fields=permit.fields
    )
    records = platform.vault.open(permit, receipt, subject=subject, fields=permit.fields)
    return Opened(records, permit.entry_id, receipt.index, receipt.tree_size)


def _check_role(
    platform: Platform,
    caller: Principal,
    asking: Asking,
    *,
    subject: SubjectId,
    purpose: str,
    fields: Collection[str],
) -> None:
    try:
        check_may_open(platform.catalogue, caller, purpose=purpose, fields=fields)
    except Denied:
        known = tuple(sorted(f for f in fields if f in platform.catalogue.fields))
        with platform.data.write() as connection:
            platform.log.record(
                connection,
                Event(
                    Act.ACCESS_DENIED, Outcome.DENIED, asking.actor, asking.role, asking.request_id,
                    purpose=purpose if purpose in platform.catalogue.purposes else None,
                    subject=subject, fields=known, reason="ROLE", details={"reason": asking.reason},
                ),
            )  # fmt: skip
        raise


def _permit(platform: Platform, asking: Asking, *, subject: SubjectId, purpose: str, fields: Collection[str]) -> Permit:
    with platform.data.write() as connection:
        said = platform.gate.check(connection, asking=asking, purpose=purpose, subject=subject, fields=fields)
        if isinstance(said, Permit):
            platform.log.record(
                connection,
                Event(
                    Act.REVEAL, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, purpose=purpose,
                    subject=subject, fields=tuple(sorted(said.fields)), refs={"permit": said.permit_id},
                    details={"reason": asking.reason},
                ),
            )  # fmt: skip
    if isinstance(said, Refusal):
        listed = ", ".join(f"{name}: {why.value}" for name, why in sorted(said.reasons.items()))
        raise NotPermitted(f"The gate refuses {listed}", hint="Only what the subject has decided can be opened.")
    return said
