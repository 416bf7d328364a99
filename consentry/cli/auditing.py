"""Commands on the audit log."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json, SubjectFilter
from consentry.cli.output import say, say_json, say_pairs, say_table
from kernel.errors import IntegrityFailed

if TYPE_CHECKING:
    from audit.export import ExportSummary

app = typer.Typer(no_args_is_help=True, help="Read the audit log and hand it over for verification.")


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the whole log for `consentry-verify`."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.export_audit import export_audit

    with platform_for(home) as platform:
        summary = export_audit(platform, local_operator(), folder)
        _say_export(summary, platform.signer.verifier_key, as_json=as_json)
        if summary.alarm is not None:
            raise IntegrityFailed(f"The log does not verify: {summary.alarm}", hint="Keep the export as evidence.")


@app.command("query")
def query(  # noqa: PLR0917 - filters of one command
    subject: SubjectFilter = None,
    actor: Annotated[str | None, typer.Option(help="Principal id.")] = None,
    act: Annotated[str | None, typer.Option(help="For example gate.permit.")] = None,
    purpose: Annotated[str | None, typer.Option(help="For example P02.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allowed, denied, done or failed.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this moment (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment (UTC).")] = None,
    limit: Annotated[int, typer.Option(help="How many entries at most.", min=1, max=500)] = 50,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Entries by subject, actor, act, purpose, outcome and time; this reading is logged too."""
    from datetime import UTC

    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.read_audit import AuditQuery, read_audit

    asked = AuditQuery(
        subject=subject, actor=actor, act=act, purpose=purpose, outcome=outcome, limit=limit,
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
    )  # fmt: skip
    with platform_for(home) as platform:
        entries, next_after = read_audit(platform, local_operator(), asked)
    if as_json:
        for entry in entries:
            say_json(entry)
        return
    header = ("index", "at", "act", "outcome", "actor", "role", "purpose", "fields")
    say_table(header, [tuple(_cell(entry.get(name)) for name in header) for entry in entries])
    if next_after is not None:
        say("there are more entries; narrow the query or raise --limit")


def _say_export(summary: "ExportSummary", key: str, *, as_json: bool) -> None:
    if as_json:
        note = summary.checkpoint.note.decode()
        told = {"folder": str(summary.folder), "entries": summary.checkpoint.size, "checkpoint": note, "key": key}
        say_json(told | {"alarm": summary.alarm})
        return
    say_pairs({"folder": summary.folder, "entries": summary.checkpoint.size, "bytes": summary.entries_bytes})
    say(f"verify: consentry-verify {summary.folder} --key '{key}'")


def _cell(value: object) -> object:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
