"""Findings, verdicts and the law's counters over HTTP."""

import pytest

from consentry.workflows.unusual_access import mark_unusual


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


@pytest.fixture
def finding(call, captured, platform):
    """The id of a finding: five tries at what a clinician may not open."""
    subject, clinician = captured.person("u-1", "P02"), call(captured.token("clinician"))
    for _ in range(5):
        clinician.post(
            f"/subjects/{subject}/reveal", {"purpose": "P02", "fields": ["special_disease"], "reason": "curious"}
        )
    return mark_unusual(platform, captured.caller)[0].finding_id


def test_finding_is_listed_until_it_is_reviewed(officer, finding):
    """With its rule, evidence and sentence; afterwards with the verdict."""
    (told,) = officer.get("/audit/findings", only_open="true", locale="en").json()["findings"]
    assert (told["finding"], told["rule"], len(told["evidence"])) == (finding, "DENIAL_STREAK", 5)
    assert "was denied 5 times within 60 minutes" in told["words"]
    said = officer.post(f"/audit/findings/{finding}/review", {"verdict": "incident", "note": "was curious"})
    assert said.json()["finding"]["verdict"] == "incident"
    assert officer.get("/audit/findings", only_open="true").json()["findings"] == []
    (told,) = officer.get("/audit/findings").json()["findings"]
    assert told["reviewer"].startswith("usr_")
    assert "was curious" not in str(told)


def test_verdict_is_refused_where_it_cannot_be(officer, finding, refused):
    """Twice the same, an unknown finding, another word."""
    path, body = f"/audit/findings/{finding}/review", {"verdict": "justified", "note": "ward duty"}
    assert officer.post(path, body).status_code == 200
    refused(officer.post(path, body), 409, "Conflict")
    refused(officer.post(f"/audit/findings/{'0' * 32}/review", body), 404, "NotFound")
    refused(officer.post(path, {"verdict": "fine", "note": "ward duty"}), 422, "InvalidRequest")
    refused(officer.post("/audit/findings/x/review", body), 422, "InvalidRequest")


def test_counters_are_read(officer, captured):
    """Every duty, with the words of the locale."""
    captured.person("u-1", birth_date="2016-05-20")
    told = {row["duty"]: row for row in officer.get("/audit/counters", locale="en").json()["duties"]}
    assert told["MINORS_AUDIT"]["numbers"] == {"minors": 1}
    assert told["MINORS_AUDIT"]["due_on"] == "2027-01-31"


def test_entries_are_found_by_level_newest_first(officer, captured):
    """The least level of the fields, backwards."""
    captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", mobile="13912345678")])
    page = officer.get("/audit/entries", level="4", newest_first="true").json()["entries"]
    assert page
    assert all(entry["level"] >= 4 for entry in page)
    every = [
        entry["index"] for entry in officer.get("/audit/entries", newest_first="true", limit="5").json()["entries"]
    ]
    assert every == sorted(every, reverse=True)
