"""Guardians and agents: verified, bounded, logged, and followed by the registry."""

from datetime import date, timedelta

import pytest

from consent.deaths import record_death
from consent.gate import Reason
from consent.guardians import (
    agents_of,
    end_agent,
    end_guardian,
    guardians_of,
    kin_of,
    record_agent,
    record_guardian,
    record_kin,
)
from consent.registry import ActorKind, ActorNotEntitled, DecisionAct, GuardianNeeded, SubjectDeceased
from consent.standing import Standing, get_standing, set_standing
from kernel.errors import BadInput, Conflict, NotFound
from kernel.ids import SubjectId, new_id

CHILD = date(2014, 5, 20)


@pytest.fixture
def desk(either_office):
    """Records relations over the office's store."""
    return Desk(either_office)


class Desk:
    def __init__(self, office):
        self.office = office
        self.who = {"asking": office.asking, "log": office.journal, "clock": office.clock}

    def guardian(self, subject, guardian, verification="household_register"):
        with self.office.database.write() as connection:
            return record_guardian(
                connection, subject=subject, guardian=guardian, verification=verification, **self.who
            )

    def agent(self, subject, agent, purposes=("P06",), days=30):
        expires_at = self.office.clock.now() + timedelta(days=days)
        with self.office.database.write() as connection:
            return record_agent(
                connection, subject=subject, agent=agent, purposes=purposes, expires_at=expires_at, **self.who
            )

    def kin(self, subject, kin):
        with self.office.database.write() as connection:
            return record_kin(connection, subject=subject, kin=kin, verification="death_register", **self.who)

    def death(self, subject, *, no_kin=False):
        with self.office.database.write() as connection:
            return record_death(connection, subject, no_kin=no_kin, **self.who)

    def end(self, ending, relation_id):
        with self.office.database.write() as connection:
            ending(connection, relation_id, **self.who)

    def revision(self, subject):
        with self.office.database.read() as connection:
            return get_standing(connection, subject).revision


def test_guardian_of_a_child_ends_with_majority(desk):
    """The relation ends by itself on the ward's day of majority."""
    child, parent = desk.office.subject(CHILD), desk.office.subject()
    found = desk.guardian(child, parent)
    assert found.ends_on == date(2032, 6, 1)
    with desk.office.database.read() as connection:
        assert guardians_of(connection, child) == [found]
    assert found.is_live(desk.office.clock.now())
    desk.office.clock.advance(date(2032, 6, 1) - desk.office.clock.now().date())
    assert not found.is_live(desk.office.clock.now())


def test_guardian_leaves_an_entry_and_moves_the_revision(desk):
    """The log holds both by alias, and the method of verification."""
    child, parent = desk.office.subject(CHILD), desk.office.subject()
    found = desk.guardian(child, parent)
    entry = desk.office.entries()[-1]
    assert entry["act"] == "guardian.recorded"
    assert entry["refs"]["relation"] == found.relation_id
    assert entry["refs"]["verification"] == "household_register"
    assert parent not in str(entry)
    assert desk.revision(child) == 2


def test_same_guardian_again_changes_nothing(desk):
    """A live relation is recorded once."""
    child, parent = desk.office.subject(CHILD), desk.office.subject()
    first = desk.guardian(child, parent)
    assert desk.guardian(child, parent) == first
    assert desk.revision(child) == 2


def test_adult_ward_has_no_end(desk):
    """An adult ward's guardianship rests on its verification and has no day of majority."""
    assert desk.guardian(desk.office.subject(date(1950, 1, 1)), desk.office.subject(), "court_order").ends_on is None


@pytest.mark.parametrize("verification", ["", "我说的", "Two words", "x"])
def test_guardian_needs_a_verification_by_name(desk, verification):
    """What stands in the log is the name of a method, never a person's words."""
    with pytest.raises(BadInput, match="verification"):
        desk.guardian(desk.office.subject(CHILD), desk.office.subject(), verification)


def test_minors_and_oneself_stand_in_for_nobody(desk):
    """A guardian is another person, and grown up."""
    child, sibling = desk.office.subject(CHILD), desk.office.subject(date(2010, 1, 1))
    for guardian in (child, sibling):
        with pytest.raises(ActorNotEntitled):
            desk.guardian(child, guardian)


def test_both_must_be_registered_and_present(desk):
    """Unknown and erased subjects take part in no relation."""
    office = desk.office
    child, gone = office.subject(CHILD), office.subject()
    with pytest.raises(NotFound):
        desk.guardian(child, SubjectId(new_id("sub")))
    with office.database.write() as connection:
        set_standing(connection, gone, Standing.ERASING, now=office.clock.now())
    with pytest.raises(Conflict, match=gone):
        desk.guardian(child, gone)


def test_ended_guardian_decides_no_more(desk):
    """After the end a new grant is refused; what was granted stays."""
    office = desk.office
    child, parent = office.subject(CHILD), office.subject()
    found = desk.guardian(child, parent)
    as_guardian = {"actor_kind": ActorKind.GUARDIAN, "actor_subject": parent}
    office.grant(child, "P06", **as_guardian)
    desk.end(end_guardian, found.relation_id)
    assert office.entries()[-1]["act"] == "guardian.ended"
    with pytest.raises(ActorNotEntitled, match=parent):
        office.grant(child, "P07", **as_guardian)
    assert office.reason(child, "P06", "reading") is None
    with pytest.raises(NotFound, match=found.relation_id):
        desk.end(end_guardian, found.relation_id)
    again = desk.guardian(child, parent)
    assert again.relation_id != found.relation_id


