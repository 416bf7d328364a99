"""Consent records tell, after ISO/IEC TS 27560, what was agreed to, under which words, and what became of it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from consent.decisions import ActorKind, Decision
from consent.notices import NoticeRef, find_notice
from consent.records import CONTROLLER, Register, consent_chains, consent_record
from consent.rules import DecisionAct, Track
from consent.shapes import RECORD, ShapeBroken, check_shape
from kernel.catalogue import Label, RecipientText, Retention
from kernel.encoding import canonical_json
from kernel.ids import DecisionId, EntryId, SubjectId, new_id

CARE = NoticeRef("care", "1", "en")
LATER = NoticeRef("care", "2", "en")
SUBJECT = SubjectId("sub_" + "a" * 24)
AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
ACTOR = SubjectId("sub_" + "g" * 24)


def decided(act: DecisionAct = DecisionAct.GRANT, **changes: object) -> Decision:
    """A decision of one subject on P06, made at ten in Shanghai."""
    facts: dict[str, object] = {
        "decision_id": DecisionId(new_id("dec")),
        "subject": SUBJECT,
        "purpose": "P06",
        "recipient": None,
        "track": Track.CONSENT,
        "act": act,
        "notice": CARE if act in (DecisionAct.GRANT, DecisionAct.RENEW, DecisionAct.REFUSE) else None,
        "notice_hash": None,
        "actor_kind": ActorKind.SELF,
        "actor_subject": None,
        "fields": None,
        "decided_at": AT,
        "valid_until": None,
        "recorded_at": AT,
        "request_id": "req_test",
        "entry_id": EntryId(new_id("ent")),
        "offset_minutes": 480,
    }
    return Decision(**(facts | changes))


@pytest.fixture
def register(office) -> Register:
    """The office's catalogue and its published notice."""
    with office.database.read() as connection:
        notice = find_notice(connection, CARE)
    return Register(office.catalogue, {CARE: notice}, ("CN",))


def record_of(register: Register, *history: Decision) -> dict:
    """The one record that a history makes, checked against its schema."""
    record = consent_record(consent_chains(history)[-1], register)
    check_shape(record, RECORD)
    return record


def test_a_record_holds_what_the_standard_asks_for(register):
    """R05: header, notice, language, purpose, data, controller, storage, retention, withdrawal, events."""
    made = decided(valid_until=AT + timedelta(days=365), max_uses=5)
    record = record_of(register, made)
    assert (record["schema_version"], record["pii_principal_id"]) == ("consentry/iso-27560/1", SUBJECT)
    assert record["record_id"] == made.decision_id.replace("dec_", "rec_")
    processing = record["processing"]
    assert processing["privacy_notice"] == {"reference": "care/1/en", "sha256": register.notices[CARE].hash}
    assert processing["language"] == "en"
    purpose = processing["purposes"][0]
    assert (purpose["purpose"], purpose["lawful_basis"]) == ("P06", "dpv:Consent")
    assert [one["pii_attribute_id"] for one in purpose["pii_information"]] == ["diagnosis", "mobile", "reading"]
    assert (purpose["jurisdiction"], purpose["storage_locations"]) == ("CN", ["CN"])
    assert purpose["retention_period"] == "The retention of the processing. The end_of_retention of the processing."
    assert purpose["withdrawal_method"] == "The rights of the processing."
    assert record["parties"][0]["party_id"] == CONTROLLER == purpose["pii_controllers"][0]
    event = record["events"][0]
    assert event["event_time"] == "2026-11-21T10:00:00+08:00"
    assert event["validity_duration"] == "2026-11-21T02:00:00+00:00/2027-11-21T02:00:00+00:00"
    assert (event["entity_id"], event["event_state"]) == (SUBJECT, "dpv:ConsentGiven")
    assert (event["event_type"], event["max_uses"]) == ("dpv:ExplicitlyExpressedConsent", 5)


def test_a_record_is_stored_evidence_of_the_exact_text(office, register):
    """R04: the hash in the record is that of the published bytes, which can be fetched."""
    stored = record_of(register, decided())["processing"]["privacy_notice"]
    with office.database.read() as connection:
        assert find_notice(connection, CARE).hash == stored["sha256"]


def test_what_follows_a_grant_stands_in_its_record(register):
    """R05: renewal and withdrawal are events of the record that they follow."""
    grant = decided()
    renewal = decided(DecisionAct.RENEW, renews=grant.decision_id)
    record = record_of(register, grant, renewal, decided(DecisionAct.WITHDRAW))
    states = [one["event_state"] for one in record["events"]]
    assert states == ["dpv:ConsentGiven", "dpv:RenewedConsentGiven", "dpv:ConsentWithdrawn"]
    assert record["events"][1]["renews"] == grant.decision_id


