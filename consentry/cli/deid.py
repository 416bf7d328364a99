"""Commands on free text: identifiers taken out of a file, how well they are found, and content rules."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json
from kernel.errors import Denied

if TYPE_CHECKING:
    from consentry.text_profiles import TextTask
    from consentry.workflows.check_file import CheckReport
    from consentry.workflows.deidentify_file import FileReport

app = typer.Typer(no_args_is_help=True, help="Free text: identifiers found and taken out, content rules checked.")

_SHOWN: Final = 20
"""Bad lines that are told one by one."""

_LINES: Final = 'Lines are {"id": …, "text": "…"} in UTF-8.'


class Language(StrEnum):
    """The language of a text; ``auto`` decides for each by its characters."""

    AUTO = "auto"
    ZH = "zh"
    EN = "en"


class _How(TypedDict):
    """How a file is dealt with."""

    task: "TextTask"
    processes: int | None
    replace: bool
    show_progress: bool


Lang = Annotated[Language, typer.Option("--lang", help="Language of the texts; auto decides for each.")]


@app.command("text")
def text(  # noqa: PLR0917 - options of one command
    source: Annotated[Path, typer.Option("--in", help='JSON lines {"id", "text"}; - for standard input.')],
    target: Annotated[Path, typer.Option("--out", help='JSON lines {"id", "text", "spans"}; - for standard output.')],
    lang: Lang = Language.AUTO,
    profile: Annotated[str, typer.Option(help="What is done with what is found.")] = "redact",
    scope: Annotated[
        str | None, typer.Option(help="For tokens and surrogates: the same value has the same one within it.")
    ] = None,
    shift_days: Annotated[
        int | None, typer.Option("--shift-days", help="For profiles that move days: by how many, other than 0.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; default one a core for files from 4 MB on.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output where it is there.")] = False,  # noqa: FBT002 - a flag
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """Take the identifiers out of every text of a file; exit 1 when lines are no texts and were left out."""
    from consentry.text_profiles import TextTask
    from consentry.workflows.deidentify_file import deidentify_file

    task = TextTask(profile, lang.value, scope, shift_days)
    how: _How = {"task": task, "processes": workers, "replace": force, "show_progress": not quiet}
    if task.needs_tokens:
        from consentry.cli.session import local_operator, platform_for
        from consentry.workflows.deidentify_in_scope import deidentify_in_scope

        with platform_for(home) as platform:
            report = deidentify_in_scope(platform, local_operator(), source, target, **how)
    else:
        report = deidentify_file(source, target, **how)
    _tell(report)
    if report.bad:
        raise Denied(
            f"Lines that are no texts and were left out: {len(report.bad)}",
            hint=_LINES,
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


class Where(StrEnum):
    """Where texts are to appear."""

    POST = "post"
    CAMPAIGN = "campaign"


class Speaker(StrEnum):
    """Who speaks in texts."""

    MEMBER = "member"
    DOCTOR = "doctor"
    OPERATOR = "operator"


@app.command("check")
def check(
    source: Annotated[Path, typer.Argument(metavar="FILE", help='JSON lines {"id", "text"}; - for standard input.')],
    kind: Annotated[Where, typer.Option(help="Where the texts are to appear.")] = Where.POST,
    author: Annotated[Speaker, typer.Option(help="Who speaks in them.")] = Speaker.MEMBER,
    pack: Annotated[str, typer.Option(help="Name of a built-in pack, or a folder.")] = "medical",
    explain: Annotated[bool, typer.Option("--explain", help="Say each hit in words instead of JSON.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Check posts or campaign texts against a pack's content rules; exit 1 when one is blocked or a line is no text."""
    from consentry.workflows.check_file import CheckReport, check_file
    from deid.text.content import Author, ContentKind

    report = CheckReport()
    for verdict in check_file(source, report, pack=pack, kind=ContentKind(kind.value), author=Author(author.value)):
        if explain:
            for line in verdict.lines():
                say(line)
        else:
            say_json(verdict.as_json())
    _tell(report)
    if report.blocked or report.bad:
        raise Denied(
            f"{report.blocked} texts are blocked, {len(report.bad)} lines are no texts",
            hint="Have what is blocked written anew; nobody can let it pass." if report.blocked else _LINES,
        )


def _tell(report: "FileReport | CheckReport") -> None:
    """Say on standard error what became of a file: the texts may go to standard output."""
    for bad in report.bad[:_SHOWN]:
        typer.echo(f"line {bad.number}: {bad.reason}", err=True)
    if len(report.bad) > _SHOWN:
        typer.echo(f"… and {len(report.bad) - _SHOWN} further lines", err=True)
    for name, count in report.as_json().items():
        if not count and name != "texts":
            continue
        shown = ", ".join(f"{kind} {number}" for kind, number in count.items()) if isinstance(count, dict) else count
        typer.echo(f"{name}: {shown}", err=True)
