"""How often a data subject and a capture key may call."""

from dataclasses import replace

import httpx
import pytest

from consentry.settings import load_settings


@pytest.fixture
def slow(platform, serve):
    """A server that takes three requests a minute of each caller."""
    limited = load_settings(**{**platform.settings.model_dump(), "requests_per_minute": 3})
    with (
        serve(replace(platform, settings=limited)) as address,
        httpx.Client(base_url=f"{address}/v1", trust_env=False) as client,
    ):
        yield lambda path, bearer: client.get(path, headers={"Authorization": f"Bearer {bearer}"})


def test_caller_that_calls_too_often_waits(slow, captured, login, refused):
    """The fourth request of a minute is a 429 that says how long; each caller has requests of its own."""
    for name in ("u-1", "u-2"):
        captured.person(name)
    for bearer in (login.token("u-1"), login.token("u-2"), captured.machine_key("capture")):
        said = [slow("/subjects/me/due?channel=app", bearer) for _ in range(4)]
        refused(said[3], 429, "TooManyRequests")
        assert all(one.status_code != 429 for one in said[:3])
        assert 1 <= int(said[3].headers["retry-after"]) <= 20


def test_new_token_of_the_same_person_changes_nothing(slow, captured, login):
    """The person counts, and not the token."""
    captured.person("u-1")
    statuses = [slow("/subjects/me/due?channel=app", login.token("u-1", jti=str(n))).status_code for n in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_staff_and_ingestion_are_not_paced(slow, captured):
    """Batches and officers have bounds of their own."""
    for bearer in (captured.token("compliance_officer"), captured.machine_key("ingest")):
        assert {slow("/audit/entries", bearer).status_code for _ in range(5)} <= {200, 403}
