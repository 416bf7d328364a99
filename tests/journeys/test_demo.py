"""The demo, looked at from outside: what it says, what it leaves on disk, and what must not be there."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from consentry.demo.run import run_demo
from consentry.demo.shell import Shell, verify
from consentry.demo.story import Story
from kernel.errors import Conflict

pytestmark = pytest.mark.xdist_group("demo")

Demo = tuple[Path, Story]


def test_every_step_did_something(demo: Demo) -> None:
    """Acts, records, views, tags and the log all have content."""
    _, story = demo
    assert story.ingested["consents"]["registered"] == 260
    for kind in ("fhir", "orders", "readings", "events"):
        assert story.ingested[kind]["stored_fields"] > 0, kind
    assert {view["view"] for view in story.views} == {"subject_profile", "event_rows"}
    assert len(story.tags["distribution"]) == 12
    assert story.tags["people"] > 100


def test_refusals_are_named(demo: Demo) -> None:
    """What the gate kept out is counted by field and reason."""
    _, story = demo
    refused = story.ingested["events"]["refused"]
    assert refused["REFUSED"] > 0
    assert any(name.startswith("search_words: ") for name in story.ingested["events"]["refused_fields"])


def test_dirty_rows_went_to_quarantine_without_values(demo: Demo) -> None:
    """Bad rows are listed by place and reason, and the list holds no order number."""
    _, story = demo
    report = story.ingested["orders"]
    assert sum(report["bad_rows"].values()) > 0
    listed = Path(report["quarantine"]).read_text(encoding="utf-8")
    assert "shop-orders.csv" in listed
    assert not re.search(r"SO\d{10}|m\d{7}", listed)


def test_withdrawal_erasure_and_restriction_took_effect(demo: Demo) -> None:
    """Before and after differ the way the decisions say."""
    _, story = demo
    after = {(c["event"], c["check"]): c["after"] for c in story.changes}
    assert after["withdrawal", "record opens"] == "The gate refuses diagnosis: WITHDRAWN"
    assert after["withdrawal", "tags can be read"] == "The gate refuses tags: WITHDRAWN"
    assert after["erasure", "customer with orders only"].startswith("erased: ")
    assert after["erasure", "can be found by the shop's id"] == "No subject is known under this source and id"
    assert after["restriction", "record opens"] == "The gate refuses diagnosis: RESTRICTED"
    people = next(c for c in story.changes if c["check"] == "people in the view")
    assert int(people["after"]) == int(people["before"]) - 2


def test_every_act_of_the_made_up_people_is_lawful(demo: Demo) -> None:
    """The register refuses none of them, and no child under 14 is profiled (R21)."""
    folder, story = demo
    assert story.ingested["consents"]["refused"] == {}
    acts = [json.loads(line) for line in (folder / "sources" / "consent-acts.ndjson").read_text().splitlines()]
    by_guardians = {act["purposes"][0] for act in acts if act["act"] == "grant" and act["actor"]["kind"] == "guardian"}
    assert by_guardians == {"P02", "P03", "P06"}


def test_wake_of_the_withdrawal_is_done(demo: Demo) -> None:
    """Views, tags and vault fields of the withdrawn purposes are cleared, with counts, and nothing is left open."""
    _, story = demo
    wake = story.register["wake"]
    assert {row["state"] for row in wake} == {"done"}
    done = {(row["purpose"], row["handler"]) for row in wake}
    assert {("P07", "views"), ("P07", "tags"), ("P07", "vault"), ("P02", "vault")} <= done
    assert all(row["outcome"]["counts"]["rows"] for row in wake if row["handler"] == "views")


def test_withdrawal_leaves_a_history_page_and_a_receipt_that_verifies(demo: Demo) -> None:
    """The page holds the words that were shown; the receipt is of the withdrawal; the refused field names its rule."""
    folder, story = demo
    page = (folder / "history.html").read_text(encoding="utf-8")
    decision = story.register["receipt"]["claims"]["decision_id"]
    assert decision in page
    assert "SHA-256" in page
    field = story.register["explained"]["en"]["fields"]["diagnosis"]
    assert (field["reason"], field["steps"][-1]["rule"]) == ("WITHDRAWN", "open")


def test_prompt_inside_the_cool_down_is_refused_and_the_persons_own_wish_is_not(demo: Demo) -> None:
    """Of two grants right after a refusal the prompted one is refused (R18)."""
    report = demo[1].register["thought_again"]
    assert (report["refused"], report["recorded"]) == ({"cool_down": 1}, {"grant": 1})


def test_register_and_log_agree_after_everything(demo: Demo) -> None:
    """Withdrawals, erasures and restrictions leave no difference behind."""
    reconciled = demo[1].register["reconciled"]
    assert (reconciled["mismatches"], reconciled["suspended"]) == (0, False)


def test_log_verifies_and_a_tampered_one_names_the_entry(demo: Demo, tmp_path: Path) -> None:
    """The exported log is whole; one changed byte is found, with its entry."""
    folder, story = demo
    assert story.whole
    copy = tmp_path / "log"
    shutil.copytree(folder / "audit-log", copy)
    bundle = copy / "tile" / "entries" / "000"
    content = bundle.read_bytes()
    place = content.index(b'"outcome":"', 20_000)
    bundle.write_bytes(content[:place] + b'"outcome"."' + content[place + 11 :])
    status, said = verify(copy, story.log["key"])
    assert status == 1
    assert "at entry" in said


def test_no_identifier_of_any_person_is_in_a_derived_file(demo: Demo) -> None:
    """Views, tags, exports, log, report and quarantine hold no ID number, mobile or street of anybody."""
    folder, story = demo
    found = _planted(
        folder, story, [folder / "operator", folder / "audit-log", folder / "report.html", folder / "history.html"]
    )
    assert not found


def test_names_are_in_no_store_and_no_release(demo: Demo) -> None:
    """Names stand in no database, log, export or report; the internal view's free text is the stated limit."""
    folder, story = demo
    names = [p.name.encode() for p in story.files.people]
    for file in _files([folder / "operator" / "data.db", folder / "operator" / "keys.db", folder / "audit-log"]):
        content = file.read_bytes()
        assert not [n for n in names if n in content], file.name


