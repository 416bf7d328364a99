"""A withdrawal over HTTP against a running service: what it ends, and when."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from audit.verifier import main as verify
from consentry.platform import open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import Settings, load_settings
from consentry.workflows.accounts import add_key, add_person
from consentry.workflows.build_view import build_view
from consentry.workflows.export_audit import export_audit
from consentry.workflows.initialise import initialise
from consentry.workflows.read_view import read_view
from consentry.workflows.run_tags import run_tags
from kernel.ids import PrincipalId

pytestmark = pytest.mark.xdist_group("withdrawal")

ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
PEOPLE = ("u-1", "u-2", "u-3")
CHAT = "最近总是失眠心慌"
NOTICES = {"P02": "service", "P07": "profiling"}
REVEAL = {"purpose": "P02", "fields": ["diagnosis", "chief_complaint"], "reason": "consultation 4711"}


@dataclass(frozen=True)
class Service:
    """A running `consentry serve`, its deployment, and who may call it."""

    settings: Settings
    http: httpx.Client
    bearers: Mapping[str, str]
    output: Path

    def get(self, who: str, path: str, **params: str) -> httpx.Response:
        return self.http.get(path, params=params, headers={"Authorization": f"Bearer {self.bearers[who]}"})

    def post(self, who: str, path: str, body: object = None) -> httpx.Response:
        return self.http.post(path, json=body, headers={"Authorization": f"Bearer {self.bearers[who]}"})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as an operator starts it: a process of its own, listening on the loopback interface."""
    folder = tmp_path_factory.mktemp("service")
    settings = load_settings(home=folder / "home")
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician")
    named = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    passwords = {account.name: account.password for account in made.accounts}
    with open_platform(named) as platform:
        keys = {
            role: add_key(platform, ADMIN, name=role, role=role, days=1, subjects_per_day=100, sources=["app"])[1]
            for role in ("capture", "ingest")
        }
        for role in ("analyst", "compliance_officer"):
            passwords[role] = add_person(platform, ADMIN, name=role, role=role)[1]
    with (
        running(named, folder / "output.txt") as address,
        httpx.Client(base_url=f"{address}/v1", trust_env=False, timeout=30) as http,
    ):
        tokens = {name: _signed_in(http, name, password) for name, password in passwords.items()}
        yield Service(named, http, {**keys, **tokens}, folder / "output.txt")


@contextmanager
def running(settings: Settings, output: Path) -> Iterator[str]:
    """Run `consentry serve` on a free port for the length of a with block; yields its address when it is healthy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = "from consentry.cli import main; main()"
    command = [sys.executable, "-W", "error", "-c", code, "serve", "--home", str(settings.home), "--port", str(port)]
    with output.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as process:
        try:
            yield _healthy(f"http://127.0.0.1:{port}", process, output)
        finally:
            process.terminate()


def _healthy(address: str, process: subprocess.Popen[bytes], output: Path) -> str:
    for _ in range(600):
        assert process.poll() is None, output.read_text()
        try:
            httpx.get(f"{address}/v1/health", trust_env=False).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return address
    raise AssertionError("the service did not become healthy")


def _signed_in(http: httpx.Client, name: str, password: str) -> str:
    said = http.post("/tokens", json={"name": name, "password": password})
    assert said.status_code == 201
    return said.json()["access_token"]


@dataclass(frozen=True)
class Patients:
    """Subjects by the app's names, and the decisions that they made by purpose."""

    subjects: Mapping[str, str]
    decisions: Mapping[tuple[str, str], str]


@pytest.fixture(scope="module")
def patients(service: Service) -> Patients:
    """Three people with care and profiling granted, their records, views and tags."""
    subjects, decisions = {}, {}
    for name in PEOPLE:
        subjects[name] = _act(service, name, "contract", "P01", "P02")["subject_id"]
        for purpose in NOTICES:
            decisions[name, purpose] = _act(service, name, "grant", purpose)["decisions"][0]["decision_id"]
    stored = service.post("ingest", "/records", {"source": "app", "records": [r for n in PEOPLE for r in _records(n)]})
    assert stored.status_code == 201
    assert stored.json()["quarantined"] == []
    with open_platform(service.settings) as platform:
        assert build_view(platform, ADMIN, "subject_profile").people == 3
        build_view(platform, ADMIN, "event_rows")
        assert run_tags(platform, ADMIN).people == 3
        assert read_view(platform, ADMIN, "subject_profile").num_rows == 3
    return Patients(subjects, decisions)


