"""The officer's commands on assessments, recipients, transfers and suspension."""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest

from consent.transfers import count_transfer
from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows import register
from consentry.workflows.load_pack import load_changed_pack
from kernel.errors import BadInput, Denied
from kernel.ids import new_id
from kernel.pack import builtin_pack_path
from tests.consentry.conftest import ADMIN

ASSESSMENT = """\
id: PIA-2026-90
purposes: [P09]
approved_by: privacy committee
approved_on: 2026-11-01
expires_on: 2028-11-01
parts:
  legality_and_necessity: consent only
  impact_and_risk: low
  protective_measures: no health data
"""
RECIPIENTS = """\
binder:
  kind: processor
  name: {zh: 装订, en: Binder}
  contact: privacy@binder.example
  country: CN
  purposes: [P09]
  method: on order
  contract: EX-2
  term_from: 2026-11-01
  engaged_by: printer
  approved_by: privacy committee
printer:
  kind: processor
  name: {zh: 印务, en: Printer}
  contact: privacy@printer.example
  country: CN
  purposes: [P09]
  fields: [channel_preference]
  method: on order
  contract: EX-1
  term_from: 2026-11-01
  term_until: 2027-11-01
"""


@pytest.fixture
def at(home, run):
    """Runs a register command on a fresh deployment."""
    return lambda *words: run("register", *words, "--home", home)


@pytest.fixture
def write(tmp_path):
    """Writes a file and returns its path."""

    def written(text, name="given.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def lines_of(ended):
    """The JSON documents that a command printed."""
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def done(ended):
    """What a command that succeeded printed."""
    assert ended.status == 0, ended.err
    return ended.out


def test_assessment_is_recorded_listed_and_shown_with_its_three_parts(at, write):
    """The pack's and the officer's own; the same file again is no new version (R36)."""
    path = write(ASSESSMENT)
    assert done(at("assessment", "record", path)).startswith("PIA-2026-90/1 is approved until 2028-10-31 16:00:00")
    assert done(at("assessment", "record", path)).startswith("PIA-2026-90/1 ")
    listed = {one["assessment"] for one in lines_of(at("assessment", "list", "--json"))}
    assert {"PIA-2026-90", "PIA-2026-07"} <= listed
    assert "PIA-2026-90" in done(at("assessment", "list"))
    (shown,) = lines_of(at("assessment", "show", "PIA-2026-90", "--json"))
    assert (shown["version"], shown["impact_and_risk"], shown["outcome"]) == (1, "low", "approved")
    assert shown["keep_until"] > "2031"
    at("assessment", "record", write(ASSESSMENT.replace("low", "lower")))
    assert "lower" in done(at("assessment", "show", "PIA-2026-90"))
    assert "lower" not in done(at("assessment", "show", "PIA-2026-90", "--version", "1"))
    assert at("assessment", "show", "PIA-0").status == 2


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (ASSESSMENT.replace("P09", "P99"), "given.yaml:2"),
        (ASSESSMENT.replace("2028-11-01", "2031-11-01"), "given.yaml:5"),
        (ASSESSMENT.replace("  impact_and_risk: low\n", ""), "given.yaml:6"),
        ("", "given.yaml:1"),
    ],
)
def test_unsound_assessment_is_told_with_its_line_and_not_recorded(at, write, changed, line):
    """An unknown purpose, a period beyond three years, a missing part, an empty file (R36)."""
    ended = at("assessment", "record", write(changed))
    assert (ended.status, line in ended.line) == (2, True), ended.err
    assert at("assessment", "show", "PIA-2026-90").status == 2


def test_revoked_assessment_closes_its_purposes_at_once(at, home, run, write, tmp_path):
    """The gate says so in the next question; approved anew, on a later day, it counts again (R35, R36)."""
    act = {
        "act_id": "a1", "act": "contract", "subject": {"source": "app", "id": "u-1", "birth_date": "1990-05-20"},
        "purposes": ["P01"], "actor": {"kind": "operator"}, "evidence": {"mechanism": "signed"},
        "at": "2026-11-21T10:00:00+08:00",
    }  # fmt: skip
    done(run("ingest", "consents", write(json.dumps(act), "acts.ndjson"), "--home", home, "--quiet"))
    subject = done(run("subject", "find", "--source", "app", "--id", "u-1", "--home", home)).strip()

    def reason():
        return lines_of(run("consent", "explain", subject, "P07", "diagnosis", "--home", home, "--json"))[0]["fields"][
            "diagnosis"
        ]["reason"]

    assert reason() == "NO_DECISION"
    assert "P07" in done(at("assessment", "revoke", "PIA-2026-07", "--reason", "new findings"))
    assert reason() == "ASSESSMENT_MISSING"
    assert at("assessment", "revoke", "PIA-2026-07", "--reason", "again").status != 0
    assert at("assessment", "revoke", "PIA-2026-08", "--reason", "  ").status == 2
    assert "new findings" not in done(run("audit", "query", "--home", home, "--json"))


