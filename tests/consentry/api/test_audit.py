"""Reading the log over HTTP."""

import pytest


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


def test_pages_follow_one_another_without_gap(officer, captured):
    """Going on after the last index gives every entry once, in the log's order."""
    captured.person("u-1", "P02", "P07")
    found, after = [], {}
    while True:
        page = officer.get("/audit/entries", limit="7", **after).json()
        found += [entry["index"] for entry in page["entries"]]
        if page["next_after"] is None or len(found) > 100:
            break
        after = {"after": str(page["next_after"])}
    assert found == list(range(len(found)))
    assert len(found) > 20


def test_reading_leaves_its_own_entry(officer):
    """The second reader sees the first."""
    officer.get("/audit/entries", limit="1")
    acts = [entry["act"] for entry in officer.get("/audit/entries", act="audit.read").json()["entries"]]
    assert acts == ["audit.read", "audit.read"]


def test_filters_narrow_the_list(officer, captured, clock):
    """Subject, act, outcome, purpose and time hold together."""
    subject = captured.person("u-1", "P02")
    captured.person("u-2", "P02")
    found = officer.get("/audit/entries", subject_id=subject, act="consent.granted", outcome="done", purpose="P02")
    assert len(found.json()["entries"]) == 1
    assert officer.get("/audit/entries", subject_id=subject, until="2026-11-20T00:00:00Z").json()["entries"] == []
    assert (
        len(officer.get("/audit/entries", act="consent.granted", since="2026-11-21T02:00:00Z").json()["entries"]) == 2
    )
    actor = found.json()["entries"][0]["actor"]
    assert officer.get("/audit/entries", actor=actor, act="consent.granted").json()["entries"] != []
    request_id = found.json()["entries"][0]["request_id"]
    assert {e["request_id"] for e in officer.get("/audit/entries", request_id=request_id).json()["entries"]} == {
        request_id
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("act", "13912345678"),
        ("outcome", "李静"),
        ("subject_id", "13912345678"),
        ("after", "-1"),
        ("after", str(2**63)),
        ("limit", "501"),
        ("since", "13912345678x"),
        ("until", "0001-01-01T00:00:00+12:00"),
        ("13912345678", "1"),
    ],
)
def test_wrong_filter_is_refused_without_repeating_it(officer, refused, name, value):
    """The answer names the parameter and the rule."""
    document = refused(officer.get("/audit/entries", **{name: value}), 422, "InvalidRequest")
    assert document["detail"].startswith("query.")
    assert "13912345678" not in document["detail"]
    assert "李静" not in document["detail"]


def test_reason_is_opened_for_officers_and_for_nobody_else(officer, call, captured, login, refused):
    """Beside entries, beside accesses and beside one entry; a person is not told what staff wrote."""
    subject = captured.person("u-1", "P02")
    doctor = call(captured.token("clinician"))
    body = {"purpose": "P02", "fields": ["sex"], "reason": "复诊", "ticket": "INC-1"}
    assert doctor.post(f"/subjects/{subject}/reveal", body).status_code == 200
    (entry,) = officer.get("/audit/entries", act="vault.reveal", words="true").json()["entries"]
    assert (entry["words"], entry["refs"]["ticket"]) == ({"reason": "复诊"}, "INC-1")
    accesses = officer.get(f"/subjects/{subject}/accesses", words="true").json()["accesses"]
    assert [row["words"] for row in accesses if row["kind"] == "opened"] == ["复诊"]
    disclosed = officer.get(f"/subjects/{subject}/disclosures", words="true").json()["rows"]
    assert [row["words"] for row in disclosed if row["kind"] == "opened"] == ["复诊"]
    shown = officer.get(f"/audit/entries/{entry['index']}", locale="en").json()
    assert (shown["entry"]["id"], shown["details"]["reason"], shown["pruned"]) == (entry["id"], "复诊", None)
    administrator = call(captured.token("administrator"))
    assert administrator.get(f"/audit/entries/{entry['id']}").json()["sealed"] is True
    refused(administrator.get("/audit/entries", words="true"), 403, "Denied")
    refused(call(login.token("u-1")).get("/subjects/me/accesses", words="true"), 403, "Denied")
    assert "复诊" not in call(login.token("u-1")).get("/subjects/me/accesses").text
    refused(officer.get("/audit/entries/999999"), 404, "NotFound")


@pytest.mark.parametrize("reason", [" ", "\u3000"])
def test_blank_reason_is_refused_without_naming_an_option(call, captured, refused, reason):
    """The message is for whoever calls over HTTP."""
    subject = captured.person("u-1", "P02")
    body = {"purpose": "P02", "fields": ["sex"], "reason": reason}
    document = refused(call(captured.token("clinician")).post(f"/subjects/{subject}/reveal", body), 422, "BadInput")
    assert "--" not in document["detail"]


@pytest.mark.parametrize(
    ("name", "value"), [("actor", ""), ("actor", "x"), ("purpose", "目的"), ("request_id", "nope")]
)
def test_what_no_entry_can_have_is_refused(officer, refused, name, value):
    """An empty page would read like an answer."""
    refused(officer.get("/audit/entries", **{name: value}), 422, "BadInput")


def test_actor_is_found_by_name(officer, captured):
    """And its name stands beside its id."""
    made, _ = captured.person_account("dr.wu", "clinician")
    listed = officer.get("/audit/entries", actor="local:test").json()["entries"]
    assert {entry["actor_name"] for entry in listed} == {None}
    assert officer.get("/audit/entries", actor="dr.wu").json()["entries"] == []
    assert officer.get("/audit/entries", actor=made.principal_id).json()["entries"] == []
