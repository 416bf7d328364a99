"""Who may say yes: age, guardians who disagree, death, and the time that must pass after a refusal."""

import dataclasses
from datetime import date, timedelta

import pytest

from consent.cohorts import CohortQuestion, check_cohort
from consent.deaths import record_death
from consent.gate import Reason
from consent.guardians import end_guardian, record_agent, record_guardian, record_kin
from consent.registry import (
    ActorKind,
    ActorNotEntitled,
    CoolDown,
    DecidedEarlier,
    DecisionAct,
    GuardianNeeded,
    GuardiansDisagree,
    Registry,
    SubjectDeceased,
)
from consent.standing import Standing, register_subjects, set_deceased, set_standing
from kernel.errors import BadInput
from tests.consent.conftest import CARE, CHILD_CARE, PlainSealer, open_office

CHILD = date(2014, 5, 20)
AT_FOURTEEN = date(2028, 6, 1)
OWN = {"mechanism": "switch", "occasion": "own"}
PROMPT = {"mechanism": "dialogue", "occasion": "prompt"}


def relate(office, recording=record_guardian, **who):
    with office.database.write() as connection:
        return recording(
            connection,
            **who,
            verification="household_register",
            asking=office.asking,
            log=office.journal,
            clock=office.clock,
        )


def guardian_of(office, child):
    parent = office.subject()
    relation = relate(office, subject=child, guardian=parent)
    return {"actor_kind": ActorKind.GUARDIAN, "actor_subject": parent}, relation.relation_id


def die(office, subject, *, no_kin=False):
    with office.database.write() as connection:
        record_death(connection, subject, no_kin=no_kin, asking=office.asking, log=office.journal, clock=office.clock)


def go_to(office, day):
    office.clock.advance(day - office.clock.now().date())


@pytest.mark.parametrize("act", [DecisionAct.GRANT, DecisionAct.RENEW])
def test_child_says_yes_through_a_guardian_alone(office, act):
    """A child's own yes is refused and leaves nothing; the verified guardian's counts (R21)."""
    child = office.subject(CHILD)
    entries = len(office.entries())
    with pytest.raises(GuardianNeeded, match=child):
        office.record(child, act, "P06")
    assert len(office.entries()) == entries
    parent, _ = guardian_of(office, child)
    granted = office.grant(child, "P06", **parent)
    assert granted.actor_subject == parent["actor_subject"]
    assert office.reason(child, "P06", "reading") is None


def test_guardian_is_shown_a_notice_for_children(office):
    """A yes for a child rests on words that are written for this audience (R21)."""
    child = office.subject(CHILD)
    parent, _ = guardian_of(office, child)
    with pytest.raises(BadInput, match="not written for children"):
        office.grant(child, "P06", notice=CARE, **parent)
    assert office.grant(child, "P06", notice=CHILD_CARE, **parent)


def test_no_and_contract_rest_on_any_notice(office):
    """Only a yes needs the words for children: what closes, or a contract, may name the general notice (R21)."""
    child = office.subject(CHILD)
    parent, _ = guardian_of(office, child)
    assert office.record(child, DecisionAct.REFUSE, "P06", notice=CARE, **parent)
    assert office.record(child, DecisionAct.CONTRACT, "P02", notice=CARE, actor_kind=ActorKind.OPERATOR)


def test_guardian_of_a_ward_who_has_come_of_age_says_yes(office):
    """Whom a court gives a guardian after majority is spoken for again, though it was registered as a child (R21)."""
    ward = office.subject(CHILD)
    go_to(office, date(2032, 6, 1))
    guardian, _ = guardian_of(office, ward)
    assert office.grant(ward, "P06", notice=CARE, **guardian)


def test_child_may_always_say_no(office):
    """What closes needs nobody's leave."""
    child = office.subject(CHILD)
    parent, _ = guardian_of(office, child)
    office.grant(child, "P06", **parent)
    office.withdraw(child, "P06")
    assert office.reason(child, "P06", "reading") is Reason.WITHDRAWN


