"""The demo: made-up sources, the whole way through the public commands, before and after, a proof and a report."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from consentry.demo.files import write_source_files
from consentry.demo.people import Person
from consentry.demo.register import compare_with_log, decision_in, look_at_withdrawal, think_again
from consentry.demo.shell import Shell, verify
from consentry.demo.story import Story
from kernel.errors import Conflict, Denied

MARK: Final = ".consentry-demo"
"""Lies in every folder that a demo made; only such a folder is replaced."""

TRACKER_MAP: Final = "tracker.yaml"
READING_MAP: Final = "wearable.yaml"
COHORT: Final = "chronic_disease = 'hypertension'"
EXPORT: Final = "research_partner"


def run_demo(*, subjects: int, seed: int, folder: Path, fresh: bool) -> Story:
    """Run the demo in a folder of its own.

    Args:
        subjects: how many people to make up.
        seed: the same seed makes the same people on the same day.
        folder: for sources, stores, exports, proof and report.
        fresh: replace the folder of an earlier demo.
    Raises:
        Conflict: the folder is there and is no earlier demo's, or ``fresh`` is off.
    """
    from consentry.demo.report import write_report
    from consentry.demo.summary import print_summary
    from kernel.pack import builtin_pack_path, load_pack

    _prepare(folder, fresh=fresh)
    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date()
    catalogue = load_pack(builtin_pack_path("medical"))
    sys.stdout.write(
        f"Making up {subjects} people and the files of a hospital, a shop and an app in {folder}/sources\n"
    )
    story = Story(write_source_files(catalogue, folder / "sources", subjects=subjects, seed=seed, today=today))
    shell = Shell(folder / "operator")
    _take_in(shell, story)
    _derive(shell, story)
    _look(shell, story)
    _change(shell, story, folder)
    compare_with_log(shell, story)
    _prove(shell, story, folder / "audit-log")
    report = write_report(story, catalogue, folder / "report.html")
    print_summary(story, shell, folder, report)
    return story


def _prepare(folder: Path, *, fresh: bool) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not fresh or not (folder / MARK).is_file():
            raise Conflict(f"{folder} is there already and was not replaced", hint="Name another with --folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("made by `consentry demo`; replaced by the next one\n")


def _take_in(shell: Shell, story: Story) -> None:
    from kernel.pack import builtin_pack_path

    maps = builtin_pack_path("medical") / "maps"
    files = story.files
    story.initialised = shell.json("init")
    story.ingested["consents"] = shell.json("ingest", "consents", str(files.consents))
    story.ingested["fhir"] = shell.json("ingest", "fhir", str(files.hospital))
    story.ingested["orders"] = shell.json("ingest", "table", str(files.orders), "--map", str(files.order_map))
    story.ingested["readings"] = shell.json("ingest", "table", str(files.readings), "--map", str(maps / READING_MAP))
    story.ingested["events"] = shell.json("ingest", "events", str(files.events), "--map", str(maps / TRACKER_MAP))


def _derive(shell: Shell, story: Story) -> None:
    story.views = shell.json_lines("view", "build")
    story.tags = shell.json("tags", "run")


def _look(shell: Shell, story: Story) -> None:
    story.cohort = shell.json("tags", "cohort", COHORT)
    try:
        story.export = shell.json("export", "run", EXPORT)
    except Denied as refused:
        story.export = {"refused": refused.diagnostics()}
    story.portrait = _portrait(shell, story)


def _portrait(shell: Shell, story: Story) -> dict[str, Any]:
    """Explain every tag of the pseudonym that has the most of them; a minor's would need an approval."""
    quiet, tags = shell_quiet(shell), list(story.tags["distribution"])
    richest = _by_richness(shell.home, story.tags["run"])
    pseudonym = next(name for name in richest if not quiet.refused("tags", "explain", tags[0], name))
    explained = [quiet.json("tags", "explain", tag, pseudonym) for tag in tags]
    return {"pseudonym": pseudonym, "tags": explained}


def shell_quiet(shell: Shell) -> Shell:
    """Return the same shell without the echo, for commands that repeat."""
    return Shell(shell.home, shown=False, seconds=shell.seconds)


def _by_richness(home: Path, run: str) -> list[str]:
    import pyarrow.parquet as pq

    rows = pq.read_table(home / "tags" / run / "tags.parquet").to_pylist()
    rows.sort(key=lambda row: (sum(v not in (None, False, "none") for v in row.values()), row["pseudonym"]))
    return [str(row["pseudonym"]) for row in reversed(rows)]


