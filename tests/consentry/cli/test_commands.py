"""Every group of commands on a small operator: what people read, what programs read, and what is refused."""

import contextlib
import io
import json
import shlex
import sqlite3
import subprocess
import sys

import pytest

from kernel.pack import builtin_pack_path

NOBODY = f"sub_{'a' * 24}"
"""A subject id that nobody has."""


@pytest.fixture
def at(clinic, run):
    """Runs a command on the clinic."""
    return lambda *words: run(*words, "--home", clinic.home)


@pytest.fixture
def patient(clinic):
    """A grown-up with an illness, who decides for themselves."""
    people = [p for p in clinic.files.people if p.conditions and p.guardian is None and p.agent is None]
    return next(p for p in people if p.number != clinic.files.orders_only.number)


@pytest.fixture
def subject(clinic, run, patient):
    """That person's subject id."""
    return clinic.subject(run, patient)


def reveal(subject, *more):
    """The words that open a diagnosis."""
    return ["reveal", subject, "--purpose", "P02", "--fields", "diagnosis, department", "--reason", "复诊", *more]


# --- accounts


def test_account_of_a_person_signs_in(at, clinic, run, monkeypatch):
    """The password is shown once, and gives a token; a wrong one gives a line."""
    made = json.loads(at("account", "person", "ops.wang", "--role", "operator", "--json").out)
    assert made["role"] == "operator"
    clinic.passwords["ops.wang"] = made["password"]
    assert clinic.token(run, monkeypatch, "ops.wang").count(".") == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("wrong\n"))
    ended = at("account", "token", "ops.wang", "--password-stdin")
    assert (ended.status, ended.line.partition(".")[0]) == (1, "The credentials are not valid")


def test_password_is_asked_for_at_a_terminal(at, clinic, monkeypatch):
    """Without the option it is typed and not shown."""
    monkeypatch.setattr("getpass.getpass", lambda _prompt: clinic.passwords["admin"])
    assert at("account", "token", "admin").out.count(".") == 2


def test_key_of_a_machine_is_shown_and_can_be_disabled(at):
    """A key has its end; a disabled one is told by name."""
    ended = at("account", "key", "capture-1", "--role", "capture", "--days", "30", "--subjects-per-day", "500")
    assert ended.out.splitlines()[3].startswith("key      key_")
    assert "is disabled" in at("account", "disable", "capture-1").out
    assert at("account", "disable", "nobody").line.startswith("There is no account or key 'nobody'")


def test_key_is_bound_to_its_sources(at):
    """They are shown when it is made and in the list."""
    told = json.loads(
        at("account", "key", "his", "--role", "ingest", "--source", "pacs", "--source", "his", "--json").out
    )
    assert told["sources"] == ["his", "pacs"]
    ended = at("account", "list")
    assert "his, pacs" in ended.out
    assert ended.err == ""


