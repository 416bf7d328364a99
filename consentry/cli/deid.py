"""Commands on free text: identifiers taken out of a file, and how well they are found."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Json
from consentry.cli.output import say, say_json
from kernel.errors import Denied

if TYPE_CHECKING:
    from consentry.workflows.deidentify_file import FileReport

app = typer.Typer(no_args_is_help=True, help="Free text: identifiers found and taken out.")

_SHOWN: Final = 20
"""Bad lines that are told one by one."""


class Language(StrEnum):
    """The language of a text; ``auto`` decides for each by its characters."""

    AUTO = "auto"
    ZH = "zh"
    EN = "en"


Lang = Annotated[Language, typer.Option("--lang", help="Language of the texts; auto decides for each.")]


@app.command("text")
def text(  # noqa: PLR0917 - the options of a command
    source: Annotated[Path, typer.Option("--in", help='JSON lines {"id", "text"}; - for standard input.')],
    target: Annotated[Path, typer.Option("--out", help='JSON lines {"id", "text", "spans"}; - for standard output.')],
    lang: Lang = Language.AUTO,
    profile: Annotated[str, typer.Option(help="What is done with what is found.")] = "redact",
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; default one a core for files from 4 MB on.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output where it is there.")] = False,  # noqa: FBT002 - a flag
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Take the identifiers out of every text of a file; exit 1 when lines are no texts and were left out."""
    from consentry.text_processes import TextTask
    from consentry.workflows.deidentify_file import deidentify_file

    task = TextTask(profile, lang.value)
    report = deidentify_file(source, target, task=task, processes=workers, replace=force, show_progress=not quiet)
    _tell(report)
    if report.bad:
        raise Denied(
            f"{len(report.bad)} lines are no texts and were left out", hint='Lines are {"id": …, "text": "…"} in UTF-8.'
        )


@app.command("evaluate")
def evaluate(
    gold: Annotated[Path, typer.Argument(help="Texts with known spans: .jsonl, .json or .conll.")],
    lang: Lang = Language.AUTO,
    types: Annotated[
        Path | None, typer.Option("--map", help="JSON file: the names of our kinds for each gold type.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How well identifiers are found in texts whose spans are known: recall and precision by type, and false hits."""
    from consentry.workflows.evaluate_text import evaluate_text
    from deid.text.evaluation_report import as_json as report_as_json
    from deid.text.evaluation_report import as_markdown

    measured = evaluate_text(gold, language=lang.value, types=types)
    if as_json:
        say_json(report_as_json(measured))
    else:
        say(as_markdown(measured))


def _tell(report: "FileReport") -> None:
    """Say on standard error what became of a file: the texts may go to standard output."""
    for bad in report.bad[:_SHOWN]:
        typer.echo(f"line {bad.number}: {bad.reason}", err=True)
    if len(report.bad) > _SHOWN:
        typer.echo(f"… and {len(report.bad) - _SHOWN} further lines", err=True)
    for name, count in report.as_json().items():
        shown = ", ".join(f"{kind} {number}" for kind, number in count.items()) if isinstance(count, dict) else count
        typer.echo(f"{name}: {shown}", err=True)
