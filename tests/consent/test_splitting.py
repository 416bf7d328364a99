"""One subject who is two people: the new one begins with every no, with no yes, and with what binds the former."""

from datetime import date

import pytest

from consent.gate import Reason
from consent.registry import CoolDown, DecisionAct
from consent.standing import AgeClass, Standing, find_standings, set_deceased, set_standing
from kernel.errors import Conflict, NotFound
from kernel.ids import SubjectId, new_id


def split(office, origin):
    fresh = SubjectId(new_id("sub"))
    with office.database.write() as connection:
        made = office.registry.split(connection, origin=origin, fresh=fresh, asking=office.asking)
    return fresh, made


def standing(office, subject):
    with office.database.read() as connection:
        return find_standings(connection, [subject])[subject]


def test_no_binds_both_and_a_yes_stays_where_it_is(either_office):
    """Nobody can tell who gave the yes: the new subject is asked, the former goes on (R15)."""
    office = either_office
    origin = office.subject()
    office.grant(origin, "P08")
    office.grant(origin, "P07")
    office.withdraw(origin, "P07")
    fresh, made = split(office, origin)
    assert [(one.subject, one.purpose, one.act) for one in made] == [(fresh, "P07", DecisionAct.WITHDRAW)]
    assert office.reason(fresh, "P07", "sex") is Reason.WITHDRAWN
    assert office.reason(fresh, "P08", "topic") is Reason.NO_DECISION
    assert office.reason(origin, "P08", "topic") is None
    with office.database.read() as connection:
        evidence = office.registry.read_evidence(connection, made[0].decision_id)
    assert evidence["mechanism"] == "split"


def test_cool_down_of_a_refusal_binds_the_new_subject(office):
    """A refusal is not undone by becoming somebody else (R18)."""
    origin = office.subject()
    office.record(origin, DecisionAct.REFUSE, "P08")
    fresh, _ = split(office, origin)
    with pytest.raises(CoolDown):
        office.grant(fresh, "P08")


def test_legal_duty_holds_for_both_and_a_contract_does_not(office):
    """What the law asks to keep does not depend on whose it is; a contract was one person's."""
    origin = office.subject()
    office.record(origin, DecisionAct.DUTY, "P05")
    office.record(origin, DecisionAct.CONTRACT, "P02")
    fresh, made = split(office, origin)
    assert [one.act for one in made] == [DecisionAct.DUTY]
    assert office.reason(fresh, "P02", "name") is Reason.NO_DECISION


def test_child_stays_a_child_and_an_adults_age_is_unknown(office):
    """The stricter age counts until a birth date is known."""
    child = office.subject(birth_date=date(2016, 5, 20))
    fresh, _ = split(office, child)
    assert standing(office, fresh).age_class is AgeClass.UNDER_14
    adult = office.subject(birth_date=date(1980, 5, 20))
    fresh, _ = split(office, adult)
    assert standing(office, fresh).age_class is AgeClass.UNKNOWN


@pytest.mark.parametrize("why", ["restricted", "deceased"])
def test_restriction_or_death_leaves_the_new_subject_restricted(office, why):
    """Until somebody says otherwise nothing but storage and security passes (R16, R29)."""
    origin = office.subject()
    with office.database.write() as connection:
        if why == "deceased":
            set_deceased(connection, origin, no_kin=False, now=office.clock.now())
        else:
            set_standing(connection, origin, Standing.RESTRICTED, now=office.clock.now())
    fresh, _ = split(office, origin)
    found = standing(office, fresh)
    assert (found.state, found.deceased) == (Standing.RESTRICTED, False)


def test_merged_erased_or_unknown_subject_is_not_split(office):
    """There is nobody left to take records from."""
    kept, dropped = office.subject(), office.subject()
    with office.database.write() as connection:
        office.registry.merge(connection, kept=kept, dropped=dropped, asking=office.asking)
    with pytest.raises(Conflict, match="merged into"):
        split(office, dropped)
    with pytest.raises(NotFound):
        split(office, SubjectId(new_id("sub")))


def test_entry_of_the_registration_says_whom_it_was_split_from(office):
    """The log names the former subject by its alias, as everywhere."""
    origin = office.subject()
    split(office, origin)
    (registered,) = [entry for entry in office.entries() if entry["act"] == "subject.registered"]
    assert "split_from" in registered["refs"]
    assert str(origin) not in str(registered)
