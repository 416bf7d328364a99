"""Witnesses and anchors on the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from sqlalchemy import insert

from audit.signing import load_signing_key
from audit.tables import anchor
from audit.verifier import VerifierKey
from audit.verifier.notes import COSIGNATURE
from audit.witness_state import open_witness_state
from kernel.clock import SystemClock
from kernel.database import open_database
from tests.audit.memory_log import MemoryLog


@pytest.fixture
def log(run, home):
    """The public key of the deployment's log."""
    return load_signing_key(home / "signing.key")


@pytest.fixture
def witness(run, tmp_path, log):
    """Starts `consentry audit witness` as a process of its own; returns its public key, address and state."""
    started = []
    key, state = tmp_path / "w.key", tmp_path / "w.state"
    vkey = run("audit", "witness-key", key, "--name", "w.example/1").out.strip()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def start(*words):
        command = [sys.executable, "-c", "from consentry.cli import main; main()", "audit", "witness"]
        command += ["--key", key, "--state", state, "--log", log.verifier_key, "--port", str(port), *words]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        started.append(process)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        return process

    yield start, vkey, f"http://127.0.0.1:{port}", state
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def test_witness_key_is_made_once_and_its_public_key_printed(run, tmp_path):
    """The public key is for policies; the file is private and never overwritten."""
    made = run("audit", "witness-key", tmp_path / "k", "--name", "w.example/1")
    key = VerifierKey.parse(made.out, algorithm=COSIGNATURE)
    assert load_signing_key(tmp_path / "k", algorithm=COSIGNATURE).key == key
    assert run("audit", "witness-key", tmp_path / "k", "--name", "w.example/1").status == 2
    assert run("audit", "witness-key", tmp_path / "other", "--name", "no name").status == 2


def test_wrong_starts_of_a_witness_say_what_is_wrong(run, tmp_path, home):
    """A log's key, no key of a log, a state that is missing or there already."""
    run("audit", "witness-key", tmp_path / "k", "--name", "w.example/1")
    key = load_signing_key(home / "signing.key").verifier_key
    asked = ("audit", "witness", "--state", tmp_path / "s", "--log")
    assert "no signing key of this kind" in run(*asked, key, "--key", home / "signing.key").line
    assert "--log is wrong" in run(*asked, "nonsense", "--key", tmp_path / "k").line
    missing = run(*asked, key, "--key", tmp_path / "k")
    assert (missing.status, "is not there" in missing.line) == (1, True)
    with open_witness_state(tmp_path / "s", is_new=True):
        pass
    assert "exists already" in run(*asked, key, "--key", tmp_path / "k", "--new-state").line


def test_whole_way_from_key_to_listed_anchor(run, home, witness, tmp_path, monkeypatch):
    """A second party runs a witness, the log is anchored with it, both sides show it, and it survives kill -9."""
    start, vkey, url, state = witness
    first = start("--new-state")
    (tmp_path / "policy").write_text(f"witness w1 {vkey} {url}\nquorum w1\n")
    monkeypatch.setenv("CONSENTRY_WITNESS_POLICY_FILE", str(tmp_path / "policy"))
    done = json.loads(run("audit", "anchor", "--home", home, "--json").out)
    assert (done["quorum_met"], done["witnesses"]) == (True, {"w1": "cosigned"})
    os.kill(first.pid, signal.SIGKILL)
    first.wait(30)
    failed = run("audit", "anchor", "--home", home)
    assert (failed.status, "no quorum" in failed.line) == (1, True)
    assert "did not answer" in failed.out
    start()
    again = run("audit", "anchor", "--home", home)
    assert (again.status, "cosigned" in again.out) == (0, True)
    listed = run("audit", "anchors", "--home", home)
    assert (listed.status, listed.out.count("verified")) == (0, 4)
    told = run("audit", "anchors", "--home", home, "--json", "--limit", 1).out
    rows = [json.loads(line) for line in told.splitlines()]
    assert [row["kind"] for row in rows] == ["log", "witness"]
    shown = json.loads(run("audit", "witness-show", "--state", state, "--json").out)
    assert shown["size"] == rows[0]["size"]
    assert "w.example/1" in shown["note"]


def test_fork_is_shown_with_both_notes_and_fails(run, witness, log):
    """Exit 1 and the evidence: two signed checkpoints of one size."""
    start, _, url, state = witness
    start("--new-state")
    for history, old in (("a", 0), ("b", 7)):
        body = MemoryLog(log, 7, history=history).submission(old, 7)
        httpx.post(f"{url}/add-checkpoint", content=body, trust_env=False)
    shown = run("audit", "witness-show", "--state", state)
    assert (shown.status, shown.out.count(log.name)) == (1, 2)
    assert "contradict" in shown.line
    rows = [json.loads(line) for line in run("audit", "witness-show", "--state", state, "--json").out.splitlines()]
    assert rows[1]["conflict_at"] == 7
    assert rows[1]["note"] != rows[1]["known_note"]


def test_bad_anchor_fails_the_list(run, home, witness, tmp_path, monkeypatch):
    """Exit 1 where a stored cosignature is not its witness's."""
    _, vkey, url, _ = witness
    key = VerifierKey.parse(vkey, algorithm=COSIGNATURE)
    (tmp_path / "policy").write_text(f"witness w1 {vkey} {url}\nquorum w1\n")
    monkeypatch.setenv("CONSENTRY_WITNESS_POLICY_FILE", str(tmp_path / "policy"))
    store = open_database(f"sqlite:///{home / 'data.db'}", label="data store")
    row = {"origin_no": 1, "size": 3, "kind": "witness", "name": f"{key.name}+{key.key_id.hex()}", "token": b"x\n"}
    with store.write() as connection:
        connection.execute(insert(anchor), row | {"at": SystemClock().now()})
    store.dispose()
    listed = run("audit", "anchors", "--home", home)
    assert (listed.status, "do not verify" in listed.line) == (1, True)


def test_anchoring_without_anybody_says_which_setting(run, home):
    """Exit 2: neither witnesses nor an authority."""
    ended = run("audit", "anchor", "--home", home)
    assert (ended.status, "witness_policy_file" in ended.line) == (2, True)
    assert run("audit", "anchors", "--home", home).status == 0