def test_guardian_only_closes_from_the_digital_age_on(office):
    """From fourteen the person says yes itself; until majority a guardian may still refuse and withdraw (R21)."""
    child = office.subject(CHILD)
    parent, _ = guardian_of(office, child)
    office.grant(child, "P06", **parent)
    go_to(office, AT_FOURTEEN)
    assert office.reason(child, "P06", "reading") is None
    with pytest.raises(ActorNotEntitled, match="has reached the age"):
        office.grant(child, "P07", notice=CARE, **parent)
    office.grant(child, "P08")
    office.withdraw(child, "P06", **parent)
    assert office.reason(child, "P06", "reading") is Reason.WITHDRAWN


def test_digital_age_is_the_packs(office):
    """Where the law says sixteen, a person of fourteen needs a guardian (R23)."""
    catalogue = dataclasses.replace(office.catalogue, digital_age=16)
    office.registry = Registry(catalogue, office.journal, PlainSealer(), office.clock)
    youth = office.subject(date(2011, 5, 20))
    with pytest.raises(GuardianNeeded):
        office.grant(youth, "P06")
    parent, _ = guardian_of(office, youth)
    office.grant(youth, "P06", **parent)
    go_to(office, date(2027, 6, 1))
    assert office.grant(youth, "P07")


def test_child_of_the_day_before_is_a_child(office):
    """The earlier of the two days counts, so that a clock that runs ahead makes nobody older (R23)."""
    child = office.subject(CHILD)
    go_to(office, AT_FOURTEEN)
    office.clock.advance(-timedelta(hours=2, minutes=2))
    assert office.clock.now().date() < AT_FOURTEEN
    with pytest.raises(GuardianNeeded):
        office.grant(child, "P06", decided_at=office.clock.now() + timedelta(minutes=4))


@pytest.mark.parametrize(("digital_age", "birth_date"), [(16, date(2011, 5, 20)), (13, date(2013, 5, 20))])
def test_who_is_a_child_is_the_packs(either_office, digital_age, birth_date):
    """A person of fifteen is a child where the law says sixteen, one of thirteen is none where it says so (R23)."""
    ours = either_office
    theirs = open_office(ours.database, ours.clock, dataclasses.replace(ours.catalogue, digital_age=digital_age))
    person = ours.subject(birth_date)
    strict, lenient = (theirs, ours) if digital_age > ours.catalogue.digital_age else (ours, theirs)
    with pytest.raises(GuardianNeeded):
        strict.grant(person, "P06")
    lenient.grant(person, "P06")
    for office, expected in ((lenient, None), (strict, Reason.GUARDIAN)):
        assert office.reason(person, "P06", "reading") is expected
        asked = CohortQuestion(office.asking, "P06", frozenset({"reading"}), None, [person])
        done = check_cohort(office.database, asked, catalogue=office.catalogue, log=office.journal, clock=office.clock)
        assert done.permitted == (expected is None)


def test_yes_of_a_child_stays_one_however_late_it_arrives(office):
    """What a child said without a network the day before counts as a child's, sent when it has grown up (R21)."""
    child = office.subject(CHILD)
    go_to(office, AT_FOURTEEN + timedelta(days=3))
    the_day_before = office.clock.now() - timedelta(days=4)
    with pytest.raises(GuardianNeeded):
        office.grant(child, "P06", decided_at=the_day_before)
    assert office.grant(child, "P06", decided_at=the_day_before + timedelta(days=1))


def test_yes_of_a_guardian_is_too_late_once_the_child_has_grown_up(office):
    """Dated before and recorded after the day on which the person decides by itself, it opens nothing (R21)."""
    child = office.subject(CHILD)
    parent, _ = guardian_of(office, child)
    go_to(office, AT_FOURTEEN)
    with pytest.raises(ActorNotEntitled, match="has reached the age"):
        office.grant(child, "P06", decided_at=office.clock.now() - timedelta(days=1), **parent)


