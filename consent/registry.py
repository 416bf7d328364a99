"""The consent registry: append-only decisions, and what stands now, moved in one transaction with the audit entries.

Per subject, purpose and recipient two tracks stand side by side: BASIS (contract, duty) and CONSENT (grant, refuse,
withdraw). What opens never goes back in time: an act that is older than what stands is refused. What closes always
takes effect when it is recorded, so that no clock that runs ahead can outlive a withdrawal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event
from consent.admission import check_admissible
from consent.asking import Asking
from consent.decisions import (
    ActorKind,
    ActorNotEntitled,
    BasisMissing,
    BundledConsent,
    DecidedEarlier,
    Decision,
    DecisionRequest,
    InvalidEvidence,
    NotWithdrawable,
    PurposeInactive,
)
from consent.entries import EntryLog, event_of, now_in_log
from consent.guardians import check_agent, check_guardian
from consent.ledger import Draft, Ledger
from consent.notices import NoticeNotCurrent, NoticeRef, PublishedNotice
from consent.rows import find_decision, read_history, read_standing_decisions
from consent.rules import Current, DecisionAct, Track, is_permissive, track_of
from kernel.catalogue import Catalogue
from kernel.clock import format_instant, require_aware
from kernel.errors import BadInput, Denied, NotFound
from kernel.ids import DecisionId, EntryId, SubjectId, new_id
from kernel.ports import Clock, Sealer

__all__ = [
    "ActorKind",
    "ActorNotEntitled",
    "BasisMissing",
    "BundledConsent",
    "DecidedEarlier",
    "Decision",
    "DecisionAct",
    "DecisionRequest",
    "InvalidEvidence",
    "NotWithdrawable",
    "NoticeNotCurrent",
    "NoticeRef",
    "PurposeInactive",
    "Registry",
    "Track",
]

_ACTS: Final = {
    DecisionAct.GRANT: Act.CONSENT_GRANTED,
    DecisionAct.REFUSE: Act.CONSENT_REFUSED,
    DecisionAct.WITHDRAW: Act.CONSENT_WITHDRAWN,
    DecisionAct.CONTRACT: Act.BASIS_RECORDED,
    DecisionAct.DUTY: Act.BASIS_RECORDED,
    DecisionAct.RENEW: Act.CONSENT_RENEWED,
    DecisionAct.EXPIRE: Act.CONSENT_EXPIRED,
    DecisionAct.END: Act.BASIS_ENDED,
}


@dataclass(frozen=True, slots=True)
class _Context:
    """What one batch of acts is recorded in."""

    connection: Connection
    ledger: Ledger
    asking: Asking
    now: datetime


class Registry:
    """Records decisions and answers what was decided."""

    def __init__(self, catalogue: Catalogue, log: EntryLog, sealer: Sealer, clock: Clock) -> None:
        self._catalogue = catalogue
        self._log = log
        self._sealer = sealer
        self._clock = clock

    def record(self, connection: Connection, request: DecisionRequest, *, asking: Asking) -> tuple[Decision, ...]:
        """Record one act, in the caller's transaction; one decision and one entry for each purpose and recipient.

        Raises:
            BundledConsent, InvalidEvidence, NoticeNotCurrent, DecidedEarlier, BadInput: the act is not valid.
            ActorNotEntitled, PurposeInactive, BasisMissing, NotWithdrawable: the act is not open to its actor.
            NotFound: the subject is not registered, or the notice not published.
            Conflict: the subject is erased.
        """
        outcome = self.record_many(connection, [request], asking=asking)[0]
        if not isinstance(outcome, tuple):
            raise outcome
        return outcome

    def record_many(
        self, connection: Connection, requests: Sequence[DecisionRequest], *, asking: Asking
    ) -> list[tuple[Decision, ...] | BadInput | Denied]:
        """Record many acts in the given order; what is refused leaves nothing and does not stop the others.

        Returns:
            For each request its decisions, or the error for which it was refused (see ``record``).
        """
        ledger = Ledger(connection, {request.subject for request in requests})
        context = _Context(connection, ledger, asking, now_in_log(connection, self._log, self._clock))
        drafted: list[tuple[DecisionId, ...] | BadInput | Denied] = []
        for request in requests:
            try:
                drafts = self._drafts(context, request)
            except (BadInput, Denied) as refused:
                drafted.append(refused)
                continue
            ledger.move(drafts)
            drafted.append(tuple(draft.decision.decision_id for draft in drafts))
        entries = self._log.record_many(connection, [_event(asking, draft.decision) for draft in ledger.drafts])
        made = {decided.decision_id: decided for decided in ledger.write(entries)}
        return [tuple(made[d] for d in ids) if isinstance(ids, tuple) else ids for ids in drafted]

    def get(self, connection: Connection, decision_id: DecisionId) -> Decision:
        """Return one decision.

        Raises:
            NotFound: there is none under this id.
        """
        found = find_decision(connection, decision_id)
        if found is None:
            raise NotFound(f"Decision {decision_id} does not exist", hint="Check the id on the receipt.")
        return found

    def current(self, connection: Connection, subject: SubjectId) -> list[Decision]:
        """Return the decisions that stand now, one for each purpose, recipient and track; some may have expired."""
        return read_standing_decisions(connection, subject)

    def history(self, connection: Connection, subject: SubjectId) -> list[Decision]:
        """Return every decision of a subject in the order of recording."""
        return read_history(connection, subject)

    def _drafts(self, context: _Context, request: DecisionRequest) -> list[Draft]:
        check_admissible(request, self._catalogue, context.now)
        context.ledger.check_standing(request.subject)
        _check_entitled(context, request)
        notice = _check_notice(context.ledger, request)
        return [
            self._draft(context, request, notice, purpose, recipient)
            for purpose in request.purposes
            for recipient in self._recipients(context.ledger, request, purpose)
        ]

    def _recipients(self, ledger: Ledger, request: DecisionRequest, purpose: str) -> list[str]:
        """Return the recipients that the act moves (empty text for none), after checking that it may move them.

        Closing without a recipient reaches everyone who was ever named, and speaks for all who were not.
        """
        standing = ledger.rows(request.subject, purpose, track_of(request.act))
        if is_permissive(request.act):
            for recipient in {request.recipient or "", ""} & standing.keys():
                _check_order(standing[recipient], request, purpose)
            return [request.recipient or ""]
        if not self._catalogue.purposes[purpose].withdrawable and not any(map(_is_open, standing.values())):
            raise NotWithdrawable(f"Purpose {purpose} rests on contract or law and cannot be withdrawn")
        return sorted({"", *standing}) if request.recipient is None else [request.recipient]

    def _draft(
        self,
        context: _Context,
        request: DecisionRequest,
        notice: PublishedNotice | None,
        purpose: str,
        recipient: str,
    ) -> Draft:
        decision_id = DecisionId(new_id("dec"))
        decided = Decision(
            decision_id=decision_id,
            subject=request.subject,
            purpose=purpose,
            recipient=recipient or None,
            track=track_of(request.act),
            act=request.act,
            notice=request.notice,
            notice_hash=notice.hash if notice else None,
            actor_kind=request.actor_kind,
            actor_subject=request.actor_subject,
            fields=request.fields,
            decided_at=require_aware(request.decided_at),
            valid_until=None if request.valid_until is None else require_aware(request.valid_until),
            recorded_at=context.now,
            request_id=context.asking.request_id,
            entry_id=EntryId(""),
        )
        evidence = self._sealer.seal_details(request.evidence, context=decision_id)
        return Draft(decided, evidence, notice.edition if notice else None)


def _is_open(row: Current) -> bool:
    return is_permissive(row.act)


def _check_order(stands: Current, request: DecisionRequest, purpose: str) -> None:
    """Refuse to open what was closed at the same instant or later, so that no replayed grant undoes a withdrawal."""
    decided_at = require_aware(request.decided_at)
    of_another = stands.recipient != (request.recipient or "")
    closes = not is_permissive(stands.act)
    if (decided_at < stands.decided_at and (closes or not of_another)) or (decided_at == stands.decided_at and closes):
        raise DecidedEarlier(
            f"Decision {stands.decision_id} on {purpose} was made later and stands",
            hint="Record acts in the order in which they were made.",
        )


def _check_entitled(context: _Context, request: DecisionRequest) -> None:
    if request.actor_subject is None:
        return
    if request.actor_kind is ActorKind.GUARDIAN:
        check_guardian(context.connection, request.subject, request.actor_subject, context.now)
    elif request.actor_kind is ActorKind.AGENT:
        check_agent(context.connection, request.subject, request.actor_subject, request.purposes, context.now)


def _check_notice(ledger: Ledger, request: DecisionRequest) -> PublishedNotice | None:
    if request.notice is None:
        return None
    notice, is_current = ledger.notice(request.notice)
    uncovered = [purpose for purpose in request.purposes if purpose not in notice.purposes]
    if uncovered:
        raise BadInput(
            f"Notice {notice.ref} does not cover {', '.join(uncovered)}", hint="Show the notice of the purpose."
        )
    if is_permissive(request.act) and not is_current:
        raise NoticeNotCurrent(f"Notice {notice.ref} was replaced by a newer version", hint="Show the current notice.")
    return notice


def _event(asking: Asking, decided: Decision) -> Event:
    """Return a decision's entry; it holds all that the gate reads, so that the log can be compared with the store."""
    refs = {
        "decision": decided.decision_id,
        "act": decided.act.value,
        "actor_kind": decided.actor_kind.value,
        "decided_at": format_instant(decided.decided_at),
    }
    if decided.notice is not None and decided.notice_hash is not None:
        refs |= {"notice": str(decided.notice), "notice_hash": decided.notice_hash}
    if decided.actor_subject is not None:
        refs["actor_subject"] = decided.actor_subject
    if decided.valid_until is not None:
        refs["valid_until"] = format_instant(decided.valid_until)
    return replace(
        event_of(asking, _ACTS[decided.act]),
        subject=decided.subject,
        purpose=decided.purpose,
        recipient=decided.recipient,
        fields=tuple(sorted(decided.fields or ())),
        basis=decided.decision_id,
        refs=refs,
    )
