"""Records, receipts and FHIR on the command line."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """The test's own folder, as the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def granted(platform, captured):
    """A subject with a granted P07, and the decision's id."""
    subject = captured.person("u-1")
    decision = captured.grant("u-1", "P07")
    platform.log.settle()
    return subject, decision


def test_records_are_printed_one_a_line(run, home, granted):
    """R05: JSON for programs."""
    ended = run("consent", "record", granted[0], "--home", home)
    (record,) = [json.loads(line) for line in ended.out.splitlines()]
    assert (ended.status, record["pii_principal_id"]) == (0, granted[0])


def test_a_receipt_verifies_here_and_elsewhere(run, home, granted, tmp_path):
    """R05: with the deployment's own keys, and with a key file in a folder without any deployment or network."""
    receipt, key = tmp_path / "receipt.txt", tmp_path / "key.json"
    receipt.write_text(run("consent", "receipt", granted[1], "--home", home).out)
    key.write_text(run("consent", "receipt-key", "--home", home).out)
    here = run("consent", "verify-receipt", receipt, "--home", home)
    assert "checkpoint  verified" in here.out
    command = "from consentry.cli import main; main()"
    elsewhere = subprocess.run(
        [
            sys.executable,
            "-c",
            command,
            "consent",
            "verify-receipt",
            str(receipt),
            "--key",
            str(key),
            "--json",
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("CONSENTRY_")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(elsewhere.stdout)["decision_id"] == granted[1]
    assert "not checked" in run("consent", "verify-receipt", receipt, "--key", key).out


def test_a_changed_receipt_ends_with_one_line(run, home, granted, tmp_path):
    """Exit 1: the check failed."""
    receipt = tmp_path / "receipt.txt"
    said = run("consent", "receipt", granted[1], "--home", home).out
    receipt.write_text(said.replace(".", ".A", 1))
    ended = run("consent", "verify-receipt", receipt, "--home", home)
    assert (ended.status, "not signed under this key" in ended.line) == (1, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--key", "nothing.json"], "cannot be read"),
        (["--key", "text.json"], "is no JWK"),
        (["--key", "key.json", "--log-key", "x"], "--log-key"),
    ],
)
def test_a_wrong_key_is_bad_input(run, home, in_tmp, options, said):
    """Exit 2, and what to give instead."""
    tmp_path = in_tmp
    (tmp_path / "receipt.txt").write_text("a.b.c")
    (tmp_path / "text.json").write_text("no json")
    (tmp_path / "key.json").write_text(run("consent", "receipt-key", "--home", home).out)
    ended = run("consent", "verify-receipt", "receipt.txt", *options)
    assert (ended.status, said in ended.line) == (2, True)


def test_fhir_out_and_in(run, home, granted, tmp_path):
    """R05: what went out is recognised again; a dry run and the import say what they did; refusals end with 1."""
    file = tmp_path / "bundle.json"
    for release in ("r4", "r5"):
        file.write_text(run("consent", "export-fhir", granted[0], "--release", release, "--home", home).out)
        assert len(json.loads(file.read_text())["entry"]) == 1
        dry = run("consent", "import-fhir", file, "--source", "app", "--dry-run", "--home", home)
        assert (dry.status, "nothing was recorded" in dry.out) == (0, True), dry.err
        assert "would record  1" in dry.out
        assert "decisions" not in dry.out
    done = run("consent", "import-fhir", file, "--source", "app", "--home", home, "--json")
    assert len(json.loads(done.out)["decisions"]) == 1
    file.write_text(file.read_text().replace('"status": "active"', '"status": "draft"'))
    refused = run("consent", "import-fhir", file, "--source", "app", "--home", home)
    assert (refused.status, "Consent.status" in refused.out, "reasons stand against" in refused.line) == (1, True, True)
