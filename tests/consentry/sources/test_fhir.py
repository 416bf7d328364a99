"""FHIR resources into the catalogue's fields."""

import copy
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentry.sources.fhir import read_fhir
from consentry.sources.records import BadRow, Identity, RowFault, SourceError, SourceRecord
from kernel.encoding import canonical_json

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1990-01-31"}
SUBJECT = {"reference": "urn:uuid:p1"}
TIME = "2026-01-03T08:05:00+08:00"


def coded(system, code, **more):
    """A codeable concept with one coding."""
    return {"coding": [{"system": system, "code": code}], **more}


def snomed(code, **more):
    """A SNOMED CT concept."""
    return coded("http://snomed.info/sct", code, **more)


def loinc(code):
    """A LOINC concept."""
    return coded("http://loinc.org", code)


def condition(**more):
    """A condition of the patient."""
    base = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": SUBJECT,
        "recordedDate": TIME,
        "code": snomed("38341003"),
    }
    return base | more


def observation(code="8480-6", **more):
    """An observation of the patient."""
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": SUBJECT,
        "effectiveDateTime": TIME,
        "code": loinc(code),
    } | more


@pytest.fixture
def read(context, bundle):
    """Reads a bundle of the patient and the resources given; returns what the resources gave."""

    def read_resources(*resources, **more):
        rows = list(read_fhir([bundle(PATIENT, *resources, **more)], context))
        return [row for row in rows if row.locator != "bundle.json:1"]

    return read_resources


def values(rows):
    """The values of the one record among the rows."""
    (record,) = rows
    assert isinstance(record, SourceRecord), record
    return record.values


def refusal(rows):
    """Reason and field of the one refusal among the rows."""
    (row,) = rows
    assert isinstance(row, BadRow), row
    return row.reason, row.field


def test_patient_becomes_a_profile_with_an_identity(context, bundle):
    """Name, sex, birth date, numbers, contacts and place; other identifiers stay unread."""
    patient = PATIENT | {
        "name": [{"use": "nickname", "text": "小张"}, {"use": "official", "family": "张", "given": ["三"]}],
        "identifier": [
            {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR"), "value": "MR-1"},
            {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "HC"), "value": "HC-1"},
            {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "SS"), "value": "999-48-4828"},
            {"system": "urn:oid:2.16.156.10011.1.3", "value": "110105199001310048"},
        ],
        "telecom": [
            {"system": "phone", "use": "home", "value": "010-88886666"},
            {"system": "phone", "use": "mobile", "value": "+86 138 0013 8000"},
            {"system": "email", "value": "zhang@example.com"},
        ],
        "address": [{"line": ["建国路1号"], "state": "北京市", "district": "朝阳区"}],
        "maritalStatus": coded("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M"),
    }
    (row,) = read_fhir([bundle(patient, timestamp=TIME)], context, source="his")
    assert row.values == {
        "name": "张三",
        "sex": "female",
        "birth_date": "1990-01-31",
        "id_number": "110105199001310048",
        "record_number": "MR-1",
        "insurance_number": "HC-1",
        "mobile": "13800138000",
        "email": "zhang@example.com",
        "street_address": "建国路1号",
        "district": "110105",
        "marital": "married",
    }
    assert row.identity == Identity("110105199001310048", date(1990, 1, 31), "female", "13800138000")
    assert (row.source, row.source_subject, row.kind, row.source_record) == ("his", "p1", "profile", "Patient/p1")
    assert row.observed_at == datetime(2026, 1, 3, 0, 5, tzinfo=UTC)


def test_patient_with_a_wrong_check_digit_is_refused(context, bundle):
    """The refusal names the field, and the locator the entry."""
    wrong = {"system": "urn:oid:2.16.156.10011.1.3", "value": "110105199001310041"}
    assert list(read_fhir([bundle(PATIENT | {"identifier": [wrong]})], context)) == [
        BadRow("bundle.json:1", RowFault.CHECK_DIGIT, "Patient.id_number")
    ]


@pytest.mark.parametrize("code", ["NNCHN", "NI"])
def test_national_identifier_of_china_is_known_by_its_type(context, bundle, code):
    """Types NNCHN and NI of HL7 v2 table 0203."""
    number = {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", code), "value": "110105199001310048"}
    (row,) = read_fhir([bundle(PATIENT | {"identifier": [number]})], context)
    assert row.values["id_number"] == "110105199001310048"


def test_national_identifier_of_another_country_stays_unread(context, bundle):
    """A number of another shape is no resident ID number."""
    number = {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "NI"), "value": "X-1"}
    (row,) = read_fhir([bundle(PATIENT | {"identifier": [number]})], context)
    assert "id_number" not in row.values


