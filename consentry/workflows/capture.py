"""Capture consent acts: resolve the person, record the decision and its audit entry, answer the same act alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.decisions import DecidedEarlier
from consent.entries import age_refs, aged_event
from consent.guardians import record_agent, record_guardian
from consent.registry import ActorKind, Decision, DecisionAct, DecisionRequest, NothingToClose, NoticeRef, Track
from consent.rules import is_permissive
from consent.standing import read_kept, register_subjects
from consentry.acts import OWN_WISH, ConsentAct, SubjectReference, act_content
from consentry.bound_sources import ForeignSource, foreign_sources
from consentry.contracts import OutsideContract, check_purposes, find_mandate
from consentry.platform import Platform
from consentry.principals import Principal, check_daily_cap
from consentry.stores.acts import find_answers, remember_answers
from consentry.workflows.denials import OUTSIDE, contract_refs, denial_of
from consentry.workflows.people import (
    ACCOUNT_PURPOSE,
    People,
    check_says_age,
    is_registration,
    names_ids_only,
    not_registered,
    resolve_people,
    sources_of,
)
from consentry.workflows.representation import Acting, find_own_decision
from kernel.encoding import JsonValue
from kernel.errors import BadInput, Conflict, ConsentryError, Denied, NotFound
from kernel.ids import SubjectId
from vault.leftovers import Leftover, find_restricted

_ATTEMPTS: Final = 4
_CLOSING: Final = frozenset({"refuse", "withdraw", "end"})
_REVIVING: Final = frozenset({"contract", "grant", "renew"})
"""What would open something for somebody who was erased. A duty of the law may still arise for what the law holds."""


@dataclass(frozen=True, slots=True)
class ActAnswer:
    """What one act led to; ``decisions`` are (decision id, purpose, act)."""

    act_id: str
    subject: SubjectId
    decisions: tuple[tuple[str, str, str], ...]
    repeated: bool = False
    registered: bool = False

    def as_json(self) -> dict[str, JsonValue]:
        """Return what is kept to answer the same act alike."""
        return {"subject": self.subject, "decisions": [list(d) for d in self.decisions]}


ActOutcome: TypeAlias = "ActAnswer | ConsentryError"


def capture_act(platform: Platform, caller: Principal, act: ConsentAct) -> ActAnswer:
    """Record one act.

    Raises:
        BadInput: the act is not admissible; nothing was recorded.
        Conflict: the act id was used for another act.
        Denied: the actor may not decide this, or the key's daily cap is reached.
        OutsideContract: a processor's contract does not cover the purposes.
        ForeignSource: the key is bound to other sources than the act names people by.
    """
    said = capture_acts(platform, caller, [act])[0]
    if isinstance(said, ConsentryError):
        raise said
    return said


def capture_acts(platform: Platform, caller: Principal, acts: Sequence[ConsentAct]) -> list[ActOutcome]:
    """Record acts in order, each by itself: one that is refused leaves the others standing.

    Returns:
        One answer or one error for each act.
    """
    run = _Run(platform, caller, platform.asking(caller))
    return run.capture(acts)


def withdraw_decision(platform: Platform, caller: Principal, decision_id: str, *, at: datetime | None) -> Decision:
    """Withdraw what one recorded decision granted.

    Raises:
        NotFound: an unknown decision.
        NotRepresented: a subject token's person may not speak for the subject.
    """
    granted, acting = find_own_decision(platform, caller, decision_id)
    with platform.data.write() as connection:
        check_daily_cap(connection, caller, [granted.subject], clock=platform.clock, is_closing=True)
        whose = read_kept(connection, [acting.subject]).get(acting.subject, acting.subject)
        return _withdraw(
            platform, connection, platform.asking(caller), replace(acting, subject=whose), granted.purpose,
            recipient=granted.recipient, at=at, mechanism="withdraw_call",
        )  # fmt: skip


def withdraw_purpose(
    platform: Platform, caller: Principal, subject: SubjectId, purpose: str, *, recipient: str | None
) -> Decision:
    """Withdraw a purpose as a subject told an officer to.

    Raises:
        NothingToClose: nothing was ever decided towards the recipient, and no consent without one reaches it: a
            mistyped code must not look like a withdrawal.
    """
    with platform.data.write() as connection:
        subject = read_kept(connection, [subject]).get(subject, subject)
        if recipient is not None:
            _check_reaches(platform, platform.registry.current(connection, subject), purpose, recipient)
        return _withdraw(
            platform, connection, platform.asking(caller), Acting(subject), purpose,
            recipient=recipient, at=None, mechanism="told_to_officer",
        )  # fmt: skip


def has_basis(platform: Platform, subject: SubjectId, purpose: str) -> bool:
    """Say whether a contract or duty is in force for a purpose, which a withdrawal of consent leaves untouched."""
    with platform.data.read() as connection:
        whose = read_kept(connection, [subject]).get(subject, subject)
        standing = platform.registry.current(connection, whose)
        now = platform.log.now(connection)
    return any(
        made.purpose == purpose
        and made.track is Track.BASIS
        and is_permissive(made.act)
        and (made.valid_until is None or now < made.valid_until)
        for made in standing
    )


def _check_reaches(platform: Platform, standing: Sequence[Decision], purpose: str, recipient: str) -> None:
    """Raise ``NothingToClose`` unless a decision names the recipient, or one without a recipient speaks for it too."""
    consents = [made for made in standing if made.purpose == purpose and made.track is Track.CONSENT]
    declared = platform.catalogue.get_purpose(purpose).recipients
    if any(made.recipient == recipient or (made.recipient is None and recipient in declared) for made in consents):
        return
    named = ", ".join(made.recipient or "the controller" for made in consents if is_permissive(made.act))
    raise NothingToClose(
        f"No consent to {purpose} was ever given towards {recipient}",
        hint=f"Consents to {purpose} stand towards: {named}." if named else f"No consent to {purpose} stands at all.",
    )


def _withdraw(
    platform: Platform,
    connection: Connection,
    asking: Asking,
    acting: Acting,
    purpose: str,
    *,
    recipient: str | None,
    at: datetime | None,
    mechanism: str,
) -> Decision:
    request = DecisionRequest(
        subject=acting.subject,
        purposes=(purpose,),
        act=DecisionAct.WITHDRAW,
        recipient=recipient,
        notice=None,
        actor_kind=acting.kind,
        actor_subject=acting.actor,
        evidence={"mechanism": mechanism, "occasion": OWN_WISH},
        decided_at=at or platform.clock.now(),
    )
    return platform.registry.record(connection, request, asking=asking)[0]


@dataclass
class _Run:
    """One call: its caller, and what it has resolved so far."""

    platform: Platform
    caller: Principal
    asking: Asking
    registered: set[SubjectId] = field(default_factory=set)
    kept: dict[SubjectId, SubjectId] = field(default_factory=dict)
    left: dict[SubjectId, Leftover] = field(default_factory=dict)

    def capture(self, acts: Sequence[ConsentAct]) -> list[ActOutcome]:
        """Record the acts; where another call registered a person or took an act in the same moment, look again."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._capture(acts)
            except (Conflict, IntegrityError):
                self.registered.clear()
        return self._capture(acts)

    def _capture(self, acts: Sequence[ConsentAct]) -> list[ActOutcome]:
        keys = self._keys(acts)
        with self.platform.data.read() as connection:
            known = find_answers(connection, [key for key, _ in keys])
        fresh = [
            act for act, (key, _) in zip(acts, keys, strict=True) if key not in known and not self._is_foreign(act)
        ]
        people = resolve_people(self.platform, fresh)
        try:
            with self.platform.data.write() as connection:
                self.platform.returner.hold(connection, people.returns.values())
                outcomes = self._record_all(connection, acts, keys, people)
        except BaseException:
            people.keep_only(frozenset())
            raise
        people.keep_only(self.registered)
        return outcomes

    def _record_all(
        self, connection: Connection, acts: Sequence[ConsentAct], keys: Sequence[tuple[bytes, bytes]], people: People
    ) -> list[ActOutcome]:
        answered = dict(find_answers(connection, [key for key, _ in keys]))
        outcomes: dict[int, ActOutcome] = {}
        waiting: dict[int, ConsentAct] = {}
        touched: set[SubjectId] = set()
        first: dict[bytes, int] = {}
        asked = [
            act for act, (key, _) in zip(acts, keys, strict=True) if key not in answered and not self._is_foreign(act)
        ]
        whom = {subject for act in asked for subject in people.whom(act)}
        self.kept = read_kept(connection, whom)
        self.left = find_restricted(connection, whom | {*self.kept.values()})
        for place, (act, (key, content)) in enumerate(zip(acts, keys, strict=True)):
            if key in answered:
                outcomes[place] = _answered_before(act, content, answered[key])
                continue
            if key in first:
                outcomes[place] = Conflict("An act id stands twice", hint="Give every act an id of its own.")
                continue
            first[key] = place
            if self._is_foreign(act):
                outcomes[place] = self._foreign(connection, act)
                continue
            about = people.whom(act)
            if act.act not in ("guardian", "agent"):
                waiting[place] = act
                touched |= about
                continue
            if touched & about:  # acts about other people may wait: a relation changes nothing for them
                outcomes |= self._record_run(connection, waiting, people)
                waiting, touched = {}, set()
            outcomes[place] = self._record_relation(connection, act, people)
        outcomes |= self._record_run(connection, waiting, people)
        made = [
            (*keys[place], said.as_json()) for place in first.values() if isinstance(said := outcomes[place], ActAnswer)
        ]
        remember_answers(connection, made, at=self.platform.clock.now())
        return [outcomes[place] for place in range(len(acts))]

    def _record_relation(self, connection: Connection, act: ConsentAct, people: People) -> ActOutcome:
        try:
            subject, _ = self._found(connection, act, people)
            with connection.begin_nested():
                record = self._guardian if act.act == "guardian" else self._agent
                return ActAnswer(act.act_id, subject, record(connection, act, subject, people))
        except (BadInput, Denied) as err:
            return err

    def _found(self, connection: Connection, act: ConsentAct, people: People) -> tuple[SubjectId, SubjectId | None]:
        """Return whom an act is about and who acts for them, both counted among the people that the key touches.

        Who is not found counts as well, so that a key cannot try out whose numbers are registered. For the same reason
        a closing act passes a reached cap only where it names people by ids alone.
        """
        self._check_contract(connection, act)
        is_closing, clock = act.act in _CLOSING and names_ids_only(act), self.platform.clock
        try:
            subject = people.subject_of(act)
            if not is_registration(act):  # who decides under a former id decides for the person
                subject = self.kept.get(subject, subject)
            actor = None if act.actor.subject is None else people.actor_of(act)
        except (NotFound, Conflict):
            missing = [self._stand_in(reference) for reference in people.unresolved(act)]
            tried = [*sorted(people.whom(act)), *missing]
            check_daily_cap(connection, self.caller, tried, clock=clock, is_closing=is_closing)
            raise
        touched = [subject] if actor is None else [subject, actor]
        check_daily_cap(connection, self.caller, touched, clock=clock, is_closing=is_closing)
        if act.act in _REVIVING and subject in self.left:
            check_says_age(act)
            raise _refused_to_revive(act)
        return subject, actor

    def _check_contract(self, connection: Connection, act: ConsentAct) -> None:
        """Raise ``OutsideContract`` for a processor's act beyond its purposes; its entry goes with the other acts."""
        try:
            check_purposes(find_mandate(self.platform, connection, self.caller), act.purposes)
        except OutsideContract as err:
            refs = {"act": act.act} | contract_refs(err)
            self.platform.log.record(connection, denial_of(self.asking, reason=OUTSIDE, refs=refs))
            raise

    def _is_foreign(self, act: ConsentAct) -> bool:
        """Say whether an act names people by a source that the key is not bound to; nobody is looked up for it."""
        return bool(foreign_sources(self.caller.sources, sources_of(act)))

    def _foreign(self, connection: Connection, act: ConsentAct) -> ForeignSource:
        """Return the refusal of such an act; its entry goes with the other acts."""
        stated = foreign_sources(self.caller.sources, sources_of(act))
        refs = {"act": act.act, "source": stated[0]}
        self.platform.log.record(connection, denial_of(self.asking, reason=ForeignSource.rule, refs=refs))
        return ForeignSource(stated)

    def _stand_in(self, reference: SubjectReference) -> SubjectId:
        """Return what is counted for somebody who was not found: a keyed digest, which tells nothing by itself."""
        number, mobile = (
            "" if secret is None else secret.get_secret_value() for secret in (reference.id_number, reference.mobile)
        )
        stated = "\0".join((reference.source or "", reference.id or "", number, mobile))
        digest = self.platform.digests.digest_many("unknown_reference", [stated.encode()])[0]
        return SubjectId(f"unk_{digest.hex()[:32]}")

    def _record_run(
        self, connection: Connection, acts: Mapping[int, ConsentAct], people: People
    ) -> dict[int, ActOutcome]:
        """Record decisions in bulk; when a registration is refused, do it again without that act."""
        outcomes: dict[int, ActOutcome] = {}
        requests: dict[int, DecisionRequest] = {}
        for place, act in acts.items():
            try:
                subject, actor = self._found(connection, act, people)
                check_says_age(act)
                requests[place] = _request(act, subject, actor)
            except (BadInput, Denied) as err:
                outcomes[place] = err
        while requests:
            with connection.begin_nested() as savepoint:
                fresh = self._register(connection, {p: acts[p] for p in requests}, requests, people)
                said = self.platform.registry.record_many(connection, list(requests.values()), asking=self.asking)
                refused = _refused_registrations(requests, said, acts, fresh)
                if not refused:
                    outcomes |= self._answers(acts, requests, said, fresh)
                    break
                savepoint.rollback()
            outcomes |= refused
            requests = {place: request for place, request in requests.items() if place not in refused}
        return outcomes

    def _register(
        self,
        connection: Connection,
        acts: Mapping[int, ConsentAct],
        requests: Mapping[int, DecisionRequest],
        people: People,
    ) -> frozenset[SubjectId]:
        """Register the people whose accounts these acts open; returns those who are new."""
        opening = {place: act for place, act in acts.items() if is_registration(act)}
        births = {requests[place].subject: act.subject.stated_birth_date for place, act in opening.items()}
        registered = register_subjects(connection, births, clock=self.platform.clock)
        events = [aged_event(self.asking, refined, registered.at) for refined in registered.refined]
        for place, act in opening.items():
            subject = requests[place].subject
            new = registered.fresh.get(subject)
            done = Act.SUBJECT_LINKED if new is None else Act.SUBJECT_REGISTERED
            refs = {"source": act.subject.source or "", "purpose": ACCOUNT_PURPOSE}
            if new is not None:
                refs |= age_refs(new, registered.at)
                if (back := people.returns.get(subject)) is not None:
                    refs["erasure"] = back.erasure_id
            asking = self.asking
            events.append(
                Event(done, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=subject, refs=refs)
            )
        self.platform.log.record_many(connection, events)
        return frozenset(registered.fresh)

    def _answers(
        self,
        acts: Mapping[int, ConsentAct],
        requests: Mapping[int, DecisionRequest],
        said: Sequence[tuple[Decision, ...] | BadInput | Denied],
        fresh: frozenset[SubjectId],
    ) -> dict[int, ActOutcome]:
        answers: dict[int, ActOutcome] = {}
        counted: set[SubjectId] = set()
        for (place, request), made in zip(requests.items(), said, strict=True):
            if not isinstance(made, tuple):
                answers[place] = made
                continue
            opened = is_registration(acts[place])
            decisions = tuple((d.decision_id, d.purpose, d.act.value) for d in made)
            is_new = opened and request.subject in fresh and request.subject not in counted
            answers[place] = ActAnswer(acts[place].act_id, request.subject, decisions, registered=is_new)
            if opened:
                counted.add(request.subject)
                self.registered.add(request.subject)
        return answers

    def _guardian(
        self, connection: Connection, act: ConsentAct, subject: SubjectId, people: People
    ) -> tuple[tuple[str, str, str], ...]:
        made = record_guardian(
            connection, subject=subject, guardian=people.actor_of(act), verification=_verification(act),
            asking=self.asking, log=self.platform.log, clock=self.platform.clock,
        )  # fmt: skip
        return ((made.relation_id, "", "guardian"),)

    def _agent(
        self, connection: Connection, act: ConsentAct, subject: SubjectId, people: People
    ) -> tuple[tuple[str, str, str], ...]:
        if act.valid_until is None:
            raise BadInput("An authorisation needs its end", hint="Give valid_until.")
        made = record_agent(
            connection, subject=subject, agent=people.actor_of(act), purposes=act.purposes, expires_at=act.valid_until,
            asking=self.asking, log=self.platform.log, clock=self.platform.clock,
        )  # fmt: skip
        return ((made.relation_id, "", "agent"),)

    def _keys(self, acts: Sequence[ConsentAct]) -> list[tuple[bytes, bytes]]:
        """Return keyed digests of each act's id under its caller, and of its content."""
        names = [f"{self.caller.principal_id}\0{act.act_id}".encode() for act in acts]
        digests = self.platform.digests
        ids, contents = digests.digest_many("act_id", names), digests.digest_many("act", [act_content(a) for a in acts])
        return list(zip(ids, contents, strict=True))


