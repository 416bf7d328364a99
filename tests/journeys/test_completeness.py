"""Whatever touches somebody's data leaves its entry: every workflow, route and command; every act has its writer."""

import ast
import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import shlex
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection
from typer.main import get_command

import consentry.workflows
from audit.events import OWNERS, Act
from audit.vigilance import Rule
from consentry.api.app import ROUTERS
from consentry.breach_acts import BreachNotice, BreachReport
from consentry.cli import main
from consentry.cli.app import app as command_line
from consentry.platform import Platform, open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import Settings, load_settings
from consentry.workflows.accounts import add_key, add_person
from consentry.workflows.approvals import approve_read
from consentry.workflows.breach import WORDS, notify_breach, open_breach
from consentry.workflows.break_glass import break_glass
from consentry.workflows.cases import request_case
from consentry.workflows.erase import erase_subject
from consentry.workflows.review_emergency import review_emergency
from consentry.workflows.unusual_access import list_findings, mark_unusual
from consentry.workflows.watch_lists import protect
from kernel.ids import PrincipalId, SubjectId
from tests.consentry.api.conftest import serving
from tests.consentry.conftest import Captured
from tests.journeys.declared_acts import BACKGROUND, COMMANDS, ROUTES, WORKFLOWS
from tests.vault.decryptions import DRIVEN, INSIDE, Decryptions, watched

pytestmark = pytest.mark.xdist_group("demo")

ROOT = Path(__file__).parents[2]
ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")
STORES = (Platform, Connection, Settings)


# --- what there is, and what is declared


