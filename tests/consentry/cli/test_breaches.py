"""A breach case from the command line: JSON in, a case id out, timers that a script can check."""

import io
import json
import sys

import pytest

from consentry.breach_acts import BreachReport

SAID = BreachReport.model_config["json_schema_extra"]["examples"][0]


@pytest.fixture
def at(run, home):
    """Runs a command on the deployment."""
    return lambda *words: run(*words, "--home", home)


@pytest.fixture
def officer(at, monkeypatch):
    """Makes a compliance officer, and returns the token."""

    def make(name):
        made = json.loads(at("account", "person", name, "--role", "compliance_officer", "--json").out)
        monkeypatch.setattr(sys, "stdin", io.StringIO(made["password"] + "\n"))
        return at("account", "token", name, "--password-stdin").out.strip()

    return make


@pytest.fixture
def write(tmp_path):
    """Writes JSON into a file."""

    def to_file(said):
        (tmp_path / "said.json").write_text(json.dumps(said), encoding="utf-8")
        return tmp_path / "said.json"

    return to_file


def test_a_case_from_its_opening_to_its_end(at, officer, write):
    """Opened by whoever runs the machine, told and waived by officers, closed when nobody is left."""
    case = at("breach", "open", write(SAID | {"aware_at": "2026-11-01T00:00:00Z"})).out.strip()
    checked = at("breach", "list", "--check")
    assert (checked.status, checked.line.startswith(f"Timers have passed in {case}")) == (1, True)
    assert case in checked.out
    assert at("breach", "waive", case, "pipl.individuals", "--reason", "x").line.startswith("This command needs")
    first, second = officer("zhou"), officer("wu")
    notice = {"duty": "pipl.authority", "channel": "portal", "text": "what happened"}
    assert at("breach", "notified", case, write(notice), "--token", first).out.strip() == case
    waive = ["breach", "waive", case, "pipl.individuals", "--reason", "encrypted", "--token"]
    assert at(*waive, first).out.strip() == "a second person has to say so too"
    assert at("breach", "close", case, "--reason", "done", "--token", first).status == 2
    assert at(*waive, second).out.strip() == "waived"
    assert at("breach", "changed", case, write({"sensitive": 7}), "--token", first).out.strip() == case
    assert at(*waive, first).out.strip() == "a second person has to say so too"
    assert at(*waive, second).out.strip() == "waived"
    assert at("breach", "close", case, "--reason", "done", "--token", first).out.strip() == case
    assert at("breach", "list", "--check").status == 0
    (told,) = [json.loads(line) for line in at("breach", "list", "--json").out.splitlines()]
    assert (told["state"], [duty["state"] for duty in told["duties"]]) == ("closed", ["late", "waived"])


def test_words_are_shown_to_the_officer_in_either_language(at, officer, write):
    """Without a token a case shows its numbers only."""
    case = at("breach", "open", write(SAID)).out.strip()
    bare = at("breach", "show", case).out
    assert ("一般" in bare, "a lost laptop" in bare) == (True, False)
    token = officer("zhou")
    shown = at("breach", "show", case, "--locale", "en", "--token", token).out
    assert ("report to the authority" in shown, "a lost laptop" in shown) == (True, True)
    assert json.loads(at("breach", "show", case, "--token", token, "--json").out)["words"]["cause"] == "a lost laptop"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "The file is no JSON"),
        (b"\xff", "The file is no JSON"),
        (b'{"people": -1}', "people: "),
        (b'{"13800138000": 1}', "member 1: "),
        (b'{"people": 3, "accesses": {"request_id": "x", "13800138000": 1}}', "accesses.member 2: "),
        (b"{}", "A breach case needs categories"),
        (b" " * (4 * 1024 * 1024 + 1), "The file has more than"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(at, tmp_path, content, said):
    """By its place, never by its value."""
    (tmp_path / "bad.json").write_bytes(content)
    ended = at("breach", "open", tmp_path / "bad.json")
    assert (ended.status, ended.line.startswith(said)) == (2, True)
    assert "13800138000" not in ended.line


def test_a_case_may_come_on_standard_input(at, monkeypatch):
    """A dash reads it from there."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(SAID).encode())))
    assert at("breach", "open", "-").out.startswith("brc_")


def test_shapes_are_told_in_words(at, officer, write):
    """A channel in other letters is refused with an example, not with a regular expression."""
    case, token = at("breach", "open", write(SAID)).out.strip(), officer("zhou")
    notice = {"duty": "pipl.authority", "channel": "网站", "text": "what happened"}
    said = at("breach", "notified", case, write(notice), "--token", token).line
    assert said.startswith("channel: give a short code")
    assert "pattern" not in said
    assert "网站" not in said
