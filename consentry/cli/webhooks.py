"""Commands on webhooks: who is told when a decision closes."""

from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Subject
from consentry.cli.output import say, say_json, say_pairs, say_table

app = typer.Typer(no_args_is_help=True, help="Addresses that are told when a decision closes.")

Target = Annotated[str, typer.Argument(help="Webhook id, wht_….")]
Recipient = Annotated[str, typer.Argument(help="Code of a registered recipient; *joint for all joint controllers.")]


@app.command("add")
def add(
    recipient: Recipient,
    url: Annotated[str, typer.Argument(help="https://…; http:// only on this machine.")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Register an address of a recipient; the signing secret is shown once."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.webhooks import add_webhook

    with platform_for(home) as platform:
        made, secret = add_webhook(platform, local_operator(), recipient=recipient, url=url)
    told = {"id": made.target_id, "recipient": made.recipient, "url": made.url, "secret": secret.reveal()}
    (say_json if as_json else say_pairs)(told)


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Every address, oldest first, without secrets."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.webhooks import list_webhooks

    with platform_for(home) as platform:
        rows = list_webhooks(platform, local_operator())
    if as_json:
        for row in rows:
            say_json(row)
        return
    say_table(tuple(rows[0]) if rows else ("webhooks",), [tuple(row.values()) for row in rows])


@app.command("key")
def key(target: Target, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Give an address a new signing secret, shown once; the one before signs beside it for a day."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.webhooks import renew_webhook

    with platform_for(home) as platform:
        made, secret = renew_webhook(platform, local_operator(), target)
    (say_json if as_json else say_pairs)({"id": made.target_id, "secret": secret.reveal()})


@app.command("disable")
def disable(target: Target, home: Home = None) -> None:
    """Tell an address nothing more, for good; its secret is deleted."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.webhooks import disable_webhook

    with platform_for(home) as platform:
        disable_webhook(platform, local_operator(), target)
    say(f"{target} is disabled")


@app.command("name")
def name(subject: Subject, recipient: Recipient, home: Home = None) -> None:
    """Print the name under which a recipient is told of a person, to hand over with the data; logged."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.webhooks import name_for_recipient
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        say(name_for_recipient(platform, local_operator(), subject=SubjectId(subject), recipient=recipient))