def test_live_ingest_key_of_an_earlier_release_is_warned_of(at, clinic):
    """By name, on standard error, until it is disabled."""
    assert at("account", "key", "old", "--role", "ingest", "--source", "his").status == 0
    with contextlib.closing(sqlite3.connect(clinic.home / "data.db")) as store, store:
        store.execute("UPDATE principal SET sources = NULL WHERE name = 'old'")
    ended = at("account", "list", "--json")
    assert "key.any_source" in ended.err
    assert "old" in ended.err
    assert [one["sources"] for one in map(json.loads, ended.out.splitlines()) if one["name"] == "old"] == ["any"]
    assert at("account", "disable", "old").status == 0
    assert at("account", "list").err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["person", "admin", "--role", "clinician"], "The name 'admin' is taken"),
        (["person", "x", "--role", "wizard"], "Role 'wizard' is not in the pack"),
        (["person", " ", "--role", "clinician"], "A name has 1 to 80 printable characters"),
        (["key", "x", "--role", "clinician"], "A key cannot have role 'clinician'"),
        (["key", "x", "--role", "ingest", "--days", "400"], "A key lives 1 to 366 days"),
        (["key", "x", "--role", "ingest"], "An ingest key needs the sources as which it sends"),
        (["key", "x", "--role", "ingest", "--source", "a b"], "A source's name begins with a letter"),
    ],
)
def test_account_that_cannot_be_is_refused(at, words, said):
    """One line, exit 2."""
    ended = at("account", *words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.line.startswith(said)


# --- consents and subjects


def test_decisions_are_shown_and_one_is_withdrawn(at, subject):
    """The withdrawal counts when the command returns."""
    before = [json.loads(line) for line in at("consent", "show", subject, "--json").out.splitlines()]
    assert {"P01", "P02"} <= {row["purpose"] for row in before}
    assert at("consent", "withdraw", subject, "P02").out.startswith("P02 is withdrawn: decision dec_")
    after = [json.loads(line) for line in at("consent", "show", subject, "--json").out.splitlines()]
    assert [row["act"] for row in after if row["purpose"] == "P02" and row["track"] == "consent"] == ["withdraw"]
    assert "撤回" in at("consent", "show", subject).out
    assert "withdrawn" in at("consent", "show", subject, "--locale", "en").out


def test_unknown_people_and_purposes_are_said(at, subject):
    """Nobody by this id, nobody by this name, no such purpose."""
    assert at("consent", "show", NOBODY).line.startswith(f"Subject {NOBODY} is not registered")
    assert at("consent", "withdraw", subject, "P99").line.startswith("Purpose 'P99' is not in the catalogue")
    ended = at("subject", "find", "--source", "app", "--id", "nobody")
    assert (ended.status, ended.out) == (2, "")
    assert "nobody" not in ended.line


def test_restricted_subject_opens_no_more(at, clinic, run, subject, monkeypatch):
    """From now on the gate refuses."""
    token = clinic.token(run, monkeypatch)
    assert at(*reveal(subject, "--token", token)).status == 0
    assert at("subject", "restrict", subject, "--reason", "2026-1").out == f"{subject} is restricted\n"
    ended = at(*reveal(subject, "--token", token))
    assert (ended.status, ended.out) == (1, "")
    assert "RESTRICTED" in ended.line


# --- reveal and erase


def test_person_opens_fields_for_people_and_for_programs(at, clinic, run, subject, monkeypatch):
    """With a token, purpose and reason; the log entry is named."""
    token = clinic.token(run, monkeypatch)
    told = at(*reveal(subject, "--token", token)).out
    assert "diagnosis" in told
    assert "log entry " in told
    records = [json.loads(line) for line in at(*reveal(subject, "--token", token, "--json")).out.splitlines()]
    assert any("diagnosis" in record["values"] for record in records)


def test_token_may_stand_in_the_environment(at, clinic, run, subject, monkeypatch):
    """A token on the command line is seen by others on the machine; CONSENTRY_TOKEN is not."""
    monkeypatch.setenv("CONSENTRY_TOKEN", clinic.token(run, monkeypatch))
    assert at(*reveal(subject)).status == 0


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [([], 2, "This command needs a person's token"), (["--token", "a.b.c"], 1, "The token is not valid")],
)
def test_without_a_live_token_nothing_opens(at, subject, token, status, said):
    """Neither the operator's own account nor noise opens a record."""
    ended = at(*reveal(subject, *token))
    assert (ended.status, ended.out) == (status, "")
    assert ended.line.startswith(said)


def test_customer_with_orders_only_is_erased(at, clinic, run):
    """Nothing holds the orders of the made-up customer, or the answer says until when."""
    subject = clinic.subject(run, clinic.files.orders_only, source="shop")
    told = json.loads(at("erase", subject, "--reason", "2026-2", "--json").out)
    assert told["state"] in ("erased", "restricted")
    assert "state" in at("erase", subject, "--reason", "2026-2").out


def test_erasure_needs_somebody(at):
    """An unknown id is bad input."""
    assert at("erase", NOBODY, "--reason", "x").status == 2


@pytest.mark.parametrize("wrong", ["", "x", "sub_", "sub_none", "p_x", f"{'x' * 5000}"])
@pytest.mark.parametrize(
    "words",
    [
        ["consent", "show"],
        ["consent", "withdraw", "P07"],
        ["subject", "restrict", "--reason", "x"],
        ["erase", "--reason", "x"],
        ["reveal", "--purpose", "P02", "--fields", "diagnosis", "--reason", "x"],
        ["tags", "show"],
    ],
)
def test_what_is_no_subject_id_is_said_before_anything_is_opened(run, words, wrong):
    """The stores need not even be there."""
    group = 2 if words[0] in ("consent", "subject", "tags") else 1
    ended = run(*words[:group], wrong, *words[group:], "--home", "nowhere")
    assert (ended.status, ended.out) == (2, "")
    assert ended.line.startswith("Invalid value for 'subject': this is no subject id")


def test_subject_filter_of_the_log_is_checked_as_well(run):
    """A filter that can match nobody is a mistake, not an empty answer."""
    assert "this is no subject id" in run("audit", "query", "--subject", "x", "--home", "nowhere").line


# --- views, exports, tags