def test_recipients_are_recorded_in_the_order_of_their_chain(at, write):
    """A file may name a sub-processor first; all of it is recorded or nothing (R38)."""
    said = done(at("recipient", "record", write(RECIPIENTS)))
    assert said.splitlines() == [
        "printer/1 is recorded: processor in CN",
        "binder/1 is recorded: processor in CN",
    ]
    (shown,) = lines_of(at("recipient", "show", "binder", "--json"))
    assert (shown["engaged_by"], shown["approved_by"], shown["state"]) == ("printer", "privacy committee", "registered")
    assert "printer" in done(at("recipient", "list"))
    assert "registered" in done(at("recipient", "show", "printer"))
    assert at("recipient", "show", "nobody").status == 2
    ended = at("recipient", "record", write(RECIPIENTS.replace("[P09]\n  fields", "[P08, P99]\n  fields")))
    assert (ended.status, "given.yaml:17" in ended.line) == (2, True), ended.err
    assert at("recipient", "record", write("{}")).line.endswith("Write it as the pack's recipients.yaml.")


def test_end_keeps_name_and_hash_of_the_certificate(at, write, home, run):
    """The document itself stays outside; the ended version stays for good, and the processor's key rests (R38)."""
    done(at("recipient", "record", write(RECIPIENTS)))
    done(run("account", "key", "printer-app", "--role", "capture", "--processor", "printer", "--home", home))
    certificate = write("all copies were destroyed", "destroyed 2026.pdf")
    assert at("recipient", "end", "printer", "--certificate", write("", "empty.pdf")).status == 2
    assert at("recipient", "end", "printer", "--certificate", home / "nowhere.pdf").status == 2
    assert at("recipient", "end", "printer", "--certificate", write("x", "y" * 201)).status == 2
    done(at("recipient", "end", "printer", "--certificate", certificate))
    (shown,) = lines_of(at("recipient", "show", "printer", "--json"))
    digest = sha256(certificate.read_bytes()).hexdigest()
    assert (shown["state"], shown["version"]) == ("ended", 2)
    assert shown["certificate"] == f"destroyed 2026.pdf sha256:{digest}"
    assert "ended" in {one["state"] for one in lines_of(at("recipient", "list", "--json"))}
    assert at("recipient", "end", "printer", "--certificate", certificate).status != 0
    refused = run("account", "key", "again", "--role", "capture", "--processor", "printer", "--home", home)
    assert (refused.status, "is ended" in refused.line) == (2, True)
    told = lines_of(run("account", "key", "own", "--role", "capture", "--home", home, "--json"))[0]
    assert "processor" not in told


def test_transfers_are_counted_per_recipient_and_country_with_the_need(deployment, at, clock, home, run):
    """R11: any sensitive asks for contract or certification; the mechanism is held against it, an exemption fails."""
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    with open_platform(deployment.settings) as platform, platform.data.write() as connection:
        named = {text.code: text for text in platform.catalogue.recipients}
        from consent.recipients import record_recipient
        from kernel.catalogue import TransferMechanism

        mechanism = TransferMechanism("exempt", "EXEMPT-1", (now + timedelta(days=300)).date())
        changed = replace(named["overseas_laboratory"], mechanism=mechanism)
        asking = platform.asking(ADMIN)
        record_recipient(connection, changed, platform.catalogue, asking=asking, log=platform.log)
        for sensitive in (True, False, False):
            count_transfer(
                connection, platform.catalogue, recipient="overseas_laboratory", subjects=[new_id("sub")],
                sensitive=sensitive, at=now,
            )  # fmt: skip
    (told,) = lines_of(at("transfers", "--json"))
    assert (told["year"], told["subjects"], told["sensitive"]) == (now.year, 3, 1)
    assert told["need"] == "contract_or_certification"
    (row,) = told["recipients"]
    assert (row["country"], row["subjects"], row["mechanism"], row["suffices"]) == ("SG", 3, "exempt", False)
    assert row["document"] == "EXEMPT-1"
    assert "overseas_laboratory" in done(at("transfers"))
    (before,) = lines_of(at("transfers", "--year", "2024", "--json"))
    assert (before["subjects"], before["need"], before["recipients"]) == (0, "nothing", [])
    assert "nothing" in done(at("transfers", "--year", "2024"))
    assert at("transfers", "--year", "1").status == 2
    assert '"what": "transfers"' in done(run("audit", "query", "--act", "consent.read", "--home", home, "--json"))


