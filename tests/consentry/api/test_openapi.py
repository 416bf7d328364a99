"""The schema and the reference page say what the API does."""

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import consentry.api
from consentry.api.app import create_app
from consentry.api.problems import STATUS
from consentry.api.routes import GuardedRoute, OpenRoute
from kernel.errors import ConsentryError

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
OURS = "http://127.0.0.1:8080"
FOR_SUBJECTS = {
    "GET /v1/consents/{decision_id}/receipt",
    "GET /v1/subjects/{subject_id}/accesses",
    "GET /v1/subjects/{subject_id}/consents",
    "GET /v1/subjects/{subject_id}/consents/history",
    "GET /v1/subjects/{subject_id}/disclosures",
    "GET /v1/subjects/{subject_id}/due",
    "POST /v1/consents",
    "POST /v1/consents/{decision_id}/renew",
    "POST /v1/consents/{decision_id}/withdraw",
    "POST /v1/subjects/{subject_id}/signals/gpc",
}
"""Routes that take subject tokens."""
PERSONS_ONLY = {
    "GET /v1/audit/counters",
    "GET /v1/audit/entries",
    "GET /v1/audit/findings",
    "GET /v1/audit/stream",
    "GET /v1/breaches",
    "GET /v1/breaches/{case_id}",
    "GET /v1/cases",
    "GET /v1/consents/statistics",
    "GET /v1/content",
    "GET /v1/content/{review_id}",
    "GET /v1/emergencies",
    "GET /v1/erasures/{erasure_id}",
    "GET /v1/keys",
    "GET /v1/holds",
    "GET /v1/subjects/{subject_id}/attachments",
    "GET /v1/subjects/{subject_id}/erasures",
    "GET /v1/subjects/{subject_id}/explain",
    "GET /v1/subjects/{subject_id}/wake",
    "GET /v1/subjects/{subject_id}/tags",
    "POST /v1/approvals",
    "POST /v1/approvals/{approval_id}/revocation",
    "POST /v1/attachments/{attachment_id}/open",
    "POST /v1/holds",
    "POST /v1/holds/{hold_id}/release",
    "POST /v1/audit/findings/{finding_id}/review",
    "POST /v1/breaches",
    "POST /v1/breaches/{case_id}/changes",
    "POST /v1/breaches/{case_id}/closing",
    "POST /v1/breaches/{case_id}/notifications",
    "POST /v1/breaches/{case_id}/waivers",
    "POST /v1/cases",
    "POST /v1/cases/{case_id}/decision",
    "POST /v1/cases/{case_id}/revocation",
    "POST /v1/content",
    "POST /v1/content/check",
    "POST /v1/content/{review_id}/decision",
    "POST /v1/emergencies",
    "POST /v1/emergencies/releases",
    "POST /v1/emergencies/{emergency_id}/review",
    "POST /v1/subjects/{subject_id}/erasures",
    "POST /v1/subjects/search",
    "GET /v1/records/conflicts",
    "POST /v1/subjects/{subject_id}/corrections",
    "POST /v1/subjects/{subject_id}/history",
    "POST /v1/subjects/{subject_id}/profile",
    "POST /v1/subjects/{subject_id}/reveal",
}
MEDIA = "application/json"


@pytest.fixture
def app(platform):
    """The application."""
    return create_app(platform)


