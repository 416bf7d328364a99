"""The value of a profile that counts: trust, then observation, then storing; and where somebody has to look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kernel.errors import Denied
from kernel.ids import SubjectId
from kernel.trust import TrustRule
from tests.vault.conftest import DEPLOYMENT, House
from tests.vault.test_corrections import correct, record_id_of
from vault.records import CurrentValue, PlainRecord, Vault

HIS_FIRST = TrustRule("his_first", frozenset(), frozenset(), (("his", "lis"), ("app",)))


def trusting(house: House, *rules: TrustRule) -> House:
    """The same house under a pack with these rules."""
    catalogue = replace(house.catalogue, trust=rules)
    vault = Vault(house.data, house.keystore, catalogue, house.log, house.clock, DEPLOYMENT)
    return replace(house, catalogue=catalogue, vault=vault)


def tell(house: House, subject: SubjectId, source: str, **values: Any) -> None:
    """Let a source state a profile, an hour after whatever came before."""
    house.clock.advance(timedelta(hours=1))
    house.store(PlainRecord(subject, "profile", source, f"{source}-1", house.clock.now(), values))


def current(house: House, subject: SubjectId, *fields: str) -> dict[str, CurrentValue]:
    permit = house.permit(subject, "P02", *fields)
    return house.vault.open_current(permit, house.receipt(permit), subject=subject, fields=fields)


def names_in_cohort(house: House, subject: SubjectId, **options: Any) -> list[str]:
    permit = house.permit([subject], "P02", "name", "diagnosis")
    opened = house.cohort(permit, house.receipt(permit), "name", "diagnosis", **options)
    return [values["name"] for values in opened[subject] if "name" in values]


def test_newest_observation_counts_where_the_pack_says_nothing(any_house):
    """Without rules all sources are trusted alike."""
    subject = any_house.subject()
    tell(any_house, subject, "his", name="王芳")
    tell(any_house, subject, "app", name="王方")
    found = current(any_house, subject, "name", "diagnosis")
    assert set(found) == {"name"}
    one = found["name"]
    assert (one.value, one.source, one.rank, one.observed_at) == ("王方", "app", 0, any_house.clock.now())
    assert not one.is_corrected
    assert "王" not in repr(one)


def test_trusted_source_counts_before_a_newer_observation(house):
    """The order of trust comes first, the time second."""
    house = trusting(house, HIS_FIRST)
    subject = house.subject()
    tell(house, subject, "his", name="王芳")
    tell(house, subject, "app", name="王方")
    found = current(house, subject, "name")["name"]
    assert (found.value, found.source, found.rank) == ("王芳", "his", 0)


def test_of_one_instant_what_was_stored_last_counts(house):
    """The rule leaves nothing to chance."""
    subject = house.subject()
    for source, name in (("his", "王芳"), ("app", "王方")):
        house.store(PlainRecord(subject, "profile", source, "1", house.clock.now(), {"name": name}))
    assert current(house, subject, "name")["name"].value == "王方"


@pytest.mark.parametrize(
    ("rules", "source"),
    [
        ([TrustRule("f", frozenset({"name"}), frozenset(), (("app",),)), HIS_FIRST], "app"),
        ([TrustRule("c", frozenset(), frozenset({"identity"}), (("app",),)), HIS_FIRST], "app"),
        (
            [
                TrustRule("c", frozenset(), frozenset({"identity"}), (("app",),)),
                TrustRule("f", frozenset({"name"}), frozenset(), (("his",),)),
            ],
            "his",
        ),
        ([TrustRule("c", frozenset(), frozenset({"clinical"}), (("app",),)), HIS_FIRST], "his"),
        ([TrustRule("x", frozenset(), frozenset(), (("elsewhere",),))], "his"),
    ],
    ids=["field", "compartment", "field before compartment", "another compartment", "both unnamed: newest"],
)
def test_rule_of_a_field_comes_before_one_of_its_compartment(house, rules: Sequence[TrustRule], source: str):
    """The narrower rule speaks; sources that it does not name come last and are alike."""
    house = trusting(house, *rules)
    subject = house.subject()
    tell(house, subject, "app", name="王方")
    tell(house, subject, "his", name="王芳")
    assert current(house, subject, "name")["name"].source == source


def test_corrected_value_of_the_trusted_source_counts(house):
    """A correction belongs to its source, and has that source's rank."""
    house = trusting(house, HIS_FIRST)
    subject = house.subject()
    tell(house, subject, "his", name="王芳")
    record = record_id_of(house, subject)
    tell(house, subject, "app", name="王方")
    correct(house, subject, record, name="王舫")
    found = current(house, subject, "name")["name"]
    assert (found.value, found.source, found.is_corrected) == ("王舫", "his", True)


