"""Ingest: field by field through the gate, all or nothing, once; who cannot be told is not stored."""

import json

import pytest
from sqlalchemy import func, select

from audit.events import Act
from audit.queries import find_entries
from consent.tables import consent_current
from consentry.workflows.ingest_http import ingest_posted
from consentry.workflows.tend import end_basis
from tests.consentry.conftest import ADMIN
from vault.tables import blind_index, data_key, identity_fact, sealed_record

PHARMACY, COURIER = "sunrise-pharmacy", "sunrise-courier"


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


@pytest.fixture
def delivering(captured):
    """A person of care who granted the delivery to the pharmacy and, apart from it, to the courier."""
    captured.person("u-1", "P02")
    for recipient in (PHARMACY, COURIER):
        captured.grant("u-1", "P03", recipient=recipient)
    return captured


def _recipients_of_rows(platform) -> list[str | None]:
    """For whom the permit of every stored row was given, in the rows' order."""
    platform.log.settle()
    with platform.data.read() as connection:
        rows = connection.scalars(select(sealed_record.c.permit_id).order_by(sealed_record.c.row_no)).all()
        entries = [json.loads(entry.body) for entry in find_entries(connection, act=Act.PERMIT)]
    given = {entry["refs"]["permit"]: entry.get("recipient") for entry in entries}
    return [given[permit] for permit in rows]


def _uses(platform, recipient: str) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(consent_current.c.uses).where(consent_current.c.recipient == recipient))


def test_each_field_is_stored_under_the_permit_of_its_own_recipient(delivering, platform) -> None:
    """The pharmacy may have the prescription, the courier the address, and each row says so."""
    said = delivering.store(
        [
            delivering.posted(kind="medication", prescription=["atc:C09AA05"]),
            delivering.posted(kind="profile", number="r-2", street_address="幸福路1号"),
        ]
    )
    assert (said["stored_records"], said["stored_fields"], said["refused"]) == (2, 2, {})
    assert _recipients_of_rows(platform) == [PHARMACY, COURIER]


def test_one_record_for_two_recipients_is_one_record_under_two_permits(delivering, platform) -> None:
    """Prescription and address in one record are counted once; sent again they are there already."""
    record = delivering.posted(
        kind="order", prescription=["atc:C09AA05"], street_address="幸福路1号", diagnosis=["icd10:I10"]
    )
    said = delivering.store([record])
    assert (said["stored_records"], said["stored_fields"], said["refused"]) == (1, 3, {})
    assert sorted(_recipients_of_rows(platform), key=str) == [None, COURIER, PHARMACY]
    again = delivering.store(
        [
            record | {"values": dict(reversed(record["values"].items()))},
            delivering.posted(number="r-9", diagnosis=["icd10:I10"]),
        ]
    )
    assert (again["stored_records"], again["duplicates"]) == (1, 1)


@pytest.mark.parametrize(("granted", "missing"), [(PHARMACY, "street_address"), (COURIER, "prescription")])
def test_what_only_another_recipient_may_have_lacks_that_recipient(captured, granted, missing) -> None:
    """That a contract does not name a field is no reason while another recipient's does."""
    captured.person("u-1", "P02")
    captured.grant("u-1", "P03", recipient=granted)
    said = captured.store([captured.posted(kind="order", prescription=["atc:C09AA05"], street_address="幸福路1号")])
    assert said["stored_fields"] == 1
    assert said["refused"] == {missing: {"RECIPIENT": 1}}


def test_a_withdrawal_from_one_recipient_leaves_the_other(delivering) -> None:
    """The address stays out by its own reason, and the prescription comes in."""
    delivering.record(delivering.act("withdraw", delivering.known("u-1"), "P03", recipient=COURIER))
    said = delivering.store([delivering.posted(kind="order", prescription=["atc:C09AA05"], street_address="幸福路1号")])
    assert said["stored_fields"] == 1
    assert said["refused"] == {"street_address": {"WITHDRAWN": 1}}


