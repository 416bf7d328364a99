"""Opening one subject's record, and asking the gate."""

import pytest

REVEAL = {"purpose": "P02", "fields": ["sex", "diagnosis"], "reason": "consultation 4711"}


@pytest.fixture
def patient(captured):
    """A person with a stored diagnosis, under a grant for care."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", sex="female", diagnosis="icd10:I10")])
    return subject


@pytest.fixture
def doctor(call, captured):
    """A clinician with a token."""
    return call(captured.token("clinician"))


def test_clinician_opens_what_the_grant_covers(doctor, patient):
    """Values come back with the entry that allowed it, which lies under the signed tree."""
    said = doctor.post(f"/subjects/{patient}/reveal", REVEAL)
    assert said.status_code == 200
    opened = said.json()
    assert [(r["kind"], r["source"], r["values"]) for r in opened["records"]] == [
        ("condition", "app", {"sex": "female", "diagnosis": ["icd10:I10"]})
    ]
    assert opened["records"][0]["observed_at"] == "2026-11-21T01:00:00.000000Z"
    assert opened["log_index"] < opened["tree_size"]


def test_opening_stands_in_the_log_without_its_reason(doctor, patient, call, captured):
    """Who, why by purpose, and which fields; the person's own words are sealed beside the entry."""
    entry_id = doctor.post(f"/subjects/{patient}/reveal", REVEAL).json()["entry_id"]
    log = call(captured.token("compliance_officer")).get("/audit/entries", subject_id=patient, purpose="P02")
    permits = [e for e in log.json()["entries"] if e["id"] == entry_id]
    assert [(e["act"], e["role"], e["fields"]) for e in permits] == [("gate.permit", "clinician", ["diagnosis", "sex"])]
    assert "4711" not in log.text
    assert patient not in log.text


def test_refusal_names_fields_and_reasons(doctor, captured, refused):
    """Without a grant the diagnosis stays closed, and with it the whole request."""
    subject = captured.person("u-2")
    document = refused(doctor.post(f"/subjects/{subject}/reveal", REVEAL), 403, "NotPermitted")
    assert "diagnosis: NO_DECISION" in document["detail"]


def test_subject_that_nobody_knows_is_refused_like_one_without_decisions(doctor, refused):
    """An id that was made up tells nothing about who is registered."""
    document = refused(doctor.post("/subjects/sub_" + "a" * 24 + "/reveal", REVEAL), 403, "NotPermitted")
    assert "sex: NO_DECISION" in document["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"reason": ""},
        {"reason": "x" * 501},
        {"fields": []},
        {"fields": ["13912345678"]},
        {"purpose": "李静"},
        {"purpose": None},
        {"subject": "x"},
    ],
)
def test_request_of_another_shape_is_refused(doctor, patient, refused, change):
    """A reason, a purpose and fields are needed; what stands there instead is not repeated."""
    document = refused(doctor.post(f"/subjects/{patient}/reveal", REVEAL | change), 422, "InvalidRequest")
    assert not any(text in document["detail"] for text in ("13912345678", "李静", "xxx"))


def test_reason_of_white_space_is_none(doctor, patient, refused):
    """Three spaces do not say why."""
    refused(doctor.post(f"/subjects/{patient}/reveal", REVEAL | {"reason": "   "}), 422, "BadInput")


def test_unknown_field_is_refused_by_the_gate(doctor, patient, refused):
    """What the catalogue does not have cannot be opened."""
    document = refused(
        doctor.post(f"/subjects/{patient}/reveal", REVEAL | {"fields": ["horoscope"]}), 403, "NotPermitted"
    )
    assert "horoscope: UNKNOWN_FIELD" in document["detail"]


def test_question_is_answered_and_recorded(doctor, patient, call, captured):
    """Asking opens nothing; permits and refusals both leave their entry."""
    asked = {"subject_id": patient, "purpose": "P02", "fields": ["sex", "diagnosis"]}
    yes, no = doctor.post("/decisions", asked), doctor.post("/decisions", asked | {"purpose": "P07"})
    assert (yes.status_code, no.status_code) == (200, 200)
    assert (yes.json()["permitted"], yes.json()["refused"]) == (True, {})
    assert no.json()["permitted"] is False
    assert no.json()["refused"] == {"diagnosis": "NO_DECISION", "sex": "NO_DECISION"}
    entries = call(captured.token("compliance_officer")).get("/audit/entries", subject_id=patient).json()["entries"]
    by_id = {entry["id"]: entry["act"] for entry in entries}
    assert by_id[yes.json()["entry_id"]] == "gate.permit"
    assert by_id[no.json()["entry_id"]] == "gate.refusal"


def test_question_names_its_recipient(doctor, captured):
    """A grant for one pharmacy does not cover another."""
    subject = captured.person("u-2")
    captured.grant("u-2", "P03", recipient="sunrise-pharmacy")
    asked = {"subject_id": subject, "purpose": "P03", "fields": ["prescription"]}
    granted = doctor.post("/decisions", asked | {"recipient": "sunrise-pharmacy"}).json()
    other = doctor.post("/decisions", asked | {"recipient": "moon-pharmacy"}).json()
    assert granted["permitted"] is True
    assert other["refused"] == {"prescription": "RECIPIENT"}


def test_question_about_an_unknown_purpose_is_refused(doctor, patient, refused):
    """A purpose that the pack does not have is a mistake of the caller."""
    refused(doctor.post("/decisions", {"subject_id": patient, "purpose": "P99", "fields": ["sex"]}), 422, "BadInput")


def test_tags_are_refused_without_profiling_decision(call, captured, patient, refused):
    """Tags are read under the profiling purpose only."""
    analyst = call(captured.token("analyst"))
    document = refused(analyst.get(f"/subjects/{patient}/tags"), 403, "NotPermitted")
    assert "tags: NO_DECISION" in document["detail"]


def test_person_in_no_run_has_no_tags(call, captured, patient):
    """Before the first run the answer is empty, and says so by its missing day."""
    captured.grant("u-1", "P07")
    said = call(captured.token("analyst")).get(f"/subjects/{patient}/tags")
    assert said.json() == {"subject_id": patient, "as_of": None, "tags": {}}