@pytest.mark.parametrize(
    "changes",
    [{"notice": LATER}, {"fields": frozenset({"reading"})}],
    ids=["another notice", "other fields"],
)
def test_other_words_or_another_scope_begin_a_new_record(changes):
    """No event of a record was made under other words than those that the record names."""
    first, second = decided(), decided(**changes)
    before, after = consent_chains([first, second])
    assert (before.decisions, after.decisions) == ((first,), (second,))
    assert after.follows == first.decision_id


def test_a_later_record_names_the_one_before(register):
    """The history of a purpose can be followed from record to record."""
    first, second = decided(), decided(fields=frozenset({"reading"}))
    record = record_of(register, first, second)
    assert record["follows_record_id"] == first.decision_id.replace("dec_", "rec_")
    assert [one["pii_attribute_id"] for one in record["processing"]["purposes"][0]["pii_information"]] == ["reading"]


def test_a_grant_after_a_refusal_gives_the_record_its_scope():
    """A refusal has no scope of its own."""
    refusal, grant = decided(DecisionAct.REFUSE), decided(fields=frozenset({"reading"}))
    (chain,) = consent_chains([refusal, grant])
    assert (chain.fields, len(chain.decisions)) == (frozenset({"reading"}), 2)


def test_contracts_and_ends_of_nothing_make_no_record():
    """A contract is no consent, and a withdrawal of what was never agreed to has no notice to stand under."""
    contract = decided(DecisionAct.CONTRACT, track=Track.BASIS)
    assert consent_chains([contract, decided(DecisionAct.WITHDRAW)]) == []


def test_records_are_kept_apart_by_purpose_and_recipient():
    """One record for each purpose and recipient, oldest first."""
    later = decided(recipient="lab")
    first = decided(purpose="P08")
    assert [chain.decisions for chain in consent_chains([first, later])] == [(first,), (later,)]


def test_a_chain_can_be_cut_at_a_decision():
    """A receipt for the grant does not tell of what came later."""
    grant, end = decided(), decided(DecisionAct.WITHDRAW)
    (chain,) = consent_chains([grant, end])
    assert chain.until(grant.decision_id).decisions == (grant,)


@pytest.mark.parametrize(
    ("kind", "actor", "entity"),
    [
        (ActorKind.GUARDIAN, ACTOR, ACTOR),
        (ActorKind.OPERATOR, None, CONTROLLER),
    ],
)
def test_an_event_names_who_acted(register, kind, actor, entity):
    """R05: entity is the guardian who decided, or the controller for what time has ended."""
    grant = decided()
    end = decided(DecisionAct.EXPIRE, actor_kind=kind, actor_subject=actor)
    assert record_of(register, grant, end)["events"][1]["entity_id"] == entity


def partner(code: str, kind: str = "processor") -> RecipientText:
    name = Label("实验室", "Laboratory")
    return RecipientText(
        code, kind, name, "lab@example.org", "DE", ("P12", "P06"), "api", "c-1", date(2026, 1, 1), None
    )


def test_recipients_are_named_as_they_are_registered(register):
    """R05: those of the purpose by name, contact and country; those of the notice's table as they were told."""
    known = replace(register, parties={"lab": partner("lab")})
    record = record_of(known, decided(purpose="P12"))
    assert record["processing"]["purposes"][0]["recipient_third_parties"] == ["lab", "third_party_1"]
    lab, told = record["parties"][1:]
    assert (lab["party_name"], lab["party_address"], lab["party_role"]) == ("Laboratory", "DE", "dpv:DataProcessor")
    assert told["told"]["contact"] == "lab@example.org"


def test_a_decision_for_one_recipient_tells_of_that_one(register):
    """A recipient that nobody registered is named by its code alone; nothing is made up."""
    record = record_of(register, decided(purpose="P11", recipient="insurer"))
    assert record["processing"]["purposes"][0]["recipient_third_parties"] == ["insurer"]
    assert record["parties"][1] == {
        "party_id": "insurer",
        "party_role": "dpv:Recipient",
        "party_type": "not registered",
        "told": {},
    }


def later_pack(register):
    """The pack as it has become since: another field, none of one, another period, another recipient."""
    known = register.catalogue
    fields = {code: one for code, one in known.fields.items() if code != "mobile"}
    fields["topic"] = replace(fields["topic"], purposes=fields["topic"].purposes | {"P06"})
    fields["reading"] = replace(fields["reading"], retention=Retention(timedelta(days=9)))
    purposes = {**known.purposes, "P12": replace(known.purposes["P12"], recipients=("lab", "press"))}
    return replace(register, catalogue=replace(known, fields=fields, purposes=purposes))


def test_a_record_tells_what_the_person_was_told(register):
    """R05: fields, periods and recipients are those of the notice, whatever the pack has become since."""
    register = later_pack(register)
    processing = record_of(register, decided())["processing"]["purposes"][0]
    told = {one["pii_attribute_id"]: one for one in processing["pii_information"]}
    assert sorted(told) == ["diagnosis", "mobile", "reading"]
    assert told["reading"]["retention_period"] == "life of the account"
    assert told["mobile"] == {
        "pii_type": "unknown", "pii_attribute_id": "mobile", "retention_period": "life of the account",
    }  # fmt: skip
    assert "taken_from_pack" not in processing
    shared = record_of(register, decided(purpose="P12"))["processing"]["purposes"][0]
    assert shared["recipient_third_parties"] == ["lab", "third_party_1"]