def test_cool_down_ends_on_the_second(office):
    """Half open: a prompted yes counts from the instant at which the forty-eight hours are over (R18)."""
    subject = office.subject()
    (refused,) = office.record(subject, DecisionAct.REFUSE, "P08")
    ends = refused.recorded_at + timedelta(hours=48)
    office.clock.advance(ends - office.clock.now() - timedelta(seconds=1))
    on_time = office.request(subject, DecisionAct.GRANT, "P08", evidence=PROMPT)
    assert on_time.decided_at == ends
    early = dataclasses.replace(on_time, decided_at=ends - timedelta(microseconds=1))
    with office.database.write() as connection:
        said = office.registry.record_many(connection, [early, on_time], asking=office.asking)
    assert [type(one) for one in said] == [CoolDown, tuple]


def test_guardians_who_disagree_open_nothing(either_office):
    """What one live guardian has closed another cannot open, however often it is closed again in between (R21)."""
    office = either_office
    child = office.subject(CHILD)
    (mother, relation), (father, _) = guardian_of(office, child), guardian_of(office, child)
    office.record(child, DecisionAct.REFUSE, "P06", **mother)
    with pytest.raises(GuardiansDisagree, match="P06"):
        office.grant(child, "P06", evidence=OWN, **father)
    office.withdraw(child, "P06", **father)
    office.withdraw(child, "P06")
    with pytest.raises(GuardiansDisagree, match=mother["actor_subject"]):
        office.grant(child, "P06", evidence=OWN, **father)
    with office.database.write() as connection:
        end_guardian(connection, relation, asking=office.asking, log=office.journal, clock=office.clock)
    assert office.grant(child, "P06", evidence=OWN, **father)


def test_guardian_opens_again_what_the_same_guardian_closed(office):
    """The one who said no may say yes, and then the other may renew it."""
    child = office.subject(CHILD)
    (mother, _), (father, _) = guardian_of(office, child), guardian_of(office, child)
    office.withdraw(child, "P06", **mother)
    office.grant(child, "P06", **mother)
    assert office.record(child, DecisionAct.RENEW, "P06", **father)


def test_what_a_batch_closes_no_act_of_it_opens(office):
    """What closes counts from its recording, and an act from a clock that runs ahead is not known to be later."""
    child = office.subject(CHILD)
    (mother, _), (father, _) = guardian_of(office, child), guardian_of(office, child)
    later = [office.clock.now() + timedelta(minutes=4, seconds=second) for second in range(3)]
    requests = [
        office.request(child, DecisionAct.REFUSE, "P06", **mother),
        office.request(child, DecisionAct.GRANT, "P06", evidence=OWN, decided_at=later[0], **father),
        office.request(child, DecisionAct.WITHDRAW, "P06", **mother),
        office.request(child, DecisionAct.GRANT, "P06", evidence=OWN, decided_at=later[1], **mother),
        office.request(child, DecisionAct.GRANT, "P06", evidence=OWN, decided_at=later[2], **father),
    ]
    with office.database.write() as connection:
        outcomes = office.registry.record_many(connection, requests, asking=office.asking)
    assert [type(outcome) for outcome in outcomes] == [tuple, DecidedEarlier, tuple, DecidedEarlier, DecidedEarlier]


def test_nothing_is_prompted_inside_the_cool_down(either_office):
    """After a refusal a prompted yes is refused for forty-eight hours; the person's own wish counts at once (R18)."""
    office = either_office
    subject, other = office.subject(), office.subject()
    for who in (subject, other):
        office.record(who, DecisionAct.REFUSE, "P08")
    for evidence in (PROMPT, {"mechanism": "checkbox"}):
        with pytest.raises(CoolDown, match="P08"):
            office.grant(subject, "P08", evidence=evidence)
    assert office.grant(other, "P08", evidence=OWN)
    office.clock.advance(timedelta(hours=48))
    assert office.grant(subject, "P08", evidence=PROMPT)


def test_fast_clock_does_not_shorten_the_cool_down(office):
    """The forty-eight hours are over by our clock, not by the device's (R18)."""
    subject = office.subject()
    office.record(subject, DecisionAct.REFUSE, "P08")
    office.clock.advance(timedelta(hours=47, minutes=57))
    with pytest.raises(CoolDown):
        office.grant(subject, "P08", decided_at=office.clock.now() + timedelta(minutes=4))


