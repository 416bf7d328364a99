"""When a store is locked, the log cannot be signed or something breaks: nothing is opened and little is told."""

import asyncio
import logging
import os
import sqlite3
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from consentry.api.guard import Guard
from consentry.platform import open_platform
from consentry.settings import load_settings

REVEAL = {"purpose": "P02", "fields": ["sex"], "reason": "consultation"}


@pytest.fixture
def platform(deployment, clock):
    """A platform that does not wait long for a lock."""
    impatient = load_settings(**{**deployment.settings.model_dump(), "busy_timeout_ms": 50})
    with open_platform(impatient, clock=clock) as opened:
        yield opened


@pytest.fixture
def patient(captured):
    """A person with a stored profile."""
    subject = captured.person("u-1", "P07")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    return subject


@pytest.fixture
def lock(platform):
    """Locks a store file as another process would; the caller closes it."""

    def take(name, how="IMMEDIATE"):
        other = sqlite3.connect(platform.settings.home / name, isolation_level=None)
        other.execute(f"BEGIN {how}")
        return closing(other)

    return take


def calls(call, captured, patient):
    """One call to each route that needs a store for writing, by name."""
    app, his = call(captured.machine_key("capture")), call(captured.machine_key("ingest"))
    doctor, officer = call(captured.token("clinician")), call(captured.token("compliance_officer"))
    analyst = call(captured.token("analyst"))
    grant = captured.act("refuse", captured.known("u-1"), "P08", notice=captured.notice("P08"))
    record = captured.posted("u-1", "profile", "2", sex="male")
    question = {"subject_id": patient, "purpose": "P02", "fields": ["sex"]}
    return {
        "capture": lambda: app.post("/consents", grant),
        "ingest": lambda: his.post("/records", {"source": "app", "records": [record]}),
        "decide": lambda: doctor.post("/decisions", question),
        "reveal": lambda: doctor.post(f"/subjects/{patient}/reveal", REVEAL),
        "tags": lambda: analyst.get(f"/subjects/{patient}/tags"),
        "log": lambda: officer.get("/audit/entries"),
        "deny": lambda: app.get("/audit/entries"),
        "sign in": lambda: call().post("/tokens", {"name": "dr.lin", "password": "wrong"}),
    }  # fmt: skip


def test_locked_data_store_is_a_503_and_the_same_call_works_later(call, captured, patient, *, lock, refused):
    """Every route that writes its entry says that it could not, and does its work when the lock is gone."""
    made = calls(call, captured, patient)
    with lock("data.db"):
        for name, make in made.items():
            document = refused(make(), 503, "Unavailable")
            assert "The data store cannot be used: database is locked" in document["detail"], name
    assert [make().status_code for make in made.values()] == [201, 201, 200, 200, 200, 200, 403, 401]


def test_locked_key_store_stores_nothing(call, captured, patient, *, lock, refused):
    """A registration that cannot be linked records no decision; it can be sent again."""
    app = call(captured.machine_key("capture"))
    act = captured.act("contract", {**captured.known("u-2"), "birth_date": "1990-05-20"}, "P01")
    with lock("keys.db"):
        refused(app.post("/consents", act), 503, "Unavailable")
    assert app.post("/consents", act).status_code == 201


def test_store_that_cannot_even_be_read_makes_the_service_unhealthy(call, lock, refused):
    """An exclusive lock, as a restore takes it, stops health as well."""
    with lock("keys.db", "EXCLUSIVE"):
        refused(call().get("/health"), 503, "Unavailable")
    assert call().get("/health").status_code == 200


def test_nothing_is_opened_while_the_log_cannot_be_signed(call, captured, patient, platform, refused):
    """Reads wait for the signed checkpoint, so without a signer there are none; writes go on."""
    made = calls(call, captured, patient)
    whole = platform.settings.signer_state_path.read_bytes()
    os.truncate(platform.settings.signer_state_path, 3)
    for name in ("reveal", "tags", "log"):
        said = made[name]()
        refused(said, 503, "LogUnavailable" if name == "reveal" else "IntegrityFailed")
        assert "female" not in said.text
    assert made["capture"]().status_code == 201
    assert made["decide"]().status_code == 200
    platform.settings.signer_state_path.write_bytes(whole)
    assert made["reveal"]().status_code == 200


class Broken:
    """A part with a mistake in it, whose error holds a value."""

    def __getattr__(self, name):
        raise RuntimeError("13912345678 of 欧阳静怡")


def test_mistake_in_the_code_tells_nothing(platform, captured, serve, *, caplog, refused):
    """The answer is a bare 500, the log line has the error's type and place, and neither has its message."""
    caplog.set_level(logging.DEBUG)
    key = captured.machine_key("capture")
    act = captured.act("grant", captured.known("u-1"), "P07")
    with serve(replace(platform, resolver=Broken())) as address:
        headers = {"Authorization": f"Bearer {key}"}
        said = httpx.post(f"{address}/v1/consents", json=act, headers=headers, trust_env=False)
    document = refused(said, 500)
    assert document == {"type": "about:blank", "title": "Internal Server Error", "status": 500, "detail": ""}
    assert said.headers["cache-control"] == "no-store"
    lines = [r.getMessage() for r in caplog.records if r.name == "consentry.api"]
    assert len(lines) == 1
    assert lines[0].startswith("POST /consents: RuntimeError at consentry.workflows.people:")
    assert "13912345678" not in caplog.text + said.text


def test_failure_of_ours_is_one_line_for_the_operator(call, lock, caplog):
    """A 503 stands in the service's log with what to do."""
    with lock("keys.db", "EXCLUSIVE"):
        call().get("/health")
    lines = [r.getMessage() for r in caplog.records if r.name == "consentry.api"]
    assert len(lines) == 1
    assert lines[0].startswith("GET /health: Unavailable: The key store cannot be used: database is locked.")


def test_answer_that_breaks_off_is_not_begun_again():
    """Once an answer is on its way, a mistake ends it; nothing else is sent behind it."""
    sent = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("13912345678")

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/v1/health", "headers": []}
    asyncio.run(Guard(app, max_body_bytes=10)(scope, None, send))
    assert sent == ["http.response.start"]


def test_other_protocols_pass_through_the_guard():
    """Start and end of the application are none of its business."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    asyncio.run(Guard(app, max_body_bytes=10)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
