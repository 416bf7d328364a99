"""Any sequence of acts gets the same answers from gate, cohort gate and time travel as from a naive model."""

import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from consent.cohorts import CohortQuestion, check_cohort
from consent.gate import Permit, Reason
from consent.guardians import end_agent, end_guardian, record_agent, record_guardian
from consent.notices import get_notice, publish
from consent.registry import ActorKind, DecisionAct, DecisionRequest
from consent.tables import cohort_shape, cohort_verdict
from kernel.catalogue import Catalogue, ConsentKind
from kernel.errors import BadInput, Conflict, Denied
from tests.consent.conftest import open_office

START: Final = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
CHILD_BORN: Final = date(2012, 11, 21)
GROWN_UP_ON: Final = date(2026, 12, 1)
QUESTIONS: Final = (
    ("P02", "name", None), ("P02", "diagnosis", None), ("P05", "name", None), ("P07", "reading", None),
    ("P07", "topic", None), ("P07", "season", None), ("P11", "diagnosis", "insurer_a"), ("P11", "reading", None),
    ("P12", "diagnosis", None), ("P12", "diagnosis", "lab"), ("P12", "diagnosis", "insurer_a"),
    ("P10", "diagnosis", None), ("P09", "reading", None), ("P12", "sex", "stranger"),
)  # fmt: skip
"""Purpose, field and recipient of what is asked after every step."""

MERGED_AFTER: Final = 12
PARTNER: Final = ("P12", "insurer_a")
"""Purpose and recipient that notices tell of or not, though the pack declares it throughout."""
NOTICES: Final = ("care", "child_care")
EXAMPLES: Final = 1_000 if os.environ.get("CONSENTRY_NIGHTLY") else 60


OPENING = {DecisionAct.GRANT, DecisionAct.RENEW, DecisionAct.CONTRACT, DecisionAct.DUTY}
CONSENTS = {DecisionAct.GRANT, DecisionAct.RENEW}
BASIS = {DecisionAct.CONTRACT, DecisionAct.DUTY, DecisionAct.END}
CLOSED = {
    DecisionAct.REFUSE: Reason.REFUSED,
    DecisionAct.WITHDRAW: Reason.WITHDRAWN,
    DecisionAct.EXPIRE: Reason.EXPIRED,
    DecisionAct.END: Reason.EXPIRED,
}
STORAGE = {"P05", "P13"}
COOL_DOWN = timedelta(hours=48)
SKEW = timedelta(minutes=5)


@dataclass
class Said:
    """One act for one purpose and recipient, as it was accepted."""

    subject: str
    purpose: str
    recipient: str
    act: DecisionAct
    at: datetime
    recorded: datetime
    actor: ActorKind = ActorKind.SELF
    by: str | None = None
    notice: tuple[str, int] | None = None
    fields: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    max_uses: int | None = None
    decision_id: str = ""
    uses: int = 0

    @property
    def opens(self):
        return self.act in OPENING

    @property
    def place(self):
        return self.subject, self.purpose, self.act in BASIS, self.recipient

    @property
    def counts_from(self):
        """What closes counts from its recording, whatever the device's clock said."""
        return self.at if self.opens else max(self.at, self.recorded)

    @property
    def surely_after(self):
        """What is dated ahead comes from a clock that runs up to five minutes fast; who knows how much."""
        return self.at - SKEW if self.at > self.recorded else self.at


@dataclass(frozen=True)
class Asked:
    """One question."""

    subject: str
    purpose: str
    recipient: str | None
    code: str
    now: datetime


