"""The command that deletes what has expired."""

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs


def register(app: typer.Typer) -> None:
    """Add the command to those on stored records."""
    app.command("sweep")(sweep)


def sweep(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Delete what has expired, with its keys; a hold wins. A running server does so by itself, once in each cycle."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_own_wake
    from consentry.workflows.sweep import sweep_expired

    with platform_for(home) as platform:
        done = sweep_expired(platform, local_operator())
        run_own_wake(platform)
    if as_json:
        say_json(done.as_json())
        return
    if done.cycle is None:
        say("nothing has expired")
    say_pairs({name: value for name, value in done.as_json().items() if value is not None})
