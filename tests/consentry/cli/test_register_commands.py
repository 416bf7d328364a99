"""The officer's commands on the register: words in both languages, any past moment, figures, and the nightly check."""

import io
import json
import sqlite3
import stat
import sys

import pytest

ACTS = [
    {
        "act_id": "a1", "act": "contract", "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20"},
        "purposes": ["P01", "P02", "P04"], "actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"},
    },
    {
        "act_id": "a2", "act": "grant", "subject": {"source": "app", "id": "u-1"}, "purposes": ["P07"],
        "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
        "evidence": {"mechanism": "tapped_button", "channel": "app"},
    },
    {
        "act_id": "a3", "act": "contract", "subject": {"source": "app", "id": "u-2", "birth_date": "1980-05-20"},
        "purposes": ["P01"], "actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"},
    },
]  # fmt: skip


@pytest.fixture
def at(home, run, tmp_path):
    """Runs a command on a deployment where two people have opened accounts and one has granted profiling."""
    path = tmp_path / "acts.ndjson"
    path.write_text("".join(json.dumps(act | {"at": "2026-11-21T10:00:00+08:00"}) + "\n" for act in ACTS))
    assert run("ingest", "consents", path, "--home", home, "--quiet").status == 0
    return lambda *words: run(*words, "--home", home)


@pytest.fixture
def subject(at):
    """Who granted profiling."""
    return at("subject", "find", "--source", "app", "--id", "u-1").out.strip()


def lines_of(ended):
    """The JSON documents that a command printed."""
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def test_labels_are_in_the_chosen_language_and_no_python_shows(at, subject):
    """Chinese unless English is asked for; no None, enum or list as Python writes it."""
    zh, en = at("consent", "show", subject).out, at("consent", "show", subject, "--locale", "en").out
    assert "健康画像" in zh
    assert "同意" in zh
    assert "granted" in en
    for said in (zh, en, at("consent", "history", subject).out, at("audit", "query").out):
        assert "None" not in said
        assert "Act." not in said
        assert "['" not in said


def test_any_past_moment_can_be_asked_for(at, subject):
    """Before the recording nothing stood; a wrong moment, or one to come, is one line and exit 2."""
    assert lines_of(at("consent", "show", subject, "--as-of", "2026-11-01", "--json")) == []
    assert at("consent", "show", subject, "--as-of", "2999-01-01T00:00:00+08:00", "--json").status == 2
    ended = at("consent", "show", subject, "--as-of", "2026-11-21T10:00:00")
    assert (ended.status, ended.out) == (2, "")
    assert ended.line.startswith("This is no moment")
    ended = at("consent", "explain", subject, "P07", "diagnosis", "--as-of", "2999-01-01")
    assert (ended.status, ended.out) == (2, "")


