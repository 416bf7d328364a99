"""Ingest: field by field through the gate, all or nothing, once; who cannot be told is not stored."""

import pytest
from sqlalchemy import func, select

from vault.tables import data_key, sealed_record


def _rows(platform) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(sealed_record))


def _keys(platform) -> int:
    with platform.keys.read() as connection:
        return connection.scalar(select(func.count()).select_from(data_key))


def test_covered_fields_are_stored_and_others_refused_by_name(captured, platform) -> None:
    """One record: the diagnosis has its grant, the address has none."""
    captured.person("u-1", "P02")
    said = captured.store([captured.posted(diagnosis=["icd10:I10"], street_address="幸福路1号")])
    assert (said["stored_records"], said["stored_fields"]) == (1, 1)
    assert said["refused"] == {"street_address": {"NO_DECISION": 1}}


def test_nobody_without_a_decision_leaves_anything(captured, platform) -> None:
    """A record of a person who was never registered makes no row and no key."""
    said = captured.store([captured.posted("stranger", diagnosis=["icd10:I10"])])
    assert said["stored_records"] == 0
    assert (_rows(platform), _keys(platform)) == (0, 0)


def test_prescription_needs_a_pharmacy_that_was_granted(captured) -> None:
    """A purpose by recipient is collected for where any declared recipient has a grant."""
    captured.person("u-1", "P02")
    refused = captured.store([captured.posted(kind="medication", prescription=["atc:C09AA05"])])
    assert refused["refused"] == {"prescription": {"NO_DECISION": 1}} or "RECIPIENT" in str(refused["refused"])
    captured.grant("u-1", "P03", recipient="sunrise-pharmacy")
    stored = captured.store([captured.posted(kind="medication", number="r-2", prescription=["atc:C09AA05"])])
    assert stored["stored_fields"] == 1


def test_same_batch_again_changes_nothing(captured, platform) -> None:
    """The same input is done already."""
    captured.person("u-1", "P02")
    records = [captured.posted(diagnosis=["icd10:I10"])]
    captured.store(records)
    before = _rows(platform)
    captured.store(records)
    assert _rows(platform) == before


def test_withdrawn_purpose_takes_no_more_data(captured, platform) -> None:
    """After the withdrawal of care the next diagnosis is refused with its reason."""
    captured.person("u-1", "P02")
    captured.record(captured.act("withdraw", captured.known("u-1"), "P02"))
    said = captured.store([captured.posted(diagnosis=["icd10:I10"])])
    assert said["refused"] == {"diagnosis": {"WITHDRAWN": 1}}


def test_contradicting_source_id_is_listed_and_not_stored(captured, platform) -> None:
    """A record under a known id that states another birth date is nobody's until a person decides."""
    captured.person("u-1", "P02", birth_date="1990-05-20")
    record = captured.posted(diagnosis=["icd10:I10"]) | {"identity": {"birth_date": "1971-01-01", "sex": "male"}}
    said = captured.store([record])
    assert said["stored_records"] == 0
    assert len(platform.resolver.doubtful()) == 1


@pytest.mark.parametrize("purposes", [("P01", "P02", "P04")])
def test_core_care_works_when_every_optional_purpose_is_refused(captured, purposes) -> None:
    """Refusing profiling, recommendation and marketing does not stand in the way of care (R17)."""
    captured.person("u-1", "P02")
    for purpose in ("P06", "P07", "P08", "P09", "P10"):
        captured.record(captured.act("refuse", captured.known("u-1"), purpose))
    said = captured.store([captured.posted(diagnosis=["icd10:I10"], chief_complaint="头晕三天")])
    assert said["stored_fields"] == 2
    assert said["refused"] == {}
