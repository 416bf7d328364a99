"""Commands on case grants: ask, give, refuse, revoke, list."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json, Reason, Subject, Ticket, Token
from consentry.cli.output import say, say_json, say_pairs, say_table

if TYPE_CHECKING:
    from consentry.stores.cases import Case
    from kernel.encoding import JsonValue

app = typer.Typer(no_args_is_help=True, help="Case grants for the most sensitive fields.")

CaseId = Annotated[str, typer.Argument(metavar="ID", help="Id of the case, cas_….")]


@app.command()
def request(  # noqa: PLR0917 - options of one command
    subject: Subject,
    purpose: Annotated[str, typer.Option(help="Purpose under which the record is opened, for example P02.")],
    reason: Reason,
    fields: Annotated[str, typer.Option(help="Field codes, separated by commas.")] = "",
    compartment: Annotated[
        str | None, typer.Option(help="All fields of a compartment that a case can open, for example special.")
    ] = None,
    hours: Annotated[int, typer.Option(help="How long it lasts from the decision on.", min=1)] = 8,
    ticket: Ticket = None,
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Ask for a case grant; it opens nothing until somebody else gives it."""
    from consentry.cli.revealing import codes_in
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import cases
    from kernel.catalogue import Compartment
    from kernel.errors import BadInput
    from kernel.ids import SubjectId

    if compartment is not None and compartment not in set(Compartment):
        raise BadInput(f"There is no compartment {compartment!r}", hint=f"Choose one of {', '.join(Compartment)}.")
    with platform_for(home) as platform:
        made = cases.request_case(
            platform,
            person_from(platform, token),
            subject=SubjectId(subject),
            purpose=purpose,
            reason=reason,
            fields=codes_in(fields),
            compartment=None if compartment is None else Compartment(compartment),
            hours=hours,
            ticket=ticket,
        )
    _say_case(made, "asked", as_json=as_json)


@app.command()
def grant(case: CaseId, reason: Reason, token: Token = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Give a case that somebody else has asked for; its hours begin now."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import cases

    with platform_for(home) as platform:
        made = cases.grant_case(platform, person_from(platform, token), case, reason=reason)
    _say_case(made, "granted", as_json=as_json)


@app.command()
def refuse(case: CaseId, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Refuse a case that somebody else has asked for."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import cases

    with platform_for(home) as platform:
        cases.refuse_case(platform, person_from(platform, token), case, reason=reason)
    say(f"{case} is refused")


@app.command()
def revoke(case: CaseId, reason: Reason, token: Token = None, home: Home = None) -> None:
    """End a case early: by who gives cases, or by who has asked for it."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import cases

    with platform_for(home) as platform:
        cases.revoke_case(platform, person_from(platform, token), case, reason=reason)
    say(f"{case} is revoked")


@app.command("list")
def show(
    token: Token = None,
    undecided: Annotated[bool, typer.Option("--open", help="Only those that nobody has decided.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """The newest hundred cases: all to who gives them, to others their own."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import cases

    with platform_for(home) as platform:
        found = cases.list_cases(platform, person_from(platform, token), undecided_only=undecided)
    if as_json:
        for one, state in found:
            say_json(_as_json(one, state.value))
        return
    rows = [_row(one, state.value) for one, state in found]
    say_table(tuple(_row_names), [tuple(row.values()) for row in rows])


_row_names = ("case", "state", "subject", "purpose", "fields", "asked by", "hours", "expires at")


def _say_case(made: "Case", state: str, *, as_json: bool) -> None:
    if as_json:
        say_json(_as_json(made, state))
    else:
        say_pairs(_row(made, state))


def _as_json(case: "Case", state: str) -> "dict[str, JsonValue]":
    """Return a case for programs: no key has a space, and the fields are a list."""
    said: dict[str, JsonValue] = {name.replace(" ", "_"): value for name, value in _row(case, state).items()}
    return said | {"fields": sorted(case.fields)}


def _row(case: "Case", state: str) -> dict[str, str | int | None]:
    from kernel.clock import format_instant

    expires_at = None if case.expires_at is None else format_instant(case.expires_at)
    told = (case.case_id, state, case.subject, case.purpose, ",".join(sorted(case.fields)), case.asked_by, case.hours)
    return dict(zip(_row_names, (*told, expires_at), strict=True))
