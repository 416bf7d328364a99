"""Commands on decisions."""

from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Subject
from consentry.cli.output import say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="A subject's decisions.")


@app.command("show")
def show(subject: Subject, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """The decisions that count now, per purpose and recipient."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.show_consents import show_consents
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        rows = show_consents(platform, local_operator(), SubjectId(subject))
    if as_json:
        for row in rows:
            say_json(row)
        return
    say_table(tuple(rows[0]) if rows else ("decisions",), [tuple(row.values()) for row in rows])


@app.command("withdraw")
def withdraw(
    subject: Subject,
    purpose: Annotated[str, typer.Argument(help="Purpose, for example P07.")],
    recipient: Annotated[str | None, typer.Option(help="Only towards this recipient.")] = None,
    home: Home = None,
) -> None:
    """Withdraw one purpose on the subject's behalf, as told to an officer; effective when this command returns."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.capture import has_basis, withdraw_purpose
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = withdraw_purpose(platform, local_operator(), SubjectId(subject), purpose, recipient=recipient)
        stays = has_basis(platform, SubjectId(subject), purpose)
    say(f"{purpose} is withdrawn: decision {made.decision_id}")
    if stays:
        say(f"a contract or duty for {purpose} stays: fields that it covers can still be used")
