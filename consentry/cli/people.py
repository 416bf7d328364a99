"""Options that name the two people behind an act: by token, or by name and password."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kernel.errors import BadInput

if TYPE_CHECKING:
    from consentry.platform import Platform
    from consentry.principals import Principal

Accept = Annotated[list[str] | None, typer.Option("--accept", help="Token of a person who accepts it; twice.")]
Officer = Annotated[
    list[str] | None,
    typer.Option("--officer", help="Name of a person who accepts it by password, instead of a token; twice."),
]
SecondToken = Annotated[str | None, typer.Option("--accept", help="Token of a second person, who accepts it.")]
SecondOfficer = Annotated[
    str | None,
    typer.Option("--officer", help="Name of the second person, who accepts it by password instead."),
]
PasswordStdin = Annotated[
    bool, typer.Option("--passwords-stdin", help="Read the officer's password from standard input.")
]
PasswordsStdin = Annotated[
    bool, typer.Option("--passwords-stdin", help="Read the officers' passwords from standard input, one a line.")
]


def people_from(
    platform: "Platform", accept: Sequence[str] | None, officers: Sequence[str] | None, *, from_stdin: bool
) -> "list[Principal]":
    """Return the people behind tokens and passwords; nothing is written.

    Raises:
        BadInput: a password is missing.
        NotAuthenticated: a token is not live, or a name or password is wrong.
    """
    from consentry.cli.session import person_from
    from consentry.workflows.two_people import know_officer

    people = [person_from(platform, token) for token in accept or ()]
    people += [
        know_officer(platform, name=name, password=_password(name, from_stdin=from_stdin)) for name in officers or ()
    ]
    return people


def second_from(
    platform: "Platform", accept: str | None, officer: str | None, *, from_stdin: bool
) -> "Principal | None":
    """Return the second person behind a token or password; None where nobody is named.

    Raises:
        BadInput: two are named, or a password is missing.
        NotAuthenticated: the token is not live, or the name or password is wrong.
    """
    if accept and officer:
        raise BadInput("Two are named as the second person", hint="Give --accept or --officer.")
    people = people_from(platform, [accept] if accept else None, [officer] if officer else None, from_stdin=from_stdin)
    return people[0] if people else None


def _password(name: str, *, from_stdin: bool) -> str:
    import getpass

    if not from_stdin:
        return getpass.getpass(f"Password of {name}: ")
    line = sys.stdin.readline()
    if not line:
        raise BadInput("Standard input ends before the last password", hint="Give one line for each --officer.")
    return line.rstrip("\n")
