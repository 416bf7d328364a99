"""The register as it was: what the gate said then, it says of then."""

import random
from contextlib import suppress
from datetime import date, timedelta

import pytest

from consent.gate import Reason
from consent.registry import DecisionAct
from consent.standing import Standing, set_standing
from kernel.errors import BadInput, Denied

PURPOSES = ("P02", "P06", "P07", "P11")
ACTS = (DecisionAct.GRANT, DecisionAct.GRANT, DecisionAct.WITHDRAW, DecisionAct.REFUSE, DecisionAct.CONTRACT)


def say(office, people, purpose, as_of=None):
    with office.database.read() as connection:
        said = office.gate.preview_many(
            connection,
            asking=office.asking,
            purpose=purpose,
            subjects=people,
            fields=list(office.catalogue.fields),
            recipient="insurer" if purpose == "P11" else None,
            as_of=as_of,
        )
    return {subject: dict(reasons) for subject, reasons in said.items()}


@pytest.mark.parametrize("seed", range(3))
def test_the_past_is_what_was_said_then(either_office, seed):
    """After any history, asking as of each of its instants gives what a preview said at that instant (R06)."""
    office, rng = either_office, random.Random(seed)
    people = [office.subject(birth) for birth in (date(1990, 1, 1), date(2015, 1, 1), None)]
    told = []
    for step in range(25):
        subject, purpose, act = rng.choice(people), rng.choice(PURPOSES), rng.choice(ACTS)
        with suppress(BadInput, Denied):
            act_once(office, rng, subject, purpose, act)
        if step % 8 == 7:
            office.publish(version=f"v{step}", collected=({"field": "x", "why": str(step)},))
        if step == 15:
            with office.database.write() as connection:
                set_standing(connection, people[0], Standing.RESTRICTED, now=office.clock.now())
        told.append((office.clock.now(), purpose, say(office, people, purpose)))
        office.clock.advance(timedelta(minutes=rng.randint(1, 90)))
    for instant, purpose, said in told:
        assert say(office, people, purpose, as_of=instant) == said, (instant, purpose)


def act_once(office, rng, subject, purpose, act):
    opens = act not in (DecisionAct.WITHDRAW, DecisionAct.REFUSE)
    changes = {
        "recipient": rng.choice((None, "insurer")) if purpose == "P11" else None,
        "notice": office.latest("care") if act is DecisionAct.GRANT else None,
        "valid_until": office.clock.now() + timedelta(minutes=rng.choice((20, 900))) if opens else None,
        "max_uses": rng.choice((None, 1)) if act is DecisionAct.GRANT else None,
        "evidence": {"mechanism": "checkbox", "occasion": "own"},
    }
    office.record(subject, act, purpose, **changes)
    office.clock.advance(timedelta(seconds=1))
    office.check(subject, purpose, "sex", "diagnosis", recipient=changes["recipient"])


def test_act_counts_from_the_instant_of_its_recording(either_office):
    """Looked back to at that very instant it stands, a microsecond before it does not (R14)."""
    office = either_office
    subject = office.subject()
    recorded = office.grant(subject, "P06").recorded_at
    office.clock.advance(timedelta(hours=1))
    before = recorded - timedelta(microseconds=1)
    assert say(office, [subject], "P06", as_of=recorded)[subject]["reading"] is None
    assert say(office, [subject], "P06", as_of=before)[subject]["reading"] is Reason.NO_DECISION


def test_subject_did_not_exist_before_registration(office):
    """Before somebody was registered, nothing was decided about them."""
    before = office.clock.now()
    office.clock.advance(timedelta(hours=1))
    subject = office.subject()
    assert say(office, [subject], "P06", as_of=before)[subject]["reading"] is Reason.NO_DECISION


def test_nobody_asks_about_the_future(office):
    """An instant that has not passed is a mistake of the caller."""
    with pytest.raises(BadInput, match="Nobody knows"):
        say(office, [office.subject()], "P06", as_of=office.clock.now() + timedelta(minutes=1))


def test_standing_decisions_are_those_of_the_instant(office):
    """For each purpose and recipient the latest decision up to the instant is what stood."""
    subject = office.subject()
    granted, other = office.grant(subject, "P06"), office.grant(subject, "P07")
    before = office.clock.now()
    withdrawn = office.withdraw(subject, "P06")[0]
    with office.database.read() as connection:
        then, now = (office.registry.current(connection, subject, as_of=at) for at in (before, office.clock.now()))
    assert [made.decision_id for made in then] == [granted.decision_id, other.decision_id]
    assert [made.decision_id for made in now] == [other.decision_id, withdrawn.decision_id]