def test_export_is_k_anonymous_or_says_why_not(demo: Demo) -> None:
    """The written CSV has at least five people for every combination of its quasi-identifiers."""
    _, story = demo
    if "refused" in story.export:
        assert "k=5" in story.export["refused"]
        return
    if not Path(story.export["folder"]).exists():
        assert ("exports", "done") in {(row["handler"], row["state"]) for row in story.register["wake"]}
        return
    with (Path(story.export["folder"]) / "data.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counted: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        counted.setdefault((row["age_band"], row["sex"], row["province"]), set()).add(row["pseudonym"])
    assert min(map(len, counted.values())) >= 5
    assert len(rows) == story.export["people"]


def test_view_rows_of_the_withdrawn_are_filtered_at_read(demo: Demo) -> None:
    """A withdrawal after the build hides the person from the very next read, without a new build."""
    folder, _ = demo
    shell = Shell(folder / "operator", shown=False)
    before = len(shell.json_lines("view", "show", "subject_profile", "--rows", "1000"))
    subject = _somebody(shell, folder)
    shell.run("consent", "withdraw", subject, "P07")
    after = len(shell.json_lines("view", "show", "subject_profile", "--rows", "1000"))
    assert after == before - 1


def test_another_folder_is_never_replaced(tmp_path: Path) -> None:
    """A folder that no demo made stays as it is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(Conflict):
        run_demo(subjects=50, seed=1, folder=tmp_path / "mine", fresh=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def _somebody(shell: Shell, folder: Path) -> str:
    """Return somebody whose tags can be read now."""
    password = shell.json("account", "person", "ops.li", "--role", "operator")["password"]
    token = shell.sign_in("ops.li", password)
    for number in range(100):
        subject = shell.refused("subject", "find", "--source", "app", "--id", f"u-{number:06d}")
        if subject:
            continue
        subject = shell.run("subject", "find", "--source", "app", "--id", f"u-{number:06d}").strip()
        if not shell.refused("tags", "show", subject, token=token):
            return subject
    raise AssertionError("nobody has tags")


def _planted(folder: Path, story: Story, places: list[Path]) -> list[str]:
    values = {p.id_number for p in story.files.people} | {p.mobile for p in story.files.people}
    values |= {p.street for p in story.files.people}
    needles = [value.encode() for value in values]
    return [f"{file.relative_to(folder)}" for file in _files(places) if any(n in file.read_bytes() for n in needles)]


def _files(places: list[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        found += [p for p in place.rglob("*") if p.is_file()] if place.is_dir() else [place]
    return found