def test_what_no_field_can_hold_of_a_patient_is_counted(context, bundle):
    """A place abroad or unknown, a mobile without a country, a year of birth."""
    reading = read_fhir(
        [
            bundle(
                PATIENT | {"id": "p1", "birthDate": "1990", "address": [{"city": "Boston", "country": "US"}]},
                PATIENT | {"id": "p2", "birthDate": "1990-01", "address": [{"text": "火星"}]},
                PATIENT | {"id": "p3", "telecom": [{"system": "phone", "use": "mobile", "value": "555-711-5374"}]},
                PATIENT | {"id": "p4", "address": [{"country": "CN"}]},
            )
        ],
        context,
    )
    rows = list(reading)
    assert [row.values for row in rows[:2]] == [{"sex": "female"}] * 2
    assert dict(reading.tally.left_out) == {
        "partial:birth_date": 2,
        "place:abroad": 1,
        "place:unknown": 1,
        "mobile:unreadable": 1,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ([{"text": "欧阳 修"}], "欧阳 修"),
        ([{"family": "Balistreri", "given": ["Stanley", "J."]}], "Stanley J. Balistreri"),
        ([{"given": ["三"]}], "三"),
        ([{"use": "old"}], None),
    ],
)
def test_name_is_written_as_its_language_does(context, bundle, name, expected):
    """Chinese family names stand in front, without a space."""
    (row,) = read_fhir([bundle(PATIENT | {"name": name})], context)
    assert row.values.get("name") == expected


def test_profile_takes_the_latest_time_of_its_patient(context, bundle):
    """A patient has no time of its own, so the last contact in the file gives it; else the moment of reading."""
    newer = condition(recordedDate="2026-02-01T00:00:00Z")
    (profile, _, _) = read_fhir([bundle(PATIENT, condition(id="c0"), newer)], context)
    assert profile.observed_at == datetime(2026, 2, 1, tzinfo=UTC)
    (alone,) = read_fhir([bundle(PATIENT)], context)
    assert alone.observed_at == context.now
    (updated,) = read_fhir([bundle(PATIENT | {"meta": {"lastUpdated": "2025-01-01T00:00:00Z"}})], context)
    assert updated.observed_at == datetime(2025, 1, 1, tzinfo=UTC)


def test_encounter_gives_visit_doctor_and_complaint(context, bundle):
    """The doctor is a display text, or a practitioner of the same bundle."""
    practitioner = {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "李", "given": ["时珍"]}]}
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "EMER"},
        "subject": SUBJECT,
        "identifier": [{"value": "V-1"}],
        "period": {"start": TIME},
        "serviceType": {"text": "急诊科"},
        "participant": [{"individual": {"reference": "urn:uuid:d1"}}],
        "reasonCode": [{"text": "咳嗽3天"}],
    }
    rows = list(read_fhir([bundle(PATIENT, practitioner, visit)], context))
    assert rows[-1].kind == "encounter"
    assert rows[-1].values == {
        "visit_type": "emergency",
        "visit_time": "2026-01-03T00:05:00.000000Z",
        "visit_number": "V-1",
        "department": "急诊科",
        "doctor_name": "李时珍",
        "chief_complaint": "咳嗽3天",
    }


def test_complaint_that_is_a_special_disease_goes_to_the_stricter_field(read):
    """The code is kept under special diseases and the words are not."""
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
        "period": {"start": TIME},
        "reasonCode": [snomed("86406008", text="HIV")],
    }
    found = values(read(visit))
    assert found["special_disease"] == ["icd10:B24"]
    assert "chief_complaint" not in found


def test_condition_gives_diagnosis_and_onset(read):
    """SNOMED CT becomes ICD-10."""
    found = values(read(condition(onsetDateTime="2025-12-30T23:00:00+08:00")))
    assert found == {"diagnosis": ["icd10:I10"], "diagnosis_onset": "2025-12-30"}


