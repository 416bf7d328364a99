"""What time has made due: recorded once, under the locks, and nothing that still counts."""

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from consent.gate import Reason
from consent.guardians import record_guardian
from consent.registry import ActorKind, DecisionAct, Track
from consent.standing import Standing, set_standing
from consent.tables import consent_current
from consent.tasks import TaskKind, open_tasks

CHILD = date(2014, 5, 20)


def expire(office, limit=1000):
    with office.database.write() as connection:
        return office.registry.expire_due(connection, asking=office.asking, limit=limit)


def test_validity_that_is_over_is_recorded_once(either_office):
    """From the first instant on the gate refuses; the record follows and is made once, contracts included."""
    office = either_office
    subject, other = office.subject(), office.subject()
    until = office.clock.now() + timedelta(hours=1)
    granted = office.grant(subject, "P08", valid_until=until)
    office.record(subject, DecisionAct.CONTRACT, "P02", valid_until=until)
    office.grant(other, "P08")
    assert expire(office) == []
    office.clock.advance(until - office.clock.now())
    assert office.reason(subject, "P08", "topic") is Reason.EXPIRED
    made = expire(office)
    assert {(one.purpose, one.track, one.act, one.actor_kind) for one in made} == {
        ("P08", Track.CONSENT, DecisionAct.EXPIRE, ActorKind.OPERATOR),
        ("P02", Track.BASIS, DecisionAct.END, ActorKind.OPERATOR),
    }
    assert expire(office) == []
    assert office.reason(subject, "P08", "topic") is Reason.EXPIRED
    assert office.reason(other, "P08", "topic") is None
    with office.database.read() as connection:
        assert office.registry.history(connection, subject)[0] == granted


def test_spent_uses_are_recorded(office):
    """The last use taken ends a grant as the last day does."""
    subject, other = office.subject(), office.subject()
    office.grant(subject, "P08", max_uses=2)
    office.grant(other, "P08", max_uses=2)
    with office.database.write() as connection:
        connection.execute(update(consent_current).where(consent_current.c.subject_id == subject).values(uses=2))
    (made,) = expire(office)
    assert (made.subject, made.act) == (subject, DecisionAct.EXPIRE)


def test_only_what_is_over_ends(office):
    """A recipient's grant that lapses ends neither the general one nor another recipient's."""
    subject = office.subject()
    until = office.clock.now() + timedelta(hours=1)
    office.record(subject, DecisionAct.CONTRACT, "P02")
    office.record(subject, DecisionAct.CONTRACT, "P02", recipient="lab", valid_until=until)
    office.clock.advance(timedelta(hours=2))
    (made,) = expire(office)
    assert (made.purpose, made.recipient) == ("P02", "lab")
    assert office.reason(subject, "P02", "name") is None


def test_limit_bounds_one_call_and_the_next_goes_on(office):
    """Each call records at most its limit, the longest overdue first."""
    until = office.clock.now() + timedelta(hours=1)
    subjects = [office.subject() for _ in range(3)]
    for place, subject in enumerate(subjects):
        office.grant(subject, "P08", valid_until=until + timedelta(seconds=60 * place))
    office.clock.advance(timedelta(hours=3))
    assert [made.subject for made in expire(office, limit=2)] == subjects[:2]
    assert [made.subject for made in expire(office, limit=2)] == subjects[2:]


def test_erased_subject_holds_nobody_up(office):
    """Of somebody who is being erased nothing is recorded, and the others are."""
    gone, here = office.subject(), office.subject()
    until = office.clock.now() + timedelta(hours=1)
    for subject in (gone, here):
        office.grant(subject, "P08", valid_until=until)
    with office.database.write() as connection:
        set_standing(connection, gone, Standing.ERASING, now=office.clock.now())
    office.clock.advance(timedelta(hours=2))
    assert [made.subject for made in expire(office, limit=1)] == [here]


@pytest.fixture
def grown(either_office):
    """A child with two guardian's grants who has since turned fourteen, and the office."""
    office = either_office
    child, parent = office.subject(CHILD), office.subject()
    with office.database.write() as connection:
        record_guardian(
            connection,
            subject=child,
            guardian=parent,
            verification="household_register",
            asking=office.asking,
            log=office.journal,
            clock=office.clock,
        )
    as_guardian = {"actor_kind": ActorKind.GUARDIAN, "actor_subject": parent}
    office.grant(child, "P08", **as_guardian)
    office.grant(child, "P11", recipient="insurer_a", **as_guardian)
    office.grant(child, "P11", recipient="insurer_b", **as_guardian)
    office.grant(child, "P09", valid_until=office.clock.now() + timedelta(days=1), **as_guardian)
    assert take_over(office) == []
    office.clock.advance(date(2028, 6, 1) - office.clock.now().date())
    return office, child


def take_over(office):
    with office.database.write() as connection:
        return office.registry.take_overs_due(connection, asking=office.asking, limit=100)


def test_grown_up_child_is_asked_again_once(grown):
    """From the digital age on a guardian's grant stands, with a task to ask the person for each purpose (R21, R23)."""
    office, child = grown
    made = take_over(office)
    assert [(task.kind, task.subject, task.purpose) for task in made] == [
        (TaskKind.ASK_AGAIN, child, "P08"),
        (TaskKind.ASK_AGAIN, child, "P11"),
    ]
    assert all(task.due_at > office.clock.now() for task in made)
    assert take_over(office) == []
    assert office.reason(child, "P08", "topic") is None
    with office.database.read() as connection:
        listed = open_tasks(connection, subject=child, kind=TaskKind.ASK_AGAIN)
    assert sorted(listed, key=lambda task: task.purpose) == made


def test_who_has_decided_already_is_not_asked_again(grown):
    """A grant of the person's own replaces the guardian's and the task with it (R21)."""
    office, child = grown
    office.grant(child, "P08")
    office.withdraw(child, "P11")
    assert take_over(office) == []
