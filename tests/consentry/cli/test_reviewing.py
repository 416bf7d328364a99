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


def test_reason_is_opened_for_a_token_that_reviews(at, subject, token_of):
    """Over accesses, disclosures, entries and one entry; nobody without such a token."""
    token = ("--token", token_of("officer", "compliance_officer"))
    assert at("audit", "watch", "add", subject, "--reason", "常客", *token).status == 0
    assert "needs a person's token" in at("audit", "seen", subject, "--words").line
    assert "words" in at("audit", "seen", subject, "--words", *token).out
    assert "陈述的理由" in at("audit", "disclosures", subject, "--view", "pipl", "--words", *token).out
    asked = ("audit", "query", "--act", "log.configured", "--newest", "--limit", "1")
    (row,) = (json.loads(line) for line in at(*asked, "--words", "--json", *token).out.splitlines())
    assert row["words"]["reason"] == "常客"
    assert "常客" in at(*asked, "--words", *token).out
    assert "常客" in at("audit", "show", row["index"], *token).out
    assert "常客" not in at("audit", "show", row["id"]).out
    assert json.loads(at("audit", "show", row["id"], "--json").out)["sealed"] is True
    assert "prove it: consentry audit proof ent_" in at("audit", "show", row["id"]).out


@pytest.mark.parametrize(
    "words",
    [
        ("query", "--since", "0001-01-01"),
        ("query", "--after", "9" * 21),
        ("unusual", "--since", "0001-01-01"),
        ("seen", "sub_" + "a" * 24, "--after", "9" * 21),
        ("stream", "--since", "9999-12-31"),
        ("stream", "--from-index", "9" * 21),
        ("findings", "--locale", "fr"),
        ("disclosures", "sub_" + "a" * 24),
        ("review", "0" * 32, "--note", "x"),
        ("query", "--actor", ""),
        ("query", "--actor", "nobody"),
        ("query", "--purpose", "目的"),
        ("query", "--request", "nope"),
    ],
)
def test_question_that_nothing_can_answer_is_one_line(at, words):
    """No defect, no table that says nothing: exit 2."""
    ended = at("audit", *words)
    assert (ended.status, "defect" in ended.line) == (2, False)


def test_staff_is_found_by_name(at, token_of):
    """The list has names and ids; a query takes either, and the wide table has what proofs ask for."""
    token_of("officer", "compliance_officer")
    listed = [json.loads(line) for line in at("account", "list", "--json").out.splitlines()]
    officer = next(one for one in listed if one["name"] == "officer")
    assert (officer["role"], officer["state"], officer["kind"]) == ("compliance_officer", "active", "person")
    assert officer["id"] in at("account", "list").out
    assert at("account", "disable", "officer").status == 0
    assert "disabled" in at("account", "list").out
    by_name, by_id = (at("audit", "query", "--actor", who, "--json").out for who in ("officer", officer["id"]))
    assert by_name == by_id != ""
    wide = at("audit", "query", "--actor", "officer", "--wide").out
    assert "ent_" in wide
    assert "officer" in wide


def test_wrong_password_names_the_account_that_was_tried(at, monkeypatch):
    """Whoever tried is unknown; the account stands among the references, a name that nobody has does not."""
    for name in ("dr.lin", "nobody"):
        monkeypatch.setattr(sys, "stdin", io.StringIO("wrong\n"))
        assert at("account", "token", name, "--password-stdin").status != 0
    denied = ("audit", "query", "--act", "token.issued", "--outcome", "denied", "--json")
    known, unknown = (json.loads(line) for line in at(*denied).out.splitlines())
    listed = [json.loads(line) for line in at("account", "list", "--json").out.splitlines()]
    assert known["refs"] == {"principal": next(one["id"] for one in listed if one["name"] == "dr.lin")}
    assert known["actor"] == "unknown"
    assert "refs" not in unknown


def test_index_of_an_access_is_proven(at, subject, tmp_path):
    """What `seen` prints is what `proof` takes."""
    row = json.loads(at("audit", "seen", subject, "--json").out.splitlines()[-1])
    proven = json.loads(at("audit", "proof", row["index"], "--out", tmp_path / "p", "--json").out)
    assert proven["index"] == row["index"]
    assert "/ent_" in proven["entry"]
    assert "No entry of the log" in at("audit", "proof", "99999").line


def test_list_that_does_not_have_somebody_says_so(at, subject, token_of):
    """Removing is not told in the words of adding."""
    token = ("--token", token_of("officer", "compliance_officer"))
    assert "does not have this" in at("audit", "watch", "remove", subject, "--reason", "over", *token).line
    assert "does not have this" in at("audit", "watch", "unlink", "officer", "--reason", "left", *token).line
    assert "says so" not in at("audit", "watch", "remove", subject, "--reason", "over", *token).line


def test_bundle_is_written_for_a_regulator(at, subject, tmp_path):
    """The command says how to verify it; a folder that holds something is left alone."""
    said = at("audit", "seen", subject, "--bundle", tmp_path / "b")
    assert (said.status, "consentry-verify entry" in said.out) == (0, True)
    assert json.loads((tmp_path / "b" / "list.json").read_text())["subject"] == subject
    assert json.loads(at("audit", "seen", subject, "--bundle", tmp_path / "c", "--json").out)["by alias"] > 0
    assert "not empty" in at("audit", "seen", subject, "--bundle", tmp_path / "b").line