def test_icd10_is_taken_before_a_code_that_no_table_knows(read):
    """The first coding that is understood counts."""
    both = {
        "coding": [
            {"system": "http://snomed.info/sct", "code": "123456789"},
            {"system": "http://hl7.org/fhir/sid/icd-10", "code": "J45.9"},
        ]
    }
    (row,) = read(condition(code=both))
    assert (row.values, row.unmapped) == ({"diagnosis": ["icd10:J45.9"]}, ())


def test_unmapped_diagnosis_is_kept_counted_and_strict(read):
    """A code of unclear kind is kept, named, and put where level 5 is."""
    (row,) = read(condition(code=snomed("123456789")))
    assert row.values == {"special_disease": ["snomed:123456789"]}
    assert row.unmapped == ("snomed:123456789",)


def test_code_of_an_unknown_system_is_local(read):
    """A hospital's own codes are kept under ``local``."""
    (row,) = read(condition(code=coded("urn:hospital:codes", "JB001")))
    assert row.values == {"special_disease": ["local:JB001"]}


def test_pregnancy_tells_the_state_while_it_lasts(read):
    """A pregnancy that is over is a diagnosis and no state."""
    ended = coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "resolved")
    assert values(read(condition(code=snomed("72892002"))))["reproductive_state"] == "pregnant"
    assert "reproductive_state" not in values(read(condition(code=snomed("72892002"), clinicalStatus=ended)))


def test_blood_pressure_gives_both_components(read):
    """Systolic and diastolic of one observation."""
    found = values(
        read(
            observation(
                "85354-9",
                component=[
                    {"code": loinc("8480-6"), "valueQuantity": {"value": 128.5, "code": "mm[Hg]"}},
                    {"code": loinc("8462-4"), "valueQuantity": {"value": 82, "unit": "mmHg"}},
                ],
            )
        )
    )
    assert found == {
        "vitals_lab": [
            {"code": "loinc:8480-6", "value": "128.5", "unit": "mm[Hg]"},
            {"code": "loinc:8462-4", "value": "82", "unit": "mm[Hg]"},
        ]
    }


@pytest.mark.parametrize(
    ("code", "more", "expected"),
    [
        (
            "8302-2",
            {"valueQuantity": {"value": 170, "unit": "cm"}},
            {"height": {"code": "loinc:8302-2", "value": "170", "unit": "cm"}},
        ),
        (
            "8480-6",
            {
                "valueQuantity": {"value": 190, "unit": "mmHg"},
                "interpretation": [coded("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "HH")],
            },
            {"vitals_lab": [{"code": "loinc:8480-6", "value": "190", "unit": "mm[Hg]", "flag": "H"}]},
        ),
        (
            "20447-9",
            {"valueQuantity": {"value": 50, "unit": "{copies}/mL", "comparator": "<"}},
            {"sensitive_lab": [{"code": "loinc:20447-9", "value": "50", "unit": "{copies}/mL", "flag": "<"}]},
        ),
        (
            "7918-6",
            {"valueCodeableConcept": snomed("10828004")},
            {"sensitive_lab": [{"code": "loinc:7918-6", "value": "1", "unit": "{presence}", "flag": "POS"}]},
        ),
        (
            "5195-3",
            {"valueCodeableConcept": snomed("260385009")},
            {"sensitive_lab": [{"code": "loinc:5195-3", "value": "0", "unit": "{presence}", "flag": "NEG"}]},
        ),
        (
            "44261-6",
            {"valueInteger": 12},
            {"questionnaire_score": {"code": "loinc:44261-6", "value": "12", "unit": "{score}"}},
        ),
        ("72166-2", {"valueCodeableConcept": snomed("266919005")}, {"lifestyle": ["smoking:never"]}),
    ],
)
def test_observation_goes_to_the_field_of_its_indicator(read, code, more, expected):
    """Height, flagged and compared values, presence of a virus, scores and habits."""
    assert values(read(observation(code, **more))) == expected


def test_unknown_observation_takes_the_stricter_field(read):
    """A laboratory code that no table knows may be a viral load."""
    (row,) = read(observation("99999-9", valueQuantity={"value": 3, "unit": "g/L"}))
    assert list(row.values) == ["sensitive_lab"]
    assert row.unmapped == ("loinc:99999-9",)


def test_prescription_gives_medicine_dose_and_frequency(read):
    """RxNorm becomes ATC."""
    request = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "authoredOn": "2026-01-03",
        "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "314076"),
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 10, "unit": "mg"}}],
            }
        ],
    }
    (row,) = read(request)
    assert row.values == {"prescription": ["atc:C09AA03"], "dose": "10 mg", "frequency": "2/1d"}
    assert row.observed_at == datetime(2026, 1, 2, 16, tzinfo=UTC)


