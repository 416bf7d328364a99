"""The gate against a naive model that replays the whole history for every question."""

import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.gate import Reason
from consent.guardians import record_guardian
from consent.registry import ActorKind, DecisionAct
from consent.standing import Standing, set_standing
from kernel.catalogue import ConsentKind
from kernel.errors import BadInput, Denied
from kernel.ids import SubjectId, new_id

PURPOSES = ["P01", "P02", "P05", "P06", "P07", "P08", "P11", "P12", "P13", "P15"]
RECIPIENTS = [None, "lab", "insurer"]
CLOSING = {DecisionAct.REFUSE: Reason.REFUSED, DecisionAct.WITHDRAW: Reason.WITHDRAWN}
BASIS = {DecisionAct.CONTRACT, DecisionAct.DUTY}

acts = st.tuples(
    st.just("act"),
    st.integers(0, 2),
    # Weighted, so that most histories open something before they close it.
    st.sampled_from([DecisionAct.GRANT] * 4 + [DecisionAct.CONTRACT, DecisionAct.DUTY] + list(CLOSING) * 2),
    st.sampled_from(PURPOSES),
    st.sampled_from(RECIPIENTS),
    st.booleans(),
    st.sampled_from([None, None, 2, 30]),
)
steps = st.one_of(
    acts,
    acts,
    acts,
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("state"), st.integers(0, 2), st.sampled_from(list(Standing))),
    st.tuples(st.just("publish"), st.booleans()),
)


@dataclass
class Naive:
    """Everything that was accepted, in order; every answer is found by replaying it."""

    catalogue: object
    history: list[tuple] = field(default_factory=list)
    states: dict[SubjectId, Standing] = field(default_factory=dict)
    edition: int = 1
    material: int = 1
    child: SubjectId | None = None

    def standing_decision(self, subject, purpose, recipient, track):
        """The act that speaks for a recipient on one track, and whether another recipient was granted."""
        latest = {}
        for act in self.history:
            if act["subject"] != subject or act["purpose"] != purpose or (act["act"] in BASIS) != (track == "basis"):
                continue
            reached = [act["recipient"]]
            if act["act"] in CLOSING and act["recipient"] is None:
                reached += list(latest)
            latest.update(dict.fromkeys(reached, act))
        found = latest.get(recipient)
        general = latest.get(None)
        if found is None and general is not None:
            declared = recipient in self.catalogue.purposes[purpose].recipients
            found = general if declared or general["act"] in CLOSING else None
        return found, any(act["act"] not in CLOSING for act in latest.values())

    def on_track(self, subject, purpose, recipient, code, now, track):
        if self.catalogue.purposes[purpose].per_recipient and recipient is None:
            return Reason.RECIPIENT
        act, elsewhere = self.standing_decision(subject, purpose, recipient, track)
        if act is None:
            return Reason.RECIPIENT if elsewhere else Reason.NO_DECISION
        if act["act"] in CLOSING:
            return CLOSING[act["act"]]
        if act["until"] is not None and act["until"] <= now:
            return Reason.EXPIRED
        if track == "consent" and act["edition"] < self.material:
            return Reason.RECONSENT
        if track == "consent" and subject == self.child and not act["by_guardian"]:
            return Reason.GUARDIAN
        return Reason.SCOPE if act["fields"] is not None and code not in act["fields"] else None

    def answer(self, subject, purpose, recipient, code, now):
        state = self.states.get(subject)
        if state in (Standing.ERASING, Standing.ERASED):
            return Reason.ERASED
        if state is Standing.RESTRICTED and purpose not in ("P05", "P13"):
            return Reason.RESTRICTED
        declared = self.catalogue.fields.get(code)
        if declared is None:
            return Reason.UNKNOWN_FIELD
        if purpose not in declared.purposes:
            return Reason.PURPOSE_FIELD
        if state is None:
            return Reason.NO_DECISION
        if declared.consent is ConsentKind.NONE:
            return None
        consent = self.on_track(subject, purpose, recipient, code, now, "consent")
        basis = self.on_track(subject, purpose, recipient, code, now, "basis")
        if purpose == declared.collect and declared.consent is ConsentKind.CONTRACT:
            if consent is None or basis is None:
                return None
            return basis if consent is Reason.NO_DECISION else consent
        if purpose == declared.collect or self.catalogue.purposes[purpose].withdrawable:
            return consent
        return basis


