"""Commands on packs."""

from dataclasses import asdict
from typing import Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs

app = typer.Typer(no_args_is_help=True, help="Packs: fields, purposes, notices, views, tags.")


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


@app.command("load")
def load(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Take a changed pack into use: publish its new notices, record its assessments and recipients."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.load_pack import load_changed_pack

    with platform_for(home, check_pack=False) as platform:
        loaded = load_changed_pack(platform, local_operator())
    if as_json:
        say_json(asdict(loaded))
        return
    say(f"{loaded.pack} {loaded.version} is in use; " + ("it is new." if loaded.is_new else "it was so before."))
    say_pairs(
        {
            "hash": loaded.hash,
            "notices": loaded.notices or "none new",
            "assessments": loaded.assessments or "none new",
            "recipients": loaded.recipients or "none new",
            "left ended": loaded.left_ended or "none",
        }
    )
