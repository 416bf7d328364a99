"""Case grants, emergencies and revoked approvals from the command line."""

import json

import pytest

ACTS = [
    {"act_id": "a1", "act": "contract", "purposes": ["P01", "P02", "P04"],
     "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20", "sex": "female"}},
]  # fmt: skip


@pytest.fixture
def patient(home, run, tmp_path):
    """Somebody registered."""
    path = tmp_path / "acts.ndjson"
    more = {"actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"}, "at": "2026-11-21T10:00:00+08:00"}
    path.write_text("".join(json.dumps(act | more) + "\n" for act in ACTS))
    assert run("ingest", "consents", path, "--home", home, "--quiet").status == 0
    return run("subject", "find", "--source", "app", "--id", "u-1", "--home", home).out.strip()


@pytest.fixture
def token(home, run, monkeypatch):
    """Makes an account of a role and returns its token."""
    import io
    import sys

    def make(name, role):
        said = run("account", "person", name, "--role", role, "--json", "--home", home)
        password = json.loads(said.out)["password"]
        monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
        return run("account", "token", name, "--password-stdin", "--home", home).out.strip()

    return make


def test_case_from_asking_to_revoking(home, run, patient, token):
    """Asked for by the clinician, given by the officer, listed, revoked; wrong input is told in a line."""
    doctor, officer = token("dr.wu", "clinician"), token("officer", "compliance_officer")

    def at(*words, by=doctor):
        return run("case", *words, "--token", by, "--home", home)

    asked = at("request", patient, "--purpose", "P02", "--compartment", "special", "--reason", "visit", "--json")
    case = json.loads(asked.out)["case"]
    assert isinstance(json.loads(asked.out)["fields"], list)
    assert not [name for name in json.loads(asked.out) if " " in name]
    assert at("grant", case, "--reason", "me").status != 0
    given = at("grant", case, "--reason", "treats", by=officer)
    assert (given.status, "granted" in given.out) == (0, True)
    assert at("refuse", case, "--reason", "no", by=officer).status != 0
    assert [json.loads(line)["state"] for line in at("list", "--json").out.splitlines()] == ["granted"]
    assert "special_disease" in at("list", by=officer).out
    assert at("revoke", case, "--reason", "over").out == f"{case} is revoked\n"
    other = at("request", patient, "--purpose", "P02", "--fields", "genetic", "--reason", "visit", "--json")
    refused = json.loads(other.out)["case"]
    assert at("refuse", refused, "--reason", "no", by=officer).out == f"{refused} is refused\n"
    wrong = at("request", patient, "--purpose", "P02", "--compartment", "attic", "--reason", "visit")
    assert (wrong.status, "attic" in wrong.err) == (2, True)
    assert at("request", patient, "--purpose", "P02", "--reason", "visit").status == 2
    assert at("grant", "cas_x", "--reason", "x", by=officer).status != 0


def test_emergency_from_the_glass_to_the_review(home, run, patient, token):
    """Opened, listed, reviewed as an incident, frozen, released."""
    doctor, officer = token("dr.wu", "clinician"), token("officer", "compliance_officer")

    def at(*words, by=officer):
        return run("emergency", *words, "--token", by, "--home", home)

    opened = at("open", patient, "--fields", "name", "--reason", "unconscious", "--json", by=doctor)
    emergency = [json.loads(line) for line in opened.out.splitlines()][-1]["emergency"]
    assert "break_glass.opened" in opened.err, "the alarm is not mixed into what programs read"
    assert emergency in at("list", "--open").out
    reviewed = at("review", emergency, "--verdict", "incident", "--note", "curious", "--json")
    assert json.loads(reviewed.out)["verdict"] == "incident"
    frozen = run("case", "list", "--token", doctor, "--home", home)
    assert (frozen.status, "frozen" in frozen.err) == (1, True)
    (listed,) = [json.loads(line) for line in at("list", "--json").out.splitlines()]
    assert (listed["verdict"], listed["frozen"]) == ("incident", True)
    assert at("release", "dr.wu", "--reason", "talked").out == "dr.wu is released from 1 emergencies\n"
    assert run("case", "list", "--token", doctor, "--home", home).status == 0
    assert at("release", "dr.wu", "--reason", "again").status != 0
    said = at("open", patient, "--fields", "name", "--reason", "again", by=doctor)
    assert "to be reviewed by somebody else" in said.out


def test_approval_is_revoked(home, run, patient, token):
    """By who approves; once."""
    officer = token("officer", "compliance_officer")
    given = run(
        "approve-read", patient, "--purpose", "P02", "--role", "clinician", "--reason", "visit", "--json",
        "--token", officer, "--home", home,
    )  # fmt: skip
    approval = json.loads(given.out)["approval"]
    revoke = ("revoke-approval", approval, "--reason", "over", "--token", officer, "--home", home)
    assert run(*revoke).out == f"{approval} is revoked\n"
    assert run(*revoke).status != 0
