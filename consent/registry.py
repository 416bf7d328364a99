"""The consent registry: append-only decisions, and what stands now, moved in one transaction with the audit entries.

Per subject, purpose and recipient two tracks stand side by side: BASIS (contract, duty, end) and CONSENT (grant, renew,
refuse, withdraw, expire). What opens never goes back in time: an act that is older than what stands is refused. What
closes always takes effect when it is recorded, so that no clock that runs ahead can outlive a withdrawal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from consent.admission import check_admissible, made_by
from consent.asking import Asking
from consent.decisions import (
    ActorKind,
    ActorNotEntitled,
    BasisMissing,
    BundledConsent,
    CoolDown,
    DecidedEarlier,
    Decision,
    DecisionRequest,
    GuardianNeeded,
    GuardiansDisagree,
    InvalidEvidence,
    NothingToClose,
    NotWithdrawable,
    PurposeInactive,
    RecipientNotTold,
    SubjectDeceased,
)
from consent.due import Overdue, find_overdue, find_take_overs, is_over
from consent.entitlement import check_audience, check_entitled, check_reopening
from consent.entries import EntryLog, now_in_log
from consent.ledger import Draft, Ledger
from consent.merging import merge_decisions
from consent.notice_content import told_recipients
from consent.notices import NoticeNotCurrent, NoticeRef, PublishedNotice
from consent.past import check_past
from consent.recording import Moment, Recorder
from consent.rows import find_decision, read_evidence_bytes, read_history, read_standing_decisions
from consent.rules import Current, DecisionAct, Track, is_permissive, track_of
from consent.splitting import split_decisions
from consent.tasks import Task, create_tasks
from consent.terms import Terms, read_terms
from consent.wake import WakePlanner
from kernel.catalogue import Catalogue
from kernel.clock import require_aware
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Denied, NotFound
from kernel.ids import DecisionId, SubjectId
from kernel.ports import Clock, Sealer

__all__ = [
    "ActorKind",
    "ActorNotEntitled",
    "BasisMissing",
    "BundledConsent",
    "CoolDown",
    "DecidedEarlier",
    "Decision",
    "DecisionAct",
    "DecisionRequest",
    "GuardianNeeded",
    "GuardiansDisagree",
    "InvalidEvidence",
    "NotWithdrawable",
    "NothingToClose",
    "NoticeNotCurrent",
    "NoticeRef",
    "PurposeInactive",
    "RecipientNotTold",
    "Registry",
    "SubjectDeceased",
    "Track",
]

_RENEWABLE: Final = frozenset({DecisionAct.GRANT, DecisionAct.RENEW, DecisionAct.EXPIRE})


@dataclass(frozen=True, slots=True)
class _Context:
    """What one batch of acts is recorded in."""

    ledger: Ledger
    moment: Moment
    terms: Terms


class Registry:
    """Records decisions and answers what was decided."""

    def __init__(
        self, catalogue: Catalogue, log: EntryLog, sealer: Sealer, clock: Clock, *, wake: WakePlanner | None = None
    ) -> None:
        """Wire the registry.

        Args:
            catalogue: the pack.
            log: the audit log.
            sealer: seals evidence.
            clock: tells the time.
            wake: is told of everything that closes, in the transaction of the act; None where nothing follows.
        """
        self._catalogue = catalogue
        self._log = log
        self._sealer = sealer
        self._clock = clock
        self._recorder = Recorder(log, sealer, wake)
        self._terms: Terms | None = None

    def record(self, connection: Connection, request: DecisionRequest, *, asking: Asking) -> tuple[Decision, ...]:
        """Record one act, in the caller's transaction; one decision and one entry for each purpose and recipient.

        Raises:
            BundledConsent, InvalidEvidence, NoticeNotCurrent, RecipientNotTold, DecidedEarlier, BadInput: the act is
                not valid.
            CoolDown, NothingToClose: it comes too soon after a refusal, or nothing stands that could end.
            ActorNotEntitled, GuardianNeeded, GuardiansDisagree, SubjectDeceased: the act is not open to its actor.
            PurposeInactive, BasisMissing, NotWithdrawable: the act is not open for the purpose.
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
        actors = {request.actor_subject for request in requests if request.actor_subject is not None}
        ledger = Ledger(connection, {request.subject for request in requests}, actors)
        context = _Context(ledger, self._moment(connection, asking), self._read_terms(connection))
        drafted: list[tuple[DecisionId, ...] | BadInput | Denied] = []
        for request in requests:
            try:
                drafts = self._drafts(context, request)
            except (BadInput, Denied) as refused:
                drafted.append(refused)
                continue
            ledger.move(drafts)
            drafted.append(tuple(draft.decision.decision_id for draft in drafts))
        made = {decided.decision_id: decided for decided in self._recorder.write(context.moment, ledger)}
        return [tuple(made[d] for d in ids) if isinstance(ids, tuple) else ids for ids in drafted]

    def expire_due(self, connection: Connection, *, asking: Asking, limit: int = 1000) -> list[Decision]:
        """Record for open rows whose validity or uses are over that they are, so that their wake begins.

        The gate refuses them from the first instant on; call it again while it returns ``limit`` decisions.
        """
        found = find_overdue(connection, now_in_log(connection, self._log, self._clock), limit)
        ledger = Ledger(connection, {overdue.subject for overdue in found})
        moment = self._moment(connection, asking)
        for overdue in found:
            # What was found before the locks were held may have been renewed or withdrawn since.
            row = ledger.rows(overdue.subject, overdue.purpose, overdue.track).get(overdue.recipient)
            if row is not None and is_over(row, moment.now) and ledger.is_present(overdue.subject):
                ledger.move([self._over(moment, overdue, row)])
        return self._recorder.write(moment, ledger)

    def take_overs_due(self, connection: Connection, *, asking: Asking, limit: int = 1000) -> list[Task]:
        """Create the tasks to ask those again who have reached the digital age under a guardian's grant (R21).

        The grant stands until the person decides anew. One task for each subject and purpose, once and for all.
        """
        now = now_in_log(connection, self._log, self._clock)
        wanted = find_take_overs(connection, self._catalogue.digital_age, now, limit)
        return create_tasks(connection, wanted, asking=asking, log=self._log, now=now)

    def merge(
        self, connection: Connection, *, kept: SubjectId, dropped: SubjectId, asking: Asking
    ) -> tuple[Decision, ...]:
        """Let the stricter of two subjects' decisions stand for the one that is kept; see ``consent.merging``.

        Raises:
            BadInput: both are the same.
            NotFound: one of them is not registered.
            Conflict: one of them is erased, or one is deceased and the other not.
        """
        ledger = Ledger(connection, {kept, dropped})
        return merge_decisions(
            self._moment(connection, asking),
            ledger,
            recorder=self._recorder,
            catalogue=self._catalogue,
            kept=kept,
            dropped=dropped,
        )

    def split(
        self, connection: Connection, *, origin: SubjectId, fresh: SubjectId, asking: Asking
    ) -> tuple[Decision, ...]:
        """Register a new subject with every no of another one; see ``consent.splitting``.

        Raises:
            NotFound: the other one is not registered.
            Conflict: it is erased, or was merged away.
        """
        recorder = Recorder(self._log, self._sealer, None)  # nothing was derived of the new one that could be closed
        moment = self._moment(connection, asking)
        return split_decisions(moment, recorder=recorder, clock=self._clock, origin=origin, fresh=fresh)

    def get(self, connection: Connection, decision_id: DecisionId) -> Decision:
        """Return one decision.

        Raises:
            NotFound: there is none under this id.
        """
        found = find_decision(connection, decision_id)
        if found is None:
            raise _unknown(decision_id)
        return found

    def read_evidence(self, connection: Connection, decision_id: DecisionId) -> Mapping[str, JsonValue]:
        """Return how a decision was made; the caller records who has read it.

        Raises:
            NotFound: there is no decision under this id.
            IntegrityFailed: the sealed bytes do not belong to it, or their key is gone.
        """
        sealed = read_evidence_bytes(connection, decision_id)
        if sealed is None:
            raise _unknown(decision_id)
        return self._sealer.open_details(sealed, context=decision_id)

    def current(self, connection: Connection, subject: SubjectId, *, as_of: datetime | None = None) -> list[Decision]:
        """Return the decisions that stand, one for each purpose, recipient and track; some may have expired.

        Args:
            connection: any transaction of the data store.
            subject: whose.
            as_of: what stood then, as far as it was recorded by then; None for now.

        Raises:
            BadInput: ``as_of`` lies in the future.
        """
        if as_of is None:
            return read_standing_decisions(connection, subject)
        history = self.history(connection, subject, as_of=as_of)
        latest = {(made.purpose, made.recipient, made.track): made.decision_id for made in history}
        standing = set(latest.values())
        return [made for made in history if made.decision_id in standing]

    def history(self, connection: Connection, subject: SubjectId, *, as_of: datetime | None = None) -> list[Decision]:
        """Return every decision of a subject in the order of recording; with ``as_of`` those recorded by then.

        Raises:
            BadInput: ``as_of`` lies in the future.
        """
        if as_of is not None:
            check_past(as_of, now_in_log(connection, self._log, self._clock))
        return read_history(connection, subject, as_of=as_of)

    def _moment(self, connection: Connection, asking: Asking) -> Moment:
        return Moment(connection, asking, now_in_log(connection, self._log, self._clock))

    def _read_terms(self, connection: Connection) -> Terms:
        self._terms = read_terms(connection, self._terms)
        return self._terms

    def _drafts(self, context: _Context, request: DecisionRequest) -> list[Draft]:
        ledger, now = context.ledger, context.moment.now
        check_admissible(request, self._catalogue, context.terms, now)
        standing = ledger.check_standing(request.subject)
        check_entitled(ledger, standing, request, self._catalogue.digital_age, now)
        notice = _check_notice(ledger, request)
        if notice is not None:
            check_audience(standing, request, notice, self._catalogue.digital_age, now)
        moved = [(purpose, *one) for purpose in request.purposes for one in self._moved(context, request, purpose)]
        draft = self._recorder.draft
        return [
            draft(context.moment, request, notice, purpose=purpose, recipient=recipient, stands=stands)
            for purpose, recipient, stands in moved
        ]

    def _moved(self, context: _Context, request: DecisionRequest, purpose: str) -> list[tuple[str, Current | None]]:
        """Return the recipients that the act moves (empty text for none), after checking that it may move them.

        Beside each what a renewal follows, or what expires. Closing without a recipient reaches everyone who was ever
        named, and speaks for all who were not.
        """
        standing = context.ledger.rows(request.subject, purpose, track_of(request.act))
        named = request.recipient or ""
        match request.act:
            case DecisionAct.GRANT | DecisionAct.RENEW | DecisionAct.CONTRACT | DecisionAct.DUTY:
                renewed = _renewed(request, purpose, standing)
                for recipient in {named, ""} & standing.keys():
                    _check_order(standing[recipient], request, purpose, context.moment.now)
                check_reopening(context.ledger, request, purpose, self._catalogue, context.moment.now)
                return [(named, renewed)]
            case DecisionAct.EXPIRE:
                over = standing.get(named)
                if over is None or not is_over(over, context.moment.now):
                    raise NothingToClose(f"No consent to {purpose} has expired", hint="To end it, withdraw it.")
                return [(named, over)]
            case DecisionAct.END:
                return [(recipient, None) for recipient in _ended(request, purpose, standing)]
            case DecisionAct.REFUSE | DecisionAct.WITHDRAW:
                if not self._catalogue.purposes[purpose].withdrawable and not any(map(_is_open, standing.values())):
                    raise NotWithdrawable(
                        f"Purpose {purpose} rests on contract or law and cannot be withdrawn",
                        hint="To end the contract or duty itself, record its end.",
                    )
                reached = sorted({"", *standing}) if request.recipient is None else [named]
                return [(recipient, None) for recipient in reached]

    def _over(self, moment: Moment, overdue: Overdue, row: Current) -> Draft:
        request = DecisionRequest(
            subject=overdue.subject,
            purposes=(overdue.purpose,),
            act=DecisionAct.EXPIRE if overdue.track is Track.CONSENT else DecisionAct.END,
            recipient=overdue.recipient or None,
            notice=None,
            actor_kind=ActorKind.OPERATOR,
            actor_subject=None,
            evidence={"mechanism": "validity_over" if row.max_uses is None else "validity_or_uses_over"},
            decided_at=moment.now,
        )
        purpose, recipient = overdue.purpose, overdue.recipient
        return self._recorder.draft(moment, request, None, purpose=purpose, recipient=recipient, stands=row)