@pytest.fixture
def operations(app):
    """Every operation of the schema by its method and path."""
    paths = app.openapi()["paths"]
    return {f"{method.upper()} {path}": found for path, methods in paths.items() for method, found in methods.items()}


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of the page."""
    body = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip().strip("|").split(" | ") for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def curls() -> list[tuple[str, str, object]]:
    """Return method, path and body of every call that the page shows."""
    found = []
    for block in re.findall(r"^ {4}curl .*(?:\n {4}.*)*", PAGE, re.MULTILINE):
        for call in re.split(r"\n(?= {4}curl)", block):
            address = re.search(rf"{OURS}([^\s'?]*)", call)
            body = re.search(r"-d '\s*(.*)'\s*$", call, re.DOTALL)
            method = "POST" if body or "-X POST" in call else "GET"
            found.append((method, address[1], json.loads(body[1]) if body else None))
    return found


def template(path: str) -> str:
    named = {
        "$DECISION": "{decision_id}",
        "$SUBJECT": "{subject_id}",
        "$FINDING": "{finding_id}",
        "$CASE": "{case_id}",
        "$APPROVAL": "{approval_id}",
        "$EMERGENCY": "{emergency_id}",
        "$ERASURE": "{erasure_id}",
        "$ATTACHMENT": "{attachment_id}",
        "$HOLD": "{hold_id}",
        "$CONTENT": "{review_id}",
        "$ENTRY": "{entry}",
        "/me/": "/{subject_id}/",
    }
    named |= {"/profiling/2026-11/zh-CN": "/{code}/{version}/{locale}", "/profiling/": "/{code}/"}
    for shown, parameter in named.items():
        path = path.replace(shown, parameter)
    return path


def examples(app, operation) -> list[object]:
    """Return the examples of a request body: beside the schema, or of the component that it names."""
    content = operation["requestBody"]["content"][MEDIA]
    if "examples" in content:
        return [one["value"] for one in content["examples"].values()]
    schema = content["schema"]
    named = [schema, *schema.get("anyOf", ())]
    components = [app.openapi()["components"]["schemas"][s["$ref"].rpartition("/")[2]] for s in named if "$ref" in s]
    return [example for component in components for example in component.get("examples", ())]


def body_types(app) -> dict[str, TypeAdapter]:
    """Return what validates the body of each operation."""
    found = {}
    for router in modules():
        for route in router.routes:
            for parameter in route.dependant.body_params:
                found[f"POST /v1{route.path}"] = TypeAdapter(parameter.field_info.annotation)
    return found


def modules():
    for module in pkgutil.iter_modules(consentry.api.__path__):
        router = getattr(importlib.import_module(f"consentry.api.{module.name}"), "router", None)
        if router is not None:
            yield router


def test_schema_has_the_routes_of_the_release(operations):
    """These routes, and no other."""
    assert sorted(operations) == [
        "GET /v1/audit/counters",
        "GET /v1/audit/entries",
        "GET /v1/audit/entries/{entry}",
        "GET /v1/audit/findings",
        "GET /v1/audit/stream",
        "GET /v1/breaches",
        "GET /v1/breaches/{case_id}",
        "GET /v1/cases",
        "GET /v1/consents/statistics",
        "GET /v1/consents/{decision_id}/receipt",
        "GET /v1/content",
        "GET /v1/content/{review_id}",
        "GET /v1/emergencies",
        "GET /v1/erasures/{erasure_id}",
        "GET /v1/health",
        "GET /v1/holds",
        "GET /v1/keys",
        "GET /v1/notices/{code}/current",
        "GET /v1/notices/{code}/{version}/{locale}",
        "GET /v1/records/conflicts",
        "GET /v1/subjects/{subject_id}/accesses",
        "GET /v1/subjects/{subject_id}/attachments",
        "GET /v1/subjects/{subject_id}/consents",
        "GET /v1/subjects/{subject_id}/consents/history",
        "GET /v1/subjects/{subject_id}/disclosures",
        "GET /v1/subjects/{subject_id}/due",
        "GET /v1/subjects/{subject_id}/erasures",
        "GET /v1/subjects/{subject_id}/explain",
        "GET /v1/subjects/{subject_id}/tags",
        "GET /v1/subjects/{subject_id}/wake",
        "POST /v1/approvals",
        "POST /v1/approvals/{approval_id}/revocation",
        "POST /v1/attachments",
        "POST /v1/attachments/{attachment_id}/open",
        "POST /v1/audit/findings/{finding_id}/review",
        "POST /v1/breaches",
        "POST /v1/breaches/{case_id}/changes",
        "POST /v1/breaches/{case_id}/closing",
        "POST /v1/breaches/{case_id}/notifications",
        "POST /v1/breaches/{case_id}/waivers",
        "POST /v1/cases",
        "POST /v1/cases/{case_id}/decision",
        "POST /v1/cases/{case_id}/revocation",
        "POST /v1/consents",
        "POST /v1/consents/{decision_id}/renew",
        "POST /v1/consents/{decision_id}/withdraw",
        "POST /v1/content",
        "POST /v1/content/check",
        "POST /v1/content/{review_id}/decision",
        "POST /v1/decisions",
        "POST /v1/deid/text",
        "POST /v1/emergencies",
        "POST /v1/emergencies/releases",
        "POST /v1/emergencies/{emergency_id}/review",
        "POST /v1/holds",
        "POST /v1/holds/{hold_id}/release",
        "POST /v1/records",
        "POST /v1/subjects/search",
        "POST /v1/subjects/{subject_id}/corrections",
        "POST /v1/subjects/{subject_id}/erasures",
        "POST /v1/subjects/{subject_id}/history",
        "POST /v1/subjects/{subject_id}/profile",
        "POST /v1/subjects/{subject_id}/reveal",
        "POST /v1/subjects/{subject_id}/signals/gpc",
        "POST /v1/tokens",
    ]


def test_every_body_has_an_example_that_validates(app, operations):
    """A reader can copy any example of the schema and send it."""
    types = body_types(app)
    posting = {
        name: found for name, found in operations.items() if MEDIA in found.get("requestBody", {}).get("content", ())
    }
    assert posting.keys() == types.keys()
    for name, operation in posting.items():
        shown = examples(app, operation)
        assert shown, f"{name} has no example"
        for example in shown:
            types[name].validate_json(json.dumps(example))


def test_every_route_documents_its_problems(operations):
    """Each error is a problem document, and the framework's own error schema is nowhere."""
    for name, operation in operations.items():
        problems = {status: found for status, found in operation["responses"].items() if int(status) >= 400}
        expected = {"422", "500", "503"} | ({"401", "403"} if "security" in operation else set())
        expected |= {"411", "415"} if "requestBody" in operation else set()
        assert expected <= problems.keys(), name
        for found in problems.values():
            assert list(found["content"]) == ["application/problem+json"]


