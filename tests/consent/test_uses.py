"""Decisions for a number of permits: every permit takes a use, and the last one is taken once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from consent.gate import Permit, Reason, Refusal
from consent.registry import DecisionAct
from consent.tables import consent_current, decision_use
from consent.uses import spend
from kernel.errors import Conflict
from kernel.ids import PermitId


def uses_of(office, subject):
    with office.database.read() as connection:
        taken = connection.scalar(select(func.count()).select_from(decision_use))
        counted = connection.scalar(select(consent_current.c.uses).where(consent_current.c.subject_id == subject))
    return taken, counted


def test_every_permit_takes_a_use(either_office):
    """A grant for two permits gives two; the third check is told that it is over."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P07", max_uses=2)
    assert isinstance(office.check(subject, "P07", "sex"), Permit)
    assert uses_of(office, subject) == (1, 1)
    assert isinstance(office.check(subject, "P07", "sex", "diagnosis"), Permit)
    refusal = office.check(subject, "P07", "sex")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == {"sex": Reason.EXPIRED}
    assert uses_of(office, subject) == (2, 2)


def test_batches_take_uses_too(either_office):
    """check_many takes a use of everybody who passes, and of nobody else."""
    office = either_office
    subject, refusing = office.subject(), office.subject()
    office.grant(subject, "P07", max_uses=1)
    office.record(refusing, DecisionAct.REFUSE, "P07")
    for expected in (True, False):
        with office.database.write() as connection:
            said = office.gate.check_many(
                connection, asking=office.asking, purpose="P07", subjects=[subject, refusing], fields=["sex"]
            )
        assert (said.permit is not None) is expected
    assert uses_of(office, subject) == (1, 1)


def test_looking_takes_nothing(office):
    """A preview and a refusal leave the uses alone, and a taken use can be left out of account."""
    subject = office.subject()
    office.grant(subject, "P07", max_uses=1, fields=frozenset({"sex"}))
    assert office.reason(subject, "P07", "sex") is None
    assert isinstance(office.check(subject, "P07", "diagnosis"), Refusal)
    assert isinstance(office.check(subject, "P07", "sex"), Permit)
    assert office.reason(subject, "P07", "sex") is Reason.EXPIRED
    with office.database.read() as connection:
        ask = {"asking": office.asking, "purpose": "P07", "subjects": [subject], "fields": ["sex"]}
        assert office.gate.preview_many(connection, **ask, counting_uses=False) == {subject: {"sex": None}}


def test_use_of_a_decision_without_any_left_is_refused(office):
    """The counter moves under the condition that a use is left, whatever was read before."""
    subject = office.subject()
    office.grant(subject, "P07", max_uses=1)
    with office.database.read() as connection:
        situation = office.gate._read(connection, [subject], "P07")[subject]
    office.check(subject, "P07", "sex")
    with office.database.write() as connection, pytest.raises(Conflict, match="no use left"):
        spend(
            connection, [(subject, situation.current[0])], purpose="P07", permit_id=PermitId("pmt_x"),
            at=office.clock.now(),
        )  # fmt: skip


def test_racing_permits_do_not_share_the_last_use(either_office):
    """Of many checks at once as many pass as there are uses."""
    office = either_office
    racers, allowed = 6, 3
    for _ in range(5):
        subject = office.subject()
        office.grant(subject, "P07", max_uses=allowed)
        start = Barrier(racers)

        def race(_number, subject=subject, start=start):
            start.wait()
            return isinstance(office.check(subject, "P07", "sex"), Permit)

        with ThreadPoolExecutor(racers) as pool:
            assert sum(pool.map(race, range(racers))) == allowed
