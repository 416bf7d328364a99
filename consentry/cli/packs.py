"""Commands on packs."""

from typing import Annotated

import typer

from consentry.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Packs: fields, purposes, notices, views, tags.")


@app.callback()
def group() -> None:
    """Packs: fields, purposes, notices, views, tags."""


@app.command("lint")
def lint(pack: Annotated[str, typer.Argument(help="Name of a built-in pack, or a folder.")] = "medical") -> None:
    """Check a pack whole: every mistake with file, line and what was expected; exit 2 when there is one."""
    from consentry.packs import lint_pack

    found = lint_pack(pack)
    for mistake in found.mistakes:
        say(mistake)
    say(found.summary)
    if found.mistakes:
        raise typer.Exit(2)
