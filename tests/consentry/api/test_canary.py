"""No answer of an error and no line of any log carries a value, wherever a caller puts it."""

import json
import logging
from itertools import cycle

import pytest

from consentry.api.consents import EXAMPLES
from kernel.ids import new_id

NAME = "欧阳静怡"
MOBILE = "13912345678"
ID_NUMBER = "110101199003074514"
DIAGNOSIS = "icd10:B20.9"
CHAT = "最近总是失眠心慌"
AMOUNT = "7342.55"
EMAIL = "ouyang@example.org"
PLANTED = (NAME, MOBILE, ID_NUMBER, DIAGNOSIS, CHAT, AMOUNT, EMAIL)
EVIDENCE = {"mechanism": "tapped_button", "occasion": "own", "shown": "full_text", "session": "s-1"}
STORED = {"diagnosis": DIAGNOSIS, "chief_complaint": CHAT}
NOT_THE_SERVER = ("httpx", "httpcore", "asyncio", "uvicorn.access")
"""The test's own client; and the access log, which `consentry serve` turns off and pytest turns on."""


def planted_everywhere(body):
    """Yield copies of a JSON body in each of which one place holds a planted value, as value or as name."""
    values = cycle((NAME, {MOBILE: CHAT}, MOBILE, ID_NUMBER, [DIAGNOSIS], f"{AMOUNT}\n", EMAIL))
    for path in paths(body):
        yield changed(body, path, next(values))
        yield changed(body, path, next(values))
        if isinstance(at(body, path), dict):
            yield changed(body, path, {**at(body, path), MOBILE: NAME})
    yield {**body, CHAT: 1}


def paths(node, path=()):
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def at(body, path):
    for key in path:
        body = body[key]
    return body


def changed(body, path, value):
    if not path:
        return value
    copy = json.loads(json.dumps(body))
    at(copy, path[:-1])[path[-1]] = value
    return copy


@pytest.fixture
def world(call, captured, caplog, login):
    """A patient whose record holds planted values, and a caller of every kind; logs are read at every level."""
    caplog.set_level(logging.DEBUG)
    who = {"source": "app", "id": "u-1", "id_number": ID_NUMBER, "mobile": MOBILE, "sex": "female"}
    subject = captured.record(captured.act("contract", who, "P01", "P02", "P04")).subject
    granted = captured.grant("u-1", "P02")
    captured.store([captured.posted("u-1", **STORED)])
    callers = {
        "app": captured.machine_key("capture"),
        "his": captured.machine_key("ingest"),
        "doctor": captured.token("clinician"),
        "officer": captured.token("compliance_officer"),
        "analyst": captured.token("analyst"),
        "me": login.token("u-1"),
    }
    return subject, granted, {name: call(bearer) for name, bearer in callers.items()}


def bodies(captured, subject, granted):
    """A sound request of every posting route: caller, path and body."""
    record = captured.posted("u-1", "profile", "9", sex="female", reading={"code": "loinc:8480-6", "value": "128"})
    guardian = captured.act("guardian", captured.known("u-1"))
    guardian["actor"] = {"kind": "guardian", "subject": {"source": "app", "id": "u-2", "birth_date": "1980-01-01"}}
    research = {
        "purposes": ["P12"],
        "notice": captured.notice("P12"),
        "recipient": "research_partner",
        "fields": ["sex"],
    }
    return [
        ("app", "/consents", EXAMPLES["contract"]["value"]),
        ("app", "/consents", EXAMPLES["grant"]["value"] | research),
        ("app", "/consents", guardian),
        ("app", f"/consents/{granted}/withdraw", {"at": "2026-11-21T01:00:00Z"}),
        ("his", "/records", {"source": "app", "records": [record | {"identity": {"sex": "female"}}]}),
        ("doctor", "/decisions", {"subject_id": subject, "purpose": "P02", "fields": ["sex"], "recipient": "lab"}),
        ("analyst", "/deid/text", {"texts": [MOBILE, ID_NUMBER], "profile": "redact"}),
        ("doctor", f"/subjects/{subject}/reveal", {"purpose": "P09", "fields": ["diagnosis"], "reason": "visit"}),
        ("doctor", "/tokens", {"name": "dr.lin", "password": "wrong"}),
        ("app", f"/consents/{granted}/renew", {"notice": captured.notice("P02"), "evidence": EVIDENCE, "max_uses": 3}),
        ("officer", "/approvals", {"subject_id": subject, "purpose": "P02", "role": "clinician", "reason": "visit"}),
        ("me", "/consents", captured.act("refuse", {"subject_id": "me"}, "P07", evidence=EVIDENCE)),
        *vault_bodies(subject),
    ]


