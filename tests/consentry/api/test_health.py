"""The health route."""

import os


def test_health_needs_no_credentials_and_names_the_pack(call):
    """A load balancer learns that the service works and which pack it runs, and nothing else."""
    said = call().get("/health")
    assert said.status_code == 200
    assert said.json() == {"status": "ok", "pack": "medical", "pack_version": said.json()["pack_version"]}


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
