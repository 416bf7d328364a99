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
