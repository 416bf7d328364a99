"""Commands that keep the log within its bounds: what is pruned, and what the database's roles may do."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs
from kernel.errors import BadInput

if TYPE_CHECKING:
    from consentry.workflows.prune_log import Pruned


def register(app: typer.Typer) -> None:
    """Add the commands to those on the audit log."""
    app.command("prune")(prune)
    app.command("grants")(grants)


def prune(
    approve: Annotated[str | None, typer.Option("--approve", help="Token of the second person.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it goes now.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Let go what was kept long enough; without --approve only say what that is."""
    from consentry.cli.session import local_operator, person_from, platform_for
    from consentry.workflows.prune_log import preview_pruning, prune_log

    if (approve is None) is not (reason is None):
        raise BadInput("Pruning takes a second person and a reason", hint="Give --approve and --reason, or neither.")
    with platform_for(home) as platform:
        if approve is None or reason is None:
            done = preview_pruning(platform, local_operator())
        else:
            second = person_from(platform, approve)
            done = prune_log(platform, local_operator(), approved_by=second, reason=reason)
    _say_pruned(done, is_done=approve is not None, as_json=as_json)


def grants(
    role: Annotated[str, typer.Argument(help="The PostgreSQL role that the service runs as; it owns nothing.")],
    pruner: Annotated[str | None, typer.Option("--pruner", help="Role that `audit prune` runs as.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="data or keys; default both.")] = None,
) -> None:
    """Print the SQL that gives the service's roles what they need and no more; run it as the owner."""
    from consentry.migrations import Store
    from consentry.migrations.grants import grant_statements

    stores = {"data": Store.DATA, "keys": Store.KEYS}
    if store is not None and store not in stores:
        raise BadInput("There are two stores", hint="Write --store data or --store keys.")
    wanted = list(stores) if store is None else [store]
    statements = {name: grant_statements(stores[name], role, pruner=pruner) for name in wanted}
    for name, found in statements.items():
        say(f"-- {'data store' if name == 'data' else 'key store'}")
        for statement in found:
            say(f"{statement};")


def _say_pruned(done: "Pruned", *, is_done: bool, as_json: bool) -> None:
    if as_json:
        say_json(done.as_json())
        return
    say_pairs(done.as_json())
    if not is_done:
        say("nothing was changed; `consentry audit prune --approve TOKEN --reason REASON` prunes")
