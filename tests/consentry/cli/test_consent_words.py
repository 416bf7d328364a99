"""What the consent commands say: nothing stays that has ended, nothing is withdrawn that was never given."""

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest


def act(number, kind, *purposes, **more):
    """One act of the person u-1, as a line of a file."""
    given = {
        "act_id": f"a{number}", "act": kind, "subject": {"source": "app", "id": "u-1"}, "purposes": list(purposes),
        "evidence": {"mechanism": "tapped_button"}, "at": "2026-11-21T10:00:00+08:00",
    }  # fmt: skip
    return json.dumps(given | more) + "\n"


@pytest.fixture
def at(home, run, tmp_path):
    """Runs a command where one person has an account, granted profiling, and sharing with the insurer."""
    birth = {"subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20"}, "actor": {"kind": "operator"}}
    notices = {
        code: {"notice": {"code": code, "version": "2026-11", "locale": "zh-CN"}} for code in ("profiling", "sharing")
    }
    path = tmp_path / "acts.ndjson"
    path.write_text(
        act(1, "contract", "P01", "P02", "P04", **birth)
        + act(2, "grant", "P07", fields=["diagnosis"], max_uses=2, **notices["profiling"])
        + act(3, "grant", "P11", recipient="insurer", **notices["sharing"])
    )
    ended = run("ingest", "consents", path, "--home", home, "--quiet")
    assert ended.status == 0, ended.err
    return lambda *words: run(*words, "--home", home)


@pytest.fixture
def subject(at):
    """Who decided."""
    return at("subject", "find", "--source", "app", "--id", "u-1").out.strip()


def test_a_contract_that_ended_does_not_stay(at, subject):
    """After a basis is over, a withdrawal does not say that fields can still be used."""
    stays = "a contract or duty for P02 stays"
    assert stays in at("consent", "withdraw", subject, "P02").out
    assert at("consent", "end", subject, "P02").status == 0
    said = at("consent", "withdraw", subject, "P02")
    assert (said.status, stays in said.out) == (0, False)


def test_a_recipient_that_nothing_was_given_to_cannot_be_withdrawn_from(at, subject):
    """A mistyped code is refused with the recipients towards which consents stand, and leaves nothing."""
    said = at("consent", "withdraw", subject, "P11", "--recipient", "zzz")
    assert (said.status != 0, said.out) == (True, "")
    assert said.line.startswith("No consent to P11 was ever given towards zzz")
    assert "stand towards: insurer" in said.line
    rows = [json.loads(line) for line in at("consent", "show", subject, "--json").out.splitlines()]
    assert [row["act"] for row in rows if row["purpose"] == "P11"] == ["grant"]
    assert at("consent", "withdraw", subject, "P11", "--recipient", "insurer").status == 0
    assert at("consent", "withdraw", subject, "P06", "--recipient", "zzz").line.endswith(
        "No consent to P06 stands at all."
    )


def test_the_future_cannot_be_looked_back_to(at, subject):
    """Each command refuses it alike; today without a time is up to now."""
    later = "2999-01-01T00:00:00+08:00"
    for command in ("show", "history"):
        said = at("consent", command, subject, "--as-of", later)
        assert (said.status, said.line.startswith("Nobody knows yet")) == (2, True)
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    for command in (("show", subject), ("history", subject), ("explain", subject, "P07", "diagnosis")):
        assert at("consent", *command, "--as-of", str(today)).status == 0
    assert at("consent", "show", subject, "--as-of", str(today + timedelta(days=1))).status == 2


def test_before_the_registration_people_are_told_so(at, subject):
    """An empty table is no answer: nobody was registered then, and acts dated earlier came later."""
    said = at("consent", "show", subject, "--as-of", "2026-11-21T12:00:00+08:00", "--locale", "en").out
    assert "Nobody was registered then" in said
    assert "5 acts dated earlier were recorded later: dec_" in said
    assert "purpose" not in said
    zh = at("consent", "history", subject, "--as-of", "2026-11-21T12:00:00+08:00").out
    assert "当时尚未登记此人" in zh