def _request(act: ConsentAct, subject: SubjectId, actor: SubjectId | None) -> DecisionRequest:
    return DecisionRequest(
        subject=subject,
        purposes=act.purposes,
        act=DecisionAct(act.act),
        recipient=act.recipient,
        notice=None if act.notice is None else NoticeRef(act.notice.code, act.notice.version, act.notice.locale),
        actor_kind=ActorKind(act.actor.kind),
        actor_subject=actor,
        evidence=act.evidence,
        decided_at=act.at,
        valid_from=act.valid_from,
        valid_until=act.valid_until,
        max_uses=act.max_uses,
        fields=None if act.fields is None else frozenset(act.fields),
    )


def _refused_registrations(
    requests: Mapping[int, DecisionRequest],
    said: Sequence[tuple[Decision, ...] | BadInput | Denied],
    acts: Mapping[int, ConsentAct],
    fresh: frozenset[SubjectId],
) -> dict[int, ActOutcome]:
    """Return the acts that would have opened an account for somebody new and were refused."""
    return {
        place: made
        for (place, request), made in zip(requests.items(), said, strict=True)
        if not isinstance(made, tuple) and is_registration(acts[place]) and request.subject in fresh
    }


def _refused_to_revive(act: ConsentAct) -> ConsentryError:
    """Return why an act opens nothing for somebody of whom an erasure left only what the law holds.

    Such a person is as good as unknown, and told from an unknown one in nothing. Who is told that an act came too early
    has sent a registration that would have succeeded.
    """
    if is_registration(act):
        return DecidedEarlier(
            "The person's data was erased after this act was made", hint="Record what was decided since."
        )
    return not_registered()


def _answered_before(act: ConsentAct, content: bytes, before: tuple[bytes, Mapping[str, Any]]) -> ActOutcome:
    stored_content, answer = before
    if stored_content != content:
        return Conflict("The act id was used for another act", hint="Give every act an id of its own.")
    decisions = tuple((str(d[0]), str(d[1]), str(d[2])) for d in answer["decisions"])
    return ActAnswer(act.act_id, SubjectId(answer["subject"]), decisions, repeated=True)


def _verification(act: ConsentAct) -> str:
    found = act.evidence.get("document") or act.evidence.get("mechanism")
    if not isinstance(found, str):
        raise BadInput(
            "A guardian needs a verification method", hint="Give evidence.document, for example court_order."
        )
    return found
