"""One process that answers, or several over PostgreSQL, each around a platform of its own."""

import asyncio
import os

import pytest
from httpx import ASGITransport, AsyncClient

from consentry.cli.serving import open_worker, serve_with
from consentry.platform import open_platform


def test_several_processes_over_sqlite_are_refused(home, run, monkeypatch):
    """Chance would decide which of them writes."""
    monkeypatch.setattr("uvicorn.run", lambda *_args, **_how: pytest.fail("served"))
    ended = run("serve", "--home", home, "--workers", "2")
    assert ended.status == 2
    assert ended.line.startswith("Several processes answer over PostgreSQL only")


def test_several_processes_open_the_same_deployment(copied_to, tmp_path, clock, monkeypatch):
    """Each is told where to begin, and finds the folder that was named."""
    calls = []
    monkeypatch.setenv("CONSENTRY_HOME", "elsewhere")
    monkeypatch.setattr("uvicorn.run", lambda app, **how: calls.append((app, how, os.environ["CONSENTRY_HOME"])))
    home = tmp_path / "home"
    with open_platform(copied_to("postgresql", home).settings, clock=clock) as platform:
        serve_with(platform, 3, home=home, host=None, port=9000)
    ((app, how, told),) = calls
    assert (app, how["factory"], how["workers"], how["port"], told) == (
        "consentry.cli.serving:open_worker", True, 3, 9000, str(home),
    )  # fmt: skip
    assert (how["server_header"], how["access_log"]) == (False, False)


def test_a_worker_answers_and_closes_its_platform(home, monkeypatch):
    """What it holds open ends with it."""
    monkeypatch.setenv("CONSENTRY_HOME", str(home))
    app = open_worker()
    pool = app.state.platform.data.engine.pool

    async def answered() -> int:
        async with app.router.lifespan_context(app), AsyncClient(transport=ASGITransport(app)) as client:
            said = await client.get("http://127.0.0.1/v1/health")
        return said.status_code

    assert asyncio.run(answered()) == 200
    assert app.state.platform.data.engine.pool is not pool
