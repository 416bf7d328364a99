"""What a decision must fulfil before it is recorded: the checks that need the request and the pack's terms only."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from consent.decisions import (
    ActorKind,
    ActorNotEntitled,
    BasisMissing,
    BundledConsent,
    DecisionRequest,
    InvalidEvidence,
    PurposeInactive,
)
from consent.mechanisms import is_mechanism, shows_no_act
from consent.rules import DecisionAct, is_permissive
from consent.terms import Terms
from kernel.catalogue import Catalogue, LawfulBasis, Purpose
from kernel.clock import require_aware
from kernel.errors import BadInput

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of our clock the clock of the capturing device may run."""

MAX_RECIPIENT_CHARS: Final = 128

OWN_INITIATIVE: Final = "own"
"""The ``occasion`` of an act that nobody prompted; without one an act counts as prompted (R18)."""

MAX_USES: Final = 2**31 - 1

_OCCASIONS: Final = frozenset({"prompt", OWN_INITIATIVE})
_SHOWN: Final = re.compile(r"full_text|summary|(?:sha256:)?[0-9a-f]{64}")

_BASES: Final = {
    DecisionAct.CONTRACT: frozenset({LawfulBasis.CONTRACT}),
    DecisionAct.DUTY: frozenset({LawfulBasis.LEGAL_DUTY, LawfulBasis.EMERGENCY}),
}
_BY_OPERATOR: Final = frozenset({DecisionAct.CONTRACT, DecisionAct.DUTY, DecisionAct.END, DecisionAct.EXPIRE})
_BY_OPERATOR_ALONE: Final = frozenset({DecisionAct.END, DecisionAct.EXPIRE})
_BY_KIN: Final = frozenset({DecisionAct.REFUSE, DecisionAct.WITHDRAW})
CONSENTS: Final = frozenset({DecisionAct.GRANT, DecisionAct.RENEW})
"""The acts by which a person says yes."""


def check_admissible(request: DecisionRequest, catalogue: Catalogue, terms: Terms, now: datetime) -> None:
    """Check everything about a request that needs no stored state of the subject.

    Raises:
        BadInput: an unknown or repeated purpose or field, a missing recipient or notice, instants that cannot be.
        BundledConsent: a separate consent stands with another purpose.
        InvalidEvidence: no mechanism, one that shows no act, or a known key that does not fit.
        ActorNotEntitled: an act that is not open to this kind of actor, or ``SELF`` names somebody else.
        PurposeInactive: the assessment is missing.
        BasisMissing: the purpose does not rest on contract or duty.
    """
    if not request.purposes or len(set(request.purposes)) != len(request.purposes):
        raise BadInput("A decision names each of its purposes once", hint="Give at least one purpose.")
    purposes = [catalogue.get_purpose(code) for code in request.purposes]
    _check_actor(request)
    _check_times(request, now)
    _check_recipient(request, purposes)
    if not is_permissive(request.act):
        if request.fields is not None or request.max_uses is not None:
            raise BadInput(
                "Refusing, withdrawing and ending reach the whole purpose", hint="To narrow, grant what remains."
            )
        return
    _check_evidence(request)
    _check_fields(request, catalogue)
    if request.act in CONSENTS:
        _check_separate(purposes)
        if request.notice is None:
            raise BadInput("A grant needs the notice that was shown", hint="Name its code, version and locale.")
    for purpose in purposes:
        _check_purpose(request, purpose, terms, now)


def made_by(request: DecisionRequest, now: datetime) -> datetime:
    """Return the earliest instant at which an act can have been made, by what its own clock shows.

    An act from the future comes from a clock that runs ahead, by up to ``CLOCK_SKEW``. A fast clock whose act arrives
    after the instant that it shows cannot be told from a right one.
    """
    decided_at = require_aware(request.decided_at)
    return decided_at - CLOCK_SKEW if decided_at > now else decided_at


def _check_actor(request: DecisionRequest) -> None:
    match request.actor_kind:
        case ActorKind.SELF:
            if request.actor_subject not in (None, request.subject):
                raise ActorNotEntitled(
                    f"Subject {request.actor_subject} cannot decide as {request.subject} itself",
                    hint="Record a guardian or agent first, and decide as such.",
                )
        case ActorKind.GUARDIAN | ActorKind.AGENT | ActorKind.KIN:
            if request.actor_subject in (None, request.subject):
                raise BadInput(f"The {request.actor_kind} is not named", hint="Give actor_subject.")
            if request.actor_kind is ActorKind.KIN and request.act not in _BY_KIN:
                raise ActorNotEntitled(f"Kin cannot {request.act} for a deceased", hint="Kin refuses or withdraws.")
        case ActorKind.OPERATOR:
            if request.act not in _BY_OPERATOR:
                raise ActorNotEntitled(f"An operator cannot record a {request.act} of its own", hint="Ask the subject.")
    if request.act in _BY_OPERATOR_ALONE and request.actor_kind is not ActorKind.OPERATOR:
        raise ActorNotEntitled(
            f"To {request.act} is the operator's to record", hint="The subject refuses or withdraws."
        )


