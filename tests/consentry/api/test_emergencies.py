"""Emergencies over HTTP: opened at once, reviewed, frozen, released; limits answer 429."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consentry.api.app import create_app
from kernel.oversight import ReadingLimits

EMERGENCY = {"fields": ["sex"], "reason": "unconscious"}


@pytest.fixture
def patient(captured):
    """Somebody with a record."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    return subject


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token; a fresh one, for the clock moves."""
    return lambda: call(captured.token("compliance_officer"))


def test_emergency_is_opened_reviewed_late_and_released(call, captured, platform, patient, officer, *, refused, clock):
    """From the glass to the release: the frozen account is refused on every route, and says why."""
    person, _ = captured.person_account("dr.wu", "clinician")
    doctor = call(platform.tokens.issue(person.principal_id))
    said = doctor.post("/emergencies", {"subject_id": patient, **EMERGENCY})
    assert said.status_code == 201, said.text
    answer = said.json()
    assert answer["records"][0]["values"] == {"sex": "female"}
    assert answer["review_due_at"] == "2026-11-22T02:00:00.000000Z"
    assert [one["emergency"] for one in officer().get("/emergencies", unreviewed="true").json()["emergencies"]] == [
        answer["emergency_id"]
    ]
    clock.advance(timedelta(hours=24))
    doctor = call(platform.tokens.issue(person.principal_id))
    for frozen in (doctor.get("/cases"), doctor.post("/emergencies", {"subject_id": patient, **EMERGENCY})):
        document = refused(frozen, 403, "AccountFrozen")
        assert answer["emergency_id"] in document["detail"]
    path = f"/emergencies/{answer['emergency_id']}/review"
    release = {"account": "dr.wu", "reason": "reviewed"}
    refused(officer().post("/emergencies/releases", release), 409, "Conflict")
    reviewed = officer().post(path, {"verdict": "justified", "note": "late"})
    assert (reviewed.status_code, reviewed.json()["emergency"]["frozen"]) == (201, True)
    refused(officer().post(path, {"verdict": "justified", "note": "again"}), 409, "Conflict")
    assert officer().post("/emergencies/releases", release).json()["emergencies"] == [answer["emergency_id"]]
    assert doctor.get("/cases").status_code == 200


def test_frozen_person_gets_no_token(call, captured, patient, platform, *, refused, clock):
    """The right password is answered with the reason."""
    person, password = captured.person_account("dr.wu", "clinician")
    call(platform.tokens.issue(person.principal_id)).post("/emergencies", {"subject_id": patient, **EMERGENCY})
    clock.advance(timedelta(hours=24))
    refused(call().post("/tokens", {"name": "dr.wu", "password": password}), 403, "AccountFrozen")


UNSOUND = [
    ({"reason": " "}, 422, "BadInput"),
    ({"reason": None}, 422, "InvalidRequest"),
    ({"fields": []}, 422, "InvalidRequest"),
    ({"fields": ["special_disease"]}, 403, "NotPermitted"),
    ({"purpose": "P02"}, 403, "Denied"),
    ({"subject_id": "13812345678"}, 422, "InvalidRequest"),
    ({"approval": "apr_x"}, 422, "InvalidRequest"),
]


def test_unsound_emergency_is_refused(call, captured, patient, refused):
    """Nothing is opened, and what was sent stands in no answer."""
    doctor = call(captured.token("clinician"))
    for change, status, error in UNSOUND:
        document = refused(doctor.post("/emergencies", {"subject_id": patient, **EMERGENCY, **change}), status, error)
        assert "13812345678" not in str(document)


def test_limit_is_answered_with_the_time_to_wait(platform, captured, patient, serve, refused):
    """429 with Retry-After, until the minute is over."""
    import httpx

    role = replace(platform.catalogue.roles["clinician"], limits=ReadingLimits(reads_minute=1))
    catalogue = replace(platform.catalogue, roles={**platform.catalogue.roles, "clinician": role})
    bounded = replace(platform, catalogue=catalogue)
    assert create_app(bounded)
    headers = {"Authorization": f"Bearer {captured.token('clinician')}"}
    body = {"purpose": "P02", "fields": ["sex"], "reason": "visit"}
    with serve(bounded) as address, httpx.Client(base_url=address, trust_env=False) as http:
        first, second = (http.post(f"/v1/subjects/{patient}/reveal", json=body, headers=headers) for _ in range(2))
    assert first.status_code == 200
    refused(second, 429, "LimitReached")
    assert second.headers["retry-after"] == "60"


def test_approval_is_revoked_over_http(call, captured, officer, refused):
    """R22: what was approved and revoked opens nothing; nobody revokes it twice."""
    minor = captured.person("teen", "P02", birth_date="2010-05-05")
    captured.store([captured.posted("teen", "profile", sex="female")])
    asked = {"subject_id": minor, "purpose": "P02", "role": "clinician", "reason": "visit"}
    approval = officer().post("/approvals", asked).json()["approval_id"]
    reveal = {"purpose": "P02", "fields": ["sex"], "reason": "visit", "approval": approval}
    doctor = call(captured.token("clinician"))
    assert doctor.post(f"/subjects/{minor}/reveal", reveal).status_code == 200
    path = f"/approvals/{approval}/revocation"
    refused(doctor.post(path, {"reason": "over"}), 403, "Denied")
    assert officer().post(path, {"reason": "over"}).status_code == 201
    refused(doctor.post(f"/subjects/{minor}/reveal", reveal), 403, "ApprovalNeeded")
    refused(officer().post(path, {"reason": "again"}), 409, "Conflict")
    refused(officer().post(f"/approvals/apr_{'a' * 24}/revocation", {"reason": "x"}), 404, "NotFound")
