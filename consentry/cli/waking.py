"""The command on what a closing act has set in motion."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Home, Json, OptionalSubject
from consentry.cli.output import say, say_json, say_table

if TYPE_CHECKING:
    from consentry.platform import Platform
    from kernel.ids import SubjectId

LIMIT: Final = 1000
"""Items that ``--run`` begins; whatever is left is told of."""


def register(app: typer.Typer) -> None:
    """Add the command to the consent commands."""
    app.command("wake")(wake)


def wake(
    subject: OptionalSubject = None,
    run: Annotated[bool, typer.Option("--run", help="First work on what is due.")] = False,  # noqa: FBT002 - a flag
    retry: Annotated[str | None, typer.Option(help="First let this dead or waiting item be tried again.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """What follows a subject's withdrawals: what is done, what is open, what is dead."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake, run_wake_of
    from consentry.workflows.follow_wake import retry_item, show_wake
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        if retry is not None:
            retry_item(platform, local_operator(), retry)
        if run and subject is None:
            run_wake(platform, LIMIT)
        elif run and subject is not None:
            run_wake_of(platform, SubjectId(subject))
        if subject is None:
            _tell_all(platform, as_json=as_json)
        else:
            _tell(show_wake(platform, local_operator(), SubjectId(subject)), as_json=as_json)


def tell_wake_of(platform: "Platform", subject: "SubjectId") -> None:
    """Work on what is due for one subject, for a few seconds, and say what is done and what is left."""
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.follow_wake import describe

    run_wake_of(platform, subject)
    with platform.data.read() as connection:
        items = [describe(item) for item in platform.wake.of_subject(connection, subject)]
    if items:
        _tell(items, as_json=False)


def _tell(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            say_json(row)
        return
    header = ("cause", "purpose", "recipient", "handler", "target", "state", "tries", "outcome", "item")
    say_table(header, [_cells(row) for row in rows])


def _cells(row: Mapping[str, object]) -> tuple[object, ...]:
    shown = (row["cause"], row["purpose"] or "all", row["recipient"] or "", row["handler"], row["target"] or "")
    return (*shown, row["state"], row["attempts"], _outcome(row), row["item"])


def _outcome(row: Mapping[str, object]) -> str:
    """Say in a few words how an item ended, or why and until when it waits."""
    told = row["outcome"]
    if isinstance(told, Mapping):
        counts = [f"{name} {number}" for name, number in told["counts"].items()]
        return ", ".join([str(told["result"]), *counts])
    waits = f"next {row['next']}" if row["problem"] and row["next"] else ""
    return " ".join(filter(None, (str(row["problem"] or ""), waits)))


def _tell_all(platform: "Platform", *, as_json: bool) -> None:
    from consentry.workflows.follow_wake import wake_counts

    counts, oldest = wake_counts(platform)
    waits = None if oldest is None else round(oldest.total_seconds())
    if as_json:
        say_json({**{state.value: number for state, number in counts.items()}, "oldest_seconds": waits})
        return
    say_table(("state", "items"), [(state.value, number) for state, number in counts.items()])
    if waits is not None:
        say(f"the oldest item that is not finished waits for {waits} s")
