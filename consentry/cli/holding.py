"""Commands for holds: what an officer keeps from erasure and expiry."""

from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Subject, SubjectFilter
from consentry.cli.output import say_json, say_pairs, say_table
from consentry.cli.pages import every_page

app = typer.Typer(help="Holds: keep a person's data from erasure and expiry.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; kept sealed beside the log entry.")]


@app.command("set")
def set_one(  # noqa: PLR0917 - options of one command
    subject: Subject,
    reference: Annotated[str, typer.Option(help="The matter's number where it is kept; it stands in the log.")],
    reason: Reason,
    compartment: Annotated[str | None, typer.Option(help="Only this one, for example clinical.")] = None,
    field: Annotated[str | None, typer.Option(help="Only this one; not together with a compartment.")] = None,
    until: Annotated[str | None, typer.Option(help="RFC 3339, or a day; until it is released when left out.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Keep a person's data, or a part of it; a hold wins over erasure and expiry."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.moments import parse_as_of
    from consentry.workflows.holds import hold_json, set_hold
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        zone = platform.catalogue.time_zone
        made = set_hold(
            platform,
            local_operator(),
            subject=SubjectId(subject),
            reference=reference,
            reason=reason,
            compartment=compartment,
            field=field,
            ends_at=None if until is None else parse_as_of(until, zone),
        )
        told = hold_json(made, platform.clock.now())
    if as_json:
        say_json(told)
    else:
        say_pairs(told)


@app.command("release")
def release(
    hold: Annotated[str, typer.Argument(help="Hold id, hld_….")],
    reason: Reason,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Let go of what was held; an erasure that waited for it goes on at once, expiry with the next sweep."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.holds import hold_json, release_hold

    with platform_for(home) as platform:
        released = release_hold(platform, local_operator(), hold, reason=reason)
        run_wake_of(platform, released.wanted.subject)
        told = hold_json(released, platform.clock.now())
    if as_json:
        say_json(told)
    else:
        say_pairs(told)


@app.command("list")
def list_of(subject: SubjectFilter = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Holds, also those that are over."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.holds import hold_json, list_holds
    from kernel.ids import SubjectId

    who = None if subject is None else SubjectId(subject)
    with platform_for(home) as platform:
        found = every_page(
            lambda after: list_holds(platform, local_operator(), subject=who, after=after), lambda one: one.hold_id
        )
        told = [hold_json(one, platform.clock.now()) for one in found]
    if as_json:
        for one in told:
            say_json(one)
        return
    names = ("hold", "subject", "compartment", "field", "reference", "is_live", "ends_at", "released_at")
    say_table(names, [tuple(one[name] for name in names) for one in told])
