"""Decisions as values: what a caller asks to have recorded, and what stands in the register afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from consent.notices import NoticeRef
from consent.rules import DecisionAct, Track
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict, Denied
from kernel.ids import DecisionId, EntryId, SubjectId


class ActorKind(StrEnum):
    """Who decided for the subject; an operator records contracts, duties and what time has ended."""

    SELF = "self"
    GUARDIAN = "guardian"
    AGENT = "agent"
    KIN = "kin"
    OPERATOR = "operator"


class BundledConsent(BadInput):
    """A purpose that needs a separate consent stands with another in one act (PIPL 29)."""


class RecipientNotTold(BadInput):
    """The notice does not tell of the recipient that the grant names (PIPL 23)."""


class InvalidEvidence(BadInput):
    """The evidence shows no act of the person's own (GDPR 4(11))."""


class ActorNotEntitled(Denied):
    """The actor may not decide this for the subject."""


class PurposeInactive(Denied):
    """The purpose has no approved impact assessment (PIPL 55)."""


class NotWithdrawable(Denied):
    """The purpose rests on contract or law, and no consent of its own stands that could be withdrawn."""


class BasisMissing(Denied):
    """The purpose does not rest on the basis that is to be recorded."""


class GuardianNeeded(Denied):
    """The subject is below the age at which it consents by itself (PIPL 31, GDPR 8)."""


class GuardiansDisagree(Denied):
    """Another live guardian has closed what this one would open."""


class SubjectDeceased(Denied):
    """Nobody opens anything for the dead, and only verified kin closes for them (PIPL 49)."""


class CoolDown(Conflict):
    """The person was asked again too soon after a refusal (网络数据安全管理条例 22(5))."""


class NothingToClose(Conflict):
    """No grant, contract or duty stands that could expire or end."""


class DecidedEarlier(Conflict):
    """A later decision is recorded already; an older act cannot open again what it left."""


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One act, as it was made.

    Attributes:
        recipient: who outside the controller it names; None for the controller itself. Refusing or withdrawing
            without a recipient reaches every recipient.
        notice: the text that was shown; a grant needs it.
        actor_subject: the guardian, agent or kin; None or the subject for ``SELF``.
        evidence: how the act was made, with ``mechanism``; sealed when it is stored.
        decided_at: when the person acted, with its source's offset; at most five minutes ahead of the clock.
        valid_until: end of validity, half open; None for no end.
        fields: narrows a grant, contract or duty to these fields; None for all of the purpose, and in a renewal for
            those of what it renews.
        valid_from: begin of validity, not before ``decided_at``; None for at once.
        max_uses: number of permits that may rest on it; None for any number.
    """

    subject: SubjectId
    purposes: tuple[str, ...]
    act: DecisionAct
    recipient: str | None
    notice: NoticeRef | None
    actor_kind: ActorKind
    actor_subject: SubjectId | None
    evidence: Mapping[str, JsonValue] = field(repr=False)
    decided_at: datetime
    valid_until: datetime | None = None
    fields: frozenset[str] | None = None
    valid_from: datetime | None = None
    max_uses: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of the register: one act for one purpose and recipient.

    Attributes:
        decided_at: in UTC; ``offset_minutes`` (east positive) is how its source wrote it.
        renews: the decision that a renewal follows.
    """

    decision_id: DecisionId
    subject: SubjectId
    purpose: str
    recipient: str | None
    track: Track
    act: DecisionAct
    notice: NoticeRef | None
    notice_hash: str | None
    actor_kind: ActorKind
    actor_subject: SubjectId | None
    fields: frozenset[str] | None
    decided_at: datetime
    valid_until: datetime | None
    recorded_at: datetime
    request_id: str
    entry_id: EntryId
    renews: DecisionId | None = None
    valid_from: datetime | None = None
    max_uses: int | None = None
    offset_minutes: int | None = None
