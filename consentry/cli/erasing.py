"""Commands that erase subjects or parts of them, and look at erasures."""

from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Subject, SubjectFilter, check_new_file
from consentry.cli.output import say, say_json, say_pairs, say_table
from consentry.cli.pages import every_page
from kernel.errors import BadInput

erasures = typer.Typer(no_args_is_help=True, help="Erasures and their certificates.")


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("erase")(erase)
    app.add_typer(erasures, name="erasure")


def erase(  # noqa: PLR0917 - options of one command
    subject: Subject,
    reason: Annotated[str, typer.Option(help="Why, for example the request's number.")],
    compartment: Annotated[str | None, typer.Option(help="Only what lies in this compartment.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Only what was collected for this purpose.")] = None,
    fields: Annotated[str | None, typer.Option(help="Only these fields, separated by commas.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Erase a subject or a part of it; what the law or an officer still holds stays, and the answer says until when."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.erase import erase_subject
    from consentry.workflows.erase_part import erase_part, part_scope
    from kernel.ids import SubjectId

    codes = tuple(code.strip() for code in (fields or "").split(",") if code.strip())
    if fields is not None and not codes:
        raise BadInput("No field is named", hint="Give codes in --fields, or leave it out for the whole subject.")
    who = SubjectId(subject)
    with platform_for(home) as platform:
        scope = part_scope(platform.catalogue, compartment=compartment, purpose=purpose, fields=codes)
        if scope is None:
            done = erase_subject(platform, local_operator(), subject=who, reason=reason).as_json()
            run_wake_of(platform, who)
        else:
            done = erase_part(platform, local_operator(), subject=who, scope=scope, reason=reason).as_json()
    if as_json:
        say_json(done)
    else:
        say_pairs(done)


@erasures.command("list")
def list_(subject: SubjectFilter = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """List erasures with what was asked for, and whether they are final; the reading is logged."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.show_erasure import erasure_json, find_erasures
    from kernel.ids import SubjectId

    who = None if subject is None else SubjectId(subject)
    with platform_for(home) as platform:
        pages = every_page(
            lambda after: find_erasures(platform, local_operator(), subject=who, after=after),
            lambda one: one.erasure_id,
        )
        found = [erasure_json(one) for one in pages]
    if as_json:
        for one in found:
            say_json(one)
        return
    columns = ("erasure", "subject", "state", "scope", "why", "finished_at", "held_until", "final_at", "final")
    say_table(columns, [[one[name] for name in columns] for one in found])


@erasures.command("show")
def show(
    erasure: Annotated[str, typer.Argument(help="Id of the erasure, era_….")],
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="New file for the certificate, for `consentry-verify`.")
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one erasure: what was destroyed, why, and whether it is final; the reading is logged."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.show_erasure import erasure_json, show_erasure

    if certificate is not None:
        check_new_file(certificate)
    with platform_for(home) as platform:
        found = show_erasure(platform, local_operator(), erasure)
    if certificate is not None:
        if found.certificate is None:
            raise BadInput("This erasure has no certificate", hint="Nothing was destroyed by it so far.")
        with certificate.open("xb") as file:
            file.write(found.certificate.as_file())
    if as_json:
        say_json(erasure_json(found))
    else:
        say_pairs(erasure_json(found))


@erasures.command("scrub")
def scrub(home: Home = None) -> None:
    """Rewrite SQLite stores without stale copies, or vacuum on PostgreSQL; for quiet hours."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.show_erasure import scrub_stores

    with platform_for(home) as platform:
        left = scrub_stores(platform, local_operator())
    for statement in left:
        say(statement)
    say("the tables' owner has to run the statements above" if left else "both stores are scrubbed")