def test_views_are_built_listed_and_shown(at):
    """For people and for programs."""
    built = [json.loads(line) for line in at("view", "build", "--json", "--quiet").out.splitlines()]
    assert {one["view"] for one in built} == {"event_rows", "subject_profile"}
    assert "people" in at("view", "build", "event_rows", "--as-of", "2024-01-01").out
    assert built[0]["build"] in at("view", "list").out
    shown = at("view", "show", "subject_profile", "--rows", "2").out
    assert shown.endswith("2 rows shown\n")
    rows = [
        json.loads(line) for line in at("view", "show", "subject_profile", "--rows", "3", "--json").out.splitlines()
    ]
    assert len(rows) == 3
    assert all("pseudonym" in row for row in rows)


def test_export_answers_with_a_release_or_a_reason(at):
    """Sixty people are few: either k holds, or one line says what does not."""
    ended = at("export", "run", "research_partner", "--json")
    if ended.status:
        assert (ended.status, ended.out) == (1, "")
        assert ended.line
    else:
        assert json.loads(ended.out)["k"] >= 5
        assert "export" in at("export", "run", "research_partner").out
    assert at("export", "list").out.endswith(" releases\n")


def test_tags_are_run_shown_explained_and_counted(at, clinic, run, subject, monkeypatch):
    """The whole group, in both forms."""
    ran = json.loads(at("tags", "run", "--json").out)
    assert ran["people"] > 10
    assert "people" in at("tags", "run", "--as-of", "2024-01-01").out
    at("tags", "run")
    profile = json.loads(at("view", "show", "subject_profile", "--rows", "1", "--json").out)
    tag = next(iter(ran["distribution"]))
    english = at("tags", "explain", tag, profile["pseudonym"])
    chinese = at("tags", "explain", tag, profile["pseudonym"], "--language", "zh")
    assert (english.status, chinese.status) == (0, 0)
    assert "Rule:" in english.out
    assert "规则" in chinese.out
    assert json.loads(at("tags", "explain", tag, profile["pseudonym"], "--json").out)["tag"] == tag
    counted = json.loads(at("tags", "cohort", f"{tag} IS NOT NULL", "--json").out)
    assert counted.keys() == {"people", "of"}
    assert "of" in at("tags", "cohort", f"{tag} IS NOT NULL").out