def _is_open(row: Current) -> bool:
    return is_permissive(row.act)


def _renewed(request: DecisionRequest, purpose: str, standing: Mapping[str, Current]) -> Current | None:
    """Return what a renewal follows, or None for another act."""
    if request.act is not DecisionAct.RENEW:
        return None
    row = standing.get(request.recipient or "")
    if row is None or row.act not in _RENEWABLE:
        raise BadInput(f"There is nothing to renew for {purpose}", hint="Ask anew, and record a grant.")
    return row


def _ended(request: DecisionRequest, purpose: str, standing: Mapping[str, Current]) -> list[str]:
    """Return the recipients for whom a contract or duty ends: the one that is named, or all for whom one stands."""
    open_ones = sorted(recipient for recipient, row in standing.items() if is_permissive(row.act))
    ended = [one for one in open_ones if request.recipient in (None, one)]
    if not ended:
        raise NothingToClose(f"No contract or duty stands for {purpose}", hint="See what stands for the subject.")
    return ended


def _check_order(stands: Current, request: DecisionRequest, purpose: str, now: datetime) -> None:
    """Refuse to open what was closed at the same instant or later, so that no replayed grant undoes a withdrawal."""
    decided_at = require_aware(request.decided_at)
    of_another = stands.recipient != (request.recipient or "")
    closes = not is_permissive(stands.act)
    if (decided_at < stands.decided_at and not of_another) or (closes and made_by(request, now) <= stands.decided_at):
        raise DecidedEarlier(
            f"Decision {stands.decision_id} on {purpose} was recorded later and stands",
            hint="Record acts in the order in which they were made.",
        )