def test_withdrawal_starts_no_cool_down_and_hides_none(office):
    """Who withdraws may be asked again; who refused before is left alone all the same (R18)."""
    subject = office.subject()
    office.grant(subject, "P08")
    office.withdraw(subject, "P08")
    office.grant(subject, "P08")
    office.record(subject, DecisionAct.REFUSE, "P08")
    office.withdraw(subject, "P08")
    with pytest.raises(CoolDown):
        office.grant(subject, "P08")


def test_refusal_for_one_recipient_cools_down_for_it_alone(office):
    """Another recipient is another question; a general refusal is an answer for all (R18)."""
    subject = office.subject()
    office.record(subject, DecisionAct.REFUSE, "P11", recipient="insurer_a")
    assert office.grant(subject, "P11", recipient="insurer_b")
    with pytest.raises(CoolDown):
        office.grant(subject, "P11", recipient="insurer_a")
    office.record(subject, DecisionAct.REFUSE, "P11")
    with pytest.raises(CoolDown):
        office.grant(subject, "P11", recipient="insurer_b")


def test_cool_down_counts_from_the_last_refusal(office):
    """Who refuses again is left alone anew, also by a recipient that was never named (R18)."""
    subject = office.subject()
    for _ in range(2):
        office.record(subject, DecisionAct.REFUSE, "P11")
        office.clock.advance(timedelta(hours=25))
    with pytest.raises(CoolDown):
        office.grant(subject, "P11", recipient="insurer_a")


def test_refusal_of_consent_does_not_hold_off_a_contract(office):
    """A contract is no yes that somebody was prompted for (R18)."""
    subject = office.subject()
    office.record(subject, DecisionAct.REFUSE, "P02")
    assert office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR)


def test_backdated_yes_does_not_slip_under_the_cool_down(office):
    """The refusal counts from its recording; an older yes is told so first."""
    subject = office.subject()
    before = office.clock.now()
    office.record(subject, DecisionAct.REFUSE, "P08")
    with pytest.raises(DecidedEarlier):
        office.grant(subject, "P08", decided_at=before)


@pytest.mark.parametrize("act", [DecisionAct.GRANT, DecisionAct.CONTRACT, DecisionAct.DUTY])
def test_nothing_is_opened_for_the_dead(office, act):
    """Neither consent nor contract nor duty begins after a death, whoever records it (R29)."""
    subject = office.subject()
    die(office, subject)
    kind = ActorKind.SELF if act is DecisionAct.GRANT else ActorKind.OPERATOR
    with pytest.raises(SubjectDeceased, match=subject):
        office.record(subject, act, "P02", actor_kind=kind)


def test_kin_closes_for_the_dead_and_opens_nothing(office):
    """Verified kin may withdraw what the deceased had granted (R29)."""
    mother, daughter, stranger = office.subject(), office.subject(), office.subject()
    as_kin = {"actor_kind": ActorKind.KIN, "actor_subject": daughter}
    office.grant(mother, "P06")
    with pytest.raises(ActorNotEntitled, match="lives"):
        office.withdraw(mother, "P06", **as_kin)
    die(office, mother)
    relate(office, record_kin, subject=mother, kin=daughter)
    with pytest.raises(ActorNotEntitled, match="no verified kin"):
        office.withdraw(mother, "P06", actor_kind=ActorKind.KIN, actor_subject=stranger)
    with pytest.raises(ActorNotEntitled, match="Kin cannot grant"):
        office.grant(mother, "P06", **as_kin)
    (withdrawn,) = office.withdraw(mother, "P06", **as_kin)
    assert (withdrawn.actor_kind, withdrawn.actor_subject) == (ActorKind.KIN, daughter)


def test_directive_of_the_dead_keeps_kin_out(office):
    """Who has directed so while alive is spoken for by nobody (R29)."""
    subject, kin = office.subject(), office.subject()
    office.grant(subject, "P06")
    die(office, subject, no_kin=True)
    with pytest.raises(ActorNotEntitled, match="directed"):
        office.withdraw(subject, "P06", actor_kind=ActorKind.KIN, actor_subject=kin)