def public_workflows() -> Iterator[str]:
    """Every public function of the workflows that is given the platform, a store or settings."""
    for found in pkgutil.iter_modules(consentry.workflows.__path__):
        module = importlib.import_module(f"consentry.workflows.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            is_ours = function.__module__ == module.__name__ and not name.startswith("_")
            if is_ours and any(kind in STORES for kind in annotations_of(function)):
                yield f"{found.name}.{name}"


def annotations_of(function: Any) -> list[object]:
    """The types of a function's parameters; a name in quotes is looked up among the types that matter here."""
    named = {kind.__name__: kind for kind in STORES}
    kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
    return [named.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds]


def routes() -> dict[str, Any]:
    """Every route by method and path, with its function."""
    return {f"{min(one.methods)} /v1{one.path}": one.endpoint for router in ROUTERS for one in router.routes}


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command by its words, with its function."""
    group = get_command(command_line) if group is None else group
    if not hasattr(group, "commands"):
        yield " ".join(words), inspect.unwrap(group.callback)
        return
    for name, below in group.commands.items():
        yield from commands(below, (*words, name))


def test_every_workflow_is_declared():
    """A new function over people's data needs its acts, or the reason why it has none."""
    assert set(public_workflows()) == WORKFLOWS.keys()


def test_every_route_is_declared():
    """A new route needs its workflow, or the reason why it has none."""
    assert routes().keys() == ROUTES.keys()


def test_every_command_is_declared():
    """A new command needs its workflow, or the reason why it has none."""
    assert {words for words, _ in commands()} == COMMANDS.keys()


def test_every_reason_is_a_sentence():
    """What has no acts says why, in words; a misspelt workflow is no reason."""
    reasons = [why for table in (WORKFLOWS, ROUTES, COMMANDS) for why in table.values() if isinstance(why, str)]
    assert [why for why in reasons if why not in WORKFLOWS and " " not in why] == []


@pytest.mark.parametrize(("table", "found"), [(ROUTES, routes()), (COMMANDS, dict(commands()))], ids=["http", "cli"])
def test_routes_and_commands_run_the_workflow_that_they_are_declared_with(table, found):
    """The module of each imports that function, or its module."""
    for name, workflow in table.items():
        if workflow in WORKFLOWS:
            module, _, function = workflow.partition(".")
            source = inspect.getsource(inspect.getmodule(found[name]))
            names = r"(?:\([^)]*|.*)"  # on several lines, or on one
            imported = rf"workflows\.{module} import {names}\b{function}\b|workflows import .*\b{module}\b"
            assert re.search(imported, source), name


# --- every act has its writer


class Writers(ast.NodeVisitor):
    """Finds the acts that a module hands on to be written: as arguments, or as values to choose from.

    An act that is only compared with, looked up or listed is not written.
    """

    def __init__(self) -> None:
        self.acts: set[str] = set()
        self._above: list[ast.AST] = []

    def generic_visit(self, node: ast.AST) -> None:
        """Remember the way down."""
        self._above.append(node)
        super().generic_visit(node)
        self._above.pop()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take ``Act.NAME`` in the place of a value that is passed on."""
        if isinstance(node.value, ast.Name) and node.value.id == "Act" and node.attr in Act.__members__:
            passing = ast.IfExp | ast.Attribute | ast.keyword | ast.Tuple
            holder = next(one for one in reversed(self._above) if not isinstance(one, passing))
            is_value = isinstance(holder, ast.Dict) and any(node in ast.walk(value) for value in holder.values)
            if is_value or isinstance(holder, ast.Call | ast.Assign | ast.AnnAssign | ast.Return):
                self.acts.add(node.attr)
        self.generic_visit(node)


@pytest.fixture(scope="module")
def writers() -> Mapping[str, set[str]]:
    """The modules that write each act, by its name."""
    found: dict[str, set[str]] = {act.name: set() for act in Act}
    for package in ("audit", "consent", "vault", "consentry"):
        for path in (ROOT / package).rglob("*.py"):
            # the exports' tables name every act and write none
            if path.name == "events.py" or path.name.startswith("audit_"):
                continue
            visitor = Writers()
            visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
            for name in visitor.acts:
                found[name].add(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("act", Act)
def test_every_act_is_written_by_its_owner(writers, act):
    """An act that nobody writes, or another package than the one that answers for it, is a mistake."""
    assert [path for path in writers[act.name] if path.startswith(f"{OWNERS[act]}/")], writers[act.name]


def test_every_act_belongs_to_a_workflow_or_to_the_wake(writers):
    """Nothing is logged that nobody declared."""
    claimed = {act for acts in WORKFLOWS.values() if not isinstance(acts, str) for act in acts}
    assert set(Act) - claimed == BACKGROUND.keys()
    assert all(path in writers[act.name] for act, path in BACKGROUND.items())


# --- and it is so


@dataclass(frozen=True)
class World:
    """A copy of the demo's operator, opened, with callers and two patients: one to look at, one to change."""

    home: Path
    platform: Platform
    http: httpx.Client
    bearers: Mapping[str, tuple[str, str]]
    subject: str
    decision: str
    spare: str
    spare_decision: str
    pseudonym: str
    app_id: str
    decrypted: Decryptions

    def call(self, role: str, method: str, path: str, body: object) -> Any:
        headers = {"Authorization": f"Bearer {self.bearers[role][1]}"} if role else {}
        if path == "/v1/attachments":
            return self.http.request(method, path, content=PICTURE, headers=headers | body)
        return self.http.request(method, path, json=body, headers=headers)

    def entries(self, after: int) -> list[Mapping[str, Any]]:
        """What was logged after an index, every committed entry included."""
        self.platform.log.settle()
        with closing(sqlite3.connect(self.home / "data.db")) as store:
            rows = store.execute(
                "SELECT act, outcome, actor, json_extract(body, '$.refs.act') FROM audit_leaf WHERE leaf_index >= ?"
                " ORDER BY leaf_index",
                (after,),
            )
            return [dict(zip(("act", "outcome", "actor", "tried"), row, strict=True)) for row in rows]

    def size(self) -> int:
        return self.platform.log.settle().size


ROLES = (
    "administrator", "compliance_officer", "clinician", "operator", "analyst", "content_reviewer", "key_custodian",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything that routes and commands need."""
    home = tmp_path_factory.mktemp("complete") / "operator"
    shutil.copytree(demo[0] / "operator", home)
    with (
        watched() as decrypted,
        open_platform(load_settings(home=home)) as platform,
        serving(platform) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=60) as http,
    ):
        bearers = {}
        for role in ROLES:
            made, _ = add_person(platform, ADMIN, name=f"complete-{role}", role=role)
            bearers[role] = (made.principal_id, platform.tokens.issue(made.principal_id))
        for role in ("capture", "ingest"):
            named = {"name": f"complete-{role}", "role": role, "days": 9, "subjects_per_day": None}
            key, bearer = add_key(platform, ADMIN, sources=["app"], **named)
            bearers[role] = (key.principal_id, bearer)
        Captured(platform).person("complete-filed", "P02")
        looked_at, changed = patients(home)
        story = demo[1]
        app_id = next(person.app_id for person in story.files.people if person.guardian is None)
        names = (story.portrait["pseudonym"], app_id)
        yield World(home, platform, http, bearers, *looked_at, *changed, *names, decrypted)


def patients(home: Path) -> list[tuple[str, str]]:
    """Two grown-ups with grants for care, profiling and recommendation, each with the decision on profiling."""
    wanted = ("P02", "P07", "P08")
    query = """
        SELECT subject_id, purpose, decision_id FROM consent_current
        JOIN subject_standing USING (subject_id)
        WHERE act IN ('grant', 'renew') AND recipient = '' AND state = 'active'
        AND subject_id NOT IN (SELECT subject_id FROM guardian)
    """
    found: dict[str, dict[str, str]] = {}
    with closing(sqlite3.connect(home / "data.db")) as store:
        for subject, purpose, decision in store.execute(query):
            found.setdefault(subject, {})[purpose] = decision
    return [(subject, made["P07"]) for subject, made in found.items() if all(one in made for one in wanted)][:2]


ACT = {
    "act_id": "complete-1", "act": "withdraw", "subject": {"subject_id": "{spare}"}, "purposes": ["P08"],
    "at": datetime.now(UTC).isoformat(),
}  # fmt: skip
NOTICE = {"code": "profiling", "version": "2026-11", "locale": "zh-CN"}
EVIDENCE = {"mechanism": "tapped_button", "occasion": "own"}
RECORD = {
    "source": "app", "source_subject": "nobody-knows", "kind": "profile", "source_record": "1",
    "observed_at": "2026-11-20", "values": {"sex": "female"},
}  # fmt: skip
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)
FILE = {
    "Attachment-Source": "app", "Attachment-Field": "images", "Attachment-Subject": "complete-filed",
    "Attachment-Record": "img-1", "Attachment-Observed-At": "2026-11-20T08:00:00Z", "Attachment-Name": "a.png",
    "Content-Type": "image/png",
}  # fmt: skip
HOLD = {"subject_id": "{subject}", "reference": "case-17", "reason": "court order", "compartment": "clinical"}
CAMPAIGN = {"text": "【广告】秋季体检开始预约", "kind": "campaign", "author": "operator"}
BREACH = dict.fromkeys(WORDS, "words") | {"people": 12}
CALLS: Mapping[str, tuple[str, str, object]] = {
    "POST /v1/tokens": ("", "", {"name": "complete-clinician", "password": "wrong"}),
    "POST /v1/consents": ("capture", "", ACT | {"evidence": EVIDENCE}),
    "POST /v1/consents/{decision_id}/withdraw": ("capture", "", {}),
    "POST /v1/consents/{decision_id}/renew": ("capture", "", {"notice": NOTICE, "evidence": EVIDENCE}),
    "GET /v1/consents/{decision_id}/receipt": ("clinician", "", None),
    "GET /v1/subjects/{subject_id}/due": ("capture", "?channel=app", None),
    "GET /v1/subjects/{subject_id}/consents": ("clinician", "", None),
    "GET /v1/subjects/{subject_id}/consents/history": ("clinician", "", None),
    "POST /v1/subjects/{subject_id}/signals/gpc": ("capture", "", None),
    "POST /v1/decisions": ("clinician", "", {"subject_id": "{subject}", "purpose": "P02", "fields": ["sex"]}),
    "POST /v1/deid/text": ("compliance_officer", "", {"texts": ["头痛三天"]}),
    "POST /v1/records": ("ingest", "", {"source": "app", "records": [{k: RECORD[k] for k in RECORD if k != "source"}]}),
    "POST /v1/attachments": ("ingest", "", FILE),
    "POST /v1/attachments/{attachment_id}/open": ("clinician", "", {"purpose": "P02", "reason": "consultation"}),
    "GET /v1/subjects/{subject_id}/attachments": ("clinician", "", None),
    "GET /v1/holds": ("compliance_officer", "", None),
    "POST /v1/holds": ("compliance_officer", "", HOLD),
    "POST /v1/holds/{hold_id}/release": ("compliance_officer", "", {"reason": "settled"}),
    "POST /v1/subjects/{subject_id}/reveal": (
        "clinician", "", {"purpose": "P02", "fields": ["diagnosis"], "reason": "consultation"}
    ),
    "POST /v1/subjects/{subject_id}/history": (
        "clinician", "", {"purpose": "P02", "fields": ["sex"], "reason": "the person asks who said so"}
    ),
    "POST /v1/subjects/search": ("clinician", "", {"field": "mobile", "value": "13800000000"}),
    "POST /v1/subjects/{subject_id}/profile": (
        "clinician", "", {"purpose": "P02", "fields": ["sex"], "reason": "consultation"}
    ),
    "POST /v1/subjects/{subject_id}/corrections": (
        "compliance_officer", "", {"record": "{record}", "values": {"sex": "female"}, "reason": "seen at the desk"}
    ),
    "GET /v1/records/conflicts": ("compliance_officer", "", None),
    "GET /v1/subjects/{subject_id}/tags": ("operator", "", None),
    "GET /v1/subjects/{subject_id}/accesses": ("compliance_officer", "", None),
    "GET /v1/subjects/{subject_id}/disclosures": ("compliance_officer", "?law=pipl", None),
    "POST /v1/subjects/{subject_id}/erasures": (
        "compliance_officer", "", {"reason": "request", "compartment": "behaviour"}
    ),
    "GET /v1/subjects/{subject_id}/erasures": ("compliance_officer", "", None),
    "GET /v1/erasures/{erasure_id}": ("compliance_officer", "", None),
    "POST /v1/approvals": (
        "compliance_officer", "",
        {"subject_id": "{subject}", "purpose": "P02", "role": "clinician", "reason": "consultation"},
    ),
    "POST /v1/approvals/{approval_id}/revocation": ("compliance_officer", "", {"reason": "over"}),
    "POST /v1/cases": (
        "clinician", "",
        {"subject_id": "{subject}", "purpose": "P02", "fields": ["special_disease"], "reason": "co-infection"},
    ),
    "GET /v1/cases": ("compliance_officer", "", None),
    "POST /v1/cases/{case_id}/decision": ("compliance_officer", "", {"verdict": "granted", "reason": "treats"}),
    "POST /v1/cases/{case_id}/revocation": ("clinician", "", {"reason": "over"}),
    "POST /v1/content/check": ("operator", "", CAMPAIGN),
    "POST /v1/content": ("operator", "", CAMPAIGN),
    "GET /v1/content": ("operator", "", None),
    "GET /v1/content/{review_id}": ("clinician", "", None),
    "POST /v1/content/{review_id}/decision": (
        "clinician", "", {"part": "medical", "verdict": "approved", "reason": "sound"}
    ),
    "POST /v1/emergencies": ("clinician", "", {"subject_id": "{subject}", "fields": ["sex"], "reason": "unconscious"}),
    "GET /v1/emergencies": ("compliance_officer", "", None),
    "POST /v1/emergencies/releases": ("compliance_officer", "", {"account": "complete-frozen", "reason": "reviewed"}),
    "POST /v1/emergencies/{emergency_id}/review": (
        "compliance_officer", "", {"verdict": "justified", "note": "unconscious"}
    ),
    "GET /v1/subjects/{subject_id}/wake": ("clinician", "", None),
    "GET /v1/subjects/{subject_id}/explain": ("clinician", "?purpose=P02&fields=sex", None),
    "GET /v1/consents/statistics": ("compliance_officer", "", None),
    "GET /v1/audit/entries": ("compliance_officer", "", None),
    "GET /v1/audit/entries/{entry}": ("compliance_officer", "", None),
    "GET /v1/audit/stream": ("compliance_officer", "?format=csv&to_index=3", None),
    "GET /v1/audit/findings": ("compliance_officer", "", None),
    "POST /v1/audit/findings/{finding_id}/review": (
        "compliance_officer", "", {"verdict": "justified", "note": "covered the ward"}
    ),
    "GET /v1/audit/counters": ("compliance_officer", "", None),
    "POST /v1/breaches": ("administrator", "", BREACH),
    "GET /v1/breaches/{case_id}": ("compliance_officer", "", None),
    "POST /v1/breaches/{case_id}/changes": ("compliance_officer", "", {"people": 13}),
    "POST /v1/breaches/{case_id}/notifications": (
        "compliance_officer", "", {"duty": "pipl.authority", "channel": "portal", "text": "what happened"}
    ),
    "POST /v1/breaches/{case_id}/waivers": (
        "compliance_officer", "", {"duty": "pipl.authority", "reason": "encrypted"}
    ),
    "POST /v1/breaches/{case_id}/closing": ("compliance_officer", "", {"reason": "everybody was told"}),
}  # fmt: skip
"""A call of every route that has a workflow with acts: by whom, with what query and body."""

UNDER_THE_HOOD = {Act.ACCESS_FLAGGED, Act.WAKE_DONE, Act.LOG_KEY_ROTATED, Act.LOG_ANCHORED}
"""Acts that the service or any command may add by itself."""


GATE = {Act.PERMIT, Act.REFUSAL}
"""The gate's answer, which is not yet the entry of what was done under it."""


def declared_by(workflow: str) -> set[Act]:
    """The acts of a workflow."""
    return set(WORKFLOWS[workflow])


def acting() -> list[str]:
    """The routes whose workflow writes something."""
    return [name for name, workflow in ROUTES.items() if isinstance(WORKFLOWS.get(workflow), tuple)]


def filled(world: World, value: object, finding: str) -> Any:
    """Put the patient's ids into a path or body."""
    if isinstance(value, Mapping):
        return {name: filled(world, one, finding) for name, one in value.items()}
    if isinstance(value, str):
        named = {
            "{subject}": world.subject, "{subject_id}": world.subject, "{decision_id}": world.decision,
            "{spare}": world.spare, "{spare_decision}": world.spare_decision, "{finding_id}": finding,
            "{case_id}": finding, "{approval_id}": finding, "{emergency_id}": finding, "{erasure_id}": finding,
            "{attachment_id}": finding, "{hold_id}": finding, "{review_id}": finding,
            "{record}": record_of(world) if "{record}" in value else "",
        }  # fmt: skip
        for name, text in named.items():
            value = value.replace(name, text)
    return value


def record_of(world: World) -> str:
    """The id of a record that tells the patient's sex."""
    query = "SELECT record_id FROM sealed_record WHERE subject_id = ? AND compartment = 'demographic' LIMIT 1"
    with closing(sqlite3.connect(world.home / "data.db")) as store:
        return str(store.execute(query, [world.subject]).fetchone()[0])


def path_of(name: str) -> str:
    """The path of a route; what changes somebody is called on the person who is there for it."""
    _, _, path = name.partition(" ")
    if name.endswith(("/withdraw", "/signals/gpc")):
        path = path.replace("{decision_id}", "{spare_decision}").replace("{subject_id}", "{spare}")
    return path.replace("{entry}", "0")


def test_every_route_that_writes_has_its_call():
    """So that the next two tests leave none out."""
    assert CALLS.keys() == set(acting())


@pytest.mark.parametrize("name", acting())
def test_route_leaves_its_entry_under_its_caller(world, name):
    """What was allowed stands in the log as one of the declared acts, and as no other."""
    role, query, body = CALLS[name]
    method, path = name.partition(" ")[0], path_of(name)
    finding = made_for(world, name)
    before = world.size()
    said = world.call(role, method, filled(world, path + query, finding), filled(world, body, finding))
    assert said.status_code < 500, said.text
    written = {
        Act(one["act"]) for one in world.entries(before) if one["actor"] == world.bearers.get(role, ("unknown",))[0]
    }
    declared = declared_by(ROUTES[name])
    assert written & (declared - GATE or declared), (said.status_code, said.text[:300])
    assert written - declared - UNDER_THE_HOOD == set()


@pytest.mark.parametrize("name", [name for name in acting() if CALLS[name][0]])
def test_refused_route_leaves_its_entry_too(world, name):
    """Whoever is not let, a role without any of these acts, stands in the log with what was tried."""
    method, path = name.partition(" ")[0], path_of(name)
    before = world.size()
    said = world.call(
        "key_custodian",
        method,
        filled(world, path + CALLS[name][1], nobodys(name)),
        filled(world, CALLS[name][2], ""),
    )
    assert said.status_code == 403, said.text
    found = [one for one in world.entries(before) if one["actor"] == world.bearers["key_custodian"][0]]
    assert [(one["act"], one["outcome"]) for one in found] == [("access.denied", "denied")]
    assert found[0]["tried"]


def nobodys(name: str) -> str:
    """An id of the shape that a route asks for, which is nothing's."""
    shapes = {"breaches/{": "brc", "cases/{": "cas", "approvals/{": "apr", "emergencies/{": "emg", "erasures/{": "era"}
    shapes |= {"attachments/{": "att", "holds/{": "hld", "content/{": "cnt"}
    found = next((prefix for part, prefix in shapes.items() if part in name), None)
    return "0" * 32 if found is None else f"{found}_{'a' * 24}"


def made_for(world: World, name: str) -> str:  # noqa: C901, PLR0911 - one line for each kind of id
    """The id of what a route is called on, made for it."""
    if "finding_id" in name:
        return flagged(world)
    if "/breaches/{case_id}" in name:
        return opened_case(world, name)
    if "/cases/{case_id}" in name:
        return asked_case(world)
    if "approval_id" in name:
        asked = {"purpose": "P02", "role": "clinician", "reason": "visit"}
        return approve_read(
            world.platform, caller_of(world, "compliance_officer"), subject=SubjectId(world.subject), **asked
        ).approval_id
    if "erasure_id" in name:
        return erased(world)
    if "attachment_id" in name:
        return world.call("ingest", "POST", "/v1/attachments", filled(world, FILE, "")).json()["attachment"]
    if "hold_id" in name:
        return world.call("compliance_officer", "POST", "/v1/holds", filled(world, HOLD, "")).json()["hold"]
    if "review_id" in name:
        return world.call("operator", "POST", "/v1/content", CAMPAIGN).json()["review"]["review_id"]
    if "emergency_id" in name:
        return broken(world, caller_of(world, "clinician"))
    if name.endswith("/emergencies/releases"):
        frozen, _ = add_person(world.platform, ADMIN, name="complete-frozen", role="clinician")
        officer = caller_of(world, "compliance_officer")
        review_emergency(world.platform, officer, broken(world, frozen), verdict="incident", note="curious")
    return ""


def caller_of(world: World, role: str) -> Principal:
    return Principal(PrincipalId(world.bearers[role][0]), role, PrincipalKind.PERSON, role)


def asked_case(world: World) -> str:
    """The id of a case that a clinician has asked for."""
    asked = {"purpose": "P02", "fields": ["special_disease"], "reason": "co-infection"}
    return request_case(
        world.platform, caller_of(world, "clinician"), subject=SubjectId(world.subject), **asked
    ).case_id


def broken(world: World, caller: Principal) -> str:
    """The id of an emergency access."""
    subject = SubjectId(world.subject)
    return break_glass(world.platform, caller, subject=subject, fields=["sex"], reason="unconscious")[0].emergency_id


def erased(world: World) -> str:
    """The id of an erasure of somebody else."""
    who = Captured(world.platform, numbers=iter(range(700_000, 800_000))).person("complete-gone")
    return erase_subject(world.platform, ADMIN, subject=who, reason="request").outcome.erasure_id


def flagged(world: World) -> str:
    """The id of a finding: somebody on the list of the protected was looked at."""
    officer = PrincipalId(world.bearers["compliance_officer"][0])
    asking = Principal(officer, "officer", PrincipalKind.PERSON, "compliance_officer")
    protect(world.platform, asking, SubjectId(world.subject), reason="a public figure")
    reveal = {"purpose": "P02", "fields": ["diagnosis"], "reason": "consultation"}
    world.call("clinician", "POST", f"/v1/subjects/{world.subject}/reveal", reveal)
    mark_unusual(world.platform, ADMIN)
    found = list_findings(world.platform, ADMIN)
    return next(one.finding_id for one in found if one.finding.rule is Rule.VIP_LOOKUP)


def opened_case(world: World, name: str) -> str:
    """The id of a breach case; for its closing one in which everybody was told."""
    case = open_breach(world.platform, ADMIN, BreachReport.model_validate(BREACH))
    officer = Principal(PrincipalId("prn_o"), "officer", PrincipalKind.PERSON, "compliance_officer")
    for duty in ("pipl.authority", "pipl.individuals") if name.endswith("/closing") else ():
        notice = BreachNotice(duty=duty, channel="portal", text="what happened")
        notify_breach(world.platform, officer, case.case_id, notice)
    return case.case_id


LINES: Mapping[str, str] = {
    "account person": "complete.wang --role operator",
    "account key": "complete-key --role ingest --source app --days 9",
    "account disable": "complete.wang",
    "account list": "",
    "approve-read": "{subject} --purpose P02 --role clinician --reason visit --token {compliance_officer}",
    "case list": "--token {compliance_officer}",
    "case request": "{subject} --purpose P02 --fields special_disease --reason visit --token {clinician}",
    "emergency list": "--token {compliance_officer}",
    "emergency open": "{subject} --fields sex --reason unconscious --token {clinician}",
    "attach list": "{subject}",
    "hold list": "",
    "hold set": "{spare} --reference case-17 --reason order --field page",
    "audit counters": "",
    "audit disclosures": "{subject} --view pipl",
    "audit export": "{folder}/export",
    "audit findings": "",
    "audit query": "",
    "audit show": "0",
    "audit reconcile": "",
    "audit seen": "{subject}",
    "audit stream": "--format csv --to-index 3",
    "audit watch add": "{spare} --reason public --token {compliance_officer}",
    "audit watch link": "complete-clinician {spare} --reason staff --token {compliance_officer}",
    "audit watch list": "--token {compliance_officer}",
    "audit watch remove": "{spare} --reason private --token {compliance_officer}",
    "audit watch unlink": "complete-clinician --reason left --token {compliance_officer}",
    "consent explain": "{subject} P02 sex",
    "consent export-fhir": "{subject}",
    "consent history": "{subject}",
    "consent receipt": "{decision}",
    "consent record": "{subject}",
    "consent show": "{subject}",
    "consent statistics": "",
    "consent tasks": "",
    "consent tend": "",
    "consent wake": "{subject}",
    "consent withdraw": "{spare} P02",
    "consent end": "{spare} P04",
    "export run": "research_partner",
    "register transfers": "",
    "reveal": "{subject} --purpose P02 --fields diagnosis --reason visit --token {clinician}",
    "records conflicts": "",
    "subject doubts": "",
    "subject find": "--source app --id {app_id}",
    "subject restrict": "{spare} --reason request",
    "subject release": "{spare} --reason request",
    "subject deceased": "{spare}",
    "tags cohort": "\"value_tier = 'high'\"",
    "tags explain": "value_tier {pseudonym}",
    "tags show": "{subject} --token {operator}",
    "tags run": "",
    "view show": "subject_profile",
    "view build": "subject_profile --quiet",
    "webhook name": "{subject} sunrise-pharmacy",
    "erase": "{spare} --reason request",
    "erasure list": "",
    "keys rotate": "",
    "keys rotate-data": "--compartment contact",
    "keys rotate-index": "source_subject",
    "register suspend": "--reason rehearsal",
}
"""A line for each command that can be run by itself, in an order in which all can."""


@pytest.fixture(scope="module")
def logged_by(world, tmp_path_factory) -> Mapping[str, set[Act]]:
    """What each command has logged under whoever ran it."""
    named = {role: bearer for role, (_, bearer) in world.bearers.items()}
    named |= {"subject": world.subject, "spare": world.spare, "decision": world.decision, "app_id": world.app_id}
    named |= {"pseudonym": world.pseudonym, "folder": str(tmp_path_factory.mktemp("exported"))}
    mine = {principal for principal, _ in world.bearers.values()}
    found = {}
    for words, line in LINES.items():
        before = world.size()
        with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit):
            main([*words.split(), *shlex.split(line.format_map(named)), "--home", str(world.home)])
        entries = world.entries(before)
        by_me = [one for one in entries if one["actor"].startswith("local:") or one["actor"] in mine]
        found[words] = {Act(one["act"]) for one in by_me}
    return found


@pytest.mark.parametrize("words", LINES)
def test_command_leaves_its_entry_under_whoever_runs_it(logged_by, words):
    """One of the declared acts stands in the log, and no other."""
    declared = declared_by(COMMANDS[words])
    assert logged_by[words] & (declared - GATE or declared)
    assert logged_by[words] - declared - UNDER_THE_HOOD == set()


def test_commands_that_are_not_run_here_are_told():
    """Those that need a file, a second person or a party outside are run by the tests of their own."""
    acting = {words for words, workflow in COMMANDS.items() if isinstance(WORKFLOWS.get(workflow), tuple)}
    assert acting - LINES.keys() == ELSEWHERE


ELSEWHERE = {
    "attach get",
    "attach put",
    "hold release",
    "records sweep",
    "case grant",
    "case refuse",
    "case revoke",
    "emergency release",
    "emergency review",
    "revoke-approval",
    "account token",
    "audit anchor",
    "backup create",
    "backup prune",
    "backup verify",
    "erasure show",
    "restore",
    "audit configure",
    "audit filed",
    "audit proof",
    "audit prune",
    "audit recover",
    "audit review",
    "audit unusual",
    "breach changed",
    "breach close",
    "breach notified",
    "breach open",
    "breach show",
    "breach waive",
    "consent agent end",
    "consent guardian end",
    "consent import-fhir",
    "consent kin add",
    "consent task done",
    "deid text",
    "ingest arrow",
    "ingest consents",
    "ingest discard",
    "ingest events",
    "ingest fhir",
    "ingest table",
    "init",
    "keys resume",
    "keys rewrap-root",
    "pack load",
    "register assessment record",
    "register assessment revoke",
    "register recipient end",
    "register recipient record",
    "records correct",
    "subject merge",
    "subject settle",
    "subject split",
    "webhook add",
    "webhook disable",
    "webhook key",
}


def test_every_value_that_left_the_vault_left_behind_a_receipt(world, logged_by):
    """Over all of these calls and commands: each decryption followed its receipt, or stayed inside a listed unit."""
    assert logged_by
    doors = {door.rpartition(".")[2] for door in world.decrypted.behind_receipt}
    assert doors >= {"open", "_cohort"}
    inside = {door for door in world.decrypted.without if not door.startswith("vault.details.")}
    assert inside <= INSIDE.keys() | DRIVEN.keys()
