"""The gate against a naive model that replays the whole history for every question."""

import os
import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.gate import Check, Reason
from consent.guardians import record_guardian
from consent.registry import ActorKind, DecisionAct
from consent.situations import read_situations
from consent.standing import Standing, set_deceased, set_standing
from consent.uses import counted_subjects
from kernel.catalogue import ConsentKind, LawfulBasis
from kernel.errors import BadInput, Denied
from kernel.ids import EntryId, SubjectId, new_id

EXAMPLES = 1_000 if os.environ.get("CONSENTRY_NIGHTLY") else 60
PURPOSES = ["P01", "P02", "P02", "P05", "P06", "P07", "P08", "P11", "P11", "P12", "P12", "P13", "P15"]
RECIPIENTS = [None, "lab", "insurer"]
SHARED = ("P11", "P12")
CLOSING = {DecisionAct.REFUSE: Reason.REFUSED, DecisionAct.WITHDRAW: Reason.WITHDRAWN}
BASIS = {DecisionAct.CONTRACT, DecisionAct.DUTY}

RESTS_ON = {"P01": [DecisionAct.CONTRACT], "P02": [DecisionAct.CONTRACT, DecisionAct.DUTY], "P05": [DecisionAct.DUTY]}
RESTS_ON |= {"P13": [DecisionAct.DUTY], "P15": [DecisionAct.DUTY]}
STATES = [Standing.ACTIVE, Standing.RESTRICTED, Standing.ACTIVE, Standing.RESTRICTED, Standing.ERASING, Standing.ERASED]


@st.composite
def histories(draw):
    """Steps over one or two purposes, long enough and mostly acceptable, so that acts meet each other."""
    purposes = draw(st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=2))
    others = st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("publish"), st.booleans()),
        st.tuples(st.just("state"), st.integers(0, 2), st.sampled_from(STATES)),
        st.tuples(st.just("death"), st.integers(0, 2), st.sampled_from([True, False, False, False])),
    )
    act = st.one_of([acts_on(purpose) for purpose in purposes])
    return purposes, draw(st.lists(st.one_of(act, act, act, act, others), min_size=12, max_size=30))


def acts_on(purpose):
    """Acts on one purpose; what opens is weighted, or most histories would only close."""
    facts = st.tuples(
        st.sampled_from(RECIPIENTS),
        st.booleans(),
        st.sampled_from([None, None, 2, 30]),
        st.sampled_from([None, None, None, 20]),
    )
    acts = [DecisionAct.GRANT] * 3 + RESTS_ON.get(purpose, []) * 2 + list(CLOSING)
    return st.tuples(st.just("act"), st.integers(0, 2), st.sampled_from(acts), st.just(purpose), facts)


