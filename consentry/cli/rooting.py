"""Commands on the root key, which a custodian holds."""

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import Home
from consentry.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the commands to those on keys."""
    app.command("rewrap-root")(rewrap_root)


def rewrap_root(
    to: Annotated[
        Path | None, typer.Option("--to", help="Settings file of another custodian; default the newest key version.")
    ] = None,
    home: Home = None,
) -> None:
    """Wrap the epoch keys under the root key's newest version, or by another custodian; what is kept stays as it is."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.rewrap_root import rewrap_root_key

    with platform_for(home) as platform:
        done = rewrap_root_key(platform, local_operator(), to=to)
    say(f"{done.rewrapped} epoch keys are wrapped by {done.after}")
    if to is not None:
        say(f"Put the settings of {to} into consentry.toml now, and restart; then run `consentry keys rewrap-root` or")
        say("`keys rotate` until nothing is under the old root. Destroying that root is yours to do:")
        say(f"  {done.before}")
