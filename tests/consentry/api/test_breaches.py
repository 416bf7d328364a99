"""Breach cases over HTTP."""

import pytest

from consentry.breach_acts import BreachReport

SAID = BreachReport.model_config["json_schema_extra"]["examples"][0]


@pytest.fixture
def officer(call, captured):
    """A compliance officer's calls."""
    return call(captured.token("compliance_officer"))


def test_a_case_over_http(call, captured, officer):
    """Opened, told, waived by two, closed; each answer is the case as it stands."""
    case = call(captured.token("administrator")).post("/breaches", SAID)
    assert (case.status_code, case.json()["words"]) == (201, None)
    path = f"/breaches/{case.json()['case']}"
    told = {"duty": "pipl.authority", "channel": "portal", "text": "what happened"}
    assert officer.post(f"{path}/notifications", told).json()["duties"][0]["state"] == "on_time"
    assert officer.post(f"{path}/changes", {"people": 1300}).json()["people"] == 1300
    waiver = {"duty": "pipl.individuals", "reason": "encrypted"}
    assert officer.post(f"{path}/waivers", waiver).json()["duties"][1]["state"] == "open"
    second = call(captured.token("compliance_officer"))
    assert second.post(f"{path}/waivers", waiver).json()["duties"][1]["state"] == "waived"
    closed = officer.post(f"{path}/closing", {"reason": "done"}).json()
    assert (closed["state"], closed["words"]) == ("closed", None)
    shown = officer.get(path, locale="en").json()
    assert (shown["grade_label"], shown["words"]["cause"]) == ("ordinary", SAID["cause"])
    assert [one["case"] for one in officer.get("/breaches").json()["cases"]] == [closed["case"]]


def test_missing_words_and_open_duties_are_problems(officer, refused):
    """R41: 422 names what is missing; a case with an open duty answers 409."""
    refused(officer.post("/breaches", {"people": 3, "cause": "x"}), 422, "BadInput")
    path = f"/breaches/{officer.post('/breaches', SAID).json()['case']}"
    refused(officer.post(f"{path}/closing", {"reason": "done"}), 409, "Conflict")
    refused(officer.get("/breaches/brc_" + "a" * 24), 404, "NotFound")
