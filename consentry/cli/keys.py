"""Commands on keys."""

import typer

from consentry.cli.options import Home
from consentry.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Key epochs.")


@app.command("rotate")
def rotate(home: Home = None) -> None:
    """End the key epoch: rewrap what lives, destroy the old key, scrub both stores; makes erasures final."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.rotate import rotate_keys

    with platform_for(home) as platform:
        done = rotate_keys(platform, local_operator())
    say(f"epoch {done.ended} is ended; {done.rewrapped} keys were wrapped anew")