@dataclass
class Law:
    """Everything that was accepted, in order.

    Attributes:
        grown_up_on: the day from which a child decides by itself.
        guardians, agents: live relations as (ward, guardian) and (principal, agent) to purposes.
        editions: how many editions of each notice there are; telling: from which one on it covers everything.
        tells_topic: the first edition of each notice that told of the field ``topic`` under P07.
        tells_partner: the editions that tell of ``insurer_a`` under P12; partner_since: the last one that began to.
    """

    catalogue: Catalogue
    grown_up_on: dict[str, date] = field(default_factory=dict)
    history: list[Said] = field(default_factory=list)
    guardians: set[tuple[str, str]] = field(default_factory=set)
    agents: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    restricted: set[str] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)
    editions: dict[str, int] = field(default_factory=dict)
    telling: dict[str, int] = field(default_factory=dict)
    tells_topic: dict[str, int] = field(default_factory=dict)
    recipients: frozenset[str] = frozenset()
    tells_partner: set[tuple[str, int]] = field(default_factory=set)
    partner_since: dict[str, int] = field(default_factory=dict)

    def standing(self, subject, purpose, is_basis):
        """The last act at each recipient of one track."""
        found = {}
        for said in self.history:
            if said.place[:3] == (subject, purpose, is_basis):
                found[said.recipient] = said
        return found

    def is_child(self, subject, *days):
        until = self.grown_up_on.get(subject)
        return until is not None and min(days) < until

    # acceptance

    def allows(self, said: Said, *, prompted: bool) -> bool:
        """Whether the law lets this act be recorded; closing acts are always open to whoever may decide."""
        if said.subject in self.merged:
            return False
        return self._entitled(said) and (not said.opens or self._may_open(said, prompted=prompted))

    def _entitled(self, said):
        days = said.at.date(), said.recorded.date()
        if said.actor is ActorKind.OPERATOR:
            return True
        if said.actor is ActorKind.GUARDIAN:
            is_grown = said.subject in self.grown_up_on and max(days) >= self.grown_up_on[said.subject]
            return (said.subject, said.by) in self.guardians and not (said.act in CONSENTS and is_grown)
        if said.actor is ActorKind.AGENT and said.purpose not in self.agents.get((said.subject, said.by), ()):
            return False
        return not (said.act in CONSENTS and self.is_child(said.subject, *days))

    def _may_open(self, said, *, prompted):
        purpose = self.catalogue.purposes[said.purpose]
        if (purpose.per_recipient and not said.recipient) or not self._is_active(said.purpose):
            return False
        if said.act in CONSENTS and said.recipient and not self.tells_of(said.notice, said.purpose, said.recipient):
            return False
        standing = self.standing(said.subject, said.purpose, said.act in BASIS)
        if said.act is DecisionAct.RENEW:
            last = standing.get(said.recipient)
            if last is None or last.act in (DecisionAct.REFUSE, DecisionAct.WITHDRAW):
                return False
        if not all(self._in_order(said, other) for name, other in standing.items() if name in (said.recipient, "")):
            return False
        return said.act not in CONSENTS or not self._held_off(said, prompted=prompted)

    def _in_order(self, said, other):
        latest = max(
            one.counts_from
            for one in self.history
            if one.place == other.place  # what stands never moves back
        )
        if other.opens:
            return said.at >= latest or other.recipient != said.recipient
        return said.surely_after > latest

    def _held_off(self, said, *, prompted):
        """Another guardian's no, or a refusal of the last two days where the person was prompted."""
        closed = []
        for place in {said.recipient, ""}:
            since = []
            for one in self.history:
                if one.place == (said.subject, said.purpose, False, place):
                    since = [] if one.opens else [*since, one]
            closed += since
        for one in closed:
            other = one.by if one.actor is ActorKind.GUARDIAN else None
            if said.actor is ActorKind.GUARDIAN and other != said.by and (said.subject, other) in self.guardians:
                return True
            if prompted and one.act is DecisionAct.REFUSE and min(said.at, said.recorded) < one.counts_from + COOL_DOWN:
                return True
        return False

    def _is_active(self, purpose):
        known = self.catalogue.purposes[purpose]
        return not known.needs_assessment or known.assessment is not None

    def tells_of(self, notice, purpose, recipient):
        """R08: whether an edition told of a recipient, as far as the newest one does not tell anything new of it."""
        if (purpose, recipient) == PARTNER:
            code, edition = notice
            return notice in self.tells_partner and edition >= self.partner_since.get(code, 0)
        return recipient in {"P11": ("insurer", "insurer_a", "insurer_b"), "P12": ("lab",)}.get(purpose, ())

    # answers

    def answer(self, asked: Asked) -> Reason | None:  # noqa: PLR0911 - one return a rule
        """The reason for one field, or None when it passes."""
        if asked.subject in self.restricted and asked.purpose not in STORAGE:
            return Reason.RESTRICTED
        declared = self.catalogue.fields[asked.code]
        if asked.purpose not in declared.purposes:
            return Reason.PURPOSE_FIELD
        if not self._is_active(asked.purpose):
            return Reason.ASSESSMENT_MISSING
        if asked.recipient is not None and (
            asked.recipient not in self.recipients or asked.purpose not in ("P11", "P12")
        ):
            return Reason.RECIPIENT
        if declared.consent is ConsentKind.NONE:
            return None
        reasons = [self.on_track(asked, is_basis=is_basis) for is_basis in self._tracks(asked, declared)]
        if None in reasons:
            return None
        return next((reason for reason in reasons if reason is not Reason.NO_DECISION), Reason.NO_DECISION)

    def _tracks(self, asked, declared):
        if declared.consent is ConsentKind.NONE:
            return ()
        if asked.purpose == declared.collect:
            return (False, True) if declared.consent is ConsentKind.CONTRACT else (False,)
        return (False,) if self.catalogue.purposes[asked.purpose].withdrawable else (True,)

    def covering(self, asked, *, is_basis):
        """The act that speaks for the asked recipient, and whether anybody else was granted something."""
        standing = self.standing(asked.subject, asked.purpose, is_basis)
        named, general = standing.get(asked.recipient or ""), standing.get("")
        if named is None and general is not None:
            declared = asked.recipient in self.catalogue.purposes[asked.purpose].recipients
            named = general if declared or not general.opens else None
        return named, any(said.opens for said in standing.values())

    def on_track(self, asked, *, is_basis):  # noqa: C901, PLR0911 - one return a rule
        if self.catalogue.purposes[asked.purpose].per_recipient and asked.recipient is None:
            return Reason.RECIPIENT
        said, elsewhere = self.covering(asked, is_basis=is_basis)
        if said is None:
            return Reason.RECIPIENT if elsewhere else Reason.NO_DECISION
        if not said.opens:
            return CLOSED[said.act]
        if said.since is not None and asked.now < said.since:
            return Reason.SCOPE
        if said.until is not None and asked.now >= said.until:
            return Reason.EXPIRED
        if said.max_uses is not None and said.uses >= said.max_uses:
            return Reason.EXPIRED
        if not is_basis:
            code, edition = said.notice
            if edition < self.telling[code]:
                return Reason.RECONSENT
            if asked.recipient is not None and not self.tells_of(said.notice, asked.purpose, asked.recipient):
                return Reason.RECONSENT
            if self.is_child(asked.subject, said.at.date()) and said.actor is not ActorKind.GUARDIAN:
                return Reason.GUARDIAN
        if said.fields is not None and asked.code not in said.fields:
            return Reason.SCOPE
        if not is_basis and asked.code == "topic" and asked.purpose == "P07" and edition < self.tells_topic[code]:
            return Reason.RECONSENT
        return None

    def on_tracks(self, subject, now):
        """What either track says of one person, by question."""
        return {
            (question, is_basis): self.on_track(
                Asked(subject, question[0], question[2], question[1], now), is_basis=is_basis
            )
            for question in QUESTIONS
            for is_basis in (False, True)
        }

    def spend(self, asked: Asked) -> None:
        """A permit takes one use of each decision that it rests on."""
        for is_basis in self._tracks(asked, self.catalogue.fields[asked.code]):
            if self.on_track(asked, is_basis=is_basis) is None:
                said, _ = self.covering(asked, is_basis=is_basis)
                said.uses += 1