def test_views_get_the_one_value_that_counts(house):
    """A cohort that asks for current values gets no losing ones; other kinds of records keep theirs."""
    house = trusting(house, HIS_FIRST)
    subject = house.subject()
    tell(house, subject, "his", name="王芳")
    tell(house, subject, "app", name="王方")
    house.store(house.record(subject, name="就诊", diagnosis="icd10:I10"))
    later = house.clock.now() + timedelta(days=1)
    assert names_in_cohort(house, subject) == ["王芳", "王方", "就诊"]
    assert names_in_cohort(house, subject, current_until=later) == ["王芳", "就诊"]


def test_view_of_an_earlier_day_gets_what_counted_then(house):
    """A value that was observed after the day of the view takes nothing away from it."""
    subject = house.subject()
    tell(house, subject, "his", name="王芳")
    day = house.clock.now() + timedelta(minutes=1)
    tell(house, subject, "app", name="王方")
    assert names_in_cohort(house, subject, current_until=day) == ["王芳", "王方"]
    assert names_in_cohort(house, subject, current_until=day + timedelta(days=1)) == ["王方"]


def test_equally_trusted_sources_that_disagree_are_listed_without_values(any_house):
    """A person decides between two sources of one rank; who is trusted less does not make a conflict."""
    house = trusting(any_house, HIS_FIRST)
    subject = house.subject()
    tell(house, subject, "his", name="王芳", diagnosis="icd10:I10")
    tell(house, subject, "app", name="王方")
    assert house.vault.find_conflicts([subject]) == []
    tell(house, subject, "lis", name="王方", diagnosis="icd10:I10")
    (found,) = house.vault.find_conflicts([subject, house.subject()])
    assert (found.subject, found.field, found.why) == (subject, "name", "sources")
    assert found.sources == ("his", "lis")
    assert len(found.records) == 2
    assert "王" not in repr(found)


def test_correction_settles_a_conflict(house):
    """Once the wrong source's value is corrected nobody is asked any more."""
    subject = house.subject()
    tell(house, subject, "his", name="王芳")
    record = record_id_of(house, subject)
    tell(house, subject, "lis", name="王方")
    assert len(house.vault.find_conflicts([subject])) == 1
    correct(house, subject, record, name="王方")
    assert house.vault.find_conflicts([subject]) == []


def test_value_whose_keeping_is_over_is_no_party_to_a_conflict(house):
    """What is not valid any more neither counts nor disagrees."""
    subject = house.subject()
    tell(house, subject, "his", consult_chat="头晕")
    house.clock.advance(timedelta(days=2 * 365))
    tell(house, subject, "lis", consult_chat="头痛")
    assert len(house.vault.find_conflicts([subject])) == 1
    house.clock.advance(timedelta(days=2 * 365))
    assert house.vault.find_conflicts([subject]) == []


def test_current_values_need_permit_and_receipt(house):
    """There is no way around the gate for a profile."""
    subject = house.subject()
    permit = house.permit(subject, "P02", "diagnosis")
    with pytest.raises(Denied):
        house.vault.open_current(permit, house.receipt(permit), subject=subject, fields=["name"])
