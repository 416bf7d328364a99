"""The table that the demo ends with, and the commands to look further."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from consentry.cli.output import say, say_table
from consentry.demo.aftermath import told_counts
from consentry.demo.story import INGESTED

if TYPE_CHECKING:
    from consentry.demo.shell import Shell
    from consentry.demo.story import Story


def print_summary(story: "Story", shell: "Shell", folder: Path, report: Path) -> None:
    """Print what happened."""
    say("")
    say_table(("step", "what happened"), _rows(story), title="What happened")
    changes = [(c["event"], c["check"], c["before"], c["after"]) for c in story.changes]
    say_table(("event", "check", "before", "after"), changes, title="Before and after")
    done = [
        (r["purpose"], r["handler"], r["target"] or "", r["state"], told_counts(r, 1)) for r in story.register["wake"]
    ]
    say_table(("purpose", "handler", "target", "state", "cleared"), done, title="What the withdrawal set in motion")
    took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in shell.seconds if seconds >= 1)
    say(f"commands that took a second or more: {took}")
    say(f"report: {report}")
    say(f"one person's consent history: {folder / story.register['history']}")
    say("look further:")
    home = folder / "operator"
    for line in (
        f"consentry view show subject_profile --home {home}",
        f"consentry tags cohort \"value_tier = 'high'\" --home {home}",
        f"consentry audit query --act gate.refusal --limit 5 --home {home}",
        f"consentry serve --home {home}",
    ):
        say(f"  .venv/bin/{line}")


def _rows(story: "Story") -> list[tuple[str, str]]:
    consents, export = story.ingested["consents"], story.export
    rows = [
        ("consent acts", f"{sum(consents['recorded'].values())} recorded, {consents['registered']} people registered")
    ]
    for kind in INGESTED:
        took = story.ingested[kind]
        refused, bad = sum(took["refused"].values()), sum(took["bad_rows"].values())
        told = f"{took['stored_records']} records, {took['stored_fields']} values sealed; {refused} values refused, "
        rows.append((f"ingest {kind}", told + f"{bad} bad rows, {took['duplicates']} duplicates"))
    rows += [
        (f"view {v['view']}", f"{v['rows']} rows of {v['people']} people; left out: {v['left out']}")
        for v in story.views
    ]
    rows.append(("tags", f"{len(story.tags['distribution'])} tags for {story.tags['people']} people"))
    rows.append(("cohort", f"{story.cohort['people']} of {story.cohort['of']} people"))
    rows.append(("export", _exported(export)))
    rows.append(("cool-down", _cooled(story.register["thought_again"])))
    rows.append(("receipt", f"{story.register['receipt']['claims']['decision_id']}: verified offline"))
    reconciled = story.register["reconciled"]
    agree = f"{reconciled['counts']['decisions']} decisions, {reconciled['mismatches']} mismatches"
    rows.append(("register and log", agree))
    verdict = "whole, verified offline" if story.whole else "NOT WHOLE"
    rows.append(("audit log", f"{story.log['entries']} entries: {verdict}"))
    return rows


def _cooled(report: dict[str, Any]) -> str:
    prompted, own = report["refused"].get("cool_down", 0), sum(report["recorded"].values())
    return f"{prompted} prompted grant after a refusal refused, {own} of the person's own accord recorded"


def _exported(export: dict[str, Any]) -> str:
    if "refused" in export:
        return f"refused: {export['refused']}"
    levels = ", ".join(f"{name} at {level}" for name, level in export["levels"].items())
    people, recipient, k, suppressed = (export[name] for name in ("people", "recipient", "k", "suppressed"))
    return f"{people} people to {recipient}, k = {k}, {suppressed} suppressed, {levels}"
