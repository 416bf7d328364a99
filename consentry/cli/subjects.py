"""Commands on subjects."""

from typing import Annotated

import typer

from consentry.cli.options import Home, Subject, check_subject
from consentry.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Find subjects, and record what becomes of them.")


@app.command("find")
def find(
    source: Annotated[str, typer.Option(help="Name of the source system.")],
    source_id: Annotated[str, typer.Option("--id", help="The source's id of the person.")],
    home: Home = None,
) -> None:
    """Print the subject id behind a source's id; exit 2 when there is none; the look-up is logged."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.find_subject import find_subject

    with platform_for(home) as platform:
        say(find_subject(platform, local_operator(), source=source, source_id=source_id))


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
def merge(
    kept: Annotated[str, typer.Argument(help="Subject who goes on, sub_….", callback=check_subject)],
    dropped: Annotated[str, typer.Argument(help="Subject who was the same person all along.", callback=check_subject)],
    reason: Annotated[str, typer.Option(help="Why, for example how it was found out.")],
    home: Home = None,
) -> None:
    """Two subjects are one person: the stricter of both decisions counts; the dropped one stays restricted."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.represent import merge_subjects
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = merge_subjects(
            platform, local_operator(), kept=SubjectId(kept), dropped=SubjectId(dropped), reason=reason
        )
        for subject in (dropped, kept):
            run_wake_of(platform, SubjectId(subject))
    say(f"{dropped} is restricted for good; {kept} goes on, with {len(made)} new decisions from the stricter of both")
    say(f"records are not resealed yet: those of {dropped} stay sealed under it, unused; erase both to erase them")


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