@dataclass
class Naive:
    """Everything that was accepted, in order; every answer is found by replaying it."""

    catalogue: object
    history: list[tuple] = field(default_factory=list)
    states: dict[SubjectId, Standing] = field(default_factory=dict)
    edition: int = 1
    material: int = 1
    child: SubjectId | None = None
    dead: set[SubjectId] = field(default_factory=set)

    def standing_decision(self, asked, track):
        """The act that speaks for a recipient on one track, and whether another recipient was granted."""
        latest = {}
        for act in self.history:
            if act["of"] != (asked.subject, asked.purpose) or (act["act"] in BASIS) != (track == "basis"):
                continue
            reached = [act["recipient"]]
            if act["act"] in CLOSING and act["recipient"] is None:
                reached += list(latest)
            latest.update(dict.fromkeys(reached, act))
        found = latest.get(asked.recipient)
        general = latest.get(None)
        if found is None and general is not None:
            declared = asked.recipient in self.catalogue.purposes[asked.purpose].recipients
            found = general if declared or general["act"] in CLOSING else None
        return found, any(act["act"] not in CLOSING for act in latest.values())

    def on_track(self, asked, track):  # noqa: PLR0911 - one return a rule
        if self.catalogue.purposes[asked.purpose].per_recipient and asked.recipient is None:
            return Reason.RECIPIENT
        act, elsewhere = self.standing_decision(asked, track)
        if act is None:
            return Reason.RECIPIENT if elsewhere else Reason.NO_DECISION
        if act["act"] in CLOSING:
            return CLOSING[act["act"]]
        if act["from"] is not None and asked.now < act["from"]:
            return Reason.SCOPE
        if act["until"] is not None and act["until"] <= asked.now:
            return Reason.EXPIRED
        if track == "consent" and act["edition"] < self.material:
            return Reason.RECONSENT
        if track == "consent" and asked.subject == self.child and not act["by_guardian"]:
            return Reason.GUARDIAN
        return Reason.SCOPE if act["fields"] is not None and asked.code not in act["fields"] else None

    def answer(self, asked):  # noqa: C901, PLR0911 - one return a rule
        state = self.states.get(asked.subject)
        if state in (Standing.ERASING, Standing.ERASED):
            return Reason.ERASED
        is_held = state is Standing.RESTRICTED or asked.subject in self.dead
        if is_held and asked.purpose not in ("P05", "P13"):
            return Reason.RESTRICTED
        declared = self.catalogue.fields.get(asked.code)
        if declared is None:
            return Reason.UNKNOWN_FIELD
        if asked.purpose not in declared.purposes:
            return Reason.PURPOSE_FIELD
        if asked.recipient is not None and asked.purpose not in SHARED:
            return Reason.RECIPIENT  # the recipients of the tests are registered for sharing alone
        if state is None:
            return Reason.NO_DECISION
        if declared.consent is ConsentKind.NONE:
            return None
        consent, basis = self.on_track(asked, "consent"), self.on_track(asked, "basis")
        if asked.purpose == declared.collect and declared.consent is ConsentKind.CONTRACT:
            if consent is None or basis is None:
                return None
            return basis if consent is Reason.NO_DECISION else consent
        if asked.purpose == declared.collect or self.catalogue.purposes[asked.purpose].withdrawable:
            return consent
        return basis


class Asked(NamedTuple):
    """One question to the model."""

    subject: SubjectId
    purpose: str
    recipient: str | None
    code: str
    now: datetime


class Story(NamedTuple):
    """Who and what one history is about."""

    office: object
    model: Naive
    people: list[SubjectId]
    guardian: SubjectId
    notice: str


@pytest.fixture(scope="module")
def shared(offices, tmp_path_factory):
    """One store for all histories; each brings its own subjects and its own notice."""
    return offices(f"sqlite:///{tmp_path_factory.mktemp('model') / 'data.db'}")


def play(story, step):
    """Do one step on both sides; the model takes over what the registry accepted."""
    office, model, people = story.office, story.model, story.people
    match step:
        case ("wait", hours):
            office.clock.advance(timedelta(hours=hours))
        case ("publish", material):
            model.edition += 1
            model.material = model.edition if material else model.material
            table = ({"field": "x", "why": str(model.material)},)
            office.publish(code=story.notice, version=str(model.edition), collected=table)
        case ("state", index, state):
            try:
                with office.database.write() as connection:
                    set_standing(connection, people[index], state, now=office.clock.now())
            except BadInput:
                return
            model.states[people[index]] = state
        case ("death", index, True):
            with office.database.write() as connection:
                set_deceased(connection, people[index], no_kin=False, now=office.clock.now())
            model.dead.add(people[index])
        case ("act", index, *facts):
            play_act(story, people[index], *facts)


def play_act(story, subject, act, purpose, facts):
    office, model = story.office, story.model
    recipient, narrow, days, later = facts
    opens = act not in CLOSING
    # A child's acts alternate between the child and its guardian.
    by_guardian = subject == model.child and len(model.history) % 2 == 0
    changes = {
        "recipient": recipient,
        "evidence": {"mechanism": "checkbox", "occasion": "own"},
        "fields": frozenset(sorted(model.catalogue.fields_by_purpose[purpose])[:1]) if opens and narrow else None,
        "valid_until": office.clock.now() + timedelta(days=days) if opens and days else None,
        "valid_from": office.clock.now() + timedelta(hours=later) if opens and later else None,
        "notice": office.latest(story.notice) if act is DecisionAct.GRANT else None,
    }
    if by_guardian:
        changes |= {"actor_kind": ActorKind.GUARDIAN, "actor_subject": story.guardian}
    try:
        office.record(subject, act, purpose, **changes)
    except (BadInput, Denied):
        return
    model.history.append(
        {
            "of": (subject, purpose),
            "recipient": recipient,
            "act": act,
            "until": changes["valid_until"],
            "from": changes["valid_from"],
            "fields": changes["fields"],
            "edition": model.edition,
            "by_guardian": by_guardian,
        }
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=histories())
def test_gate_agrees_with_the_replayed_history(shared, drawn):
    """After any history, check, check_each, check_many and preview_many say what a replay of all accepted acts says."""
    office, (purposes, history) = shared, drawn
    people = [office.subject(), office.subject(date(2015, 3, 1)), office.subject(date(1990, 3, 1))]
    model = Naive(office.catalogue, states=dict.fromkeys(people, Standing.ACTIVE), child=people[1])
    story = Story(office, model, people, office.subject(date(1988, 3, 1)), f"care-{secrets.token_hex(6)}")
    relate(office, people[1], story.guardian)
    office.publish(code=story.notice, collected=({"field": "x", "why": "1"},))
    for step in history:
        play(story, step)
    compare(office, model, [*people, SubjectId(new_id("sub"))], purposes)


