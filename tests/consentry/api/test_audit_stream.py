"""The log as one streamed answer."""

import json

import httpx
import pytest
from sqlalchemy import text

from audit.events import Act, Event, Outcome
from audit.ranges import WINDOW
from kernel.ids import RequestId


@pytest.fixture
def officer(call, captured):
    """A compliance officer with a token."""
    return call(captured.token("compliance_officer"))


@pytest.mark.parametrize(
    ("form", "media"),
    [("fhir", "application/fhir+ndjson"), ("ocsf", "application/x-ndjson"), ("csv", "text/csv; charset=utf-8")],
)
def test_answer_says_how_many_come_and_under_which_checkpoint(officer, captured, form, media):
    """Whoever got fewer lines than were announced did not get all."""
    captured.person("u-1", "P02")
    said = officer.get("/audit/stream", format=form)
    assert (said.status_code, said.headers["content-type"]) == (200, media)
    assert said.headers["transfer-encoding"] == "chunked"
    assert said.headers["x-log-entries"] == said.headers["x-log-checkpoint-size"]
    assert said.headers["x-log-origin"]
    count = len(said.text.splitlines()) - (form == "csv")
    assert count == int(said.headers["x-log-entries"]) > 20


def test_filters_narrow_the_stream(officer, captured):
    """Several acts, a range of indexes, and times."""
    captured.person("u-1")
    said = officer.http.get(
        "/v1/audit/stream?format=ocsf&act=subject.registered&act=pack.loaded&from_index=1", headers=officer.headers
    )
    assert {json.loads(line)["activity_name"] for line in said.text.splitlines()} == {
        "subject.registered",
        "pack.loaded",
    }
    assert officer.get("/audit/stream", since="2026-11-22T00:00:00Z").headers["x-log-entries"] == "0"
    text_ = officer.get("/audit/stream", format="csv", header="zh", bom="true", to_index="1").content.decode()
    assert text_.startswith("\ufeff序号,")


def test_reading_and_refusal_leave_their_entries(officer, call, captured, refused):
    """Who streamed, and who was not let."""
    refused(call(captured.token("clinician")).get("/audit/stream"), 403, "Denied")
    refused(call(captured.machine_key("ingest")).get("/audit/stream"), 403, "Denied")
    refused(call().get("/audit/stream"), 401, "NotAuthenticated")
    assert officer.get("/audit/stream", format="csv").status_code == 200
    denied = officer.get("/audit/entries", act="access.denied").json()["entries"]
    assert [(e["role"], e["refs"]) for e in denied] == [(r, {"act": "audit.export"}) for r in ("clinician", "ingest")]
    exported = officer.get("/audit/entries", act="audit.exported").json()["entries"]
    assert [(e["role"], e["refs"]["format"]) for e in exported] == [("compliance_officer", "csv")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "xml"), ("act", "13912345678"), ("from_index", "-1"), ("to_index", "x"), ("header", "fr"), ("x", "1")],
)
def test_wrong_filter_is_refused_without_repeating_it(officer, refused, name, value):
    """The answer names the parameter and the rule."""
    document = refused(officer.get("/audit/stream", **{name: value}), 422, "InvalidRequest")
    assert document["detail"].startswith("query.")
    assert "13912345678" not in document["detail"]


def test_range_turned_round_is_refused(officer, refused):
    """Before anything is streamed."""
    refused(officer.get("/audit/stream", from_index="5", to_index="3"), 422, "BadInput")


def change(platform, index):
    with platform.data.write() as connection:
        for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        changed = f"UPDATE audit_leaf SET body = replace(body, 'usr_1', 'usr_2') WHERE leaf_index = {index}"
        connection.exec_driver_sql(changed)


def test_damaged_log_breaks_the_answer_off(officer, platform):
    """An answer that cannot be completed has no end, so that no client takes a part of it for all."""
    event = Event(Act.AUDIT_READ, Outcome.ALLOWED, "usr_1", "administrator", RequestId("req_1"))
    with platform.data.write() as connection:
        platform.log.record_many(connection, [event] * (2 * WINDOW))
    change(platform, platform.log.settle().size - 2)
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        officer.get("/audit/stream", format="ocsf")


def test_damage_at_the_beginning_is_a_problem_document(officer, platform, refused):
    """The first entries are read before the answer begins."""
    event = Event(Act.AUDIT_READ, Outcome.ALLOWED, "usr_1", "administrator", RequestId("req_1"))
    with platform.data.write() as connection:
        platform.log.record(connection, event)
    change(platform, platform.log.settle().size - 1)
    refused(officer.get("/audit/stream", format="ocsf"), 503, "IntegrityFailed")
