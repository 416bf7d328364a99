"""How a decision is written: its row and sealed evidence, its entry, what stands, and what its wake is planned from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.decisions import Decision, DecisionRequest
from consent.entries import EntryLog, accepted_refs, event_of
from consent.ledger import Draft, Ledger
from consent.notices import PublishedNotice
from consent.rules import Current, DecisionAct, track_of
from consent.wake import Closing, WakePlanner
from kernel.clock import format_instant, require_aware
from kernel.encoding import JsonValue
from kernel.ids import DecisionId, EntryId, SubjectId, new_id
from kernel.ports import Sealer

DECISION_ACTS: Final[Mapping[DecisionAct, Act]] = {
    DecisionAct.GRANT: Act.CONSENT_GRANTED,
    DecisionAct.REFUSE: Act.CONSENT_REFUSED,
    DecisionAct.WITHDRAW: Act.CONSENT_WITHDRAWN,
    DecisionAct.CONTRACT: Act.BASIS_RECORDED,
    DecisionAct.DUTY: Act.BASIS_RECORDED,
    DecisionAct.RENEW: Act.CONSENT_RENEWED,
    DecisionAct.EXPIRE: Act.CONSENT_EXPIRED,
    DecisionAct.END: Act.BASIS_ENDED,
}
"""Under which act a decision stands in the log."""

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """Who records a batch, and when."""

    connection: Connection
    asking: Asking
    now: datetime


class Recorder:
    """Drafts decisions and writes a batch of them, with entries and plans, in the caller's transaction."""

    def __init__(self, log: EntryLog, sealer: Sealer, wake: WakePlanner | None) -> None:
        self._log = log
        self._sealer = sealer
        self._wake = wake

    @property
    def log(self) -> EntryLog:
        """The audit log that it writes to."""
        return self._log

    def draft(
        self,
        moment: Moment,
        request: DecisionRequest,
        notice: PublishedNotice | None,
        *,
        purpose: str,
        recipient: str,
        stands: Current | None,
    ) -> Draft:
        """Return the decision of one purpose and recipient (empty text for none).

        Args:
            moment: who records it, and when.
            request: the act.
            notice: the text that it names.
            purpose: one of its purposes.
            recipient: one whom it moves.
            stands: what a renewal follows, or what expires; both hand on the fields that they are narrowed to.
        """
        made = Decision(
            decision_id=DecisionId(new_id("dec")),
            subject=request.subject,
            purpose=purpose,
            recipient=recipient or None,
            track=track_of(request.act),
            act=request.act,
            notice=request.notice,
            notice_hash=notice.hash if notice else None,
            actor_kind=request.actor_kind,
            actor_subject=request.actor_subject,
            fields=stands.fields if request.fields is None and stands else request.fields,
            decided_at=require_aware(request.decided_at),
            valid_until=None if request.valid_until is None else require_aware(request.valid_until),
            recorded_at=moment.now,
            request_id=moment.asking.request_id,
            entry_id=EntryId(""),
            renews=stands.decision_id if stands and request.act is DecisionAct.RENEW else None,
            valid_from=None if request.valid_from is None else require_aware(request.valid_from),
            max_uses=request.max_uses,
            offset_minutes=(request.decided_at.utcoffset() or timedelta()) // _MINUTE,
        )
        return self.sealed(made, request.evidence, notice.edition if notice else None)

    def sealed(self, made: Decision, evidence: Mapping[str, JsonValue], edition: int | None) -> Draft:
        """Return a decision with its evidence sealed and bound to it."""
        return Draft(made, self._sealer.seal_details(evidence, context=made.decision_id), edition)

    def write(self, moment: Moment, ledger: Ledger) -> list[Decision]:
        """Write everything that was moved in a ledger; what closed something is handed to the planner in one call."""
        entries = self._log.record_many(moment.connection, [_event(moment.asking, d.decision) for d in ledger.drafts])
        made, closing = ledger.write(entries)
        if self._wake is not None and closing:
            self._wake.plan(moment.connection, [_closing(decided, cause) for decided, cause in closing])
        return made

    def restrict(self, moment: Moment, subject: SubjectId, *, is_news: bool, refs: Mapping[str, str]) -> None:
        """Write that a merge has restricted a subject, and plan what follows where it was not restricted before."""
        told = {**refs, **accepted_refs(moment.asking)}
        event = replace(event_of(moment.asking, Act.SUBJECT_RESTRICTED), subject=subject, reason="MERGED", refs=told)
        entry_id = self._log.record(moment.connection, event)
        if self._wake is not None and is_news:
            self._wake.plan(moment.connection, [Closing(subject, "restrict", "", "", None, entry_id, moment.now)])


def _closing(decided: Decision, cause: str) -> Closing:
    return Closing(
        subject=decided.subject,
        cause=cause,
        purpose=decided.purpose,
        recipient=decided.recipient or "",
        decision_id=decided.decision_id,
        entry_id=decided.entry_id,
        at=decided.recorded_at,
    )


def _event(asking: Asking, decided: Decision) -> Event:
    """Return a decision's entry; it holds all that the gate reads, so that the log can be compared with the store."""
    return Event(
        act=DECISION_ACTS[decided.act],
        outcome=Outcome.DONE,
        actor=asking.actor,
        role=asking.role,
        request_id=asking.request_id,
        subject=decided.subject,
        purpose=decided.purpose,
        recipient=decided.recipient,
        fields=tuple(sorted(decided.fields)) if decided.fields else (),
        basis=decided.decision_id,
        refs=_refs(decided),
        details=None if asking.reason is None else {"reason": asking.reason},
    )


def _refs(decided: Decision) -> dict[str, str]:
    refs = {
        "decision": decided.decision_id,
        "act": decided.act.value,
        "actor_kind": decided.actor_kind.value,
        "decided_at": format_instant(decided.decided_at),
        "recorded_at": format_instant(decided.recorded_at),
    }
    if decided.offset_minutes:
        refs["offset"] = str(decided.offset_minutes)
    if decided.notice is not None and decided.notice_hash is not None:
        refs |= {"notice": str(decided.notice), "notice_hash": decided.notice_hash}
    if decided.actor_subject is not None:
        refs["actor_subject"] = decided.actor_subject
    if decided.valid_from is not None:
        refs["valid_from"] = format_instant(decided.valid_from)
    if decided.valid_until is not None:
        refs["valid_until"] = format_instant(decided.valid_until)
    if decided.max_uses is not None:
        refs["max_uses"] = str(decided.max_uses)
    if decided.renews is not None:
        refs["renews"] = decided.renews
    return refs