def _check_notice(ledger: Ledger, request: DecisionRequest) -> PublishedNotice | None:
    if request.notice is None:
        return None
    notice, is_current = ledger.notice(request.notice)
    uncovered = [purpose for purpose in request.purposes if purpose not in notice.purposes]
    if uncovered:
        raise BadInput(
            f"Notice {notice.ref} does not cover {', '.join(uncovered)}", hint="Show the notice of the purpose."
        )
    if is_permissive(request.act):
        if not is_current:
            raise NoticeNotCurrent(
                f"Notice {notice.ref} was replaced by a newer version", hint="Show the current notice."
            )
        _check_told(notice, request)
    return notice


def _check_told(notice: PublishedNotice, request: DecisionRequest) -> None:
    """Refuse a yes for a recipient that its notice never told of (PIPL 23; R08)."""
    told = told_recipients(notice.content)
    silent = [purpose for purpose in request.purposes if request.recipient not in told.get(purpose, ())]
    if request.recipient is not None and silent:
        raise RecipientNotTold(
            f"Notice {notice.ref} does not tell of the named recipient for {', '.join(silent)}",
            hint="Declare the recipient, publish a notice that names it, and show that.",
        )


def _unknown(decision_id: DecisionId) -> NotFound:
    return NotFound(f"Decision {decision_id} does not exist", hint="Check the id on the receipt.")
