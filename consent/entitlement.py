"""Who may decide for a subject, and who may open again what was closed: age, death, guardians, agents, cool-down."""

from datetime import date, datetime
from typing import Final

from consent.admission import CONSENTS, OWN_INITIATIVE
from consent.ages import AgeClass
from consent.decisions import (
    ActorKind,
    ActorNotEntitled,
    CoolDown,
    DecisionRequest,
    GuardianNeeded,
    GuardiansDisagree,
    SubjectDeceased,
)
from consent.ledger import Ledger
from consent.notices import PublishedNotice
from consent.representatives import Capacity
from consent.rules import DecisionAct, is_permissive
from consent.standing import SubjectStanding
from kernel.catalogue import Catalogue
from kernel.clock import format_instant, require_aware
from kernel.errors import BadInput
from kernel.ids import SubjectId

_AFTER_DEATH: Final = frozenset({ActorKind.KIN, ActorKind.OPERATOR})
"""Who acts on a dead person's data: whoever holds the phone is not the person any more (PIPL 49; R29)."""

FOR_CHILDREN: Final = "child"
"""The audience of a notice that is written for a child and its guardian: 儿童个人信息网络保护规定 8 to 10."""


def check_entitled(
    ledger: Ledger, standing: SubjectStanding, request: DecisionRequest, digital_age: int, now: datetime
) -> None:
    """Check that the actor may make this act for the subject.

    Raises:
        SubjectDeceased: the act would open something for the dead, or the actor is neither kin nor the operator.
        GuardianNeeded: a child under the digital age, or its agent, says yes.
        ActorNotEntitled: no live guardian, kin or agent, or one who is no adult among the living any more, or a
            guardian says yes for somebody who does so alone.
    """
    _check_alive(standing, request)
    until = standing.childhood_until(digital_age)
    is_child = until is not None and _first_day(request, now) < until
    match request.actor_kind:
        case ActorKind.SELF:
            _check_of_age(request, is_child=is_child)
        case ActorKind.AGENT:
            ledger.representatives.check_agent(request.subject, _actor(request), request.purposes, now)
            ledger.check_can_represent(_actor(request), now)
            _check_of_age(request, is_child=is_child)
        case ActorKind.GUARDIAN:
            _check_guardian(ledger, request, Capacity.GUARDIAN, now)
            if request.act in CONSENTS and until is not None and _last_day(request, now) >= until:
                _check_ward_cannot(standing, request, now)
        case ActorKind.KIN:
            _check_guardian(ledger, request, Capacity.KIN, now)
        case ActorKind.OPERATOR:
            return


def check_audience(
    standing: SubjectStanding, request: DecisionRequest, notice: PublishedNotice, digital_age: int, now: datetime
) -> None:
    """Raise ``BadInput`` where a yes for a child does not rest on a notice that is written for children (R21)."""
    until = standing.childhood_until(digital_age)
    if request.act not in CONSENTS or until is None or _first_day(request, now) >= until:
        return
    if notice.audience != FOR_CHILDREN:
        raise BadInput(
            f"Notice {notice.ref} is not written for children", hint="Show the guardian a notice for this audience."
        )


def check_reopening(
    ledger: Ledger, request: DecisionRequest, purpose: str, catalogue: Catalogue, now: datetime
) -> None:
    """Check that a yes does not pass over a guardian's no, nor come from a prompt too soon after a refusal.

    Raises:
        GuardiansDisagree: another guardian, whose guardianship is live, has closed it since it was opened last.
        GuardianNeeded: a live guardian has closed it, and the person who would open it may be a child.
        CoolDown: it was refused within the cool-down and the evidence does not say that the person came by itself.
    """
    if request.act not in CONSENTS:
        return
    closed = ledger.closed_by(request.subject, purpose, sorted({request.recipient or "", ""}))
    for other in sorted({act.guardian for act in closed if act.guardian is not None} - {request.actor_subject}):
        if ledger.has_guardian(request.subject, other, now):
            _check_not_over(ledger.check_standing(request.subject), request, other, purpose, now)
    if request.evidence.get("occasion") == OWN_INITIATIVE:
        return
    refused = [act.at for act in closed if act.act is DecisionAct.REFUSE]
    if refused and min(require_aware(request.decided_at), now) < max(refused) + catalogue.cool_down:
        again_at = format_instant(max(refused) + catalogue.cool_down)
        raise CoolDown(
            f"Purpose {purpose} was refused and is not asked for again before {again_at}",
            hint="Do not prompt before; record the person's own wish with occasion own.",
        )


def _check_alive(standing: SubjectStanding, request: DecisionRequest) -> None:
    if not standing.deceased:
        if request.actor_kind is ActorKind.KIN:
            raise ActorNotEntitled(
                f"Subject {request.subject} lives and decides itself", hint="Record the death first."
            )
        return
    if is_permissive(request.act):
        raise SubjectDeceased(
            f"Subject {request.subject} is deceased; nothing more is opened",
            hint="Verified kin may refuse and withdraw.",
        )
    if request.actor_kind not in _AFTER_DEATH:
        raise SubjectDeceased(f"Subject {request.subject} is deceased; only verified kin closes for them")
    if standing.no_kin and request.actor_kind is ActorKind.KIN:
        raise ActorNotEntitled(f"Subject {request.subject} has directed that no kin acts", hint="The directive stands.")


def _check_of_age(request: DecisionRequest, *, is_child: bool) -> None:
    if is_child and request.act in CONSENTS:
        raise GuardianNeeded(
            f"Subject {request.subject} is under the age of consent; a verified guardian must decide",
            hint="Record the guardian, and the guardian's grant.",
        )


def _check_guardian(ledger: Ledger, request: DecisionRequest, capacity: Capacity, now: datetime) -> None:
    ledger.representatives.check_guardian(request.subject, _actor(request), now, capacity=capacity)
    ledger.check_can_represent(_actor(request), now)


def _check_not_over(
    standing: SubjectStanding, request: DecisionRequest, guardian: SubjectId, purpose: str, now: datetime
) -> None:
    """Let nobody open what a live guardian has closed but that guardian, or a person who is known to decide alone."""
    closed = f"Guardian {guardian} of {request.subject} has closed {purpose}"
    if request.actor_kind is ActorKind.GUARDIAN:
        raise GuardiansDisagree(closed, hint="The guardians must agree; let the one who closed it open it.")
    if standing.age_class_on(now.date()) is AgeClass.UNKNOWN:
        raise GuardianNeeded(
            f"{closed}, and the age of the subject is unknown",
            hint="Let the guardian open it, or register the birth date.",
        )


def _check_ward_cannot(standing: SubjectStanding, request: DecisionRequest, now: datetime) -> None:
    """Let a guardian say yes for an adult ward only: from the digital age to majority the person itself does."""
    majority = standing.majority_on
    if majority is not None and now.date() < majority:
        raise ActorNotEntitled(
            f"Subject {request.subject} has reached the age of consent and grants by itself",
            hint="A guardian may still refuse and withdraw.",
        )


def _actor(request: DecisionRequest) -> SubjectId:
    if request.actor_subject is None:
        raise BadInput(f"The {request.actor_kind} is not named", hint="Give actor_subject.")
    return request.actor_subject


def _first_day(request: DecisionRequest, now: datetime) -> date:
    """Return the day that counts for a child: the earlier one, on the stricter side."""
    return min(require_aware(request.decided_at), now).date()


def _last_day(request: DecisionRequest, now: datetime) -> date:
    return max(require_aware(request.decided_at), now).date()