def vault_bodies(subject):
    """Requests about what is stored; none of them opens a planted value."""
    nowhere, said = "a" * 24, {"reason": "request 4711"}
    reading = {"purpose": "P09", "fields": ["diagnosis"], **said}
    return [
        ("doctor", f"/subjects/{subject}/history", reading),
        ("doctor", f"/subjects/{subject}/profile", reading),
        ("doctor", f"/subjects/{subject}/corrections", {"record": f"rec_{nowhere}", "values": {"sex": "male"}, **said}),
        ("doctor", f"/attachments/att_{nowhere}/open", {"purpose": "P02", **said}),
        ("doctor", "/cases", {"subject_id": subject, "purpose": "P02", "fields": ["special_disease"], **said}),
        ("officer", f"/cases/case_{nowhere}/decision", {"verdict": "granted", **said}),
        ("doctor", "/emergencies", {"subject_id": subject, "fields": ["sex"], **said}),
        ("officer", f"/content/cnt_{nowhere}/decision", {"part": "compliance", "verdict": "rejected", **said}),
        ("officer", "/emergencies/releases", {"account": "dr.lin", **said}),
        ("officer", "/holds", {"subject_id": subject, "reference": "case-17", "field": "page_viewed", **said}),
        ("officer", f"/subjects/{subject}/erasures", {"compartment": "behaviour", **said}),
    ]


def server_log(caplog) -> str:
    return "\n".join(caplog.handler.format(r) for r in caplog.records if not r.name.startswith(NOT_THE_SERVER))


def check_silent(*texts: str) -> None:
    for value in PLANTED:
        for form in (value, json.dumps(value)[1:-1]):
            assert not any(form in text for text in texts), "a planted value was told"


def test_no_place_of_a_body_comes_back(world, captured, caplog, capfd):
    """Every member of every body is replaced by values and gets names that are values; no answer repeats one."""
    subject, granted, callers = world
    statuses = set()
    for caller, path, sound in bodies(captured, subject, granted):
        for body in planted_everywhere(sound):
            said = callers[caller].post(path, body)
            statuses.add(said.status_code)
            assert said.status_code < 500, said.text
            # The sender's own name of its act, and its own text, come back in an answer that is no error.
            if "act_id" not in said.text and (path, said.status_code) != ("/deid/text", 200):
                check_silent(said.text, str(said.headers))
    assert {401, 403, 404, 409, 422} <= statuses
    check_silent(server_log(caplog), *capfd.readouterr())


@pytest.mark.parametrize("value", [MOBILE, NAME, EMAIL, f"{AMOUNT}%0a"])
def test_no_part_of_an_address_comes_back(world, caplog, capfd, value):
    """Paths, parameters and headers are not repeated."""
    subject, _, callers = world
    officer, app = callers["officer"], callers["app"]
    answers = [
        officer.get(f"/{value}"),
        officer.get(f"/subjects/{value}/tags"),
        app.post(f"/consents/{value}/withdraw"),
        callers["doctor"].post(f"/subjects/{value}/reveal", {}),
        *(officer.get("/audit/entries", **{name: value}) for name in ("act", "outcome", "since", "limit", value)),
        officer.get("/audit/entries", actor=value, purpose=value, request_id=value),
        app.post("/consents", {}, Idempotency_Key=MOBILE * 20),
        app.post("/consents", {}, Sec_GPC=MOBILE * 3),
        officer.get(f"/subjects/{subject}/consents/history", as_of=value, locale=value),
        app.get(f"/subjects/{subject}/due", channel=value, locale=value),
        app.get(f"/subjects/{value}/due", channel="app"),
        officer.get(f"/consents/{value}/receipt"),
        officer.get(f"/notices/{value}/{value}/{value}"),
        officer.get(f"/notices/{value}/current"),
        callers["me"].post(f"/subjects/{value}/signals/gpc"),
        officer.http.get("/v1/audit/entries", headers={"Authorization": f"Bearer {MOBILE}"}),
        officer.http.get("/v1/audit/entries", headers={"Authorization": f"Basic {MOBILE}"}),
        officer.http.request(MOBILE, "/v1/health"),
        callers["analyst"].get(f"/subjects/{subject}/tags"),
    ]
    check_silent(*(said.text for said in answers), *(str(said.headers) for said in answers))
    check_silent(server_log(caplog), *capfd.readouterr())


def test_refused_opening_tells_nothing_of_the_record(world, captured, caplog, capfd):
    """Neither role, gate, log nor a withdrawn grant lets a stored value into an answer or a log."""
    subject, granted, callers = world
    body = {"purpose": "P02", "fields": ["diagnosis", "chief_complaint", "special_disease"], "reason": f"{NAME} called"}
    answers = [callers[name].post(f"/subjects/{subject}/reveal", body) for name in callers]
    body["fields"] = ["chief_complaint"]
    opened = callers["doctor"].post(f"/subjects/{subject}/reveal", body)
    assert CHAT in opened.text, "the search must be able to find something"
    callers["app"].post(f"/consents/{granted}/withdraw")
    answers += [callers["doctor"].post(f"/subjects/{subject}/reveal", body), callers["officer"].get("/audit/entries")]
    assert {said.status_code for said in answers} == {200, 403}
    check_silent(*(said.text for said in answers), server_log(caplog), *capfd.readouterr())


def test_act_id_is_not_repeated_in_errors(world, captured):
    """Whoever names acts by what should not be in a name is not answered with it."""
    _, _, callers = world
    act = captured.act("grant", captured.known("u-1"), "P07") | {"act_id": MOBILE}
    assert callers["app"].post("/consents", act).status_code == 201
    answers = [
        callers["app"].post("/consents", act | {"purposes": ["P08"]}),
        callers["app"].post("/consents", act | {"subject": {"subject_id": new_id("sub")}}),
    ]
    assert {said.status_code for said in answers} == {409}
    check_silent(*(said.text for said in answers))
