"""Commands that keep the log within its bounds: what is pruned, and what the database's roles may do."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs
from consentry.cli.people import Accept, Officer, PasswordsStdin, people_from
from kernel.errors import BadInput

if TYPE_CHECKING:
    from consentry.workflows.prune_log import Pruned


def register(app: typer.Typer) -> None:
    """Add the commands to those on the audit log."""
    app.command("prune")(prune)
    app.command("grants")(grants)


def prune(  # noqa: PLR0917 - options of one command
    accept: Accept = None,
    officer: Officer = None,
    passwords_stdin: PasswordsStdin = False,  # noqa: FBT002 - a flag
    reason: Annotated[str | None, typer.Option("--reason", help="Why it goes now.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Let go what was kept long enough; takes two people and a reason, and without them only says what that is."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.prune_log import preview_pruning, prune_log

    is_done = bool(accept or officer)
    if is_done is (reason is None):
        raise BadInput(
            "Pruning takes two people and a reason", hint="Give --accept or --officer twice, and --reason; or neither."
        )
    with platform_for(home) as platform:
        if reason is None:
            done = preview_pruning(platform, local_operator())
        else:
            people = people_from(platform, accept, officer, from_stdin=passwords_stdin)
            done = prune_log(platform, local_operator(), accepted_by=people, reason=reason)
    _say_pruned(done, is_done=is_done, as_json=as_json)


def grants(
    role: Annotated[str, typer.Argument(help="The PostgreSQL role that the service runs as; it owns nothing.")],
    pruner: Annotated[str | None, typer.Option("--pruner", help="Role that `audit prune` runs as.")] = None,
    reader: Annotated[
        str | None, typer.Option("--reader", help="Role that makes rows of views, or reads them.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", help="data or keys; default both.")] = None,
) -> None:
    """Print the SQL that gives the service's roles what they need and no more; run it as the owner."""
    from consentry.migrations import Store
    from consentry.migrations.grants import grant_statements

    stores = {"data": Store.DATA, "keys": Store.KEYS}
    if store is not None and store not in stores:
        raise BadInput("There are two stores", hint="Write --store data or --store keys.")
    wanted = list(stores) if store is None else [store]
    statements = {name: grant_statements(stores[name], role, pruner=pruner, reader=reader) for name in wanted}
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
        say("nothing was changed; `consentry audit prune --accept TOKEN --accept TOKEN --reason REASON` prunes")
