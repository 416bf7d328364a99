"""Pages of other origins: exact origins, the capture routes only, and answers that they can read."""

from dataclasses import replace

import httpx
import pytest

from consentry.settings import load_settings

PAGE = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def cors(said: httpx.Response) -> set[str]:
    return {name for name in said.headers if name.startswith("access-control-")}


def preflight(http, path, origin=PAGE):
    return http.options(f"/v1{path}", headers={"Origin": origin, **PREFLIGHT})


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/consents", "POST"),
        ("/consents/dec_aaaaaaaaaaaaaaaaaaaaaaaa/withdraw", "POST"),
        ("/consents/dec_aaaaaaaaaaaaaaaaaaaaaaaa/renew", "POST"),
        ("/consents/dec_aaaaaaaaaaaaaaaaaaaaaaaa/receipt", "GET"),
        ("/subjects/me/due", "GET"),
        ("/subjects/me/consents", "GET"),
        ("/subjects/me/consents/history", "GET"),
        ("/subjects/me/signals/gpc", "POST"),
        ("/notices/profiling/2026-11/zh-CN", "GET"),
        ("/notices/profiling/current", "GET"),
    ],
)
def test_preflight_of_the_page_needs_no_credentials(http, path, methods):
    """Every capture route answers the browser's question for the page's origin, by name and without credentials."""
    said = preflight(http, path)
    assert said.status_code == 204
    assert said.headers["access-control-allow-origin"] == PAGE
    assert said.headers["access-control-allow-methods"] == methods
    assert "Authorization" in said.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in said.headers
    assert said.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "path",
    ["/audit/entries", "/records", "/decisions", "/tokens", "/health", "/approvals"]
    + [f"/subjects/sub_{'a' * 24}/{what}" for what in ("reveal", "tags")],
)
def test_other_routes_are_closed_to_pages(http, path):
    """Opening, ingestion, sign-in and the log are never called from a page."""
    said = preflight(http, path)
    assert said.status_code == 405
    assert cors(said) == set()
    got = http.get(f"/v1{path}", headers={"Origin": PAGE})
    assert cors(got) == set()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "null",
    ],
)
def test_other_origins_are_refused(http, origin):
    """An origin is compared whole: scheme, host and port."""
    said = preflight(http, "/consents", origin)
    assert said.status_code == 405
    assert cors(said) == set()
    assert cors(http.get("/v1/notices/profiling/current", headers={"Origin": origin})) == set()


def test_page_reads_answers_and_refusals(http, call, captured, login, refused):
    """The page may read a success, a 401 and a refusal by the guard alike; a cache keeps origins apart."""
    captured.person("u-1")
    bearer = {"Authorization": f"Bearer {login.token('u-1')}", "Origin": PAGE}
    good = http.get("/v1/subjects/me/due?channel=app", headers=bearer)
    assert good.status_code == 200
    unknown = http.get("/v1/subjects/me/due?channel=app", headers={"Origin": PAGE})
    refused(unknown, 401, "NotAuthenticated")
    endless = http.post("/v1/consents", content=iter([b"{", b"}"]), headers=bearer)
    refused(endless, 411)
    for said in (good, unknown, endless):
        assert said.headers["access-control-allow-origin"] == PAGE
        assert said.headers["access-control-expose-headers"] == "ETag, Retry-After"
        assert "Origin" in said.headers["vary"]
        assert "access-control-allow-credentials" not in said.headers


def test_without_origins_nothing_is_said(platform, serve):
    """By default no page of another origin may call at all."""
    closed = load_settings(**{**platform.settings.model_dump(), "cors_origins": []})
    with serve(replace(platform, settings=closed)) as address, httpx.Client(trust_env=False) as client:
        said = client.options(f"{address}/v1/consents", headers={"Origin": PAGE, **PREFLIGHT})
        assert (said.status_code, cors(said)) == (405, set())