def test_suspended_gate_refuses_until_it_is_released(at, home, run):
    """Everybody is shown the reason; comparing the register with the log opens the gate again."""
    assert at("suspend", "--reason", " ").status == 2
    done(at("suspend", "--reason", "list of recipients under review"))
    ended = run("export", "run", "research_partner", "--home", home)
    assert ended.status != 0
    ended = run("consent", "explain", new_id("sub"), "P07", "diagnosis", "--home", home)
    assert (ended.status, "list of recipients under review" in ended.line) == (1, True), ended.err
    done(run("audit", "reconcile", "--release", "reviewed", "--home", home))
    ended = run("consent", "explain", new_id("sub"), "P07", "diagnosis", "--home", home)
    assert "suspended" not in ended.err


def test_other_roles_keep_no_register(platform, write):
    """Each command asks for the act (R47)."""
    analyst, path = replace(ADMIN, role="analyst"), write(ASSESSMENT)
    for attempt in (
        lambda: register.assessments(platform, analyst),
        lambda: register.show_assessment(platform, analyst, "PIA-2026-07"),
        lambda: register.record_assessment_file(platform, analyst, path),
        lambda: register.revoke(platform, analyst, "PIA-2026-07", reason="x"),
        lambda: register.recipients(platform, analyst),
        lambda: register.show_recipient(platform, analyst, "insurer"),
        lambda: register.record_recipient_file(platform, analyst, path),
        lambda: register.end(platform, analyst, "insurer", certificate=path),
        lambda: register.transfers(platform, analyst),
        lambda: register.suspend_gate(platform, analyst, reason="x"),
    ):
        with pytest.raises(Denied, match=r"register\.manage"):
            attempt()
    with pytest.raises(BadInput):
        register.revoke(platform, ADMIN, "PIA-2026-07", reason="")


def test_pack_does_not_undo_what_an_officer_ended(deployment, tmp_path, clock, write):
    """Neither what is ended now, nor what was ended and then replaced by the officer's own (R36, R38)."""
    folder = shutil.copytree(builtin_pack_path("medical"), tmp_path / "clinic")
    settings = load_settings(**{**deployment.settings.model_dump(), "pack": str(folder)})
    certificate = write("destroyed", "certificate.txt")
    replaced = ASSESSMENT.replace("PIA-2026-90", "PIA-2026-09").replace("2026-11-01", "2026-11-25")
    with open_platform(settings, clock=clock) as platform:
        clock.advance(timedelta(days=1))
        for code in ("insurer", "sunrise-courier"):
            register.end(platform, ADMIN, code, certificate=certificate)
        register.revoke(platform, ADMIN, "PIA-2026-11", reason="new findings")
        register.revoke(platform, ADMIN, "PIA-2026-09", reason="new findings")
        clock.advance(timedelta(days=6))
        register.record_assessment_file(platform, ADMIN, write(replaced, "anew.yaml"))
        courier = register.show_recipient(platform, ADMIN, "sunrise-courier").text
        anew = write(
            f"sunrise-courier:\n  kind: controller\n  name: {{zh: 速运, en: Courier}}\n  contact: {courier.contact}\n"
            "  country: CN\n  purposes: [P03]\n  fields: [street_address]\n  method: by parcel\n  contract: EX-NEW\n"
            "  term_from: 2026-11-28\n",
            "courier.yaml",
        )
        register.record_recipient_file(platform, ADMIN, anew)
    roles = folder / "roles.yaml"
    roles.write_text(roles.read_text(encoding="utf-8").replace("max_level: 3", "max_level: 2"), encoding="utf-8")
    with open_platform(settings, clock=clock, check_pack=False) as platform:
        loaded = load_changed_pack(platform, ADMIN)
        assert loaded.left_ended == ("PIA-2026-09", "PIA-2026-11", "insurer", "sunrise-courier")
        assert (loaded.assessments, loaded.recipients) == ((), ())
        assert register.show_recipient(platform, ADMIN, "insurer").is_ended
        assert register.show_recipient(platform, ADMIN, "sunrise-courier").text.contract == "EX-NEW"
        assert register.show_assessment(platform, ADMIN, "PIA-2026-11").outcome == "revoked"
        assert register.show_assessment(platform, ADMIN, "PIA-2026-09").parts["impact_and_risk"] == "low"
