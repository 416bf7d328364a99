"""Case grants over HTTP: asked for, given by somebody else, used, revoked."""

import pytest

REVEAL = {"purpose": "P02", "fields": ["special_disease"], "reason": "co-infection suspected"}


@pytest.fixture
def patient(captured):
    """Somebody with a special disease on record."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "condition", special_disease="icd10:B20")])
    return subject


@pytest.fixture
def doctor(call, captured):
    """A clinician with a token."""
    return call(captured.token("clinician"))


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


def test_case_goes_from_asking_to_revoking(doctor, officer, patient, refused):
    """Closed, asked for, given, opened, listed, revoked, closed again."""
    refused(doctor.post(f"/subjects/{patient}/reveal", REVEAL), 403, "CaseNeeded")
    asked = doctor.post("/cases", {"subject_id": patient, **REVEAL, "hours": 4, "ticket": "INC-1"})
    assert asked.status_code == 201, asked.text
    case = asked.json()
    assert (case["state"], case["fields"], case["expires_at"]) == ("asked", ["special_disease"], None)
    path = f"/cases/{case['case_id']}"
    refused(doctor.post(f"{path}/decision", {"verdict": "granted", "reason": "me"}), 403, "Denied")
    given = officer.post(f"{path}/decision", {"verdict": "granted", "reason": "treating physician"})
    assert (given.status_code, given.json()["state"]) == (201, "granted")
    refused(officer.post(f"{path}/decision", {"verdict": "refused", "reason": "no"}), 409, "Conflict")
    opened = doctor.post(f"/subjects/{patient}/reveal", REVEAL | {"case": case["case_id"]})
    assert opened.json()["records"][0]["values"] == {"special_disease": ["icd10:B20"]}
    assert [one["state"] for one in doctor.get("/cases").json()["cases"]] == ["granted"]
    assert officer.get("/cases", undecided="true").json() == {"cases": []}
    assert doctor.post(f"{path}/revocation", {"reason": "over"}).json()["state"] == "revoked"
    refused(doctor.post(f"/subjects/{patient}/reveal", REVEAL), 403, "CaseNeeded")


UNSOUND = [
    ({"fields": []}, 422, "BadInput"),
    ({"fields": ["sex"]}, 422, "BadInput"),
    ({"compartment": "attic"}, 422, "InvalidRequest"),
    ({"hours": 0}, 422, "InvalidRequest"),
    ({"hours": 100}, 422, "BadInput"),
    ({"reason": " "}, 422, "BadInput"),
    ({"ticket": "13812345678"}, 422, "InvalidRequest"),
    ({"purpose": "P09"}, 403, "Denied"),
    ({"subject_id": "sub_" + "a" * 24}, 404, "NotFound"),
    ({"level": 5}, 422, "InvalidRequest"),
]


def test_unsound_case_is_refused(doctor, patient, refused):
    """With a problem document, and nothing asked for."""
    for change, status, error in UNSOUND:
        refused(doctor.post("/cases", {"subject_id": patient, **REVEAL, **change}), status, error)
        assert doctor.get("/cases").json() == {"cases": []}


def test_unknown_case_is_not_found(officer, refused):
    """An id of the right shape, and one of another."""
    for verb, body in (("decision", {"verdict": "granted", "reason": "x"}), ("revocation", {"reason": "x"})):
        refused(officer.post(f"/cases/cas_{'a' * 24}/{verb}", body), 404, "NotFound")
        refused(officer.post(f"/cases/4711/{verb}", body), 422, "InvalidRequest")