@dataclass(frozen=True)
class Choice:
    """One act that somebody makes; ``pause`` (minutes) goes before it; the device's clock is ``fast`` (minutes)."""

    pause: int
    fast: int
    who: str
    by: str
    act: DecisionAct
    purpose: str
    recipient: str | None
    lasts: int | None
    wait: int | None
    max_uses: int | None
    narrowed: bool
    prompted: bool


@st.composite
def choices(draw):
    """Acts on few purposes by whoever may make them, most of the time, so that they meet each other."""
    who = draw(st.sampled_from(["ann", "ann", "bob", "kid", "kid"]))
    by = {"ann": ["self"] * 5 + ["agent"], "bob": ["self"], "kid": ["mother", "mother", "father", "father", "self"]}
    purpose = draw(st.sampled_from(["P02", "P07", "P07", "P07", "P11", "P12"]))
    recipients = {"P11": ["insurer_a", "insurer_a", None], "P12": [None, None, "lab", "insurer_a", "insurer_a"]}
    acts = [DecisionAct.GRANT] * 5 + [DecisionAct.RENEW, DecisionAct.REFUSE, DecisionAct.WITHDRAW]
    return Choice(
        pause=draw(st.sampled_from([1, 1, 1, 10, 60 * 30])),
        fast=draw(st.sampled_from([0, 0, 0, 1, 3, 5])),
        who=who,
        by=draw(st.sampled_from(by[who])),
        act=draw(st.sampled_from(acts)),
        purpose=purpose,
        recipient=draw(st.sampled_from(recipients.get(purpose, [None, None, None, "lab"]))),
        lasts=draw(st.sampled_from([None, None, 3, 60 * 24])),
        wait=draw(st.sampled_from([None, None, None, None, 5])),
        max_uses=draw(st.sampled_from([None, None, 1, 2])),
        narrowed=draw(st.sampled_from([False, False, True])),
        prompted=draw(st.booleans()),
    )


