"""The rule of the gate as pure functions: standing, declared field and live decisions in, a reason or None out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from consent.reasons import Reason
from consent.standing import Standing
from kernel.catalogue import Catalogue, ConsentKind, Field, Purpose
from kernel.ids import DecisionId

STORAGE_AND_SECURITY: Final = frozenset({"P05", "P13"})
"""The purposes that a restriction leaves open: statutory storage and security (PIPL 47 paragraph 2)."""


class DecisionAct(StrEnum):
    """What was decided or recorded."""

    GRANT = "grant"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    RENEW = "renew"
    EXPIRE = "expire"
    CONTRACT = "contract"
    DUTY = "duty"
    END = "end"


class Track(StrEnum):
    """The two strands that stand side by side: what rests on contract or law, and what the person decides freely."""

    BASIS = "basis"
    CONSENT = "consent"


def track_of(act: DecisionAct) -> Track:
    """Return the strand that an act moves."""
    return Track.BASIS if act in _OF_BASIS else Track.CONSENT


class Current(NamedTuple):
    """What stands now on one track for one subject, purpose and recipient: a row of ``consent_current``.

    A tuple, because a batch reads thousands.
    """

    decision_id: DecisionId
    recipient: str
    track: Track
    act: DecisionAct
    by_guardian: bool
    decided_at: datetime
    valid_until: datetime | None
    notice_code: str | None
    notice_edition: int | None
    fields: frozenset[str] | None
    valid_from: datetime | None = None
    max_uses: int | None = None
    uses: int = 0
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """One registered subject.

    Attributes:
        childhood_until: the day from which it decides without a guardian; None when it is not known to be a child.
        current: what stands for the purpose, on both tracks and for every recipient.
    """

    state: Standing
    childhood_until: date | None
    current: list[Current]


@dataclass(frozen=True, slots=True)
class Strand:
    """What one track answers for one purpose and recipient.

    Attributes:
        reason: why it carries nothing; None when it is live.
        fields: those that it is narrowed to; None for all of the purpose.
    """

    reason: Reason | None
    decision_id: DecisionId | None = None
    fields: frozenset[str] | None = None

    def why_not(self, field: str) -> Reason | None:
        """Return why the field does not pass on this track, or None where it does."""
        if self.reason is not None:
            return self.reason
        return None if self.fields is None or field in self.fields else Reason.SCOPE


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the same for every subject of a batch.

    Attributes:
        material: for each notice code its newest material edition; a grant under an earlier one does not cover.
        now: never before the log head's time.
    """

    purpose: Purpose
    recipient: str | None
    fields: tuple[str, ...]
    material: Mapping[str, int]
    now: datetime


def strand(question: Question, rows: Sequence[Current], track: Track, childhood_until: date | None) -> Strand:
    """Return what one track's current rows answer; ``rows`` are those of one subject and the question's purpose.

    A decision covers the recipient that it names. One without recipient covers the controller itself, and for a
    purpose that is not per recipient also the recipients that the pack declares for it; what it closes, it closes for
    every recipient that was not named apart.
    """
    if question.purpose.per_recipient and question.recipient is None:
        return _NO_RECIPIENT
    own = [row for row in rows if row.track is track]
    if not own:
        return _NOTHING
    row = _covering(question, own)
    if row is not None:
        return Strand(_why_not_live(question, row, childhood_until), row.decision_id, row.fields)
    return _NO_RECIPIENT if any(is_permissive(other.act) for other in own) else _NOTHING


def judge(
    catalogue: Catalogue, question: Question, state: Standing | None, basis: Strand, consent: Strand
) -> dict[str, Reason | None]:
    """Return for each asked field why it may not be used, or None where it may; no state is an unknown subject.

    The first that applies, in this order: the subject's standing, the declaration of field and purpose, the decisions.
    """
    blocked = _blocked(question.purpose, state)
    if blocked is not None:
        return dict.fromkeys(question.fields, blocked)
    return {code: _judge_field(catalogue, question.purpose, code, state, basis, consent) for code in question.fields}