def test_schema_refers_to_nothing_that_it_does_not_have(app):
    """Every reference leads somewhere."""
    document = json.dumps(app.openapi())
    named = set(re.findall(r"#/components/schemas/(\w+)", document))
    assert named <= app.openapi()["components"]["schemas"].keys()
    assert "HTTPValidationError" not in named
    assert "Problem" in named


def test_every_route_goes_through_our_checks():
    """No router is made without them, and only health, signing in and texts of notices are open."""
    routes = [route for router in modules() for route in router.routes]
    assert all(isinstance(route, OpenRoute) for route in routes)
    assert {route.path for route in routes if not isinstance(route, GuardedRoute)} == {
        "/health",
        "/tokens",
        "/notices/{code}/current",
        "/notices/{code}/{version}/{locale}",
    }


def test_routes_are_plain_functions():
    """The stores are synchronous, so the routes are: each has a thread."""
    assert not any(inspect.iscoroutinefunction(route.endpoint) for router in modules() for route in router.routes)


def test_framework_watches_nothing(app, monkeypatch):
    """Its telemetry would hand bodies and messages to exporters that the environment names; all of it is off."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    for signal in ("tracing", "metrics", "logs", "operation_spans", "auto_configure"):
        assert app._telemetry[signal] is False
    assert not app._native_telemetry.enabled()


def test_page_lists_every_route_with_its_roles(operations, medical):
    """Method, path, act and roles stand in the table as they are in the code and the pack."""
    rows = {row[0]: row for row in table("Routes")}
    assert rows.keys() == operations.keys()
    for name, (_, act, roles, answers) in rows.items():
        operation = operations[name]
        documented = {status for status in operation["responses"] if status.startswith("2")}
        assert documented <= set(re.findall(r"\d{3}", answers)), name
        allowed = {role.code for role in medical.roles.values() if role.acts & set(act.split(" or "))}
        allowed -= set() if name in FOR_SUBJECTS else {"subject"}
        allowed -= {"capture", "ingest"} if name in PERSONS_ONLY else set()
        assert roles == (", ".join(sorted(allowed)) if "security" in operation else "everybody"), name


def test_page_shows_a_call_of_every_route_that_works(app, operations):
    """Each route has a curl, and what it sends validates and is an example of the schema."""
    shown = [(f"{method} {template(path)}", body) for method, path, body in curls()]
    assert {name for name, _ in shown} == operations.keys()
    types = body_types(app)
    for name, body in shown:
        if body is not None:
            types[name].validate_json(json.dumps(body))
            assert body in examples(app, operations[name]), name


def subclasses(kind: type[ConsentryError]) -> set[type[ConsentryError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_page_explains_every_status_and_type(operations):
    """Statuses of the schema and types of the table stand on the page, and the page invents none."""
    rows = table("Errors")
    on_page = {int(row[0]) for row in rows}
    in_schema = {int(status) for found in operations.values() for status in found["responses"] if int(status) >= 400}
    assert on_page == in_schema | {405}
    named = {name for row in rows for name in row[1].split(", ") if name != "–"}
    known = {kind.__name__: kind for kind in subclasses(ConsentryError)}
    assert named - known.keys() == {"InvalidRequest"}
    assert {kind.__name__ for kind, status, _ in STATUS if status != 500} <= named
    for row in rows:
        for name in row[1].split(", "):
            if name in known:
                fitting = next(status for kind, status, _ in STATUS if issubclass(known[name], kind))
                assert fitting == int(row[0]), name