def medication_request(**more):
    """A prescription whose medicine and dosage the test gives."""
    return {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "authoredOn": TIME,
    } | more


@pytest.mark.parametrize(
    ("dosage", "frequency"),
    [
        ({"timing": {"code": {"text": "每日一次"}}}, "每日一次"),
        ({"text": "睡前"}, "睡前"),
        ({"asNeededBoolean": True}, "prn"),
        ({"sequence": 1}, None),
    ],
)
def test_frequency_is_taken_as_it_is_said(read, dosage, frequency):
    """In words, or as needed."""
    medicine = coded("http://www.whocc.no/atc", "C09AA03")
    found = values(read(medication_request(medicationCodeableConcept=medicine, dosageInstruction=[dosage])))
    assert found.get("frequency") == frequency


def test_medicine_may_be_contained_or_stand_in_the_bundle(context, bundle):
    """References to a medication resolve inside the file."""
    medicine = coded("http://www.whocc.no/atc", "C09AA03")
    inside = medication_request(
        contained=[{"resourceType": "Medication", "id": "x", "code": medicine}], medicationReference={"reference": "#x"}
    )
    beside = medication_request(id="m2", authoredOn="2026-02-01", medicationReference={"reference": "urn:uuid:x2"})
    nowhere = medication_request(id="m3", medicationReference={"reference": "urn:uuid:x3"})
    stock = {"resourceType": "Medication", "id": "x2", "code": medicine}
    rows = list(read_fhir([bundle(PATIENT, stock, inside, beside, nowhere)], context))
    assert [row.values for row in rows[1:3]] == [{"prescription": ["atc:C09AA03"]}] * 2
    assert refusal(rows[3:]) == (RowFault.UNRESOLVED_REFERENCE, "MedicationRequest.medication")


@pytest.mark.parametrize(
    ("resource", "kind", "expected"),
    [
        (
            {
                "resourceType": "AllergyIntolerance",
                "patient": SUBJECT,
                "recordedDate": TIME,
                "code": snomed("762952008"),
            },
            "allergy",
            {"allergy": ["snomed:91935009"]},
        ),
        (
            {
                "resourceType": "AllergyIntolerance",
                "patient": SUBJECT,
                "recordedDate": TIME,
                "reaction": [{"substance": snomed("91936005"), "manifestation": [{"text": "皮疹"}]}],
            },
            "allergy",
            {"allergy": ["snomed:91936005"]},
        ),
        (
            {
                "resourceType": "Procedure",
                "status": "completed",
                "subject": SUBJECT,
                "performedDateTime": "2026-01",
                "code": snomed("80146002"),
            },
            "procedure",
            {"surgery": ["snomed:80146002"]},
        ),
        (
            {
                "resourceType": "Procedure",
                "status": "completed",
                "subject": SUBJECT,
                "performedPeriod": {"start": TIME},
                "code": snomed("287664005"),
            },
            "procedure",
            {"reproductive_history": "snomed:287664005"},
        ),
        (
            {
                "resourceType": "Immunization",
                "status": "completed",
                "patient": SUBJECT,
                "occurrenceDateTime": "2026",
                "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "140"),
            },
            "immunization",
            {"vaccination": ["atc:J07BB"]},
        ),
        (
            {
                "resourceType": "FamilyMemberHistory",
                "status": "completed",
                "patient": SUBJECT,
                "date": "2026-01-03",
                "relationship": {"text": "mother"},
                "condition": [{"code": snomed("44054006")}, {"code": snomed("254837009")}],
            },
            "family_history",
            {"family_history": ["icd10:E11.9", "icd10:C50.9"]},
        ),
    ],
)
def test_other_clinical_resources(read, resource, kind, expected):
    """Allergies, operations, reproductive history, vaccines, family history; partial dates count from their begin."""
    (row,) = read(resource | {"id": "x1"})
    assert (row.kind, row.values) == (kind, expected)


def claim(**more):
    """A claim of the patient."""
    return {
        "resourceType": "Claim",
        "id": "k1",
        "status": "active",
        "use": "claim",
        "type": coded("http://terminology.hl7.org/CodeSystem/claim-type", "pharmacy"),
        "patient": SUBJECT,
        "created": TIME,
        "provider": {"display": "x"},
        "priority": {"text": "normal"},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "x"}}],
        "item": [{"sequence": 1, "productOrService": snomed("86406008")}],
    } | more


