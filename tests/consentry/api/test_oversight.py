"""What officers look at over HTTP: the wake, the gate's reasons, figures; each reading leaves its entry."""

from datetime import timedelta

import pytest

NOBODY = "sub_" + "a" * 24


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


def test_wake_of_a_withdrawal_is_told_item_by_item(officer, captured, platform):
    """What is open after the withdrawal and done after the work, with handler and entry (R15)."""
    subject = captured.person("u-1", "P07")
    assert officer.get(f"/subjects/{subject}/wake").json() == {"subject_id": subject, "unfinished": 0, "items": []}
    platform.clock.advance(timedelta(minutes=1))
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
    told = officer.get(f"/subjects/{subject}/wake").json()
    assert told["unfinished"] == len(told["items"]) > 0
    assert {(item["cause"], item["purpose"], item["state"]) for item in told["items"]} == {("withdraw", "P07", "open")}
    platform.wake.run_due(100)
    told = officer.get(f"/subjects/{subject}/wake").json()
    assert told["unfinished"] == 0
    assert all(item["entry"] and item["outcome"]["result"] for item in told["items"])


def test_gate_is_explained_now_and_as_of_an_instant(officer, captured, platform):
    """Each field with its reason and rules; before the withdrawal it was allowed."""
    subject = captured.person("u-1", "P07")
    before = platform.clock.now() + timedelta(seconds=1)
    platform.clock.advance(timedelta(minutes=1))
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
    asked = f"/subjects/{subject}/explain?purpose=P07&fields=diagnosis&fields=home_address&locale=en"
    said = officer.http.get(f"/v1{asked}", headers=officer.headers)
    assert said.status_code == 200, said.text
    told = said.json()
    assert (told["subject_id"], told["purpose"], told["recipient"]) == (subject, "P07", None)
    assert told["fields"]["diagnosis"]["reason"] == "WITHDRAWN"
    assert told["fields"]["diagnosis"]["words"].startswith("WITHDRAWN ")
    assert any(not step["holds"] for step in told["fields"]["diagnosis"]["steps"])
    then = officer.get(f"/subjects/{subject}/explain", purpose="P07", fields="diagnosis", as_of=before.isoformat())
    assert then.json()["fields"]["diagnosis"]["reason"] is None


def test_figures_count_decisions_without_ids(officer, captured, platform):
    """By purpose, and by month where asked for; an empty period counts nothing."""
    subject = captured.person("u-1", "P07", "P08")
    platform.clock.advance(timedelta(minutes=1))
    said = officer.get("/consents/statistics", locale="en")
    assert {row["purpose"]: row["granted"] for row in said.json()["rows"] if row["granted"]} == {"P07": 1, "P08": 1}
    assert subject not in said.text
    months = officer.get("/consents/statistics", by="month", **{"from": "2026-11-01T00:00:00+08:00"}).json()["rows"]
    assert {row["month"] for row in months} == {"2026-11"}
    assert officer.get("/consents/statistics", until="2020-01-01T00:00:00Z").json()["rows"] == []


def test_each_reading_stands_in_the_log(officer, captured):
    """Who looked at what, and for a subject at whom."""
    subject = captured.person("u-1")
    officer.get(f"/subjects/{subject}/wake")
    officer.get(f"/subjects/{subject}/explain", purpose="P07", fields="sex")
    officer.get("/consents/statistics")
    entries = officer.get("/audit/entries", act="consent.read").json()["entries"]
    assert [entry["refs"]["what"] for entry in entries] == ["wake", "explanation", "statistics"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/subjects/{NOBODY}/wake", 404),
        ("/subjects/nobody/wake", 422),
        (f"/subjects/{NOBODY}/explain?purpose=P99&fields=sex", 422),
        (f"/subjects/{NOBODY}/explain?purpose=P07", 422),
        (f"/subjects/{NOBODY}/explain?purpose=P07&fields=sex&as_of=2999-01-01T00:00:00Z", 422),
        ("/consents/statistics?by=week", 422),
        ("/consents/statistics?from=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", 422),
        ("/consents/statistics?from=1990-01-01T00:00:00Z&by=month", 422),
    ],
)
def test_unsound_question_is_a_problem(officer, path, status):
    """Nobody registered, no field, a future instant, a period that is none."""
    said = officer.http.get(f"/v1{path}", headers=officer.headers)
    assert (said.status_code, said.headers["content-type"]) == (status, "application/problem+json"), said.text


@pytest.mark.parametrize("role", ["capture", "ingest", "subject"])
def test_machines_and_subjects_do_not_look(call, captured, login, refused, role):
    """Officers' routes take a person's token only."""
    subject = captured.person("u-1")
    bearer = login.token("u-1") if role == "subject" else captured.machine_key(role)
    for path in (f"/subjects/{subject}/wake", f"/subjects/{subject}/explain?purpose=P07&fields=sex"):
        said = call(bearer).http.get(f"/v1{path}", headers=call(bearer).headers)
        refused(said, 403, "Denied")
    refused(call(bearer).get("/consents/statistics"), 403, "Denied")