def _check_times(request: DecisionRequest, now: datetime) -> None:
    decided_at = require_aware(request.decided_at)
    if decided_at > now + CLOCK_SKEW:
        raise BadInput("The decision lies in the future", hint="Check the clock of the device that captured it.")
    if request.valid_until is None and request.valid_from is None:
        return
    if not is_permissive(request.act):
        raise BadInput("Refusing, withdrawing and ending have no period", hint="Leave valid_from and valid_until out.")
    begins_at = decided_at if request.valid_from is None else require_aware(request.valid_from)
    if begins_at < decided_at:
        raise BadInput("The decision would count before it was made", hint="Check valid_from.")
    if request.valid_until is not None and require_aware(request.valid_until) <= begins_at:
        raise BadInput("The decision would end before it begins", hint="Check valid_until.")


def _check_recipient(request: DecisionRequest, purposes: Iterable[Purpose]) -> None:
    named = request.recipient
    if named is not None and (named != named.strip() or not 0 < len(named) <= MAX_RECIPIENT_CHARS):
        raise BadInput(f"A recipient's name has 1 to {MAX_RECIPIENT_CHARS} characters", hint="Use its short code.")
    unnamed = [purpose.code for purpose in purposes if purpose.per_recipient and request.recipient is None]
    if unnamed and is_permissive(request.act):
        raise BadInput(f"The recipient's name is needed for {', '.join(unnamed)}", hint="Decide for one at a time.")


def _check_evidence(request: DecisionRequest) -> None:
    mechanism = request.evidence.get("mechanism")
    if not is_mechanism(mechanism):
        raise InvalidEvidence("The evidence names no mechanism", hint="Say how the act was made, e.g. checkbox.")
    if shows_no_act(mechanism):
        raise InvalidEvidence(
            "The mechanism shows no act of the person's own", hint="Ask, and name the answer alone, e.g. checkbox."
        )
    _check_known_keys(request)


def _check_known_keys(request: DecisionRequest) -> None:
    evidence = request.evidence
    if "occasion" in evidence and evidence["occasion"] not in _OCCASIONS:
        raise InvalidEvidence("The occasion of an act is prompt or own", hint="Say which, or leave it out.")
    shown = evidence.get("shown", "full_text")
    if not isinstance(shown, str) or not _SHOWN.fullmatch(shown):
        raise InvalidEvidence("What was shown is full_text, summary or a SHA-256", hint="Say which, or leave it out.")
    locale = evidence.get("locale")
    if locale is not None and request.notice is not None and locale != request.notice.locale:
        raise InvalidEvidence(
            f"The evidence is of another language than notice {request.notice}", hint="Name the text that was shown."
        )


def _check_fields(request: DecisionRequest, catalogue: Catalogue) -> None:
    uses = request.max_uses
    if uses is not None and (isinstance(uses, bool) or not 0 < uses <= MAX_USES):
        raise BadInput(f"A decision allows 1 to {MAX_USES} uses", hint="Leave max_uses out for any number.")
    if request.fields is None:
        return
    if not request.fields:
        raise BadInput("A decision for no field decides nothing", hint="Leave fields out for all of the purpose.")
    for purpose in request.purposes:
        foreign = len(request.fields - catalogue.fields_by_purpose[purpose])
        if foreign:
            raise BadInput(
                f"{foreign} of the named fields are not used for {purpose}", hint="See fields.yaml of the pack."
            )


def _check_separate(purposes: list[Purpose]) -> None:
    alone = [purpose.code for purpose in purposes if purpose.sensitive or purpose.separate_consent]
    if alone and len(purposes) > 1:
        raise BundledConsent(
            f"A consent of its own is needed for {', '.join(alone)}", hint="Record one act for each purpose."
        )


def _check_purpose(request: DecisionRequest, purpose: Purpose, terms: Terms, now: datetime) -> None:
    if not terms.for_purpose(purpose, request.recipient, now).is_active:
        raise PurposeInactive(
            f"Purpose {purpose.code} has no approved impact assessment",
            hint="Have it approved, name it in the pack and record it.",
        )
    bases = _BASES.get(request.act)
    if bases is not None and bases.isdisjoint(purpose.bases):
        raise BasisMissing(f"Purpose {purpose.code} does not rest on a {request.act}", hint="Ask for consent.")
