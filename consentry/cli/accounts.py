"""Commands on accounts: persons with passwords and tokens, keys for machines."""

import sys
from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Token
from consentry.cli.output import say, say_json, say_pairs, say_table

app = typer.Typer(no_args_is_help=True, help="Accounts of persons, and keys of machines.")


Name = Annotated[str, typer.Argument(help="Name of the account or key.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command("person")
def person(
    name: Name,
    role: Annotated[str, typer.Option(help="One of the pack's staff roles.")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Create a person's account; the password is shown once."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.accounts import add_person

    with platform_for(home) as platform:
        made, password = add_person(platform, local_operator(), name=name, role=role)
    told = {"id": made.principal_id, "name": made.name, "role": made.role, "password": password}
    (say_json if as_json else say_pairs)(told)


@app.command("key")
def key(  # noqa: PLR0917 - options of one command
    name: Name,
    role: Annotated[str, typer.Option(help="capture or ingest.")],
    days: Annotated[int, typer.Option(help="Life in days, 1 to 366.")] = 90,
    subjects_per_day: Annotated[int | None, typer.Option(help="Cap of distinct subjects a day.", min=1)] = None,
    processor: Annotated[str | None, typer.Option(help="Registered processor whose contract binds the key.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Source as which the key may speak; repeatable, required for ingest.")
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Create a machine's key; it is shown once."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.accounts import add_key

    with platform_for(home) as platform:
        made, bearer = add_key(
            platform, local_operator(), name=name, role=role, days=days, subjects_per_day=subjects_per_day,
            processor=processor, sources=source or None,
        )  # fmt: skip
    told: dict[str, object] = {
        "id": made.principal_id, "name": made.name, "role": made.role, "key": bearer, "expires": made.expires_at,
    }  # fmt: skip
    if processor is not None:
        told["processor"] = processor
    if made.sources is not None:
        told["sources"] = sorted(made.sources)
    (say_json if as_json else say_pairs)(told)


@app.command("list")
def list_(token: Token = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Every account and key by name, with id, role and state; this reading is logged."""
    from consentry.cli.session import local_operator, person_from, platform_for
    from consentry.workflows.list_accounts import list_accounts, warn_of_unbound_keys

    with platform_for(home) as platform:
        caller = local_operator() if token is None else person_from(platform, token)
        found = list_accounts(platform, caller)
        warn_of_unbound_keys(platform)
    if as_json:
        for one in found:
            say_json(one)
        return
    header = ("name", "id", "kind", "role", "state", "processor", "sources", "expires_at")
    say_table([name.replace("_", " ") for name in header], [[one[name] for name in header] for one in found])


@app.command("disable")
def disable(name: Name, home: Home = None) -> None:
    """Disable an account or key for good; its tokens are refused from now on."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.accounts import disable_account

    with platform_for(home) as platform:
        gone = disable_account(platform, local_operator(), name)
    say(f"{gone.name} ({gone.principal_id}) is disabled")


@app.command("token")
def token(
    name: Name,
    password_stdin: FromStdin = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """Sign a person in and print the token."""
    import getpass

    from consentry.cli.session import platform_for
    from consentry.workflows.sign_in import sign_in

    password = sys.stdin.readline().rstrip("\n") if password_stdin else getpass.getpass("Password: ")
    with platform_for(home) as platform:
        say(sign_in(platform, name=name, password=password))