def test_a_record_says_what_it_had_to_take_from_the_pack(register):
    """R05: assessments, texts of the first release, and fields that a decision names and its notice does not."""
    assessed = record_of(register, decided(purpose="P07"))["processing"]["purposes"][0]
    assert assessed["taken_from_pack"] == ["impact_assessment"]
    register = later_pack(register)
    extra = decided(fields=frozenset({"reading", "topic"}))
    assert record_of(register, extra)["processing"]["purposes"][0]["taken_from_pack"] == ["pii_information"]
    notice = register.notices[CARE]
    content = {key: value for key, value in json.loads(notice.content).items() if key != "facts"}
    old = replace(register, notices={CARE: replace(notice, content=canonical_json(content))})
    processing = record_of(old, decided(purpose="P12"))["processing"]["purposes"][0]
    assert processing["taken_from_pack"] == ["pii_information", "recipient_third_parties"]
    assert processing["recipient_third_parties"] == ["lab", "press", "third_party_1"]
    kept = record_of(old, decided())["processing"]["purposes"][0]["pii_information"]
    periods = {one["pii_attribute_id"]: one["retention_period"] for one in kept}
    assert periods == {"diagnosis": "life of the account", "reading": "P9D", "topic": "life of the account"}
    named = record_of(old, decided(purpose="P11", recipient="insurer"))["processing"]["purposes"][0]
    assert named["taken_from_pack"] == ["pii_information"]


def test_joint_controllers_stand_beside_the_controller(register):
    """R39: whoever decides on the purpose with us is named as a controller."""
    known = replace(register, parties={"clinic": partner("clinic", "joint"), "lab": partner("lab")})
    record = record_of(known, decided())
    assert record["processing"]["purposes"][0]["pii_controllers"] == [CONTROLLER, "clinic"]
    assert record["parties"][1]["party_role"] == "dpv:DataController"


def test_a_chinese_notice_names_the_parties_in_chinese(office, register):
    """The record speaks the language of what was shown; methods come from the notice's table where it has them."""
    with office.database.write() as connection:
        rows = ({"item": "诊断", "method": "您填写"}, {"item": "用药", "method": "您填写"})
        notice = office.publish_in(connection, locale="zh-CN", collected=rows)
    known = replace(register, notices={notice.ref: notice}, parties={"lab": partner("lab")})
    record = record_of(known, decided(purpose="P12", notice=notice.ref))
    assert record["parties"][1]["party_name"] == "实验室"
    assert record["processing"]["purposes"][0]["collection_method"] == "您填写"


def test_a_purpose_with_an_assessment_names_it(register):
    """R05: impact assessment by its id."""
    record = record_of(register, decided(purpose="P07"))
    assert record["processing"]["purposes"][0]["impact_assessment"] == "PIA-1"


def test_an_offset_that_nobody_wrote_is_utc(register):
    """Decisions of older releases have no offset."""
    made = decided(offset_minutes=None, decided_at=AT.astimezone(timezone(timedelta(hours=8))))
    assert record_of(register, made)["events"][0]["event_time"] == "2026-11-21T02:00:00+00:00"


@pytest.mark.parametrize(
    "missing", ["schema_version", "record_id", "pii_principal_id", "processing", "parties", "events"]
)
def test_a_record_without_a_part_does_not_validate(register, missing):
    """R05: each part of the standard's record is asked for by the schema; the message names the place, no value."""
    record = record_of(register, decided())
    del record[missing]
    with pytest.raises(ShapeBroken, match=r"at \$ \(required\)"):
        check_shape(record, RECORD)


@pytest.mark.parametrize(
    "missing",
    [
        "purpose", "lawful_basis", "pii_information", "pii_controllers", "storage_locations", "retention_period",
        "jurisdiction", "recipient_third_parties", "withdrawal_method",
    ],
)  # fmt: skip
def test_a_purpose_without_a_field_does_not_validate(register, missing):
    """R05: what the standard makes mandatory about the processing is mandatory here."""
    record = record_of(register, decided())
    del record["processing"]["purposes"][0][missing]
    with pytest.raises(ShapeBroken, match="required"):
        check_shape(record, RECORD)


@pytest.mark.parametrize("missing", ["event_time", "validity_duration", "entity_id", "event_type", "event_state"])
def test_an_event_without_a_field_does_not_validate(register, missing):
    """R05: time, type, state, validity and entity of each event."""
    record = record_of(register, decided())
    del record["events"][0][missing]
    with pytest.raises(ShapeBroken, match="required"):
        check_shape(record, RECORD)
