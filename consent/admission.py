"""What a decision must fulfil before it is recorded: the checks that need the request and the catalogue only."""

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
from consent.rules import DecisionAct, is_permissive
from kernel.catalogue import Catalogue, LawfulBasis, Purpose
from kernel.clock import require_aware
from kernel.errors import BadInput

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far ahead of our clock the clock of the capturing device may run."""

MAX_RECIPIENT_CHARS: Final = 128

NO_ACT_OF_ITS_OWN: Final = frozenset({"preticked", "implied", "silence", "scroll"})
"""Mechanisms that show no clear affirmative act: GDPR recital 32; R19."""

_MECHANISM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\- ]{0,63}")

_BASES: Final = {
    DecisionAct.CONTRACT: frozenset({LawfulBasis.CONTRACT}),
    DecisionAct.DUTY: frozenset({LawfulBasis.LEGAL_DUTY, LawfulBasis.EMERGENCY}),
}


def check_admissible(request: DecisionRequest, catalogue: Catalogue, now: datetime) -> None:
    """Check everything about a request that needs no stored state.

    Raises:
        BadInput: an unknown or repeated purpose or field, a missing recipient or notice, instants that cannot be.
        BundledConsent: a separate consent stands with another purpose.
        InvalidEvidence: no mechanism, or one that shows no act.
        ActorNotEntitled: an operator decides for the person, or ``SELF`` names somebody else.
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
        if request.fields is not None:
            raise BadInput("Refusing and withdrawing reach the whole purpose", hint="To narrow, grant what remains.")
        return
    _check_evidence(request)
    _check_fields(request, catalogue)
    if request.act is DecisionAct.GRANT:
        _check_separate(purposes)
        if request.notice is None:
            raise BadInput("A grant needs the notice that was shown", hint="Name its code, version and locale.")
    for purpose in purposes:
        _check_purpose(request.act, purpose)


def _check_actor(request: DecisionRequest) -> None:
    match request.actor_kind:
        case ActorKind.SELF:
            if request.actor_subject not in (None, request.subject):
                raise ActorNotEntitled(
                    f"Subject {request.actor_subject} cannot decide as {request.subject} itself",
                    hint="Record a guardian or agent first, and decide as such.",
                )
        case ActorKind.GUARDIAN | ActorKind.AGENT:
            if request.actor_subject in (None, request.subject):
                raise BadInput(f"The {request.actor_kind} is not named", hint="Give actor_subject.")
        case ActorKind.OPERATOR:
            if request.act not in _BASES:
                raise ActorNotEntitled(f"An operator cannot record a {request.act} of its own", hint="Ask the subject.")


def _check_times(request: DecisionRequest, now: datetime) -> None:
    decided_at = require_aware(request.decided_at)
    if decided_at > now + CLOCK_SKEW:
        raise BadInput("The decision lies in the future", hint="Check the clock of the device that captured it.")
    if request.valid_until is None:
        return
    if not is_permissive(request.act):
        raise BadInput("Refusing and withdrawing have no end", hint="Leave valid_until out.")
    if require_aware(request.valid_until) <= decided_at:
        raise BadInput("The decision would end before it begins", hint="Check valid_until.")


def _check_recipient(request: DecisionRequest, purposes: Iterable[Purpose]) -> None:
    named = request.recipient
    if named is not None and (named != named.strip() or not 0 < len(named) <= MAX_RECIPIENT_CHARS):
        raise BadInput(f"A recipient's name has 1 to {MAX_RECIPIENT_CHARS} characters", hint="Use its short code.")
    unnamed = [purpose.code for purpose in purposes if purpose.per_recipient and request.recipient is None]
    if unnamed and is_permissive(request.act):
        raise BadInput(f"Purpose {', '.join(unnamed)} needs the recipient's name", hint="Decide for one at a time.")


def _check_evidence(request: DecisionRequest) -> None:
    mechanism = request.evidence.get("mechanism")
    if not isinstance(mechanism, str) or not _MECHANISM.fullmatch(mechanism):
        raise InvalidEvidence("The evidence names no mechanism", hint="Say how the act was made, e.g. checkbox.")
    if re.sub(r"[^a-z0-9]", "", mechanism.lower()) in NO_ACT_OF_ITS_OWN:
        raise InvalidEvidence("The mechanism shows no act of the person's own", hint="Ask, and record the answer.")


def _check_fields(request: DecisionRequest, catalogue: Catalogue) -> None:
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
            f"Purpose {', '.join(alone)} needs a consent of its own", hint="Record one act for each purpose."
        )


def _check_purpose(act: DecisionAct, purpose: Purpose) -> None:
    if not purpose.is_active:
        raise PurposeInactive(
            f"Purpose {purpose.code} has no approved impact assessment",
            hint="Have it approved and name it in the pack.",
        )
    bases = _BASES.get(act)
    if bases is not None and bases.isdisjoint(purpose.bases):
        raise BasisMissing(f"Purpose {purpose.code} does not rest on a {act}", hint="Ask for consent.")