def test_tags_of_a_subject_need_a_person_whose_role_reads_them(at, clinic, run, subject, monkeypatch):
    """A clinician is told why not; an operator reads them, or is told by the gate."""
    refused = at("tags", "show", subject)
    assert refused.line.startswith("This command needs a person's token")
    made = json.loads(at("account", "person", "ops.wang", "--role", "operator", "--json").out)
    clinic.passwords["ops.wang"] = made["password"]
    token = clinic.token(run, monkeypatch, "ops.wang")
    read = [
        at("tags", "show", clinic.subject(run, person), "--token", token, "--json")
        for person in clinic.files.people[:8]
        if person.number != clinic.files.orders_only.number
    ]
    opened = [json.loads(ended.out) for ended in read if ended.status == 0]
    assert opened
    assert all(found.keys() == {"as_of", "tags"} for found in opened)
    assert all(ended.line for ended in read if ended.status)
    plain = at("tags", "show", subject, "--token", token)
    assert plain.status in (0, 1, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["view", "build", "nothing"], "The pack has no view 'nothing'"),
        (["view", "show", "nothing"], "The pack has no view 'nothing'"),
        (["export", "run", "nothing"], "The pack has no export 'nothing'"),
        (["tags", "cohort", "1 = 1; DROP TABLE x"], ""),
        (["tags", "cohort", "no_such_tag"], ""),
        (["tags", "explain", "no_such_tag", "p_x"], ""),
        (["tags", "explain", "chronic_disease", "p_x", "--language", "fr"], "Invalid value for '--language'"),
    ],
)
def test_unknown_names_and_wrong_expressions_are_bad_input(at, words, said):
    """One line each."""
    ended = at(*words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.line.startswith(said)
    assert "A defect" not in ended.line


# --- the log, keys, packs


def test_log_is_exported_and_verified(at, tmp_path):
    """The line to verify with is printed, and it works; a program gets folder, checkpoint and key."""
    ended = at("audit", "export", tmp_path / "log")
    command = ended.out.splitlines()[-1].removeprefix("verify: consentry-verify ")
    words = [sys.executable, "-m", "audit.verifier", *shlex.split(command)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    told = json.loads(at("audit", "export", tmp_path / "log2", "--json").out)
    assert told.keys() >= {"folder", "entries", "checkpoint", "key"}
    assert at("audit", "export", tmp_path / "log2").line.startswith("The export folder is not empty")


def test_log_that_was_changed_is_exported_as_evidence_with_an_alarm(at, clinic, tmp_path):
    """The export is written, the line says what is wrong, and the exit status is 1; programs get the alarm, too."""
    with contextlib.closing(sqlite3.connect(clinic.home / "data.db")) as store:
        store.execute("DROP TRIGGER audit_head_no_shrink")
        store.execute("UPDATE audit_head SET size = size - 1")
        store.commit()
    ended = at("audit", "export", tmp_path / "log", "--json")
    assert ended.status == 1
    assert ended.line.startswith("The log does not verify: ")
    assert json.loads(ended.out)["alarm"]
    assert (tmp_path / "log").is_dir()


def test_log_is_queried(at, subject):
    """By subject, act, outcome and time; the answer says when there is more."""
    assert "there may be more entries" in at("audit", "query", "--limit", "1").out
    found = at("audit", "query", "--subject", subject, "--json").out.splitlines()
    assert found
    acts = {json.loads(line)["act"] for line in at("audit", "query", "--act", "gate.permit", "--json").out.splitlines()}
    assert acts == {"gate.permit"}
    assert at("audit", "query", "--since", "2100-01-01", "--json").out == ""
    assert at("audit", "query", "--until", "2000-01-01", "--json").out == ""
    assert at("audit", "query", "--act", "nonsense").status == 2
    assert at("audit", "query", "--outcome", "nonsense").status == 2


def test_key_epoch_is_ended(at, clinic, run, subject, monkeypatch):
    """What lives stays readable."""
    assert "is ended" in at("keys", "rotate").out
    assert at(*reveal(subject, "--token", clinic.token(run, monkeypatch))).status == 0


def test_pack_is_checked(run, tmp_path):
    """The built-in one is whole; of a broken one every mistake is a line, and the exit status is 2."""
    assert "no mistakes" in run("pack", "lint").out
    (tmp_path / "clinic").mkdir()
    ended = run("pack", "lint", tmp_path / "clinic")
    assert ended.status == 2
    assert "fields.yaml:1: cannot be read" in ended.out
    assert run("pack", "lint", "no_such_pack").line.startswith("No pack named 'no_such_pack'")


# --- input


def test_map_is_drafted_from_a_header(run, clinic):
    """The draft goes to standard output; no deployment is touched."""
    ended = run("ingest", "table", clinic.files.orders, "--suggest-map", "--home", "nowhere")
    assert (ended.status, ended.err) == (0, "")
    assert "records:" in ended.out


def test_table_without_a_map_says_how_to_get_one(at, clinic):
    """One line that names both options."""
    ended = at("ingest", "table", clinic.files.orders)
    assert ended.status == 2
    assert "give --map MAP.yaml, or --suggest-map for a draft" in ended.line


def test_reports_are_for_people_and_for_programs(at, clinic):
    """The same numbers in a table and as JSON; the second time nothing changes."""
    tracker = builtin_pack_path("medical") / "maps" / "tracker.yaml"
    again = at("ingest", "events", clinic.files.events, "--map", tracker)
    assert "was complete already; nothing changed" in again.out
    told = json.loads(at("ingest", "events", clinic.files.events, "--map", tracker, "--json").out)
    assert told["repeated"] is True
    assert json.loads(at("ingest", "consents", clinic.files.consents, "--json", "--quiet").out)["recorded"] == {}
    other = at("ingest", "fhir", clinic.files.hospital, "--source", "copy")
    assert "subjects" in other.out
    assert "repeated" in at("ingest", "consents", clinic.files.consents).out


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\x1bb", "a\nb"])
def test_source_has_a_short_printable_name(at, clinic, name):
    """The name stands in the stores and in the log as it is."""
    for kind, file in (("fhir", clinic.files.hospital), ("events", clinic.files.events)):
        ended = at("ingest", kind, file, "--source", name)
        assert (ended.status, ended.out) == (2, "")
        assert ended.line.startswith("A source's name has 1 to 64 printable characters")


# --- serving


def test_server_listens_where_it_is_told(clinic, run, monkeypatch):
    """Options go before settings; the server's own banner is off."""
    calls = []
    monkeypatch.setattr("uvicorn.run", lambda app, **how: calls.append((app.title, how)))
    assert run("serve", "--home", clinic.home, "--port", "9000").status == 0
    ((title, how),) = calls
    assert title.startswith("Consentry")
    assert (how["host"], how["port"], how["server_header"], how["access_log"]) == ("127.0.0.1", 9000, False, False)


def test_demo_replaces_no_folder_of_anybody(run, tmp_path):
    """A folder that no demo made is refused."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    ended = run("demo", "--subjects", "50", "--folder", tmp_path / "mine")
    assert (ended.status, ended.out) == (2, "")
    assert "is there already and was not replaced" in ended.line
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