def test_standing_decisions_show_narrowing_and_uses(at, subject):
    """What a grant was narrowed to, how often it was used of how often, and the recipient by name."""
    rows = [json.loads(line) for line in at("consent", "show", subject, "--locale", "en", "--json").out.splitlines()]
    profiling = next(row for row in rows if row["purpose"] == "P07")
    assert (profiling["fields"], profiling["uses"], profiling["max_uses"]) == (["diagnosis"], 0, 2)
    assert (profiling["state"], profiling["offset_minutes"]) == ("in_force", 480)
    shared = next(row for row in rows if row["purpose"] == "P11")
    assert shared["recipient_label"].endswith("(insurer)")
    assert shared["recipient_label"] != "(insurer)"
    said = at("consent", "show", subject, "--locale", "en").out
    assert "2026-11-21 10:00:00 +08:00" in said
    assert "in force" in said


def test_an_unknown_person_is_looked_up_not_registered(at):
    """Who asks for a history is not told to record something."""
    said = at("consent", "history", f"sub_{'a' * 24}")
    assert (said.status, "look" in said.line, "recording" in said.line) == (2, True, False)


def test_the_track_of_a_step_does_not_look_like_its_act(at, subject):
    """A refusal after a withdrawal names the consent track and what was decided on it."""
    at("consent", "withdraw", subject, "P07")
    said = at("consent", "explain", subject, "P07", "diagnosis").out
    assert "(同意轨道, dec_" in said
    assert ", 撤回)" in said
    assert "(同意, " not in said


def test_unchanged_things_are_said_to_be_unchanged(at, subject, tmp_path):
    """A recipient that stands already, a second restriction, editions without a difference."""
    file = tmp_path / "recipients.yaml"
    file.write_text(
        "visiting-lab:\n  kind: controller\n  name: {zh: 外来实验室, en: Visiting Laboratory}\n"
        "  contact: lab@lab.example\n  country: CN\n  purposes: [P11]\n  method: encrypted\n"
        "  contract: EX-1\n  term_from: 2026-01-01\n  term_until: 2029-01-01\n"
    )
    assert " is recorded: controller" in at("register", "recipient", "record", file).out
    assert " is unchanged: controller" in at("register", "recipient", "record", file).out
    assert at("subject", "restrict", subject, "--reason", "r1").out == f"{subject} is restricted\n"
    assert at("subject", "restrict", subject, "--reason", "r1").out == f"{subject} was restricted before\n"
    said = at("consent", "notice", "profiling", "--differences", "1", "1").out
    assert said == "nothing changed from edition 1 to edition 1\n"


def test_a_suspension_by_an_officer_is_told_by_the_comparison(at):
    """The register agrees with the log, and yet the gate refuses everything: both are said."""
    assert at("register", "suspend", "--reason", "looking at it").status == 0
    said = at("audit", "reconcile")
    assert (said.status, "The gate is suspended: looking at it" in said.line) == (1, True)
    told = json.loads(at("audit", "reconcile", "--json").out)
    assert (told["mismatches"], told["suspended"], told["suspended_because"]) == (0, True, "looking at it")
    assert "the gate is suspended" not in at("audit", "reconcile", "--release", "looked at it").out


def test_nobody_outside_is_handed_a_name_without_being_registered(at, subject):
    """A name in the scope of an unknown code would be handed out for nobody."""
    said = at("webhook", "name", subject, "zzz")
    assert (said.status, said.out, said.line.startswith("Recipient 'zzz' is not registered")) == (2, "", True)


def test_a_notice_is_printed_under_words(at):
    """Sections and columns have headings in the notice's language, not codes."""
    said = at("consent", "notice", "sharing", "--locale", "en").out
    assert "[At the end of retention]" in said
    assert "Why it is necessary: " in said
    assert "Recipient: " in said
    assert "end_of_retention" not in said


def test_a_refused_act_is_set_aside_with_what_to_do(at, tmp_path):
    """The quarantine keeps the hint beside the message."""
    path = tmp_path / "wrong.ndjson"
    notice = {"code": "sharing", "version": "2026-11", "locale": "zh-CN"}
    path.write_text(act(9, "grant", "P12", notice=notice))
    at("ingest", "consents", path, "--quiet")
    kept = (tmp_path / "wrong.ndjson.quarantine.csv").read_text()
    assert "does not cover P12. Show the notice of the purpose." in kept
