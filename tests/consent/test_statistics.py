"""Figures per purpose and period, checked against acts that are counted by hand, on both engines."""

from datetime import timedelta

import pytest

from consent.registry import ActorKind, DecisionAct
from consent.standing import Standing, set_standing
from consent.statistics import count_decisions


@pytest.fixture
def counted(either_office):
    """Counts what an office recorded between two instants, by purpose."""

    def count(start=None, end=None):
        now = either_office.clock.now() + timedelta(seconds=1)
        with either_office.database.read() as connection:
            found = count_decisions(connection, start or now - timedelta(days=400), end or now)
        return {one.purpose: one for one in found}

    return count


def test_acts_are_counted_once_however_many_recipients_they_reach(either_office, counted):
    """Two grants for two recipients, and one withdrawal that reaches both and the controller."""
    office = either_office
    person = office.subject()
    office.grant(person, "P11", recipient="insurer_a")
    office.grant(person, "P11", recipient="insurer_b")
    assert counted()["P11"].in_force == 1
    office.withdraw(person, "P11")
    found = counted()["P11"]
    assert found.acts == {DecisionAct.GRANT: 2, DecisionAct.WITHDRAW: 1}
    assert found.in_force == 0


def test_every_kind_of_act_is_counted_in_its_period(either_office, counted):
    """Refused, renewed and contract acts; what was recorded before the period counts at its end only."""
    office = either_office
    one, two = office.subject(), office.subject()
    office.grant(one, "P08")
    office.clock.advance(timedelta(days=1))
    begin = office.clock.now()
    office.record(two, DecisionAct.REFUSE, "P08")
    office.record(one, DecisionAct.RENEW, "P08")
    office.record(one, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR)
    found = counted(start=begin)
    assert found["P08"].acts == {DecisionAct.REFUSE: 1, DecisionAct.RENEW: 1}
    assert found["P08"].in_force == 1
    assert found["P02"].acts == {DecisionAct.CONTRACT: 1}
    assert found["P02"].in_force == 0
    assert counted(end=begin)["P08"].acts == {DecisionAct.GRANT: 1}


def test_median_time_runs_from_the_grant_to_its_withdrawal(either_office, counted):
    """Of 1, 3 and 10 days the middle one; of 1, 3, 10 and 20 the mean of the middle two; renewals do not start anew."""
    office = either_office
    people = {office.subject(): days for days in (1, 3, 10)}
    start = office.clock.now()
    for person in people:
        office.grant(person, "P08")
        office.record(person, DecisionAct.RENEW, "P08")
    never = office.subject()
    office.record(never, DecisionAct.REFUSE, "P08")
    office.withdraw(never, "P08")
    for person, days in people.items():
        office.clock.advance(start + timedelta(days=days) - office.clock.now())
        office.withdraw(person, "P08")
    assert round(counted()["P08"].withdrawn_after / timedelta(days=1), 2) == 3.0
    late = office.subject()
    office.grant(late, "P08")
    office.clock.advance(timedelta(days=20))
    office.withdraw(late, "P08")
    assert round(counted()["P08"].withdrawn_after / timedelta(days=1), 2) == 6.5


def test_what_is_over_not_begun_or_erased_is_not_in_force(either_office, counted):
    """Validity is half open, and nobody erased stands for anything."""
    office = either_office
    now = office.clock.now()
    over, later, gone, stays = (office.subject() for _ in range(4))
    office.grant(over, "P08", valid_until=now + timedelta(hours=1))
    office.grant(later, "P08", valid_from=now + timedelta(days=9))
    office.grant(gone, "P08")
    office.grant(stays, "P08")
    assert counted()["P08"].in_force == 3
    office.clock.advance(timedelta(hours=2))
    with office.database.write() as connection:
        set_standing(connection, gone, Standing.ERASING, now=office.clock.now())
    assert counted()["P08"].in_force == 1


def test_empty_register_has_no_figures(counted):
    """No purpose, no row."""
    assert counted() == {}
