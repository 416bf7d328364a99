"""Commands on keys."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json, check_subject
from consentry.cli.output import say, say_json, say_table
from kernel.catalogue import Compartment

if TYPE_CHECKING:
    from vault.data_rotation import DataRotation
    from vault.epoch_rotation import EpochRotation
    from vault.index_rotation import IndexRotation
    from vault.key_report import KeyReport

app = typer.Typer(no_args_is_help=True, help="Keys: what they seal, and their rotation.")


@app.command("status")
def status(home: Home = None, *, json: Json = False) -> None:
    """Count what is still under an old epoch, generation, suite or index version, and what is unfinished."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.rotate import key_status

    with platform_for(home) as platform:
        report = key_status(platform, local_operator())
    if json:
        say_json(report.as_json())
    else:
        _say_report(report)


@app.command("rotate")
def rotate(home: Home = None) -> None:
    """End the key epoch: rewrap what lives, destroy the old key, scrub both stores; makes erasures final."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.progress import progress
    from consentry.workflows.rotate import rotate_keys

    with platform_for(home) as platform, progress("keys") as told:
        done = rotate_keys(platform, local_operator(), told=told)
    _say_epoch(done)


@app.command("rotate-data")
def rotate_data(
    subject: Annotated[str | None, typer.Option(help="Only of this subject.", callback=check_subject)] = None,
    compartment: Annotated[Compartment | None, typer.Option(help="Only of this compartment.")] = None,
    older_than_days: Annotated[int, typer.Option(min=0, max=36_525, help="Only keys made so many days ago.")] = 0,
    other_suite: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--other-suite", help="Only keys of another suite than vault_suite.")
    ] = False,
    home: Home = None,
) -> None:
    """Give data keys successors of the configured suite, move what they seal, and destroy them."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.progress import progress
    from consentry.workflows.rotate import rotate_data as rotate
    from kernel.ids import SubjectId
    from vault.data_rotation import DataKeys

    whose = None if subject is None else SubjectId(subject)
    which = DataKeys(whose, compartment, older_than_days, other_suite)
    with platform_for(home) as platform, progress("keys") as told:
        done = rotate(platform, local_operator(), which, told=told)
    _say_data(done)


@app.command("rotate-index")
def rotate_index(
    index: Annotated[str, typer.Argument(help="Name of the index; `consentry keys status` lists them.")],
    without_unsealed: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--without-unsealed", help="Drop links that have no sealed identifier to digest anew.")
    ] = False,
    home: Home = None,
) -> None:
    """Give a blind index another key and digest every identifier anew; exit 1 where links keep the old one alive."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.progress import progress
    from consentry.workflows.rotate import rotate_blind_index

    with platform_for(home) as platform, progress("rows") as told:
        done = rotate_blind_index(platform, local_operator(), index, without_unsealed=without_unsealed, told=told)
    _say_index(done)
    if not done.is_done:
        raise typer.Exit(1)


@app.command("resume")
def resume(home: Home = None) -> None:
    """Go on with every rotation that has begun; `consentry serve` does so by itself."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.progress import progress
    from consentry.workflows.rotate import resume_rotations

    with platform_for(home) as platform, progress("rows and keys") as told:
        done = resume_rotations(platform, local_operator(), told=told)
    for rotation in done.epochs:
        _say_epoch(rotation)
    for index in done.indexes:
        _say_index(index)
    for keys in done.data_keys:
        _say_data(keys)
    if not any((done.epochs, done.indexes, done.data_keys)):
        say("nothing has begun")
    if not all(index.is_done for index in done.indexes):
        raise typer.Exit(1)


def _say_epoch(done: "EpochRotation") -> None:
    say(f"epoch {done.ended} is ended; {done.rewrapped} keys were wrapped anew")


def _say_data(done: "DataRotation") -> None:
    say(f"{done.keys} data keys are destroyed; {done.rows} rows were sealed anew under their successors")
    if done.left:
        say(f"{done.left} keys stay: a row under them does not verify, or their subject is being erased")
    if done.keys:
        say("back up the data store now: its older copies cannot be opened under the destroyed keys")


def _say_index(done: "IndexRotation") -> None:
    if done.is_done:
        say(f"index {done.index} has version {done.version}; {done.filled} rows were digested anew")
        return
    say(f"index {done.index}: {done.unsealed} rows have no identifier to digest anew, and keep the old version alive")
    say("an erasure left them with what the law holds, or an older release made them; look-ups ask both versions")
    say("send those again who can be sent and resume, or give the rest up with --without-unsealed")


def _say_report(report: "KeyReport") -> None:
    say_table(
        ("epoch", "suite", "wrapped by", "opened", "closing since", "data keys", "other keys"),
        [
            (e.epoch_id, e.suite, e.custodian, e.opened_at, e.closing_at, e.data_keys, e.named_keys)
            for e in report.epochs
        ],
        title="Epochs",
    )
    say_table(
        ("suite", "data keys", "superseded", "oldest"),
        [(s.suite, s.data_keys, s.superseded, s.oldest) for s in report.data_keys],
        title="Data keys",
    )
    say_table(
        ("index", "version", "suite", "state", "rows", "without identifier"),
        [(i.index, i.version, i.suite, i.state, i.rows, i.unsealed) for i in report.indexes],
        title="Blind indexes",
    )
    say_table(
        ("kind", "suite", "keys", "oldest", "rotated"),
        [(n.kind, n.suite, n.keys, n.oldest, n.rotated) for n in report.named_keys],
        title="Other keys",
    )
    for left in report.unfinished:
        scope = ", ".join(f"{name} {value}" for name, value in left.scope.items())
        say(f"unfinished: {left.rotation_id} of {left.kind} keys ({scope or 'all'}); `consentry keys resume` goes on")