def relate(office, child, guardian):
    with office.database.write() as connection:
        record_guardian(
            connection,
            subject=child,
            guardian=guardian,
            verification="household_register",
            asking=office.asking,
            log=office.journal,
            clock=office.clock,
        )


def compare(office, model, subjects, purposes):
    fields = [*office.catalogue.fields, "no_such_field"]
    now = office.clock.now()
    for purpose in purposes:
        for recipient in RECIPIENTS:
            expected = {
                subject: {code: model.answer(Asked(subject, purpose, recipient, code, now)) for code in fields}
                for subject in subjects
            }
            ask = {"asking": office.asking, "purpose": purpose, "fields": fields, "recipient": recipient}
            with office.database.write() as connection:
                assert office.gate.preview_many(connection, subjects=subjects, **ask) == expected
                compare_many(office.gate.check_many(connection, subjects=subjects, **ask), expected)
                subject = subjects[len(model.history) % len(subjects)]
                compare_one(office, connection, subject, expected[subject], ask)
                if recipient is None:
                    compare_each(office, connection, expected, purpose)


def compare_many(verdict, expected):
    refused = {
        subject: {code: reason for code, reason in reasons.items() if reason is not None}
        for subject, reasons in expected.items()
    }
    assert verdict.refused == {subject: reasons for subject, reasons in refused.items() if reasons}
    for subject, reasons in expected.items():
        for code, reason in reasons.items():
            permitted = verdict.permit is not None and verdict.permit.allows(subject, code)
            assert permitted == (reason is None)


def compare_each(office, connection, expected, purpose):
    """A plain yes for all fields that pass, by the same decisions as alone; never where one of the fields fails."""
    passing = {subject: [c for c, reason in reasons.items() if reason is None] for subject, reasons in expected.items()}
    asked = [Check(office.asking, purpose, subject, fields) for subject, fields in passing.items()]
    asked += [Check(office.asking, purpose, subject, list(reasons)) for subject, reasons in expected.items()]
    told = office.gate.check_each(connection, asked)
    assert told[len(passing) :] == [None] * len(expected)
    age = office.catalogue.digital_age
    counted = counted_subjects(read_situations(connection, passing, purpose=purpose, digital_age=age))
    is_emergency = LawfulBasis.EMERGENCY in office.catalogue.get_purpose(purpose).bases
    for (subject, fields), prospect in zip(passing.items(), told, strict=False):
        assert (prospect is None) == (not fields or is_emergency or subject in counted)
        if prospect is not None:
            permit = prospect.given(EntryId(new_id("ent")))
            alone = office.gate.check(connection, asking=office.asking, purpose=purpose, subject=subject, fields=fields)
            assert prospect.fields == permit.fields == alone.fields == set(fields)
            assert (permit.basis_of, permit.subjects, permit.narrowed) == (alone.basis_of, alone.subjects, {})
            assert (prospect.event.basis, prospect.event.fields) == (permit.basis_of[subject], tuple(sorted(fields)))


def compare_one(office, connection, subject, expected, ask):
    passing = [code for code, reason in expected.items() if reason is None]
    if passing:
        permit = office.gate.check(connection, subject=subject, **(ask | {"fields": passing}))
        assert permit.fields_for(subject) == set(passing)
    refusal = office.gate.check(connection, subject=subject, **ask)
    assert refusal.reasons == {code: reason for code, reason in expected.items() if reason is not None}
