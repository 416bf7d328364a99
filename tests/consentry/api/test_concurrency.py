"""Many callers at once: everybody gets a right answer, and nothing is recorded twice."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from consent.tables import decision, subject_standing
from consentry.platform import Platform, open_platform
from kernel.clock import FixedClock
from tests.consentry.conftest import Deployed

THREADS = 8
REVEAL = {"purpose": "P02", "fields": ["sex"], "reason": "consultation"}


@pytest.fixture
def postgres(tmp_path: Path, copied_to: Callable[..., Deployed], clock: FixedClock):
    """A platform over two PostgreSQL databases."""
    with open_platform(copied_to("postgresql", tmp_path / "pg").settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def embedded(deployment, clock):
    """A platform over the embedded stores."""
    with open_platform(deployment.settings, clock=clock) as opened:
        yield opened


@pytest.fixture(params=["embedded", "postgres"])
def platform(request) -> Platform:
    """The platform on each engine in turn."""
    return request.getfixturevalue(request.param)


def at_once(work, times: int = THREADS) -> list:
    """Run the same work in as many threads; returns what each brought back."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, range(times)))


def count(platform, table) -> int:
    with platform.data.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_eight_callers_capture_and_open_at_once(call, captured):
    """Registrations, grants, records, openings and withdrawals side by side: every answer is as if it were alone."""
    keys = [captured.machine_key("capture") for _ in range(THREADS)]
    his = call(captured.machine_key("ingest"))
    doctor = call(captured.token("clinician"))

    def patient(number: int) -> list[int]:
        app, name = call(keys[number]), f"u-{number}"
        statuses = []
        for turn in range(3):
            who = {"source": "app", "id": f"{name}-{turn}", "birth_date": "1990-05-20", "sex": "female"}
            opened = app.post("/consents", captured.act("contract", who, "P01", "P02"))
            subject = opened.json()["subject_id"]
            known = {"source": "app", "id": who["id"]}
            granted = app.post("/consents", captured.act("grant", known, "P02"))
            record = captured.posted(who["id"], sex="female", diagnosis="icd10:I10")
            stored = his.post("/records", {"source": "app", "records": [record]})
            assert stored.json().get("stored_fields") == 2, stored.text
            before = doctor.post(f"/subjects/{subject}/reveal", {**REVEAL, "fields": ["diagnosis"]})
            ended = app.post(f"/consents/{granted.json()['decisions'][0]['decision_id']}/withdraw")
            after = doctor.post(f"/subjects/{subject}/reveal", {**REVEAL, "fields": ["diagnosis"]})
            statuses += [said.status_code for said in (opened, granted, stored, before, ended, after)]
        return statuses

    for statuses in at_once(patient):
        assert statuses == [201, 201, 201, 200, 200, 403] * 3


def test_same_act_at_once_is_recorded_once(call, captured, platform):
    """Eight copies of one act are one act; seven are told that it was answered before."""
    app = call(captured.machine_key("capture"))
    act = captured.act("contract", {"source": "app", "id": "u-1", "birth_date": "1990-05-20"}, "P01", "P02")
    answers = at_once(lambda _: app.post("/consents", act))
    assert Counter(said.status_code for said in answers) == {201: 1, 200: THREADS - 1}
    assert len({said.json()["subject_id"] for said in answers}) == 1
    assert (count(platform, decision), count(platform, subject_standing)) == (2, 1)


def test_same_person_registered_by_two_systems_at_once_is_one(call, captured, platform):
    """Different acts about one ID number lead to one subject, whoever comes first."""
    keys = [captured.machine_key("capture") for _ in range(THREADS)]
    who = {"source": "app", "id_number": "11010519491231002X"}
    acts = [captured.act("contract", who | {"id": f"u-{n}"}, "P01") for n in range(THREADS)]
    answers = at_once(lambda n: call(keys[n]).post("/consents", acts[n]))
    assert [said.status_code for said in answers] == [201] * THREADS
    assert len({said.json()["subject_id"] for said in answers}) == 1
    assert count(platform, subject_standing) == 1


def test_same_batch_at_once_is_stored_once(call, captured):
    """Whoever comes second is told to send again, or gets the answer; nobody gets an error of ours."""
    captured.person("u-1")
    his = call(captured.machine_key("ingest"))
    body = {"source": "app", "records": [captured.posted("u-1", "profile", sex="female")]}
    answers = at_once(lambda _: his.post("/records", body))
    statuses = Counter(said.status_code for said in answers)
    assert statuses.keys() <= {200, 201, 409}
    assert sum(said.json()["stored_records"] for said in answers if said.status_code == 201) == 1
    assert his.post("/records", body).status_code == 200


def test_cap_holds_against_calls_at_once(call, captured):
    """Eight people at the same moment, three allowed: exactly three get through."""
    app = call(captured.machine_key("capture", cap=3))
    who = {"source": "app", "birth_date": "1990-05-20", "sex": "male"}
    acts = [captured.act("contract", who | {"id": f"u-{n}"}, "P01") for n in range(THREADS)]
    statuses = Counter(at_once(lambda n: app.post("/consents", acts[n]).status_code))
    assert statuses == {201: 3, 429: THREADS - 3}


def test_no_opening_follows_its_withdrawal(call, captured):
    """In the log's order no permit for the purpose comes after the withdrawal, however the calls fall."""
    subject = captured.person("u-1")
    granted = captured.grant("u-1", "P02")
    captured.store([captured.posted("u-1", diagnosis="icd10:I10")])
    app, doctor = call(captured.machine_key("capture")), call(captured.token("clinician"))
    body = {**REVEAL, "fields": ["diagnosis"]}

    def work(number: int) -> int:
        if number == THREADS // 2:
            return app.post(f"/consents/{granted}/withdraw").status_code
        return doctor.post(f"/subjects/{subject}/reveal", body).status_code

    assert set(at_once(work)) <= {200, 403}
    log = call(captured.token("compliance_officer")).get("/audit/entries", subject_id=subject, purpose="P02").json()
    acts = [entry["act"] for entry in log["entries"] if entry["act"] in ("gate.permit", "consent.withdrawn")]
    assert acts[-1] == "consent.withdrawn" or "gate.permit" not in acts[acts.index("consent.withdrawn") :]