def _change(shell: Shell, story: Story, folder: Path) -> None:
    """Withdraw, erase and restrict, and look at the same things before and after."""
    accounts = story.initialised["accounts"]
    doctor = shell.sign_in("dr.lin", accounts["dr.lin"]["password"])
    password = shell.json("account", "person", "ops.wang", "--role", "operator")["password"]
    operator = shell.sign_in("ops.wang", password)
    withdrawing, restricted = _choose(shell, story, doctor, operator)
    before = {"people": story.views[-1]["people"], "tagged": story.tags["people"]}
    decision = _withdraw(shell, story, withdrawing, doctor, operator)
    look_at_withdrawal(shell, story, withdrawing, decision, folder)
    erased = _erase(shell, story)
    _restrict(shell, story, restricted, doctor)
    views, tags = shell.json_lines("view", "build"), shell.json("tags", "run")
    _changed(story, "all three", "people in the view", str(before["people"]), str(views[-1]["people"]))
    _changed(story, "all three", "people with tags", str(before["tagged"]), str(tags["people"]))
    think_again(shell, story, folder / "sources")
    story.log["erasure"] = erased


def _choose(shell: Shell, story: Story, doctor: str, operator: str) -> tuple[str, str]:
    """Return two patients whose record opens, whose tags can be read and who let research use their data."""
    quiet, found = shell_quiet(shell), []
    for person in _grown_up(story):
        subject = quiet.run("subject", "find", "--source", "app", "--id", person.app_id).strip()
        opens = not quiet.refused(*_reveal(subject), token=doctor)
        if opens and _lets_research(quiet, subject) and not quiet.refused("tags", "show", subject, token=operator):
            found.append(subject)
        if len(found) == 2:
            break
    return found[0], found[1]


def _lets_research(quiet: Shell, subject: str) -> bool:
    return any((r["purpose"], r["act"]) == ("P12", "grant") for r in quiet.json_lines("consent", "show", subject))


def _grown_up(story: Story) -> list[Person]:
    ill = [p for p in story.files.people if p.conditions and p.guardian is None and p.agent is None]
    return [p for p in ill if p.number != story.files.orders_only.number]


def _reveal(subject: str) -> tuple[str, ...]:
    return ("reveal", subject, "--purpose", "P02", "--fields", "diagnosis", "--reason", "复诊 follow-up visit")


def _withdraw(shell: Shell, story: Story, subject: str, doctor: str, operator: str) -> str:
    """Withdraw care, profiling and research; returns the decision on profiling."""
    shell.run(*_reveal(subject), token=doctor)
    decision = decision_in(shell.run("consent", "withdraw", subject, "P07"))
    shell.run("consent", "withdraw", subject, "P12")
    shell.run("consent", "withdraw", subject, "P02")
    opened, read = (
        shell.refused(*_reveal(subject), token=doctor),
        shell.refused("tags", "show", subject, token=operator),
    )
    _changed(story, "withdrawal", "record opens", "yes", opened or "yes")
    _changed(story, "withdrawal", "tags can be read", "yes", read or "yes")
    return decision


def _erase(shell: Shell, story: Story) -> dict[str, Any]:
    person = story.files.orders_only
    subject = shell.run("subject", "find", "--source", "shop", "--id", person.shop_id).strip()
    done: dict[str, Any] = shell.json("erase", subject, "--reason", "request 2026-017")
    found = shell.refused("subject", "find", "--source", "shop", "--id", person.shop_id)
    _changed(story, "erasure", "customer with orders only", "known", f"{done['state']}: {done['counts']}")
    _changed(story, "erasure", "can be found by the shop's id", "yes", found or "yes")
    return done


def _restrict(shell: Shell, story: Story, subject: str, doctor: str) -> None:
    done = shell.json("erase", subject, "--reason", "request 2026-018")
    until = done.get("restricted_until", "")[:10]
    _changed(story, "restriction", "patient under the 15-year floor", "active", f"{done['state']} until {until}")
    opened = shell.refused(*_reveal(subject), token=doctor)
    _changed(story, "restriction", "record opens", "yes", opened or "yes")


def _changed(story: Story, event: str, check: str, before: str, after: str) -> None:
    story.changes.append({"event": event, "check": check, "before": before, "after": after})


def _prove(shell: Shell, story: Story, folder: Path) -> None:
    story.log |= shell.json("audit", "export", str(folder))
    status, story.verified = verify(folder, story.log["key"])
    story.whole = status == 0
    sys.stdout.write(f"$ consentry-verify {folder} --key '{story.log['key']}'\n{story.verified}\n")
