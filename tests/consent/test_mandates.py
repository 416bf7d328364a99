"""What a processor's contract allows at an instant, and what of it ends with the processors above."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.mandates import mandate_of, outside, read_mandate
from consent.recipients import end_recipient
from consent.register_facts import RecipientFact, RecipientRule
from tests.consent.conftest import ASKING


@pytest.fixture
def fact(clock):
    """A processor whose contract began yesterday and has no end."""
    began = clock.now() - timedelta(days=1)
    return RecipientFact(
        code="printer", version=1, kind="processor", is_overseas=False, purposes=frozenset({"P07", "P09"}),
        fields=frozenset({"sex"}), begins_at=began, ends_at=None, mechanism_until=None, is_approved=True,
        engaged_by=None, is_ended=False, recorded_at=began,
    )  # fmt: skip


def mandate(clock, *facts, code="printer"):
    return mandate_of({one.code: one for one in facts}, code, clock.now())


def test_contract_in_force_allows_its_purposes_and_fields(clock, fact):
    """Those and no others (R38)."""
    found = mandate(clock, fact)
    assert found.stands
    assert (found.covers("P07"), found.covers("P08")) == (True, False)
    assert (found.covers_field("P07", "sex"), found.covers_field("P07", "name")) == (True, False)
    assert found.covers_field("P08", "sex") is False
    assert outside(found, ["P08", "P07", "P01"]) == ["P01", "P08"]
    assert mandate(clock, replace(fact, fields=None)).covers_field("P07", "name")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"is_ended": True}, RecipientRule.ENDED),
        ({"is_approved": False}, RecipientRule.APPROVAL),
        ({"is_overseas": True}, RecipientRule.MECHANISM),
        ({"kind": "controller"}, RecipientRule.NOT_REGISTERED),
        ({"engaged_by": "nobody"}, RecipientRule.NOT_REGISTERED),
    ],
)
def test_processor_that_breaks_a_rule_may_do_nothing(clock, fact, changes, rule):
    """Ended, unapproved, abroad without a document, no processor at all (R38)."""
    found = mandate(clock, replace(fact, **changes))
    assert (found.stands, found.rule, found.covers("P07")) == (False, rule, False)
    assert found.covers_field("P07", "sex") is False


def test_term_is_half_open(clock, fact):
    """From its first instant to just before its last (R38)."""
    assert mandate(clock, replace(fact, begins_at=clock.now())).stands
    assert mandate(clock, replace(fact, begins_at=clock.now() + timedelta(seconds=1))).rule is RecipientRule.TERM
    assert mandate(clock, replace(fact, ends_at=clock.now())).rule is RecipientRule.TERM
    assert mandate(clock, replace(fact, ends_at=clock.now() + timedelta(seconds=1))).stands


def test_unknown_code_and_circle_are_not_registered(clock, fact):
    """Nothing stands by a name that nobody recorded, or that hangs on itself."""
    assert mandate(clock, code="printer").rule is RecipientRule.NOT_REGISTERED
    assert mandate(clock, replace(fact, engaged_by="printer")).rule is RecipientRule.NOT_REGISTERED


def test_sub_processor_reaches_no_further_than_who_engages_it(clock, fact):
    """Purposes and fields of both contracts; with the end of the upper one nothing (R38)."""
    below = replace(fact, code="binder", engaged_by="printer", purposes=frozenset({"P07", "P08"}), fields=None)
    found = mandate(clock, fact, below, code="binder")
    assert (found.purposes, found.fields) == (frozenset({"P07"}), frozenset({"sex"}))
    ended = mandate(clock, replace(fact, is_ended=True), below, code="binder")
    assert ended.stands is False
    other = replace(fact, kind="controller")
    assert mandate(clock, other, below, code="binder").rule is RecipientRule.NOT_REGISTERED
    apart = replace(below, purposes=frozenset({"P08"}))
    assert mandate(clock, fact, apart, code="binder").rule is RecipientRule.PURPOSE


def test_newest_recorded_version_counts_whatever_its_instant(either_office):
    """An end counts from its commit, even for an asker whose clock lies behind its instant (R38)."""
    office = either_office
    with office.database.write() as connection:
        office.recipient_in(connection, "press", kind="processor")
    now = office.clock.now()
    with office.database.read() as connection:
        assert read_mandate(connection, "press", now).stands
    office.clock.advance(timedelta(days=1))
    with office.database.write() as connection:
        end_recipient(connection, "press", certificate="destroyed", asking=ASKING, log=office.journal)
    with office.database.read() as connection:
        assert read_mandate(connection, "press", now).rule is RecipientRule.ENDED
        assert read_mandate(connection, "nobody", now).rule is RecipientRule.NOT_REGISTERED