def test_history_is_written_as_text_json_and_page(at, subject, tmp_path):
    """Each form tells the same grant; a file is the owner's alone and never written over."""
    assert "本人同意“P07 健康画像”。" in at("consent", "history", subject).out
    told = json.loads(at("consent", "history", subject, "--format", "json", "--locale", "en").out)
    assert told["events"][-1]["words"].startswith("The person consented to “P07")
    page = tmp_path / "history.html"
    assert at("consent", "history", subject, "--format", "html", "--out", page).out == f"written to {page}\n"
    assert "本人同意“P07 健康画像”。" in page.read_text(encoding="utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert at("consent", "history", subject, "--out", page).line.startswith(f"The file {page} is there already")


def test_evidence_shows_only_when_it_is_asked_for(at, subject):
    """How the act was made is opened by a word of its own, which the log tells."""
    assert "tapped_button" not in at("consent", "history", subject).out
    assert "mechanism: tapped_button" in at("consent", "history", subject, "--evidence").out
    assert "consent.evidence_read" in at("audit", "query", "--act", "consent.evidence_read").out


def test_gate_is_explained_rule_by_rule(at, subject):
    """Why a field passes and another does not, with the decision that it rests on."""
    said = at("consent", "explain", subject, "P07", "diagnosis", "home_address", "--locale", "en").out
    assert "diagnosis: allowed" in said
    assert "  + " in said
    assert "  - " in said
    assert "dec_" in said
    told = lines_of(at("consent", "explain", subject, "P07", "diagnosis", "--json"))[0]
    assert told["fields"]["diagnosis"]["reason"] is None
    assert all(step["holds"] for step in told["fields"]["diagnosis"]["steps"])


def test_notice_is_printed_whole_with_its_hash(at):
    """The newest version, or the one that is named; one that was never published is told (R04)."""
    told = lines_of(at("consent", "notice", "profiling", "2026-11", "--json"))[0]
    assert json.loads(told["text"])["code"] == "profiling"
    said = at("consent", "notice", "profiling").out
    assert told["hash"] in said
    assert all(section in said for section in json.loads(told["text"])["sections"].values())
    assert at("consent", "notice", "profiling", "1999-01").line.startswith("Notice profiling/1999-01/zh-CN is not")
    assert at("consent", "notice", "profiling", "--differences", "1", "1").status == 0
    assert lines_of(at("consent", "notice", "profiling", "--differences", "1", "1", "--json"))[0]["changes"] == []
    assert at("consent", "notice", "profiling", "--differences", "1", "9").status == 2


def test_figures_are_told_per_purpose_and_month(at, subject):
    """One grant, in force; a period before it counts nothing; only months are known."""
    rows = lines_of(at("consent", "statistics", "--json", "--locale", "en"))
    assert [row for row in rows if row["granted"]] == [
        {
            "purpose": "P07", "label": rows[-1]["label"], "granted": 1, "refused": 0, "withdrawn": 0, "renewed": 0,
            "expired": 0, "in_force": 1, "median_days_to_withdraw": None,
        }
    ]  # fmt: skip
    assert lines_of(at("consent", "statistics", "--until", "2026-01-01", "--json")) == []
    months = lines_of(at("consent", "statistics", "--by", "month", "--json"))
    assert {len(row["month"]) for row in months} == {7}
    assert sum(row["granted"] for row in months) == 1
    assert at("consent", "statistics", "--by", "week").status == 2
    assert at("consent", "statistics", "--from", "2026-02-01", "--until", "2026-01-01").status == 2
    assert at("consent", "statistics", "--from", "1990-01-01", "--by", "month").line.startswith("More than 120 months")
    assert "健康画像" in at("consent", "statistics").out
    assert subject not in at("consent", "statistics").out


def test_officer_tends_the_register(at, subject):
    """Nothing is due; an unknown task or relation is told; a contract ends."""
    assert "0 open tasks" in at("consent", "tend").out
    assert lines_of(at("consent", "tend", "--json"))[0]["expired"] == 0
    assert at("consent", "tasks", "--due-by", "2027-01-01").out.endswith("0 open tasks\n")
    assert lines_of(at("consent", "tasks", "--json")) == []
    assert at("consent", "task", "done", "tsk_none").status == 2
    assert at("consent", "guardian", "end", "grd_none").line.startswith("No relation grd_none stands")
    assert at("consent", "agent", "end", "agt_none").line.startswith("No relation agt_none stands")
    assert at("consent", "end", subject, "P04").out.startswith("the basis of P04 is over: decision dec_")


def test_death_kin_restriction_and_release(at, subject):
    """What becomes of a subject is told in its history (R29)."""
    kin = at("subject", "find", "--source", "app", "--id", "u-2").out.strip()
    assert at("subject", "restrict", subject, "--reason", "r1").status == 0
    assert at("subject", "release", subject, "--reason", "r1").out == f"{subject} is no longer restricted\n"
    assert at("subject", "release", subject, "--reason", "r1").status == 2
    assert at("subject", "deceased", subject).out == f"{subject} is recorded as deceased\n"
    assert at("subject", "deceased", subject).out == f"{subject} was recorded as deceased before\n"
    added = at("consent", "kin", "add", subject, kin, "--verification", "household_register")
    assert added.out.startswith(f"{kin} is recorded as near kin of {subject}: grd_")
    assert at("consent", "kin", "add", subject, "nobody", "--verification", "x").status == 2
    relation = added.out.split()[-1]
    assert at("consent", "guardian", "end", relation).out == f"{relation} is ended\n"
    assert "登记为已故。" in at("consent", "history", subject).out


def test_nightly_check_finds_a_forged_row_and_two_people_or_a_repair_release_the_gate(
    at, home, subject, run, monkeypatch
):
    """Exit 0 while everything agrees; exit 1, the id of what differs, and a gate that refuses, once it does not."""
    assert "mismatches" in at("audit", "reconcile").out
    at("consent", "withdraw", subject, "P07")
    set_act(home, "grant")
    ended = at("audit", "reconcile")
    assert ended.status == 1
    assert f"current {subject} P07 consent: act" in ended.out
    assert "the gate is suspended" in ended.line
    ended = at("consent", "explain", subject, "P07", "diagnosis")
    assert ended.status == 1
    assert "suspended" in ended.line
    assert at("audit", "reconcile", "--release", "looked").status == 1
    assert at("audit", "reconcile", "--accept", "x").line.startswith("Nothing is accepted without a release")
    assert at("audit", "reconcile", "--release", "looked", "--accept", "a.b.c").status == 1
    set_act(home, "withdraw")
    told = lines_of(at("audit", "reconcile", "--release", "repaired", "--json"))[0]
    assert (told["mismatches"], told["suspended"]) == (0, False)
    assert at("consent", "explain", subject, "P07", "diagnosis").status == 0


def set_act(home, act):
    """Change what stands, as the owner of the file can."""
    with sqlite3.connect(home / "data.db") as connection:
        connection.execute("UPDATE consent_current SET act = ? WHERE purpose = 'P07'", (act,))
    connection.close()


def token_of(at, monkeypatch, name: str) -> str:
    """The token of a new officer."""
    made = lines_of(at("account", "person", name, "--role", "compliance_officer", "--json"))[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO(made["password"] + "\n"))
    token: str = at("account", "token", name, "--password-stdin").out.strip()
    return token


def test_tokens_of_two_people_accept_what_differs(at, home, subject, monkeypatch):
    """Each signs in; together they open the gate again."""
    tokens = [token_of(at, monkeypatch, name) for name in ("officer.a", "officer.b")]
    set_act(home, "refuse")
    assert at("audit", "reconcile").status == 1
    ended = at("audit", "reconcile", "--release", "known", "--accept", tokens[0], "--accept", tokens[1])
    assert ended.status == 0, ended.err
    assert at("consent", "explain", subject, "P07", "diagnosis").status == 0


def test_merge_says_what_it_leaves(at, subject, monkeypatch):
    """The dropped one is restricted for good, and the command says whose keys seal its records now."""
    dropped = at("subject", "find", "--source", "app", "--id", "u-2").out.strip()
    words = ("subject", "merge", subject, dropped, "--reason", "two accounts")
    assert "A second person must accept this" in at(*words).line
    token = token_of(at, monkeypatch, "officer.c")
    assert "Two are named" in at(*words, "--accept", token, "--officer", "officer.c").line
    said = at(*words, "--accept", token)
    assert said.status == 0, said.err
    assert f"{dropped} is restricted for good" in said.out
    assert f"its records are sealed under {subject} from now on" in said.out
    assert "merged into" in at("subject", "release", dropped, "--reason", "x").line