def test_claim_becomes_an_order_without_its_items(read):
    """What was bought would put health facts into commerce."""
    assert values(read(claim(total={"value": 128.50, "currency": "CNY"}))) == {
        "order_id": "k1",
        "order_status": "active",
        "prescription_sale": True,
        "order_amount": "128.5",
    }


def test_amount_in_another_currency_is_left_out_and_counted(context, bundle):
    """No rate is made up."""
    odd = claim(id="k2", identifier=[{"value": "A-2"}], total={"value": 1})
    reading = read_fhir([bundle(PATIENT, claim(total={"value": 1.5, "currency": "USD"}), odd)], context)
    assert all("order_amount" not in row.values for row in reading)
    assert dict(reading.tally.left_out) == {"currency:usd": 1, "currency:none": 1}


@pytest.mark.parametrize(
    ("resource", "reason", "field"),
    [
        (condition(verificationStatus=coded("x", "refuted")), RowFault.VOID, "Condition.resource"),
        (observation(status="entered-in-error", valueInteger=1), RowFault.VOID, "Observation.resource"),
        (
            medication_request(doNotPerform=True, medicationCodeableConcept={"text": "x"}),
            RowFault.VOID,
            "MedicationRequest.resource",
        ),
        (
            condition(modifierExtension=[{"url": "http://x.y/z", "valueBoolean": True}]),
            RowFault.INVALID_RESOURCE,
            "Condition.modifierExtension",
        ),
        (condition(recordedDate="2027-01-01"), RowFault.FUTURE_DATE, "Condition.time"),
        (condition(onsetDateTime="2027-01-01"), RowFault.FUTURE_DATE, "Condition.diagnosis_onset"),
        (condition(recordedDate=None, code=snomed("38341003")), RowFault.MISSING, "Condition.time"),
        (condition(code={"text": "高血压"}), RowFault.MISSING, "Condition.diagnosis"),
        (condition(code=snomed("x")), RowFault.BAD_CODE, "Condition.diagnosis"),
        (condition(code=snomed("160903007")), RowFault.NO_FIELD, "Condition.diagnosis"),
        (condition(subject={"reference": "Group/1"}), RowFault.UNRESOLVED_REFERENCE, "Condition.subject"),
        (condition(subject={"reference": "urn:uuid:p9"}), RowFault.UNRESOLVED_REFERENCE, "Condition.subject"),
        (condition(subject={"display": "张三"}), RowFault.UNRESOLVED_REFERENCE, "Condition.subject"),
        (
            observation("8302-2", valueQuantity={"value": -170, "unit": "cm"}),
            RowFault.OUT_OF_RANGE,
            "Observation.vitals_lab",
        ),
        (
            observation("8302-2", valueQuantity={"value": 170, "unit": "furlong"}),
            RowFault.UNKNOWN_UNIT,
            "Observation.vitals_lab",
        ),
        (observation("8302-2", valueQuantity={"unit": "cm"}), RowFault.NO_FIELD, "Observation.value"),
        (observation("8302-2", dataAbsentReason={"text": "x"}), RowFault.MISSING, "Observation.value"),
        (observation("8302-2", valueString="tall"), RowFault.NO_FIELD, "Observation.value"),
        (
            observation(code="72166-2", valueCodeableConcept=snomed("123456789")),
            RowFault.NO_FIELD,
            "Observation.lifestyle",
        ),
        (observation(valueInteger=1) | {"code": {"text": "x"}}, RowFault.MISSING, "Observation.code"),
        (condition(subject=SUBJECT, code="x"), RowFault.INVALID_RESOURCE, "Condition.code"),
        (condition(**{"13800138000": 1}), RowFault.INVALID_RESOURCE, "Condition.resource"),
        (condition(note=[{"text": "x", "time": "soon"}]), RowFault.INVALID_RESOURCE, "Condition.note"),
        (
            condition(code=snomed("38341003", text="x" * 10_000_000), onsetDateTime="2026-13"),
            RowFault.INVALID_RESOURCE,
            "Condition.onsetDateTime",
        ),
    ],
)
def test_resource_that_is_no_fact_is_refused_by_name(read, resource, reason, field):
    """Each refusal says why and where, and an element's name only where R4 knows it."""
    plain = {name: value for name, value in resource.items() if value is not None}
    assert refusal(read(plain)) == (reason, field)


