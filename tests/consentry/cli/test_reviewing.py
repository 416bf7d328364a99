"""The officer's commands on the log, as people and programs use them."""

import csv
import io
import json
import sys

import pytest


@pytest.fixture
def at(home, run):
    """Runs a command on the deployment."""
    return lambda *words: run(*words, "--home", home)


@pytest.fixture
def subject(at, tmp_path):
    """A person of the app."""
    act = {
        "act_id": "a1", "act": "contract", "purposes": ["P01", "P02", "P04"], "actor": {"kind": "operator"},
        "subject": {"source": "app", "id": "u-1", "birth_date": "2012-05-20", "sex": "female"},
        "evidence": {"mechanism": "signed"}, "at": "2026-11-21T10:00:00+08:00",
    }  # fmt: skip
    path = tmp_path / "acts.ndjson"
    path.write_text(json.dumps(act) + "\n")
    assert at("ingest", "consents", path, "--quiet").status == 0
    return at("subject", "find", "--source", "app", "--id", "u-1").out.strip()


@pytest.fixture
def token_of(at, monkeypatch):
    """Makes an account of a role and signs it in."""

    def sign_in(name, role):
        made = json.loads(at("account", "person", name, "--role", role, "--json").out)
        monkeypatch.setattr(sys, "stdin", io.StringIO(made["password"] + "\n"))
        return at("account", "token", name, "--password-stdin").out.strip()

    return sign_in


def test_who_saw_is_a_table_and_json(at, subject):
    """The look-up before is there, in the words asked for, with where to go on."""
    assert "looked up by an id" in at("audit", "seen", subject, "--locale", "en").out
    rows = [json.loads(line) for line in at("audit", "seen", subject, "--json").out.splitlines()]
    assert "looked_up" in {row["kind"] for row in rows}
    assert "go on with --after" in at("audit", "seen", subject, "--limit", "1").out
    assert at("audit", "seen", "13912345678").status == 2
    assert "is not registered" in at("audit", "seen", "sub_" + "a" * 24).line


def test_accounting_is_written_in_three_forms(at, subject):
    """Table, JSON and CSV say the same."""
    told = json.loads(at("audit", "disclosures", subject, "--view", "pipl", "--format", "json").out)
    cells = list(csv.reader(io.StringIO(at("audit", "disclosures", subject, "--view", "pipl", "--format", "csv").out)))
    assert len(cells) - 1 >= len(told["rows"]) > 0
    assert "日志序号" in at("audit", "disclosures", subject, "--view", "pipl").out
    assert json.loads(at("audit", "disclosures", subject, "--view", "hipaa", "--format", "json").out)["rows"] == []
    assert at("audit", "disclosures", subject, "--view", "gdpr").status == 2


def test_protected_person_is_flagged_and_reviewed(at, subject, token_of):
    """From the list over the rule and the finding to the verdict."""
    officer = token_of("officer", "compliance_officer")
    token = ("--token", officer)
    added = at("audit", "watch", "add", subject, "--reason", "in the news", *token)
    assert (added.status, added.out) == (0, f"every access to {subject} is told from now on\n")
    assert at("audit", "watch", "link", "officer", subject, "--reason", "said so", *token).status == 0
    assert json.loads(at("audit", "watch", "list", "--json", *token).out)["protected"] == [subject]
    assert "protected" in at("audit", "watch", "list", *token).out
    assert at("subject", "find", "--source", "app", "--id", "u-1").status == 0
    found = at("audit", "unusual", "--locale", "en").out
    assert "VIP_LOOKUP" in found
    assert at("audit", "unusual").out.startswith("0 new")
    assert at("audit", "unusual", "--json").out == ""
    assert "VIP_LOOKUP" in at("audit", "findings", "--open").out
    finding = json.loads(at("audit", "findings", "--json").out.splitlines()[0])["finding"]
    review = ("audit", "review", finding, "--verdict", "justified", "--note", "asked for by the person")
    assert "needs a person's token" in at(*review).line
    assert at(*review, *token).out == f"{finding} is justified\n"
    assert "was reviewed" in at(*review, *token).line
    assert at("audit", "findings", "--open", "--json").out == ""
    assert at("audit", "watch", "unlink", "officer", "--reason", "left", *token).status == 0
    assert at("audit", "watch", "remove", subject, "--reason", "over", *token).status == 0
    assert at("audit", "unusual", "--since", "2027-01-01", "--until", "2026-01-01").status == 2


def test_counters_and_filings(at, subject, token_of):
    """The audit of minors is due, and fulfilled once it is recorded; an unknown duty is refused."""
    assert "MINORS_AUDIT" in at("audit", "counters", "--locale", "en").out
    token = ("--token", token_of("officer", "compliance_officer"))
    filed = ("audit", "filed", "MINORS_AUDIT", "--at", "2026-11-01", "--reference", "AUD-1")
    assert at(*filed, *token).out == "MINORS_AUDIT is recorded as done on 2026-11-01\n"
    told = {row["duty"]: row for row in json.loads(at("audit", "counters", "--json").out)["duties"]}
    assert (told["MINORS_AUDIT"]["state"], told["MINORS_AUDIT"]["reference"]) == ("fulfilled", "AUD-1")
    assert "no such duty" in at("audit", "filed", "NOPE", "--at", "2026-11-01", "--reference", "x", *token).line


def test_log_is_asked_by_level_and_request_backwards(at, subject):
    """The new filters narrow; a level outside 1 to 5 is refused."""
    rows = [json.loads(line) for line in at("audit", "query", "--newest", "--limit", "3", "--json").out.splitlines()]
    indexes = [row["index"] for row in rows]
    assert indexes == sorted(indexes, reverse=True)
    chain = at("audit", "query", "--request", rows[-1]["request_id"], "--json").out.splitlines()
    assert {json.loads(line)["request_id"] for line in chain} == {rows[-1]["request_id"]}
    assert at("audit", "query", "--level", "5", "--json").out == ""
    assert at("audit", "query", "--level", "6").status == 2
