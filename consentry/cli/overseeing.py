"""The officer's commands on the register: figures, what time brings, tasks, and who stands in for others."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.consents import Locale
from consentry.cli.options import Home, Json, Subject
from consentry.cli.output import cell, say, say_json, say_pairs, say_table
from kernel.ids import is_id

if TYPE_CHECKING:
    from consent.tasks import Task
    from consentry.platform import Platform

tasks_app = typer.Typer(no_args_is_help=True, help="Tasks for people.")
guardians_app = typer.Typer(no_args_is_help=True, help="Guardians.")
agents_app = typer.Typer(no_args_is_help=True, help="Authorised agents.")
kin_app = typer.Typer(no_args_is_help=True, help="Near kin of the deceased.")


def register(app: typer.Typer) -> None:
    """Add the commands to the consent commands."""
    app.command("statistics")(statistics)
    app.command("tend")(tend)
    app.command("tasks")(tasks)
    for group, name, command, does in (
        (tasks_app, "task", "done", done),
        (guardians_app, "guardian", "end", end_guardian),
        (agents_app, "agent", "end", end_agent),
        (kin_app, "kin", "add", add_kin),
    ):
        group.command(command)(does)
        app.add_typer(group, name=name)


def _kin(text: str) -> str:
    if not is_id(text, "sub"):
        raise typer.BadParameter("this is no subject id, which begins with sub_; `consentry subject find` prints one")
    return text


Relation = Annotated[str, typer.Argument(metavar="ID", help="Relation id, as the history tells it.")]
Due = Annotated[str | None, typer.Option("--due-by", help="Only what is due by this moment or day.")]


def statistics(  # noqa: PLR0917 - options of one command
    start: Annotated[str | None, typer.Option("--from", help="From this moment or day; default the first.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this moment or day; default now.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="month: a row for each calendar month.")] = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Per purpose and period: granted, refused, withdrawn, renewed, expired, in force; counts without ids."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.moments import parse_start
    from consentry.workflows.statistics import read_statistics
    from kernel.errors import BadInput

    if by not in (None, "month"):
        raise BadInput("Figures can be told by month", hint="Write --by month, or leave it out.")
    with platform_for(home) as platform:
        zone = platform.catalogue.time_zone
        rows = read_statistics(
            platform, local_operator(), start=None if start is None else parse_start(start, zone),
            end=None if until is None else parse_start(until, zone), by_month=by is not None, locale=locale,
        )  # fmt: skip
    if as_json:
        for row in rows:
            say_json(row)
        return
    header = tuple(name.replace("_", " ") for name in rows[0]) if rows else ("decisions",)
    say_table(header, [tuple(row.values()) for row in rows])


def tend(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Record what has expired and whom to ask anew, and list the open tasks; to be run every day."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.tend import tend as tend_register

    with platform_for(home) as platform:
        done_now = tend_register(platform, local_operator())
        if as_json:
            say_json(done_now.as_json())
            return
        say_pairs({"expired": done_now.expired, "to be asked again": done_now.asked_again})
        _tell_tasks(platform, list(done_now.open_tasks), "zh-CN")


def tasks(
    due_by: Due = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Open tasks, the most urgent first, at most a hundred."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.moments import parse_as_of
    from consentry.workflows.tend import list_tasks, task_json

    with platform_for(home) as platform:
        at = None if due_by is None else parse_as_of(due_by, platform.catalogue.time_zone)
        found = list_tasks(platform, local_operator(), due_by=at)
        if as_json:
            for one in found:
                say_json(task_json(one, locale))
            return
        _tell_tasks(platform, found, locale)


def done(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="Task id, tsk_….")],
    note: Annotated[str | None, typer.Option(help="What was done; kept sealed beside the log entry.")] = None,
    home: Home = None,
) -> None:
    """Mark a task as done."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.tend import finish_task

    with platform_for(home) as platform:
        finished = finish_task(platform, local_operator(), task_id, note=note)
    say(f"{finished.task_id} is done")


def end_guardian(relation: Relation, home: Home = None) -> None:
    """End a guardianship, or what kin may do, early; what was decided stays."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.represent import end_guardianship

    with platform_for(home) as platform:
        end_guardianship(platform, local_operator(), relation)
    say(f"{relation} is ended")


def end_agent(relation: Relation, home: Home = None) -> None:
    """End an agent's authority early; what was decided stays."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.represent import end_agency

    with platform_for(home) as platform:
        end_agency(platform, local_operator(), relation)
    say(f"{relation} is ended")


def add_kin(
    subject: Subject,
    kin: Annotated[str, typer.Argument(help="Subject id of the kin, sub_….", callback=_kin)],
    verification: Annotated[str, typer.Option(help="How it was verified, for example household_register.")],
    home: Home = None,
) -> None:
    """Record verified near kin of a deceased, who may refuse and withdraw for them."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.represent import add_kin as add
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = add(
            platform, local_operator(), subject=SubjectId(subject), kin=SubjectId(kin), verification=verification
        )
    say(f"{kin} is recorded as near kin of {subject}: {made.relation_id}")


def _tell_tasks(platform: "Platform", found: list["Task"], locale: str) -> None:
    from consent.sentences import Teller
    from consent.words import TASKS, Language

    teller = Teller(platform.catalogue, Language.of(locale))
    rows = [
        (one.task_id, teller.label(TASKS[one.kind]), one.subject, one.purpose, teller.instant(one.due_at), one.cause)
        for one in found
    ]
    say_table(("task", "what", "subject", "purpose", "due", "cause"), [tuple(map(cell, row)) for row in rows])
    say(f"{len(found)} open tasks")