class Register(RuleBasedStateMachine):
    """The register beside the model; every step is an act, an event of time, or a question."""

    def __init__(self, offices):
        super().__init__()
        self._folder = TemporaryDirectory()
        opened = offices(f"sqlite:///{Path(self._folder.name) / 'data.db'}")
        self.office = open_office(opened.database, opened.clock, with_partner(opened.catalogue))
        self.law = Law(self.office.catalogue)
        self.asking = self.office.asking
        self.remembered = []
        self.latest = START
        self.version = 1
        self.last = "ann", "P07"
        self.sections = {code: dict(self.office.sections) for code in NOTICES}
        self.tells = dict.fromkeys(NOTICES, True)
        self.tells_partner = dict.fromkeys(NOTICES, False)

    def teardown(self):
        self.office.database.dispose()
        self._folder.cleanup()

    @initialize()
    def people(self):
        office, law = self.office, self.law
        self.ann, self.bob = office.subject(), office.subject()
        self.kid = office.subject(CHILD_BORN)
        self.mother, self.father, self.agent = office.subject(), office.subject(), office.subject()
        self.named = (self.ann, self.bob, self.kid)
        self.relations = {}
        law.grown_up_on = {self.kid: GROWN_UP_ON}
        law.editions = {"care": 1, "child_care": 1}
        law.telling = {"care": 1, "child_care": 1}
        law.tells_topic = {"care": 1, "child_care": 1}
        law.recipients = frozenset({"lab", "insurer", "insurer_a", "insurer_b"})
        self.guardian_recorded(self.mother)

    # time

    @rule(minutes=st.sampled_from([1, 2, 5, 60, 60 * 24, 60 * 24 * 4]))
    def time_passes(self, minutes):
        self.office.clock.advance(timedelta(minutes=minutes))

    @rule(minutes=st.integers(1, 60 * 24 * 2))
    def clock_is_set_back(self, minutes):
        self.office.clock.advance(-timedelta(minutes=minutes))

    def now(self):
        """The time to decide by: never before what is in the log."""
        return max(self.office.clock.now(), self.latest)

    def wrote(self):
        """What was remembered of this very instant came before what has just been recorded."""
        self.latest = self.now()
        self.remembered = [(at, answers) for at, answers in self.remembered if at < self.latest]

    # acts

    @rule(choices=st.lists(choices(), min_size=1, max_size=5))
    def people_decide(self, choices):
        self.decide(choices)

    @rule(choices=st.lists(choices(), min_size=3, max_size=6))
    def people_decide_more(self, choices):
        self.decide(choices)

    def decide(self, choices):
        for choice in choices:
            self.office.clock.advance(timedelta(minutes=choice.pause))
            at = self.office.clock.now() + timedelta(minutes=choice.fast)
            self.act(self.request(choice, at), prompted=choice.prompted)
            self.last = choice.who, choice.purpose

    def request(self, choice, at):
        opens = choice.act in CONSENTS
        since = at + timedelta(minutes=choice.wait) if opens and choice.wait else None
        fields = (
            sorted(self.office.catalogue.fields_by_purpose[choice.purpose])[:3] if opens and choice.narrowed else None
        )
        subject = getattr(self, choice.who)
        code = "child_care" if self.law.is_child(subject, at.date(), self.now().date()) else "care"
        kinds = {"self": ActorKind.SELF, "agent": ActorKind.AGENT}
        return DecisionRequest(
            subject=subject,
            purposes=(choice.purpose,),
            act=choice.act,
            recipient=choice.recipient,
            notice=self.office.latest(code) if opens else None,
            actor_kind=kinds.get(choice.by, ActorKind.GUARDIAN),
            actor_subject=None if choice.by == "self" else getattr(self, choice.by),
            evidence={"mechanism": "checkbox", "occasion": "prompt" if choice.prompted else "own"},
            decided_at=at,
            valid_until=(since or at) + timedelta(minutes=choice.lasts) if opens and choice.lasts else None,
            fields=None if fields is None else frozenset(fields),
            valid_from=since,
            max_uses=choice.max_uses if opens else None,
        )

    @rule(
        who=st.sampled_from(["ann", "bob", "kid"]),
        act=st.sampled_from([DecisionAct.CONTRACT, DecisionAct.CONTRACT, DecisionAct.DUTY, DecisionAct.END]),
    )
    def contracts(self, who, act):
        self.office.clock.advance(timedelta(seconds=1))
        request = self.office.request(getattr(self, who), act, "P02", actor_kind=ActorKind.OPERATOR)
        self.act(request, prompted=False)

    def act(self, request, *, prompted):
        """Record an act in both; they must agree whether it may be."""
        (purpose,) = request.purposes
        expected = self.expected(request, purpose)
        lawful = all(self.law.allows(said, prompted=prompted) for said in expected)
        if request.act is DecisionAct.END:
            lawful = lawful and bool(expected)
        elif not expected:
            lawful = False
        try:
            with self.office.database.write() as connection:
                made = self.office.registry.record(connection, request, asking=self.asking)
        except (BadInput, Denied, Conflict) as refused:
            made, why = (), str(refused)
        else:
            why = "recorded"
        assert bool(made) == lawful, f"{request.act} by {request.actor_kind} on {purpose}: {why}"
        if not made:
            return
        self.wrote()
        assert {one.recipient or "" for one in made} == {said.recipient for said in expected}
        ids = {one.recipient or "": one for one in made}
        for said in expected:
            said.decision_id, said.fields = ids[said.recipient].decision_id, ids[said.recipient].fields
            self.law.history.append(said)

    def expected(self, request, purpose):
        """The act for each recipient that it reaches."""
        standing = self.law.standing(request.subject, purpose, request.act in BASIS)
        if request.act is DecisionAct.END:
            reached = [name for name, said in standing.items() if said.opens]
        elif request.recipient is None and request.act in (DecisionAct.REFUSE, DecisionAct.WITHDRAW):
            reached = {"", *standing}
        else:
            reached = [request.recipient or ""]
        notice = None if request.notice is None else (request.notice.code, self.law.editions[request.notice.code])
        return [
            Said(
                request.subject, purpose, name, request.act, request.decided_at, self.now(), request.actor_kind,
                request.actor_subject, notice, request.fields, request.valid_from, request.valid_until,
                request.max_uses,
            )
            for name in sorted(reached)
        ]  # fmt: skip

    @rule()
    def what_is_over_expires(self):
        """The register records for every open row that is over that it has expired, and for no other."""
        now = self.now()
        over = [
            said
            for said in self.open_rows()
            if (said.until is not None and said.until <= now)
            or (said.max_uses is not None and said.uses >= said.max_uses)
        ]
        with self.office.database.write() as connection:
            made = self.office.registry.expire_due(connection, asking=self.asking)
        assert {(one.subject, one.purpose, one.recipient or "") for one in made} == {
            (said.subject, said.purpose, said.recipient) for said in over
        }
        for one in made:
            self.wrote()
            self.law.history.append(
                Said(one.subject, one.purpose, one.recipient or "", one.act, one.decided_at, one.recorded_at,
                     ActorKind.OPERATOR, decision_id=one.decision_id)
            )  # fmt: skip

    def open_rows(self):
        places = {said.place: said for said in self.law.history}
        return [said for said in places.values() if said.opens]

    # representatives

    @rule(who=st.sampled_from(["mother", "father"]))
    def guardian_is_recorded(self, who):
        self.guardian_recorded(getattr(self, who))

    def guardian_recorded(self, guardian):
        with self.office.database.write() as connection:
            made = record_guardian(
                connection, subject=self.kid, guardian=guardian, verification="household_register",
                asking=self.asking, log=self.office.journal, clock=self.office.clock,
            )  # fmt: skip
        self.wrote()
        self.relations[guardian] = made.relation_id
        self.law.guardians.add((self.kid, guardian))

    @rule(who=st.sampled_from(["mother", "father"]))
    def guardian_ends(self, who):
        guardian = getattr(self, who)
        if (self.kid, guardian) in self.law.guardians:
            self.ended(end_guardian, self.relations[guardian])
            self.law.guardians.discard((self.kid, guardian))

    @precondition(lambda self: not self.law.agents)
    @rule(purposes=st.sampled_from([("P07",), ("P02", "P12")]))
    def agent_is_recorded(self, purposes):
        with self.office.database.write() as connection:
            made = record_agent(
                connection, subject=self.ann, agent=self.agent, purposes=purposes,
                expires_at=self.now() + timedelta(days=3_000), asking=self.asking, log=self.office.journal,
                clock=self.office.clock,
            )  # fmt: skip
        self.wrote()
        self.relations[self.agent] = made.relation_id
        self.law.agents[self.ann, self.agent] = frozenset(purposes)

    @precondition(lambda self: self.law.agents)
    @rule()
    def agent_ends(self):
        self.ended(end_agent, self.relations[self.agent])
        self.law.agents.clear()

    def ended(self, end, relation):
        with self.office.database.write() as connection:
            end(connection, relation, asking=self.asking, log=self.office.journal, clock=self.office.clock)
        self.wrote()

    # notices

    @rule(
        code=st.sampled_from(NOTICES),
        change=st.sampled_from(["method", "contact", "topic", "topic", "recipient", "recipient"]),
    )
    def notice_is_published(self, code, change):
        """R06, R08: a new edition changes the method, the contact alone, or tells of a field or a recipient or not."""
        self.version += 1
        if change == "topic":
            self.tells[code] = not self.tells[code]
        elif change == "recipient":
            self.tells_partner[code] = not self.tells_partner[code]
        else:
            self.sections[code][change] = f"In version {self.version}."
        text = self.office.notice(
            str(self.version), code=code, sections=dict(self.sections[code]),
            audience="child" if code == "child_care" else "general",
        )  # fmt: skip
        told = self.office.catalogue if self.tells_partner[code] else without_partner(self.office.catalogue)
        told = told if self.tells[code] else without_topic(told)
        with self.office.database.write() as connection:
            made = publish(connection, text, told, asking=self.asking, log=self.office.journal)
        self.wrote()
        self.law.editions[code] = made.edition
        if change == "method":
            self.law.telling[code] = made.edition
        if change == "topic" and self.tells[code]:
            self.law.tells_topic[code] = made.edition
        if self.tells_partner[code]:
            self.law.tells_partner.add((code, made.edition))
            if change == "recipient":
                self.law.partner_since[code] = made.edition

    # one person under two names

    @precondition(lambda self: len(self.law.history) > MERGED_AFTER)
    @rule()
    def bob_was_ann_all_along(self):
        """A merge never lets through what was not let through for both, or said by one and never asked of the other."""
        if self.bob in self.law.restricted:
            return
        ours, theirs = self.answers(self.ann), self.answers(self.bob)
        before = [self.law.on_tracks(subject, self.now()) for subject in (self.ann, self.bob)]
        with self.office.database.write() as connection:
            made = self.office.registry.merge(connection, kept=self.ann, dropped=self.bob, asking=self.asking)
        self.wrote()
        self.law.restricted.add(self.bob)
        self.law.merged.add(self.bob)
        for one in made:
            edition = None if one.notice is None else (one.notice.code, self.edition_of(one.notice))
            self.law.history.append(
                Said(
                    self.ann,
                    one.purpose,
                    one.recipient or "",
                    one.act,
                    one.decided_at,
                    one.recorded_at,
                    one.actor_kind,
                    one.actor_subject,
                    edition,
                    one.fields,
                    one.valid_from,
                    one.valid_until,
                    one.max_uses,
                    one.decision_id,
                )
            )
        for question, reason in self.answers(self.ann).items():
            assert reason is not None or None in (ours[question], theirs[question]), question
        self.check_merged(*before)

    def check_merged(self, ours, theirs):
        """Every no of either is a no; what one allowed and the other allowed too, or never spoke of, stays allowed."""
        noes = (Reason.REFUSED, Reason.WITHDRAWN)
        for track, reason in self.law.on_tracks(self.ann, self.now()).items():
            if ours[track] in noes or theirs[track] in noes:
                assert reason in noes, track
            elif ours[track] is None and theirs[track] in (None, Reason.NO_DECISION, Reason.RECIPIENT):
                assert reason is None, track
            else:
                assert reason is not None, track

    def edition_of(self, ref):
        with self.office.database.read() as connection:
            return get_notice(connection, ref.code, ref.version, ref.locale).edition

    # questions

    @rule(who=st.sampled_from(["ann", "kid"]), question=st.sampled_from(QUESTIONS))
    def is_checked(self, who, question):
        """A permit is given where the model lets the field pass, and takes a use."""
        self.check(who, question)

    @rule(number=st.integers(0, 5))
    def what_was_decided_is_checked(self, number):
        """The same, about what was decided last."""
        who, purpose = self.last
        near = [question for question in QUESTIONS if question[0] == purpose]
        self.check(who, near[number % len(near)])

    def check(self, who, question):
        purpose, code, recipient = question
        asked = Asked(getattr(self, who), purpose, recipient, code, self.now())
        expected = self.law.answer(asked)
        with self.office.database.write() as connection:
            said = self.office.gate.check(
                connection, asking=self.asking, purpose=purpose, subject=asked.subject, fields=[code],
                recipient=recipient,
            )  # fmt: skip
        self.wrote()
        if isinstance(said, Permit):
            assert expected is None
            self.law.spend(asked)
        else:
            assert said.reasons == {code: expected}

    @rule(question=st.sampled_from(QUESTIONS), batched=st.booleans())
    def cohort_is_checked(self, question, batched):
        """The cohort gate gives everybody the answer that the model gives, and takes the same uses."""
        purpose, code, recipient = question
        expected = {s: self.law.answer(Asked(s, purpose, recipient, code, self.now())) for s in self.named}
        found = self.cohort(question) if batched else self.batch(question)
        assert found == expected
        for subject, reason in expected.items():
            if reason is None:
                self.law.spend(Asked(subject, purpose, recipient, code, self.now()))
        self.wrote()

    def batch(self, question):
        purpose, code, recipient = question
        with self.office.database.write() as connection:
            said = self.office.gate.check_many(
                connection, asking=self.asking, purpose=purpose, subjects=self.named, fields=[code],
                recipient=recipient,
            )  # fmt: skip
        return {subject: said.refused.get(subject, {}).get(code) for subject in self.named}

    def cohort(self, question):
        purpose, code, recipient = question
        asked = CohortQuestion(self.asking, purpose, frozenset({code}), recipient, self.named)
        office = self.office
        done = check_cohort(office.database, asked, catalogue=office.catalogue, log=office.journal, clock=office.clock)
        with office.database.read() as connection:
            rows = connection.execute(
                select(cohort_verdict.c.subject_id, cohort_shape.c.refused)
                .join(cohort_shape, (cohort_shape.c.cohort_id == cohort_verdict.c.cohort_id)
                      & (cohort_shape.c.shape == cohort_verdict.c.shape))
                .where(cohort_verdict.c.cohort_id == done.cohort_id)
            ).all()  # fmt: skip
        reasons = {row.subject_id: json.loads(row.refused).get(code) for row in rows}
        return {subject: None if reason is None else Reason(reason) for subject, reason in reasons.items()}

    @invariant()
    def gate_and_model_agree(self):
        """Every answer now is the model's; it is remembered, to be asked for again when it lies in the past."""
        now, answers = self.now(), self.all_answers()
        expected = {s: {q: self.law.answer(Asked(s, q[0], q[2], q[1], now)) for q in QUESTIONS} for s in self.named}
        assert answers == expected
        self.remembered.append((now, answers))

    @rule(back=st.integers(0, 1_000))
    def the_past_is_asked_for(self, back):
        """R15: what was true at an instant stays true of it, whatever was decided since."""
        last_at = {at: answers for at, answers in self.remembered if at < self.now()}
        if last_at:
            at, answers = list(last_at.items())[back % len(last_at)]
            assert self.all_answers(as_of=at) == answers

    def answers(self, subject, as_of=None):
        return self.all_answers(as_of)[subject]

    def all_answers(self, as_of=None):
        """What the gate would say to every question about everybody."""
        found = {subject: {} for subject in self.named}
        asked = {}
        for purpose, code, recipient in QUESTIONS:
            asked.setdefault((purpose, recipient), []).append(code)
        with self.office.database.read() as connection:
            for (purpose, recipient), codes in asked.items():
                said = self.office.gate.preview_many(
                    connection, asking=self.asking, purpose=purpose, subjects=self.named, fields=codes,
                    recipient=recipient, as_of=as_of,
                )  # fmt: skip
                for subject in self.named:
                    found[subject] |= {(purpose, code, recipient): said[subject][code] for code in codes}
        return found


def with_partner(catalogue):
    """The catalogue that declares one more recipient for P12; a notice has to tell of it before it gets anything."""
    return _with_recipients(catalogue, ("lab", PARTNER[1]))


def without_partner(catalogue):
    """The catalogue before it was declared."""
    return _with_recipients(catalogue, ("lab",))


def _with_recipients(catalogue, recipients):
    purpose, _ = PARTNER
    known = replace(catalogue.purposes[purpose], recipients=recipients)
    return replace(catalogue, purposes={**catalogue.purposes, purpose: known})


def without_topic(catalogue):
    """The catalogue before ``topic`` was used for P07."""
    topic = catalogue.fields["topic"]
    narrowed = replace(topic, purposes=topic.purposes - {"P07"})
    return replace(catalogue, fields={**catalogue.fields, "topic": narrowed})


def test_register_answers_as_the_law_does(offices):
    """R06, R08, R14, R15, R18, R21: gate, cohort gate and time travel answer as a model that replays every act."""
    run_state_machine_as_test(
        lambda: Register(offices), settings=settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
    )
