"""The rule of the gate as pure functions: standing, field, terms and live decisions in, a reason or None out.

The order of the locks stands in docs/explanation/consent-gate.md; ``consent.explain`` walks the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from consent.reasons import Reason
from consent.standing import Standing
from consent.terms import PurposeTerms
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


_NO_FIELDS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Situation:
    """One registered subject.

    Attributes:
        state: the standing that counts at the gate; see ``gate_state``.
        childhood_until: the day from which it decides without a guardian; None when it is not known to be a child.
        current: what stands for the purpose, on both tracks and for every recipient.
        deceased: why an active subject counts as restricted (PIPL 49).
    """

    state: Standing
    childhood_until: date | None
    current: list[Current]
    deceased: bool = False


@dataclass(frozen=True, slots=True)
class Strand:
    """What one track answers for one purpose and recipient.

    Attributes:
        reason: why it carries nothing; None when it is live.
        fields: those that it is narrowed to; None for all of the purpose.
        uncovered: fields that only a later edition of its notice told of.
        limited: the row whose uses a permit takes one of; None where they are not counted.
    """

    reason: Reason | None
    decision_id: DecisionId | None = None
    fields: frozenset[str] | None = None
    uncovered: frozenset[str] = _NO_FIELDS
    limited: Current | None = None

    def why_not(self, field: str) -> Reason | None:
        """Return why the field does not pass on this track, or None where it does."""
        if self.reason is not None:
            return self.reason
        if self.fields is not None and field not in self.fields:
            return Reason.SCOPE
        return Reason.RECONSENT if field in self.uncovered else None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the same for every subject of a batch.

    Attributes:
        terms: what holds for the purpose and the recipient, whoever the subject is.
        now: never before the log head's time; the past instant of a look back.
        counting_uses: False asks again for a permit that has taken its use already.
    """

    purpose: Purpose
    recipient: str | None
    fields: tuple[str, ...]
    terms: PurposeTerms
    now: datetime
    counting_uses: bool = True


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
    row = covering(question, own)
    if row is None:
        return _NO_RECIPIENT if any(is_permissive(other.act) for other in own) else _NOTHING
    reason = _why_not_live(question, row, childhood_until)
    limited = row if reason is None and row.max_uses is not None else None
    return Strand(reason, row.decision_id, row.fields, uncovered_fields(question.terms, row), limited)


def judge(
    catalogue: Catalogue, question: Question, state: Standing | None, basis: Strand, consent: Strand
) -> dict[str, Reason | None]:
    """Return for each asked field why it may not be used, or None where it may; no state is an unknown subject.

    The first that applies, in this order: the subject's standing, the declaration of the field, the purpose's
    assessment, the recipient, the decisions.
    """
    blocked = why_blocked(question.purpose, state)
    if blocked is not None:
        return dict.fromkeys(question.fields, blocked)
    return {code: _judge_field(catalogue, question, code, state, basis, consent) for code in question.fields}


def gate_state(state: Standing, *, deceased: bool) -> Standing:
    """Return the standing that counts: after a death what is kept is kept for storage and security alone (R29)."""
    return Standing.RESTRICTED if deceased and state is Standing.ACTIVE else state


def why_undeclared(catalogue: Catalogue, question: Question, code: str) -> Reason | None:
    """Return why the field is closed to everybody under this purpose and recipient, or None."""
    field = catalogue.fields.get(code)
    if field is None:
        return Reason.UNKNOWN_FIELD
    if question.purpose.code not in field.purposes:
        return Reason.PURPOSE_FIELD
    terms = question.terms
    if not terms.is_active:
        return Reason.ASSESSMENT_MISSING
    if terms.recipient_reason is not None:
        return terms.recipient_reason
    return Reason.SCOPE if terms.recipient_fields is not None and code not in terms.recipient_fields else None


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


def why_blocked(purpose: Purpose, state: Standing | None) -> Reason | None:
    """Return why the subject's standing closes everything under this purpose, or None."""
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
    question: Question,
    code: str,
    state: Standing | None,
    basis: Strand,
    consent: Strand,
) -> Reason | None:
    closed = why_undeclared(catalogue, question, code)
    if closed is not None:
        return closed
    if state is None:
        return Reason.NO_DECISION
    needed = rests_on(question.purpose, catalogue.fields[code])
    reasons = [s.why_not(code) for t, s in ((Track.CONSENT, consent), (Track.BASIS, basis)) if t in needed]
    if not reasons or None in reasons:
        return None
    return next((reason for reason in reasons if reason is not Reason.NO_DECISION), Reason.NO_DECISION)


def covering(question: Question, rows: Sequence[Current]) -> Current | None:
    """Return the row of one track that speaks for the asked recipient, or None."""
    if len(rows) == 1 and rows[0].recipient == (question.recipient or ""):
        return rows[0]
    by_recipient = {row.recipient: row for row in rows}
    named, general = by_recipient.get(question.recipient or ""), by_recipient.get("")
    if named is not None or general is None:
        return named
    declared = question.recipient in question.purpose.recipients
    return general if declared or not is_permissive(general.act) else None


def _why_not_live(question: Question, row: Current, childhood_until: date | None) -> Reason | None:
    if row.act in _NO:
        return _NO[row.act]
    over = _why_not_now(question, row)
    if over is not None or row.track is Track.BASIS:
        return over
    if not covers_purpose(question, row):
        return Reason.RECONSENT
    return None if may_decide(row, childhood_until) else Reason.GUARDIAN


def _why_not_now(question: Question, row: Current) -> Reason | None:
    """Return why a decision does not count at the asked instant or any more; its validity is half open."""
    if row.valid_from is not None and question.now < row.valid_from:
        return Reason.SCOPE
    if row.valid_until is not None and question.now >= row.valid_until:
        return Reason.EXPIRED
    spent = question.counting_uses and row.max_uses is not None and row.uses >= row.max_uses
    return Reason.EXPIRED if spent else None


def covers_purpose(question: Question, row: Current) -> bool:
    """Say whether the notice of a grant told of all that the purpose is now, and of the recipient (PIPL 14, 23).

    That a grant names a recipient does not tell the person who that is: its notice has to, and has to have told of
    what happens there as it is now.
    """
    code, edition, terms = row.notice_code, row.notice_edition or 0, question.terms
    if code is None:
        return True
    if edition < terms.material.get(code, 0):
        return False
    if question.recipient is None:
        return True
    return edition in terms.telling.get(code, ()) and edition >= terms.recipient_since.get(code, 0)


def may_decide(row: Current, childhood_until: date | None) -> bool:
    """Say whether a grant was made by a guardian, or by somebody who was no child then (PIPL 31)."""
    return childhood_until is None or row.by_guardian or row.decided_at.date() >= childhood_until


def uncovered_fields(terms: PurposeTerms, row: Current) -> frozenset[str]:
    """Return the fields that only a later edition of a grant's notice told of."""
    if row.notice_code is None or row.track is Track.BASIS or row.notice_code not in terms.since:
        return _NO_FIELDS
    edition = row.notice_edition or 0
    return frozenset(code for code, first in terms.since[row.notice_code].items() if edition < first)


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