@pytest.fixture(scope="module")
def shared(offices, tmp_path_factory):
    """One store for all histories; each brings its own subjects and its own notice."""
    return offices(f"sqlite:///{tmp_path_factory.mktemp('model') / 'data.db'}")


def play(office, model, people, guardian, code, step):
    """Do one step on both sides; the model takes over what the registry accepted."""
    match step:
        case ("wait", hours):
            office.clock.advance(timedelta(hours=hours))
        case ("publish", material):
            model.edition += 1
            model.material = model.edition if material else model.material
            office.publish(
                code=code, version=str(model.edition), collected=({"field": "x", "why": str(model.material)},)
            )
        case ("state", index, state):
            try:
                with office.database.write() as connection:
                    set_standing(connection, people[index], state)
            except BadInput:
                return
            model.states[people[index]] = state
        case ("act", index, act, purpose, recipient, narrow, days):
            play_act(office, model, people[index], guardian, code, act, purpose, recipient, narrow, days)


def play_act(office, model, subject, guardian, code, act, purpose, recipient, narrow, days):
    opens = act not in CLOSING
    # A child's acts alternate between the child and its guardian.
    by_guardian = subject == model.child and len(model.history) % 2 == 0
    fields = frozenset(sorted(model.catalogue.fields_by_purpose[purpose])[:1]) if opens and narrow else None
    until = office.clock.now() + timedelta(days=days) if opens and days else None
    notice = office.latest(code) if act is DecisionAct.GRANT else None
    actor = {"actor_kind": ActorKind.GUARDIAN, "actor_subject": guardian} if by_guardian else {}
    try:
        office.record(
            subject, act, purpose, recipient=recipient, fields=fields, valid_until=until, notice=notice, **actor
        )
    except (BadInput, Denied):
        return
    model.history.append(
        {
            "subject": subject,
            "purpose": purpose,
            "recipient": recipient,
            "act": act,
            "until": until,
            "fields": fields,
            "edition": model.edition,
            "by_guardian": by_guardian,
        }
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=st.lists(steps, min_size=3, max_size=25))
def test_gate_agrees_with_the_replayed_history(shared, story):
    """After any history, check, check_many and preview_many say what a replay of all accepted acts says."""
    office, code = shared, f"care-{secrets.token_hex(6)}"
    people = [office.subject(), office.subject(date(2015, 3, 1)), office.subject(date(1990, 3, 1))]
    guardian = office.subject(date(1988, 3, 1))
    relate(office, people[1], guardian)
    model = Naive(office.catalogue, states=dict.fromkeys(people, Standing.ACTIVE), child=people[1])
    office.publish(code=code, collected=({"field": "x", "why": "1"},))
    for step in story:
        play(office, model, people, guardian, code, step)
    compare(office, model, [*people, SubjectId(new_id("sub"))])


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


def compare(office, model, subjects):
    fields = [*office.catalogue.fields, "no_such_field"]
    now = office.clock.now()
    for purpose in PURPOSES:
        for recipient in RECIPIENTS:
            expected = {
                subject: {code: model.answer(subject, purpose, recipient, code, now) for code in fields}
                for subject in subjects
            }
            ask = {"asking": office.asking, "purpose": purpose, "fields": fields, "recipient": recipient}
            with office.database.write() as connection:
                assert office.gate.preview_many(connection, subjects=subjects, **ask) == expected
                compare_many(office.gate.check_many(connection, subjects=subjects, **ask), expected)
                subject = subjects[len(model.history) % len(subjects)]
                compare_one(office, connection, subject, expected[subject], ask)


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


def compare_one(office, connection, subject, expected, ask):
    passing = [code for code, reason in expected.items() if reason is None]
    if passing:
        permit = office.gate.check(connection, subject=subject, **(ask | {"fields": passing}))
        assert permit.fields_for(subject) == set(passing)
    refusal = office.gate.check(connection, subject=subject, **ask)
    assert refusal.reasons == {code: reason for code, reason in expected.items() if reason is not None}
