"""After an emergency the person is told: the task that the opening leaves, from the command line (R20)."""

import json

import pytest

ACTS = [
    {"act_id": "a1", "act": "contract", "purposes": ["P01", "P02", "P04"],
     "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20", "sex": "female"}},
    {"act_id": "a2", "act": "duty", "purposes": ["P15"], "subject": {"source": "app", "id": "u-1"}},
]  # fmt: skip


@pytest.fixture
def patient(home, run, tmp_path):
    """Somebody under emergency care."""
    path = tmp_path / "acts.ndjson"
    more = {"actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"}, "at": "2026-11-21T10:00:00+08:00"}
    path.write_text("".join(json.dumps(act | more) + "\n" for act in ACTS))
    assert run("ingest", "consents", path, "--home", home, "--quiet").status == 0
    return run("subject", "find", "--source", "app", "--id", "u-1", "--home", home).out.strip()


def test_opening_in_an_emergency_leaves_a_task_that_is_done(home, run, patient, deployment, monkeypatch):
    """R20: reveal under P15; the officer lists the task to tell the person, and closes it; care leaves none."""
    import io
    import sys

    def at(*words):
        return run(*words, "--home", home)

    monkeypatch.setattr(sys, "stdin", io.StringIO(deployment.password("dr.lin") + "\n"))
    token = at("account", "token", "dr.lin", "--password-stdin").out.strip()
    assert at("consent", "tasks", "--json").out == ""
    opening = ("reveal", patient, "--fields", "name", "--reason", "unconscious", "--token", token)
    assert at(*opening, "--purpose", "P02").status == 0
    assert at("consent", "tasks", "--json").out == ""
    assert at(*opening, "--purpose", "P15").status != 0, "the glass is broken by its own command"
    assert at("emergency", "open", *opening[1:]).status == 0
    (task,) = [json.loads(line) for line in at("consent", "tasks", "--json").out.splitlines()]
    assert (task["kind"], task["subject"], task["purpose"]) == ("notify_emergency", patient, "P15")
    assert task["cause"].startswith("pmt_")
    assert at("consent", "task", "done", task["task"], "--note", "told by letter").out == f"{task['task']} is done\n"
    assert at("consent", "tasks").out.endswith("0 open tasks\n")
    assert at("consent", "task", "done", task["task"]).status != 0
    log = at("audit", "query", "--act", "task.done", "--json").out
    assert task["task"] in log
    assert "told by letter" not in log
