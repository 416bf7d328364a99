"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from kernel.errors import BadInput
from kernel.ids import is_id


def check_subject(text: str | None) -> str | None:
    """Return a subject id as it was given; raises ``BadParameter`` for a text that is none."""
    if text is not None and not is_id(text, "sub"):
        raise typer.BadParameter("this is no subject id, which begins with sub_; `consentry subject find` prints one")
    return text


def check_new_file(file: Path) -> None:
    """Raise ``BadInput`` for a place where no new file can be: asked before anything is opened for it."""
    if file.exists():
        raise BadInput(f"{file} is there already", hint="Name another file.")
    if not file.parent.is_dir():
        raise BadInput(f"There is no folder {file.parent}", hint="Make it, or name another place.")


Home = Annotated[Path | None, typer.Option("--home", help="Data folder; default CONSENTRY_HOME or ./consentry-data.")]
Token = Annotated[str | None, typer.Option("--token", envvar="CONSENTRY_TOKEN", help="A person's token.")]
Approval = Annotated[str | None, typer.Option("--approval", help="Id of the approval that a minor's record needs.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept sealed beside the log entry.")]
Fields = Annotated[str, typer.Option("--fields", help="Field codes, separated by commas.")]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The occasion's number elsewhere; it stands in the log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Subject = Annotated[str, typer.Argument(help="Subject id, sub_….", callback=check_subject)]
SubjectFilter = Annotated[str | None, typer.Option("--subject", help="Subject id.", callback=check_subject)]
OptionalSubject = Annotated[
    str | None, typer.Argument(help="Subject id, sub_…; everybody when left out.", callback=check_subject)
]
