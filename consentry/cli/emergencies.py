"""Commands on emergencies: break the glass, list, review, and release an account that is frozen because of one."""

from typing import Annotated

import typer

from consentry.cli.options import Fields, Home, Json, Reason, Subject, Ticket, Token
from consentry.cli.output import say, say_json, say_table
from consentry.cli.reviewing import Said

app = typer.Typer(no_args_is_help=True, help="Emergency accesses, and accounts that are frozen because of them.")

_SHOWN = ("emergency", "opened_at", "due_at", "actor", "role", "purpose", "verdict", "frozen")


@app.command("open")
def open_record(  # noqa: PLR0917 - options of one command
    subject: Subject,
    fields: Fields,
    reason: Reason,
    purpose: Annotated[str | None, typer.Option(help="Emergency purpose; the role's only one when left out.")] = None,
    ticket: Ticket = None,
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Break the glass: open fields at once. Officers are told, and unreviewed after a day it freezes the account."""
    from consentry.cli.revealing import codes_in, say_opened
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.break_glass import break_glass
    from consentry.workflows.tell_alarms import tell_alarms
    from kernel.clock import format_instant
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made, opened = break_glass(
            platform,
            person_from(platform, token),
            subject=SubjectId(subject),
            fields=codes_in(fields),
            reason=reason,
            purpose=purpose,
            ticket=ticket,
        )
        say_opened(opened, as_json=as_json)
        told = {"emergency": made.emergency_id, "review due": format_instant(made.due_at)}
        if as_json:
            say_json(told)
        else:
            say(f"emergency {made.emergency_id}: to be reviewed by somebody else until {told['review due']}")
        tell_alarms(platform)


@app.command("list")
def show(
    token: Token = None,
    unreviewed: Annotated[bool, typer.Option("--open", help="Only those that nobody has reviewed.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """The newest hundred emergency accesses, and whether one freezes its account."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.review_emergency import emergency_json, list_emergencies

    with platform_for(home) as platform:
        found = list_emergencies(platform, person_from(platform, token), unreviewed_only=unreviewed)
        rows = [emergency_json(platform, one) for one in found]
    if as_json:
        for row in rows:
            say_json(row)
        return
    say_table(_SHOWN, [tuple(row[name] for name in _SHOWN) for row in rows])


@app.command()
def review(  # noqa: PLR0917 - options of one command
    emergency: Annotated[str, typer.Argument(metavar="ID", help="Id of the emergency, emg_….")],
    verdict: Annotated[Said, typer.Option(help="justified, or incident, which freezes the account.")],
    note: Annotated[str, typer.Option(help="What was found out; kept sealed beside the log entry.")],
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Say what an emergency access was; nobody reviews an own one."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.review_emergency import emergency_json, review_emergency
    from consentry.workflows.tell_alarms import tell_alarms

    with platform_for(home) as platform:
        caller = person_from(platform, token)
        reviewed = review_emergency(platform, caller, emergency, verdict=verdict.value, note=note)
        told = emergency_json(platform, reviewed)
        tell_alarms(platform)
    if as_json:
        say_json(told)
        return
    say(f"{emergency} was reviewed: {verdict.value}")


@app.command()
def release(
    account: Annotated[str, typer.Argument(help="Name of an account.")],
    reason: Reason,
    token: Token = None,
    home: Home = None,
) -> None:
    """Let a frozen account act again, once every emergency that freezes it was reviewed."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.freezing import release_account

    with platform_for(home) as platform:
        found = release_account(platform, person_from(platform, token), account, reason=reason)
    say(f"{account} is released from {len(found)} emergencies")