def rests_on(purpose: Purpose, field: Field) -> frozenset[Track]:
    """Return the tracks of which one must be live for this use; none for a field that is not personal.

    A field of the contract passes for its purpose of collection by the contract or by a grant. A field that asks for
    separate consent or an opt-in never passes for its purpose of collection by a contract, even where the purpose as
    a whole cannot be withdrawn (PIPL 29: the photo of an identity card under the account purpose).
    """
    if field.consent is ConsentKind.NONE:
        return frozenset()
    if purpose.code == field.collect:
        return _CONTRACT_OR_GRANT if field.consent is ConsentKind.CONTRACT else _GRANT
    return _GRANT if purpose.withdrawable else _BASIS


_CONTRACT_OR_GRANT: Final = frozenset({Track.BASIS, Track.CONSENT})
_GRANT: Final = frozenset({Track.CONSENT})
_BASIS: Final = frozenset({Track.BASIS})


def _blocked(purpose: Purpose, state: Standing | None) -> Reason | None:
    if state is None:
        return None  # an unknown subject has no decision; the declaration of the field speaks first
    match state:
        case Standing.ERASING | Standing.ERASED:
            return Reason.ERASED
        case Standing.RESTRICTED:
            return None if purpose.code in STORAGE_AND_SECURITY else Reason.RESTRICTED
        case Standing.ACTIVE:
            return None
        case _:
            assert_never(state)


def _judge_field(  # noqa: PLR0917 - the rule's six inputs; private
    catalogue: Catalogue,
    purpose: Purpose,
    code: str,
    state: Standing | None,
    basis: Strand,
    consent: Strand,
) -> Reason | None:
    field = catalogue.fields.get(code)
    if field is None:
        return Reason.UNKNOWN_FIELD
    if purpose.code not in field.purposes:
        return Reason.PURPOSE_FIELD
    if not purpose.is_active:
        return Reason.ASSESSMENT_MISSING
    if state is None:
        return Reason.NO_DECISION
    needed = rests_on(purpose, field)
    reasons = [s.why_not(code) for t, s in ((Track.CONSENT, consent), (Track.BASIS, basis)) if t in needed]
    if not reasons or None in reasons:
        return None
    return next((reason for reason in reasons if reason is not Reason.NO_DECISION), Reason.NO_DECISION)


def _covering(question: Question, rows: Sequence[Current]) -> Current | None:
    by_recipient = {row.recipient: row for row in rows}
    named, general = by_recipient.get(question.recipient or ""), by_recipient.get("")
    if named is not None or general is None:
        return named
    declared = question.recipient in question.purpose.recipients
    return general if declared or not is_permissive(general.act) else None


def _why_not_live(question: Question, row: Current, childhood_until: date | None) -> Reason | None:
    if row.act in _NO:
        return _NO[row.act]
    if row.valid_until is not None and question.now >= row.valid_until:
        return Reason.EXPIRED
    if row.track is Track.BASIS:
        return None
    if row.notice_code is not None and (row.notice_edition or 0) < question.material.get(row.notice_code, 0):
        return Reason.RECONSENT
    if childhood_until is not None and row.decided_at.date() < childhood_until and not row.by_guardian:
        return Reason.GUARDIAN
    return None


def is_permissive(act: DecisionAct) -> bool:
    """Say whether an act opens something; refusing and withdrawing only close."""
    return act not in _NO


_NOTHING: Final = Strand(Reason.NO_DECISION)
_NO_RECIPIENT: Final = Strand(Reason.RECIPIENT)
_NO: Final = {
    DecisionAct.REFUSE: Reason.REFUSED,
    DecisionAct.WITHDRAW: Reason.WITHDRAWN,
    DecisionAct.EXPIRE: Reason.EXPIRED,
    DecisionAct.END: Reason.EXPIRED,
}
_OF_BASIS: Final = frozenset({DecisionAct.CONTRACT, DecisionAct.DUTY, DecisionAct.END})
