"""Commands that run a deployment: init, upgrade, serve, demo."""

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("init")(init)
    app.command("upgrade")(upgrade)
    app.command("serve")(serve)
    app.command("demo")(demo)


def init(
    home: Home = None,
    admin: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
    person: Annotated[str, typer.Option(help="Name of a first person who may open records.")] = "dr.lin",
    person_role: Annotated[str, typer.Option("--role", help="That person's role.")] = "clinician",
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Make a new deployment: folder, keys, both stores, notices, two accounts. Refuses to overwrite."""
    from consentry.cli.session import settings_for
    from consentry.workflows.initialise import initialise

    made = initialise(settings_for(home), admin=admin, person=person, person_role=person_role)
    if as_json:
        accounts = {a.name: {"role": a.role, "password": a.password} for a in made.accounts}
        told = {"home": str(made.home), "deployment": made.deployment, "verifier_key": made.verifier_key}
        say_json({**told, "accounts": accounts})
        return
    say(f"Deployment {made.deployment} is ready in {made.home}.")
    say_pairs({"settings": made.config, "public key of the log": made.verifier_key})
    say("Passwords, shown this once:")
    say_pairs({f"  {a.name} ({a.role})": a.password for a in made.accounts})


def upgrade(home: Home = None) -> None:
    """Bring both stores to this version's schema; make a backup first."""
    from consentry.cli.session import settings_for
    from consentry.workflows.upgrade import upgrade_stores

    upgrade_stores(settings_for(home))
    say("Both stores are at this version's schema.")


def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that answer; more than one on PostgreSQL.", min=1, max=64)
    ] = 1,
) -> None:
    """Run the HTTP API; ends with Ctrl-C."""
    from consentry.anchoring import Anchorer
    from consentry.archiving import Archiver
    from consentry.cli.serving import check_workers, serve_with
    from consentry.cli.session import platform_for
    from consentry.key_tending import KeyTender
    from consentry.outsiders import Outsiders
    from consentry.settling import Settler
    from consentry.tending import Alarmer, Finisher, Sweeping, Tender
    from consentry.wake.runner import Teller, Waker
    from consentry.workflows.anchor import check_witnessed
    from consentry.workflows.configure_log import record_configured
    from consentry.workflows.list_accounts import warn_of_unbound_keys

    with platform_for(home) as platform:
        check_workers(platform, workers)
        with (
            Settler(platform.log),
            Anchorer(platform, Outsiders.of(platform.settings)),
            Waker(platform.wake),
            Teller(platform.wake),
            Tender(platform),
            Alarmer(platform),
            Finisher(platform),
            Sweeping(platform),
            KeyTender(platform),
            Archiver(platform),
        ):
            record_configured(platform)
            check_witnessed(platform)
            warn_of_unbound_keys(platform)
            serve_with(platform, workers, home=home, host=host, port=port)


def demo(
    subjects: Annotated[int, typer.Option(help="How many people to make up.", min=50, max=100_000)] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same people.")] = 7,
    folder: Annotated[Path, typer.Option(help="Where files and stores go: a folder of its own.")] = Path("demo-data"),
    fresh: Annotated[bool, typer.Option(help="Replace the folder of an earlier demo.")] = True,  # noqa: FBT002 - a flag
) -> None:
    """The whole way on a made-up operator, through the public commands."""
    from consentry.demo.run import run_demo

    run_demo(subjects=subjects, seed=seed, folder=folder, fresh=fresh)
