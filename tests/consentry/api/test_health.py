"""The health route."""

import os
from datetime import timedelta


def test_health_needs_no_credentials_and_names_the_pack(call):
    """A load balancer learns that the service works, which pack it runs and what waits, and nothing else."""
    said = call().get("/health")
    assert said.status_code == 200
    assert said.json() == {
        "status": "ok",
        "gate": "open",
        "log": {"entries": said.json()["log"]["entries"], "lag_ms": 0, "alarm": False},
        "pack": "medical",
        "pack_version": said.json()["pack_version"],
        "wake": {"open": 0, "dead": 0, "oldest_open_seconds": None},
    }


def test_health_counts_what_waits_and_for_how_long(call, platform, captured, clock):
    """What follows from a withdrawal is told by number and age, without anybody's id."""
    subject = captured.person("u-1", "P07")
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
    clock.advance(timedelta(seconds=90))
    said = call().get("/health")
    assert said.json()["wake"]["open"] > 0
    assert said.json()["wake"]["oldest_open_seconds"] == 90
    assert subject not in said.text
    platform.wake.run_due(100)
    assert call().get("/health").json()["wake"] == {"open": 0, "dead": 0, "oldest_open_seconds": None}


def test_service_whose_log_cannot_be_signed_is_not_healthy(call, platform, captured):
    """Where nothing can be opened, the service says so."""
    captured.machine_key("ingest")
    os.truncate(platform.settings.signer_state_path, 3)
    said = call().get("/health")
    assert said.status_code == 503
    assert said.json()["type"] == "urn:consentry:problem:IntegrityFailed"


def test_every_answer_forbids_caching_and_sniffing(call):
    """Answers of every status carry the headers, also those that the framework makes."""
    for path in ("/health", "/nowhere"):
        headers = call().get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
