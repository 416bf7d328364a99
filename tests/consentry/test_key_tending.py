"""Keys beside a running server: rotations go on, epochs end in time, and people are found by indexed values."""

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from consentry.key_tending import KeyTender
from consentry.workflows.find_subject import search_subjects
from consentry.workflows.rotate import (
    end_old_epoch,
    key_status,
    resume_rotations,
    rotate_blind_index,
    rotate_data,
    rotate_keys,
)
from kernel.errors import BadInput, Denied
from tests.consentry.conftest import ADMIN
from vault.data_rotation import DataKeys
from vault.tables import blinding_key, data_key, named_key


class Killed(BaseException):
    """The process ends; what it did in transactions stays."""


def end_now(_moved):
    raise Killed


@pytest.fixture
def ward(captured):
    """Two people with links and one diagnosis each."""
    for name in ("u-1", "u-2"):
        captured.person(name, "P02")
        captured.store([captured.posted(name, number=f"r-{name}", diagnosis=["icd10:I10"])])
    return captured.platform


def test_an_epoch_ends_when_it_has_lived_as_long_as_it_may(ward):
    """Not before, and once."""
    tender, opened = KeyTender(ward), ward.keystore.check().epoch_id
    tender.work()
    assert ward.keystore.check().epoch_id == opened
    ward.clock.advance(timedelta(days=ward.settings.epoch_days))
    tender.work()
    after = ward.keystore.check().epoch_id
    assert after != opened
    tender.work()
    assert ward.keystore.check().epoch_id == after


def test_the_server_goes_on_with_what_was_killed(ward):
    """An epoch that is closing, an index and data keys under way: one round ends them all."""
    for rotate in (
        lambda: rotate_keys(ward, ADMIN, told=end_now),
        lambda: rotate_blind_index(ward, ADMIN, "source_subject", told=end_now),
        lambda: rotate_data(ward, ADMIN, DataKeys(), told=end_now),
    ):
        with pytest.raises(Killed):
            rotate()
    before = key_status(ward, ADMIN)
    assert len(before.epochs) == 2
    assert {left.kind for left in before.unfinished} == {"index", "data"}
    KeyTender(ward).work()
    after = key_status(ward, ADMIN)
    assert len(after.epochs) == 1
    assert after.unfinished == []
    assert after.epochs[0].data_keys == sum(suite.data_keys for suite in after.data_keys)
    assert {(one.index, one.version, one.state) for one in after.indexes} >= {("source_subject", 2, "live")}


def test_a_server_that_ends_stops_between_two_steps(ward):
    """The rest is left to the next one; nothing is half done."""
    ward.clock.advance(timedelta(days=8))
    tender = KeyTender(ward)
    with tender:
        pass
    tender.work_once()
    assert tender.problem is not None
    assert len(key_status(ward, ADMIN).epochs) == 2
    assert len(resume_rotations(ward, ADMIN).epochs) == 1
    assert end_old_epoch(ward, ward.asking(ADMIN)) is None


def test_status_counts_every_key_of_an_epoch(ward):
    """Also those that blind digests: an epoch under which one hangs is not told to be empty."""
    told = key_status(ward, ADMIN)
    with ward.keys.read() as connection:
        kept = {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in (data_key, named_key, blinding_key)
        }
    assert kept["blinding_key"] > 0
    assert sum(one.data_keys for one in told.epochs) == kept["data_key"]
    assert sum(one.named_keys for one in told.epochs) == kept["named_key"] + kept["blinding_key"]
    assert sum(one.keys for one in told.named_keys if one.kind == "blinding") == kept["blinding_key"]


def test_status_names_nobody_and_no_key(ward, captured):
    """Counts, names of indexes and ids of epochs and rotations only."""
    subject = ward.resolver.find("app", "u-1")
    told = str(key_status(ward, ADMIN).as_json())
    assert subject is not None
    assert subject not in told
    assert "keys rotate-index" in told


@pytest.mark.parametrize("role", ["clinician", "operator"])
def test_only_a_key_custodian_rotates_or_counts(ward, captured, role):
    """Every other role is refused."""
    caller, _ = captured.person_account("somebody", role)
    for act in (
        lambda: key_status(ward, caller),
        lambda: rotate_keys(ward, caller),
        lambda: rotate_data(ward, caller, DataKeys()),
        lambda: rotate_blind_index(ward, caller, "mobile"),
        lambda: resume_rotations(ward, caller),
    ):
        with pytest.raises(Denied):
            act()


def test_people_are_found_by_an_indexed_value_and_the_value_stays_out_of_the_log(ward, captured):
    """Found or not, the look-up is logged with the field and a keyed digest; the same value has the same one."""
    captured.store([captured.posted("u-1", kind="profile", number="p-1", wechat_openid="oX-4711")])
    subject = ward.resolver.find("app", "u-1")
    doctor, _ = captured.person_account("dr.wang", "clinician")
    for _ in range(2):
        found = search_subjects(ward, doctor, field="wechat_openid", value="ox-4711")
        assert (found.subjects, found.is_exact, found.are_more) == ((subject,), True, False)
    assert search_subjects(ward, doctor, field="wechat_openid", value="oX-9").subjects == ()
    ward.log.settle()
    with ward.data.read() as connection:
        from audit.entries import decode_entry
        from audit.tables import leaf

        bodies = connection.execute(leaf.select().where(leaf.c.act == "subject.looked_up").order_by(leaf.c.leaf_index))
        entries = [decode_entry(row.body) for row in bodies]
    looked = [entry for entry in entries if entry.get("fields") == ["wechat_openid"]]
    assert [entry["counts"]["found"] for entry in looked] == [1, 1, 0]
    assert looked[0]["refs"]["query"] == looked[1]["refs"]["query"] != looked[2]["refs"]["query"]
    assert "4711" not in str(looked)


def test_a_search_needs_its_act_and_an_index(ward, captured):
    """A role without it is refused, with an entry; a field without an index is bad input."""
    helper, _ = captured.person_account("helper", "customer_service")
    with pytest.raises(Denied):
        search_subjects(ward, helper, field="mobile", value="13800000000")
    doctor, _ = captured.person_account("dr.wang", "clinician")
    with pytest.raises(BadInput):
        search_subjects(ward, doctor, field="diagnosis", value="icd10:I10")
    with pytest.raises(Denied):
        search_subjects(ward, dataclasses.replace(doctor, role="analyst"), field="mobile", value="1")