def test_a_counted_use_is_taken_only_by_the_permit_that_stores_something(captured, platform) -> None:
    """A prescription takes no use of what the courier was granted; the address takes the one there is."""
    captured.person("u-1", "P02")
    for recipient in (PHARMACY, COURIER):
        captured.grant("u-1", "P03", recipient=recipient, max_uses=1)
    captured.store([captured.posted(kind="medication", prescription=["atc:C09AA05"])])
    assert (_uses(platform, PHARMACY), _uses(platform, COURIER)) == (1, 0)
    said = captured.store([captured.posted(kind="profile", number="r-2", street_address="幸福路1号")])
    assert said["stored_fields"] == 1
    assert (_uses(platform, PHARMACY), _uses(platform, COURIER)) == (1, 1)


def test_no_use_is_taken_for_what_only_somebody_else_sends(captured, platform) -> None:
    """A grant of the dose alone keeps its use while its person sends a prescription, beside another's dose."""
    captured.person("u-1", "P02")
    captured.person("u-2", "P02")
    captured.grant("u-1", "P03", recipient=PHARMACY, fields=["dose"], max_uses=1)
    captured.grant("u-2", "P03", recipient=PHARMACY)
    said = captured.store(
        [
            captured.posted("u-1", kind="medication", prescription=["atc:C09AA05"]),
            captured.posted("u-2", kind="medication", number="r-2", dose="10 mg"),
        ]
    )
    assert said["stored_fields"] == 1
    assert said["refused"] == {"prescription": {"SCOPE": 1}}
    with platform.data.read() as connection:
        assert sum(connection.scalars(select(consent_current.c.uses))) == 0


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


def _finding(platform, subject) -> set[str]:
    """By what somebody is found, or told from another."""
    with platform.keys.read() as connection:
        links = connection.scalars(select(blind_index.c.field).where(blind_index.c.subject_id == subject)).all()
        facts = connection.scalars(select(identity_fact.c.fact).where(identity_fact.c.subject_id == subject)).all()
    return {*links, *facts}


STATED = {"id_number": "110105199005200022", "mobile": "13800138000"}


@pytest.mark.parametrize("as_values", [True, False])
@pytest.mark.parametrize("account", [True, False])
def test_a_refused_identifier_leaves_no_digest(captured, platform, account, as_values) -> None:
    """Another field of the record passes; what P01 does not cover any more finds nobody, in whichever form it came."""
    subject = captured.person("u-1", "P02")
    before = _finding(platform, subject)
    if not account:
        end_basis(platform, ADMIN, subject, "P01")
    said = STATED if as_values else {}
    record = captured.posted(kind="profile", diagnosis=["icd10:I10"], **said) | {"identity": STATED}
    report = captured.store([record])
    assert report["stored_fields"] == 1 + len(said) * account
    assert _finding(platform, subject) - before == ({"id_number", "mobile"} if account else set())


def test_a_refused_identifier_still_finds_its_person_in_memory(captured, platform) -> None:
    """Another source states the ID number of an account that has ended: its record joins, and so does its own id."""
    who = {**captured.known("u-1"), "birth_date": "1990-05-20", "id_number": STATED["id_number"]}
    subject = captured.record(captured.act("contract", who, "P01", "P02")).subject
    captured.grant("u-1", "P02")
    before = _finding(platform, subject)
    end_basis(platform, ADMIN, subject, "P01")
    record = captured.posted("h-1", diagnosis=["icd10:I10"]) | {"identity": STATED}
    assert ingest_posted(platform, ADMIN, "his", [record])[0]["stored_records"] == 1
    assert platform.resolver.find("his", "h-1") == subject
    assert _finding(platform, subject) == before


def test_a_refused_birth_date_or_sex_is_not_kept_as_a_fact(captured, platform) -> None:
    """Without care there is no ground for the sex; what the registration said goes on to tell the person apart."""
    who = {**captured.known("u-1"), "birth_date": "1990-05-20"}
    subject = captured.record(captured.act("contract", who, "P01", "P04")).subject
    record = captured.posted(kind="profile", mobile=STATED["mobile"]) | {"identity": {"sex": "female"}}
    assert captured.store([record])["stored_fields"] == 1
    assert "sex" not in _finding(platform, subject)
    other = {"identity": {"birth_date": "1971-01-01"}}
    assert captured.store([captured.posted(kind="profile", mobile=STATED["mobile"]) | other])["stored_records"] == 0
