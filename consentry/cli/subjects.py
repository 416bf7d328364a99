"""Commands on subjects."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Reason, Subject, check_subject
from consentry.cli.output import say, say_json, say_table
from consentry.cli.pages import every_page
from consentry.cli.people import PasswordStdin, SecondOfficer, SecondToken, second_from
from kernel.errors import BadInput, NotFound

app = typer.Typer(no_args_is_help=True, help="Find subjects, and record what becomes of them.")


@app.command("find")
def find(
    source: Annotated[str | None, typer.Option(help="Name of the source system.")] = None,
    source_id: Annotated[str | None, typer.Option("--id", help="The source's id of the person.")] = None,
    field: Annotated[str | None, typer.Option(help="Field with an index; its value is read from input.")] = None,
    home: Home = None,
) -> None:
    """Print the subject ids behind a source's id or a field's value; exit 2 when there is none; logged."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.find_subject import find_subject

    if field is not None and source is None and source_id is None:
        _search(home, field)
    elif field is None and source is not None and source_id is not None:
        with platform_for(home) as platform:
            say(find_subject(platform, local_operator(), source=source, source_id=source_id))
    else:
        raise BadInput("It is not said who is looked for", hint="Give --source and --id, or --field.")


def _search(home: Path | None, field: str) -> None:
    """Look for a value that stands neither in the list of processes nor in the shell's history."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.find_subject import search_subjects

    value = typer.prompt("Value", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    with platform_for(home) as platform:
        found = search_subjects(platform, local_operator(), field=field, value=value)
    if not found.subjects:
        raise NotFound("Nobody is known by this value", hint="It is found by the whole value only.")
    for subject in found.subjects:
        say(subject)
    if not found.is_exact:
        typer.echo("candidates: the index of this field is truncated, some of them have another value", err=True)
    if found.are_more:
        typer.echo("there are more, who are not shown", err=True)


@app.command("restrict")
def restrict(
    subject: Subject,
    reason: Annotated[str, typer.Option(help="Why, for example the request's number.")],
    home: Home = None,
) -> None:
    """Restrict a subject: from now on only storage and security access pass the gate."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.erase import restrict_subject
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        is_news = restrict_subject(platform, local_operator(), subject=SubjectId(subject), reason=reason)
        run_wake_of(platform, SubjectId(subject))
    say(f"{subject} is restricted" if is_news else f"{subject} was restricted before")


@app.command("release")
def release(
    subject: Subject,
    reason: Annotated[str, typer.Option(help="Why, for example the request's number.")],
    home: Home = None,
) -> None:
    """Lift a restriction: the decisions that stand count again."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.represent import release_subject
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        release_subject(platform, local_operator(), subject=SubjectId(subject), reason=reason)
    say(f"{subject} is no longer restricted")


@app.command("merge")
def merge(  # noqa: PLR0917 - options of one command
    kept: Annotated[str, typer.Argument(help="Subject who goes on, sub_….", callback=check_subject)],
    dropped: Annotated[str, typer.Argument(help="Subject who was the same person all along.", callback=check_subject)],
    reason: Annotated[str, typer.Option(help="Why, for example how it was found out.")],
    accept: SecondToken = None,
    officer: SecondOfficer = None,
    passwords_stdin: PasswordStdin = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """Two subjects are one person: the stricter of both decisions counts; the dropped one stays restricted."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.represent import merge_subjects
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = merge_subjects(
            platform, local_operator(), kept=SubjectId(kept), dropped=SubjectId(dropped), reason=reason,
            accepted_by=second_from(platform, accept, officer, from_stdin=passwords_stdin),
        )  # fmt: skip
        for subject in (dropped, kept):
            run_wake_of(platform, SubjectId(subject))
    say(f"{dropped} is restricted for good; {kept} goes on, with {len(made)} new decisions from the stricter of both")
    say(f"its records are sealed under {kept} from now on, and its sources lead there")


@app.command("split")
def split(  # noqa: PLR0917 - options of one command
    subject: Subject,
    reason: Reason,
    source: Annotated[list[str] | None, typer.Option(help="All records of this source are the other person's.")] = None,
    batch: Annotated[list[str] | None, typer.Option(help="All records that came in this batch, bat_….")] = None,
    record: Annotated[list[str] | None, typer.Option(help="This record, by the id of any version, rec_….")] = None,
    source_id: Annotated[
        list[str] | None, typer.Option(help="What a source calls the other person, as SOURCE:ID; leads to them then.")
    ] = None,
    accept: SecondToken = None,
    officer: SecondOfficer = None,
    passwords_stdin: PasswordStdin = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """One subject is two people: the chosen records go to a new one, who begins with every no and with no yes."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.split_subject import selection_of, split_subject
    from kernel.ids import SubjectId

    selection = selection_of(
        sources=tuple(source or ()),
        batches=tuple(batch or ()),
        records=tuple(record or ()),
        source_ids=tuple(source_id or ()),
    )
    with platform_for(home) as platform:
        done = split_subject(
            platform, local_operator(), origin=SubjectId(subject), selection=selection, reason=reason,
            accepted_by=second_from(platform, accept, officer, from_stdin=passwords_stdin),
        )  # fmt: skip
        run_wake_of(platform, SubjectId(subject))
    counts = done.outcome.counts
    say(f"{done.fresh} is new, with {counts['rows']} rows of {subject} and {len(done.decisions)} of its decisions")


@app.command("doubts")
def doubts(
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """List records that could be about several people, for somebody to place; no identifier is shown."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.settle_doubts import doubt_json, list_doubts

    with platform_for(home) as platform:
        found = every_page(
            lambda after: list_doubts(platform, local_operator(), after=after), lambda doubt: doubt.doubt_id
        )
        rows = [doubt_json(doubt) for doubt in found]
    if as_json:
        for row in rows:
            say_json(row)
        return
    header = ("doubt", "source", "rule", "candidates", "noted_at")
    say_table(header, [[row[name] for name in header] for row in rows])


@app.command("settle")
def settle(
    doubt: Annotated[str, typer.Argument(help="Id of the doubt, dbt_….")],
    reason: Reason,
    candidate: Annotated[
        str | None, typer.Option("--as", help="The candidate whom the records are about.", callback=check_subject)
    ] = None,
    is_new: Annotated[bool, typer.Option("--new", help="They are about a person of their own.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """Say about whom a doubtful record is; its source then sends it again."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.settle_doubts import settle as workflow
    from kernel.errors import BadInput
    from kernel.ids import SubjectId

    if is_new is (candidate is not None):
        raise BadInput("Say whom the records are about", hint="Give --as SUBJECT, or --new.")
    with platform_for(home) as platform:
        subject = None if candidate is None else SubjectId(candidate)
        settled = workflow(platform, local_operator(), doubt_id=doubt, subject=subject, reason=reason)
    say(f"{doubt} is settled: {settled.subject or 'a person of its own'}; send the records of {settled.source} again")


@app.command("deceased")
def deceased(
    subject: Subject,
    no_kin: Annotated[bool, typer.Option("--no-kin", help="They directed that not even kin acts for them.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """Record a death: only storage and security pass the gate, and whoever acted for or through them does no longer."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.represent import record_deceased
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        is_news = record_deceased(platform, local_operator(), subject=SubjectId(subject), no_kin=no_kin)
        run_wake_of(platform, SubjectId(subject))
    say(f"{subject} is recorded as deceased" if is_news else f"{subject} was recorded as deceased before")
