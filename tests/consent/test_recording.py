"""What closes something is handed to the planner of the wake, in the transaction of the act and once a batch."""

from datetime import timedelta

import pytest

from consent.registry import ActorKind, DecisionAct, Registry
from consent.wake import Closing
from tests.consent.conftest import PlainSealer


class Planner:
    """Keeps what it is told."""

    def __init__(self):
        self.calls = []

    def plan(self, connection, closings):
        assert connection.in_transaction()
        self.calls.append(list(closings))


@pytest.fixture
def planned(office):
    """An office whose registry plans the wake, and the planner."""
    planner = Planner()
    office.registry = Registry(office.catalogue, office.journal, PlainSealer(), office.clock, wake=planner)
    return office, planner


def test_withdrawal_is_planned_with_its_entry(planned):
    """The plan names subject, purpose, recipient, decision, entry and instant (R15)."""
    office, planner = planned
    subject = office.subject()
    office.grant(subject, "P11", recipient="insurer_a")
    assert planner.calls == []
    made = office.withdraw(subject, "P11")
    assert planner.calls == [
        [
            Closing(subject, "withdraw", "P11", one.recipient or "", one.decision_id, one.entry_id, one.recorded_at)
            for one in made
        ]
    ]
    assert [closing.recipient for closing in planner.calls[0]] == ["", "insurer_a"]


def test_refusal_is_planned_where_something_was_open(planned):
    """Who refuses what was never open leaves nothing behind to clear."""
    office, planner = planned
    subject = office.subject()
    office.record(subject, DecisionAct.REFUSE, "P08")
    office.record(subject, DecisionAct.REFUSE, "P08")
    assert planner.calls == []
    office.grant(subject, "P09")
    office.record(subject, DecisionAct.REFUSE, "P09")
    assert [closing.cause for closing in planner.calls[0]] == ["refuse"]


def test_expiry_and_end_are_planned_in_one_call(planned):
    """Time and the end of a contract have a wake like the person's no (R15)."""
    office, planner = planned
    subject = office.subject()
    until = office.clock.now() + timedelta(hours=1)
    office.grant(subject, "P08", valid_until=until)
    office.grant(subject, "P09", valid_until=until)
    office.record(subject, DecisionAct.CONTRACT, "P02")
    office.clock.advance(timedelta(hours=2))
    with office.database.write() as connection:
        office.registry.expire_due(connection, asking=office.asking)
    office.record(subject, DecisionAct.END, "P02", actor_kind=ActorKind.OPERATOR)
    assert [[closing.cause for closing in call] for call in planner.calls] == [["expire", "expire"], ["end"]]


def test_batch_is_planned_at_once_and_without_the_refused(planned):
    """One call for all that closed; an act that was refused plans nothing."""
    office, planner = planned
    first, second = office.subject(), office.subject()
    requests = [
        office.request(first, DecisionAct.GRANT, "P08"),
        office.request(first, DecisionAct.WITHDRAW, "P08"),
        office.request(second, DecisionAct.WITHDRAW, "P05"),
        office.request(second, DecisionAct.WITHDRAW, "P09"),
    ]
    with office.database.write() as connection:
        office.registry.record_many(connection, requests, asking=office.asking)
    assert [[(closing.subject, closing.purpose) for closing in call] for call in planner.calls] == [
        [(first, "P08"), (second, "P09")]
    ]