def test_unknown_age_that_becomes_known_is_followed(office):
    """A birth date that is learned later makes the next yes a guardian's (R21)."""
    subject = office.subject(None)
    office.grant(subject, "P08")
    with office.database.write() as connection:
        register_subjects(connection, {subject: CHILD}, clock=office.clock)
    with pytest.raises(GuardianNeeded):
        office.grant(subject, "P09")


def agent_of(office, subject, *purposes):
    agent = office.subject()
    with office.database.write() as connection:
        record_agent(
            connection,
            subject=subject,
            agent=agent,
            purposes=purposes,
            expires_at=office.clock.now() + timedelta(days=30),
            asking=office.asking,
            log=office.journal,
            clock=office.clock,
        )
    return {"actor_kind": ActorKind.AGENT, "actor_subject": agent}


def kin_of(office, subject):
    kin = office.subject()
    die(office, subject)
    relate(office, record_kin, subject=subject, kin=kin)
    return {"actor_kind": ActorKind.KIN, "actor_subject": kin}


def be_erased(office, connection, who):
    set_standing(connection, who, Standing.ERASING, now=office.clock.now())


def be_dead(office, connection, who):
    set_deceased(connection, who, no_kin=False, now=office.clock.now())


def be_a_child(office, connection, who):
    register_subjects(connection, {who: CHILD}, clock=office.clock)


@pytest.mark.parametrize("become", [be_erased, be_dead, be_a_child])
@pytest.mark.parametrize("role", ["guardian", "kin", "agent"])
def test_who_could_not_be_recorded_now_decides_no_longer(office, role, become):
    """The erased, the dead and those who turn out to be children decide for nobody, though a relation stands (R21)."""
    subject = office.subject(CHILD if role == "guardian" else date(1985, 3, 1))
    acting = {
        "guardian": lambda: guardian_of(office, subject)[0],
        "kin": lambda: kin_of(office, subject),
        "agent": lambda: agent_of(office, subject, "P06"),
    }[role]()
    assert office.withdraw(subject, "P06", **acting)
    with office.database.write() as connection:
        become(office, connection, acting["actor_subject"])
    with pytest.raises(ActorNotEntitled, match="decide"):
        office.withdraw(subject, "P06", **acting)


@pytest.mark.parametrize("no_kin", [False, True])
def test_nobody_is_the_dead_persons_own_voice(office, no_kin):
    """Whoever holds the phone of the dead, or was their agent, closes nothing either; a contract still ends (R29)."""
    subject = office.subject()
    office.grant(subject, "P06")
    office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR)
    agent = agent_of(office, subject, "P06")
    with office.database.write() as connection:
        set_deceased(connection, subject, no_kin=no_kin, now=office.clock.now())
    for acting in ({}, agent):
        with pytest.raises(SubjectDeceased, match="kin"):
            office.withdraw(subject, "P06", **acting)
    assert office.record(subject, DecisionAct.END, "P02", actor_kind=ActorKind.OPERATOR)


def test_ward_of_unknown_age_does_not_pass_over_its_guardian(office):
    """Who may be a child does not open what a live guardian has closed, nor does its agent (R21)."""
    ward = office.subject(None)
    mother, relation = guardian_of(office, ward)
    agent = agent_of(office, ward, "P06", "P07", "P08")
    for purpose in ("P06", "P07", "P08"):
        office.record(ward, DecisionAct.REFUSE, purpose, **mother)
    for acting in ({}, agent):
        with pytest.raises(GuardianNeeded, match=mother["actor_subject"]):
            office.grant(ward, "P06", evidence=OWN, **acting)
    assert office.grant(ward, "P06", evidence=OWN, **mother)
    with office.database.write() as connection:
        end_guardian(connection, relation, asking=office.asking, log=office.journal, clock=office.clock)
    assert office.grant(ward, "P07", evidence=OWN)


def test_ward_that_is_known_to_decide_alone_passes_over_its_guardian(office):
    """A youth above the digital age says yes itself, whatever a guardian has closed (R21)."""
    youth = office.subject(date(2011, 5, 20))
    mother, _ = guardian_of(office, youth)
    office.record(youth, DecisionAct.REFUSE, "P06", **mother)
    assert office.grant(youth, "P06", evidence=OWN)