def _act(service: Service, name: str, act: str, *purposes: str) -> dict:
    body = {
        "act_id": f"{name}-{act}-{'-'.join(purposes)}",
        "act": act,
        "subject": {"source": "app", "id": name},
        "purposes": list(purposes),
        "at": (datetime.now(UTC) - timedelta(minutes=10)).isoformat(),
        "evidence": {"mechanism": "tapped_button", "channel": "app"},
    }
    if act == "contract":
        body["subject"] |= {"birth_date": "1980-05-20", "sex": "female"}
        body["actor"] = {"kind": "operator"}
    else:
        body["notice"] = {"code": NOTICES[purposes[0]], "version": "2026-11", "locale": "zh-CN"}
    said = service.post("capture", "/consents", body)
    assert said.status_code == 201, said.text
    return said.json()


def _records(name: str) -> list[dict]:
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    common = {"source_subject": name, "observed_at": at}
    profile = {"sex": "female", "birth_date": "1980-05-20", "district": "110105"}
    return [
        {**common, "kind": "profile", "source_record": f"{name}-p", "values": profile},
        {**common, "kind": "condition", "source_record": f"{name}-c", "values": {"diagnosis": "icd10:I10"}},
        {**common, "kind": "encounter", "source_record": f"{name}-e", "values": {"chief_complaint": CHAT}},
    ]


def _withdraw(service: Service, patients: Patients, name: str, purpose: str) -> None:
    said = service.post("capture", f"/consents/{patients.decisions[name, purpose]}/withdraw")
    assert (said.status_code, said.json()["purpose"], said.json()["act"]) == (200, purpose, "withdraw")


def test_withdrawal_of_care_makes_the_next_opening_fail(service: Service, patients: Patients) -> None:
    """What was opened a moment ago stays closed from the answer of the withdrawal on, for this person alone."""
    path = f"/subjects/{patients.subjects['u-1']}/reveal"
    opened = service.post("dr.lin", path, REVEAL)
    assert opened.status_code == 200
    assert CHAT in opened.text
    _withdraw(service, patients, "u-1", "P02")
    refused = service.post("dr.lin", path, REVEAL)
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:consentry:problem:NotPermitted"
    assert "diagnosis: WITHDRAWN" in refused.json()["detail"]
    assert service.post("dr.lin", f"/subjects/{patients.subjects['u-2']}/reveal", REVEAL).status_code == 200


def test_withdrawal_of_profiling_filters_what_is_built_and_what_is_built_next(
    service: Service, patients: Patients
) -> None:
    """Tags and views that exist are filtered when they are read; the next build leaves the person out and says why."""
    subject = patients.subjects["u-2"]
    before = service.get("analyst", f"/subjects/{subject}/tags")
    assert before.status_code == 200
    assert before.json()["as_of"] is not None
    assert before.json()["tags"]
    _withdraw(service, patients, "u-2", "P07")
    refused = service.get("analyst", f"/subjects/{subject}/tags")
    assert refused.status_code == 403
    assert "tags: WITHDRAWN" in refused.json()["detail"]
    assert service.get("analyst", f"/subjects/{patients.subjects['u-3']}/tags").status_code == 200
    with open_platform(service.settings) as platform:
        assert read_view(platform, ADMIN, "subject_profile").num_rows == 2
        built = build_view(platform, ADMIN, "subject_profile")
        assert (built.people, built.left_out) == (2, {"WITHDRAWN": 1})
        assert run_tags(platform, ADMIN).people == 2


def test_log_shows_the_order_and_verifies(service: Service, patients: Patients, tmp_path: Path) -> None:
    """After the withdrawal there is no permit for its purpose, and an offline verifier finds the log whole."""
    subject = patients.subjects["u-3"]
    service.post("dr.lin", f"/subjects/{subject}/reveal", REVEAL)
    _withdraw(service, patients, "u-3", "P02")
    service.post("dr.lin", f"/subjects/{subject}/reveal", REVEAL)
    found = service.get("compliance_officer", "/audit/entries", subject_id=subject, purpose="P02").json()["entries"]
    acts = [entry["act"] for entry in found]
    end = acts.index("consent.withdrawn")
    assert "gate.permit" in acts[:end]
    assert acts[end + 1 :] == ["gate.refusal"]
    with open_platform(service.settings) as platform:
        export_audit(platform, ADMIN, tmp_path / "log")
        key = str(platform.signer.verifier_key)
    assert verify([str(tmp_path / "log"), "--key", str(key)]) == 0


def test_service_prints_no_value_and_no_address(service: Service, patients: Patients) -> None:
    """What the process wrote to its terminal names neither people nor paths nor anything that was sent."""
    service.get("analyst", "/subjects/13912345678/tags")
    printed = service.output.read_text()
    assert "Uvicorn running" in printed
    for text in (CHAT, "13912345678", "icd10", "u-1", *patients.subjects.values(), "/v1/"):
        assert text not in printed