def test_ten_megabytes_in_one_field_are_refused(read):
    """A complaint longer than the vault seals."""
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
        "period": {"start": TIME},
        "reasonCode": [{"text": "痛" * 3_500_000}],
    }
    assert refusal(read(visit)) == (RowFault.TOO_LONG, "Encounter.chief_complaint")


def test_time_falls_back_to_the_encounter_and_the_bundle(context, bundle):
    """A record without a time of its own was made during its visit, or when the bundle was."""
    visit = {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
        "period": {"start": TIME},
    }
    at_visit = condition(encounter={"reference": "urn:uuid:e1"})
    alone = condition(id="c2")
    for one in (at_visit, alone):
        del one["recordedDate"]
    rows = list(read_fhir([bundle(PATIENT, visit, at_visit, alone, timestamp="2026-03-01T00:00:00Z")], context))
    assert [row.observed_at.month for row in rows[2:]] == [1, 3]


def test_references_may_be_relative_or_absolute(context, bundle):
    """``Patient/p1``, with a server, with a version."""
    forms = ["Patient/p1", "https://his.example/fhir/Patient/p1", "Patient/p1/_history/2"]
    conditions = [
        condition(id=f"c{n}", recordedDate=f"2026-01-0{n + 1}", subject={"reference": form})
        for n, form in enumerate(forms)
    ]
    rows = list(read_fhir([bundle(PATIENT, *conditions)], context))
    assert {row.source_subject for row in rows} == {"p1"}


def test_patient_without_an_id_takes_the_uuid_of_its_entry(context, tmp_path):
    """A transaction creates patients that have no id yet."""
    patient = {name: value for name, value in PATIENT.items() if name != "id"}
    entries = [
        {"fullUrl": "urn:uuid:u-1", "resource": patient},
        {"fullUrl": "urn:uuid:u-2", "resource": condition(subject={"reference": "urn:uuid:u-1"})},
        {"request": {"method": "DELETE", "url": "Patient/9"}},
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    assert [row.source_subject for row in read_fhir([path], context)] == ["u-1", "u-1"]


def test_single_patient_without_any_id_is_refused(context, write):
    """Nobody could ever refer to it."""
    path = write("p.json", json.dumps({"resourceType": "Patient", "gender": "male"}))
    assert list(read_fhir([path], context)) == [BadRow("p.json:1", RowFault.MISSING, "Patient.id")]


def test_same_condition_twice_is_dropped_and_counted(context, bundle):
    """Another id, the same fact."""
    reading = read_fhir([bundle(PATIENT, condition(), condition(id="c2"))], context)
    assert len(list(reading)) == 2
    assert dict(reading.duplicates) == {"near": 1}


def test_types_that_are_not_read_are_counted(context, bundle):
    """By type, or as unknown where the type is no name."""
    others = [{"resourceType": "CarePlan"}, {"resourceType": "CarePlan"}, {"resourceType": "张三13800138000"}, {}]
    reading = read_fhir([bundle(*others)], context)
    assert list(reading) == []
    assert dict(reading.skipped) == {"CarePlan": 2, "unknown": 2}
    assert reading.tally.rows == 4


def test_ndjson_is_read_line_by_line(context, write):
    """Bad lines are refused by number and the rest is read."""
    lines = [
        json.dumps(PATIENT),
        json.dumps(condition(subject={"reference": "Patient/p1"})),
        '{"resourceType": "Condition"',
        "[]",
        json.dumps(condition()),
    ]
    rows = list(read_fhir([write("x.ndjson", "\n".join(lines))], context))
    assert [type(row).__name__ for row in rows] == ["SourceRecord", "SourceRecord", "BadRow", "BadRow", "BadRow"]
    assert rows[1].source_subject == "p1"
    assert [(row.locator, row.reason) for row in rows[2:]] == [
        ("x.ndjson:3", RowFault.MALFORMED),
        ("x.ndjson:4", RowFault.MALFORMED),
        ("x.ndjson:5", RowFault.UNRESOLVED_REFERENCE),
    ]


def test_ndjson_line_without_end_is_refused(context, write):
    """A line of megabytes is not held."""
    long = json.dumps(PATIENT | {"name": [{"text": "x" * 5_000_000}]})
    rows = list(read_fhir([write("x.ndjson", f"{long}\n{json.dumps(PATIENT)}\n")], context))
    assert rows[0] == BadRow("x.ndjson:1", RowFault.TOO_LONG)
    assert isinstance(rows[1], SourceRecord)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.json",
            '{"resourceType": "Bundle", "type": "transaction", "entry": [{"resource"',
            r"x\.json line 1 .*truncated",
        ),
        ("x.json", "{}", "no resourceType"),
        ("x.json", "[]", "no resourceType"),
        ("x.json", '{"resourceType": "Bundle", "type": "message"}', "bundle of another type"),
        ("x.json", '{"resourceType": "Bundle", "type": "batch", "timestamp": "soon"}', "timestamp"),
        ("x.xml", "<a/>", "neither"),
        ("x.json", "", "is empty"),
    ],
)
def test_file_that_cannot_be_read_is_named(context, write, name, content, message):
    """One line with the file, the place and what to do."""
    with pytest.raises(SourceError, match=message):
        list(read_fhir([write(name, content)], context))


