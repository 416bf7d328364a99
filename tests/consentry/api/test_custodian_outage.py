"""A remote custodian that fails behind a running server: 503 within the bound, and work goes on afterwards."""

from datetime import timedelta

import pytest

from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.rewrap_root import rewrap_root_key
from tests.consentry.conftest import ADMIN
from tests.vault.custodian_services import TransitEngine, answering

REVEAL = {"purpose": "P02", "fields": ["sex"], "reason": "consultation"}


@pytest.fixture
def engine():
    return TransitEngine()


@pytest.fixture
def platform(deployment, engine, tmp_path, clock):
    """A platform whose root key has moved into a transit engine."""
    token = tmp_path / "token"
    token.write_text("s.root")
    token.chmod(0o600)
    with answering(engine.answer) as url:
        other = tmp_path / "transit.toml"
        other.write_text(
            f'custodian = "transit"\ntransit_address = "{url}"\ntransit_key = "consentry"\n'
            f'transit_token_file = "{token}"\ncustodian_timeout_ms = 1000\n'
        )
        with open_platform(deployment.settings, clock=clock) as before:
            rewrap_root_key(before, ADMIN, to=other)
        moved = {
            "custodian": "transit",
            "transit_address": url,
            "transit_key": "consentry",
            "transit_token_file": token,
        }
        settings = load_settings(**{**deployment.settings.model_dump(), **moved, "custodian_timeout_ms": 1_000})
        with open_platform(settings, clock=clock) as opened:
            yield opened


def test_an_outage_is_a_503_once_the_held_key_is_over(call, captured, engine, clock, *, platform, refused):
    """A minute long reading goes on; then each call says that the custodian fails, and opens nothing."""
    subject = captured.person("u-1")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    doctor = call(captured.token("clinician"))
    engine.fault = lambda _path: (503, b'{"errors":["Vault is sealed"]}')
    assert doctor.post(f"/subjects/{subject}/reveal", REVEAL).status_code == 200
    clock.advance(timedelta(seconds=60))
    document = refused(doctor.post(f"/subjects/{subject}/reveal", REVEAL), 503, "CustodianUnavailable")
    assert document["detail"].startswith("The custodian transit ")
    engine.tokens.clear()
    engine.fault = lambda _path: None
    refused(doctor.post(f"/subjects/{subject}/reveal", REVEAL), 503, "CustodianRefused")
    engine.tokens.add("s.root")
    assert doctor.post(f"/subjects/{subject}/reveal", REVEAL).json()["records"][0]["values"] == {"sex": "female"}
    assert platform.keystore.check()