def test_stranger_is_no_guardian(desk):
    """Nobody decides for another without a recorded relation."""
    office = desk.office
    child, stranger = office.subject(CHILD), office.subject()
    with pytest.raises(ActorNotEntitled):
        office.grant(child, "P06", actor_kind=ActorKind.GUARDIAN, actor_subject=stranger)


def test_agent_decides_within_purposes_and_time(desk):
    """An agent's authority ends at its purposes and its end."""
    office = desk.office
    elder, daughter = office.subject(), office.subject()
    found = desk.agent(elder, daughter)
    with office.database.read() as connection:
        assert agents_of(connection, elder) == [found]
    as_agent = {"actor_kind": ActorKind.AGENT, "actor_subject": daughter}
    office.grant(elder, "P06", **as_agent)
    assert office.reason(elder, "P06", "reading") is None
    with pytest.raises(ActorNotEntitled, match="P07"):
        office.grant(elder, "P07", **as_agent)
    office.clock.advance(timedelta(days=30))
    with pytest.raises(ActorNotEntitled):
        office.record(elder, DecisionAct.WITHDRAW, "P06", **as_agent)


def test_agents_grant_is_not_a_guardians(desk):
    """For a child an agent grants nothing, and may still withdraw (R21)."""
    office = desk.office
    child, aunt = office.subject(CHILD), office.subject()
    desk.agent(child, aunt)
    as_agent = {"actor_kind": ActorKind.AGENT, "actor_subject": aunt}
    with pytest.raises(GuardianNeeded, match=child):
        office.grant(child, "P06", **as_agent)
    office.withdraw(child, "P06", **as_agent)
    assert office.reason(child, "P06", "reading") is Reason.WITHDRAWN


def test_ended_agent_decides_no_more(desk):
    """An authority can be taken back at once."""
    office = desk.office
    elder, daughter = office.subject(), office.subject()
    found = desk.agent(elder, daughter)
    desk.end(end_agent, found.relation_id)
    with pytest.raises(ActorNotEntitled):
        office.grant(elder, "P06", actor_kind=ActorKind.AGENT, actor_subject=daughter)
    assert office.entries()[-1]["act"] == "agent.ended"
    with pytest.raises(NotFound):
        desk.end(end_agent, "agt_unknown")


@pytest.mark.parametrize(("purposes", "days"), [((), 30), (("P06", "not a code"), 30), (("P06",), 0)])
def test_agent_needs_purposes_and_an_end(desk, purposes, days):
    """An authority for nothing, for words or for no time is refused."""
    with pytest.raises(BadInput):
        desk.agent(desk.office.subject(), desk.office.subject(), purposes, days)


def test_guardian_of_unknown_age_is_refused(desk):
    """Somebody whose age nobody knows could be a child (R21)."""
    with pytest.raises(ActorNotEntitled, match="unknown age"):
        desk.guardian(desk.office.subject(CHILD), desk.office.subject(None))


def test_kin_is_recorded_for_the_dead_alone(desk):
    """Kin acts after a death that is recorded, and never against the directive of the deceased (R29)."""
    office = desk.office
    mother, private, daughter = office.subject(), office.subject(), office.subject()
    with pytest.raises(ActorNotEntitled, match="lives"):
        desk.kin(mother, daughter)
    desk.death(mother)
    found = desk.kin(mother, daughter)
    assert desk.kin(mother, daughter) == found
    with office.database.read() as connection:
        assert kin_of(connection, mother) == [found]
        assert guardians_of(connection, mother) == []
    desk.death(private, no_kin=True)
    with pytest.raises(ActorNotEntitled, match="directed"):
        desk.kin(private, daughter)


def test_death_ends_every_relation(desk):
    """Who has died decides for nobody, and nobody but kin for them; each end has its entry (R29)."""
    office = desk.office
    child, parent, elder = office.subject(CHILD), office.subject(), office.subject()
    desk.guardian(child, parent)
    desk.agent(elder, parent)
    before = desk.revision(child)
    told = desk.death(parent)
    acts = [(entry["act"], entry.get("reason")) for entry in office.entries()[-3:]]
    assert acts == [("subject.deceased", None), ("guardian.ended", "DECEASED"), ("agent.ended", "DECEASED")]
    assert office.entries()[-3]["id"] == told
    assert office.entries()[-3]["refs"]["no_kin"] == "false"
    assert desk.revision(child) == before + 1
    with pytest.raises(ActorNotEntitled):
        office.grant(child, "P06", actor_kind=ActorKind.GUARDIAN, actor_subject=parent)
    for relate in (desk.guardian, desk.agent):
        with pytest.raises(SubjectDeceased):
            relate(parent, elder)
        with pytest.raises(ActorNotEntitled, match="is deceased"):
            relate(elder, parent)


def test_death_is_recorded_once(desk):
    """The same again changes nothing; another directive needs a person to look."""
    subject = desk.office.subject()
    assert desk.death(subject) is not None
    count = len(desk.office.entries())
    assert desk.death(subject) is None
    assert len(desk.office.entries()) == count
    with pytest.raises(Conflict, match="directive"):
        desk.death(subject, no_kin=True)