def test_gbk_bundle_is_detected(context, tmp_path):
    """A hospital's export in GBK is named as such, and read when told."""
    path = tmp_path / "x.json"
    text = json.dumps(PATIENT | {"name": [{"text": "张三丰的名字"}]}, ensure_ascii=False)
    path.write_bytes(text.encode("gb18030"))
    with pytest.raises(SourceError, match="GB18030"):
        list(read_fhir([path], context))


def test_folder_is_read_by_name(context, bundle, tmp_path):
    """Every .json and .ndjson of a folder; another folder is an error."""
    bundle(PATIENT, name="b.json")
    bundle(PATIENT | {"id": "p0"}, name="a.json")
    (tmp_path / "LICENSE").write_text("x")
    assert [row.locator for row in read_fhir([tmp_path], context)] == ["a.json:1", "b.json:1"]
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match=r"holds no \.json"):
        read_fhir([tmp_path / "none"], context)


ODD = (
    *(None, True, 0, -1, 10**400, 1.5, 1e308, "", "张三13800138000", "\ud800", "a\x00b", "urn:uuid:x", "x" * 70_000),
    *("9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00+14:00", [], {}, [None], [[]], ["x"], {"coding": [{"code": 1}]}),
    *({"value": 10**30, "code": "kPa"}, {"value": "5"}, {"reference": 5}, {"start": []}),
)
WHOLE = [
    PATIENT | {"name": [{"family": "张", "given": ["三"]}], "telecom": [{"system": "phone", "value": "13800138000"}]},
    PATIENT | {"identifier": [{"system": "x", "value": "y"}], "address": [{"line": ["a"], "city": "深圳"}]},
    condition(onsetDateTime=TIME, clinicalStatus=snomed("1"), encounter={"reference": "urn:uuid:e1"}),
    observation("85354-9", component=[{"code": loinc("8480-6"), "valueQuantity": {"value": 17, "code": "kPa"}}]),
    medication_request(
        medicationCodeableConcept=snomed("1"),
        dosageInstruction=[{"timing": {"repeat": {"frequency": 1}}, "doseAndRate": [{"doseQuantity": {"value": 1}}]}],
    ),
    claim(total={"value": 1, "currency": "CNY"}),
]


def places(value, path=()):
    """Every place inside a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(which=st.integers(0, len(WHOLE) - 1), place=st.integers(0, 40), odd=st.integers(0, len(ODD) - 1))
def test_no_resource_however_odd_breaks_the_reading(context, tmp_path, which, place, odd):
    """Whatever stands in the place of an element, it is read, refused by name or skipped, and shows no value."""
    resource = copy.deepcopy(WHOLE[which])
    paths = list(places(resource))
    path = paths[place % len(paths)]
    inner = resource
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = ODD[odd]
    entries = [{"fullUrl": "urn:uuid:p1", "resource": PATIENT}, {"resource": resource}]
    file = tmp_path / "odd.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}), encoding="ascii")
    reading = read_fhir([file], context)
    for row in reading:
        assert "13800138000" not in repr(row)
        if isinstance(row, SourceRecord):
            assert canonical_json(row.values)
    tally = reading.tally
    others = (tally.refused, tally.skipped, tally.duplicates)
    assert tally.records + sum(sum(counts.values()) for counts in others) == tally.rows
