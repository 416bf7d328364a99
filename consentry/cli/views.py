"""Commands on views and exports."""

from datetime import datetime
from typing import Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs, say_table

views = typer.Typer(no_args_is_help=True, help="De-identified views.")
exports = typer.Typer(no_args_is_help=True, help="Releases to recipients.")

AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day; default today.")]


@views.command("build")
def build(
    name: Annotated[str | None, typer.Argument(help="View; default: every view of the pack.")] = None,
    as_of: AsOf = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Build views for permitted subjects only."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.build_view import build_view, view_names

    with platform_for(home) as platform:
        for one in [name] if name else view_names(platform):
            built = build_view(
                platform, local_operator(), one, as_of=None if as_of is None else as_of.date(), show_progress=not quiet
            )
            if as_json:
                say_json(built.as_json())
            else:
                say_pairs(built.as_json())


@views.command("list")
def list_builds(home: Home = None) -> None:
    """The builds of every view, newest first."""
    from consentry.cli.session import platform_for
    from consentry.stores.builds import list_view_builds

    with platform_for(home) as platform, platform.data.read() as connection:
        rows = list_view_builds(connection)
    say_table(("view", "build", "rows", "built"), [(r.view, r.build_id, r.row_count, r.built_at) for r in rows])


@views.command("show")
def show(
    name: Annotated[str, typer.Argument(help="View of the pack, for example subject_profile.")],
    rows: Annotated[int, typer.Option(help="How many rows.", min=1, max=1000)] = 10,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Rows of the newest build, without those whose decision has ended since."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.read_view import read_view

    with platform_for(home) as platform:
        table = read_view(platform, local_operator(), name).slice(0, rows)
    for row in table.to_pylist():
        if as_json:
            say_json(row)
        else:
            say_pairs({name: value for name, value in row.items() if value not in (None, [])})
            say("")
    if not as_json:
        say(f"{table.num_rows} rows shown")


@exports.command("run")
def run(
    definition: Annotated[str, typer.Argument(help="Export of the pack, for example research_partner.")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Release one export to its recipient, or refuse with the reason; exit 1 when refused."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.export import run_export

    with platform_for(home) as platform:
        released = run_export(platform, local_operator(), definition)
    if as_json:
        say_json(released.as_json())
    else:
        say_pairs(released.as_json())


@exports.command("list")
def list_releases(home: Home = None) -> None:
    """Every release, newest first."""
    from consentry.cli.session import platform_for
    from consentry.stores.builds import list_releases as listing

    with platform_for(home) as platform, platform.data.read() as connection:
        rows = listing(connection)
    header = ("export", "definition", "recipient", "rows", "released", "recalled")
    say_table(
        header,
        [(r.export_id, r.definition, r.recipient, r.row_count, r.released_at, r.recalled_at or "") for r in rows],
    )
    say(f"{len(rows)} releases")
