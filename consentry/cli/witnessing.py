"""Commands of witnesses, who stand outside any deployment, and of anchoring a log with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs, say_table
from kernel.errors import BadInput, IntegrityFailed

if TYPE_CHECKING:
    from audit.verifier import VerifierKey
    from audit.witness_state import Cosigned, Fork
    from consentry.workflows.anchor import AnchoredHead

_BUSY_AT: Final = 64
"""Connections at once; logs ask seldom, so more than that is somebody who wants to fill the memory."""

State = Annotated[Path, typer.Option("--state", help="File with what the witness cosigned last.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("witness-key")(witness_key)
    app.command("witness")(witness)
    app.command("witness-show")(witness_show)
    app.command("anchor")(anchor)
    app.command("anchors")(anchors)


def witness_key(
    file: Annotated[Path, typer.Argument(help="New file for the secret key.")],
    name: Annotated[str, typer.Option("--name", help="The witness's name, like witness.example/w1.")],
) -> None:
    """Make a witness's key, and print the public key for policies; needs no deployment."""
    from audit.signing import create_signing_key
    from audit.verifier.notes import COSIGNATURE

    say(create_signing_key(file, name, algorithm=COSIGNATURE).verifier_key)


def witness(  # noqa: PLR0917 - options of one command
    key: Annotated[Path, typer.Option("--key", help="Secret key of `consentry audit witness-key`.")],
    state: State,
    log: Annotated[list[str], typer.Option("--log", help="Public key of a log; once for each.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.", min=1, max=65535)] = 8090,
    new_state: Annotated[bool, typer.Option("--new-state", help="Make the state file: the first start only.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run a witness for other parties' logs, without any deployment; ends with Ctrl-C."""
    import uvicorn

    from audit.signing import load_signing_key
    from audit.verifier.notes import COSIGNATURE
    from audit.witness import Witness
    from audit.witness_state import open_witness_state
    from consentry.api.witness import create_witness_app
    from kernel.clock import SystemClock

    signer = load_signing_key(key, algorithm=COSIGNATURE)
    logs = [_parse_log(text) for text in log]
    with open_witness_state(state, is_new=new_state) as database:
        app = create_witness_app(Witness(signer, logs, database, SystemClock()))
        uvicorn.run(app, host=host, port=port, server_header=False, access_log=False, limit_concurrency=_BUSY_AT)


def witness_show(state: State, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """What a witness cosigned last of each log; exit 1 where a log signed two histories."""
    from audit.witness_state import all_cosigned, all_forks, open_witness_state

    with open_witness_state(state) as database, database.read() as connection:
        last, forks = all_cosigned(connection), all_forks(connection)
    for one in last:
        _say_cosigned(one, as_json=as_json)
    for fork in forks:
        _say_fork(fork, as_json=as_json)
    if forks:
        raise IntegrityFailed(
            f"{len(forks)} checkpoints contradict what was cosigned",
            hint="Both notes are in --json: hand them to the log's operator and its auditors.",
        )


def anchor(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Have the log's head cosigned by the policy's witnesses and timestamped; exit 1 without a quorum."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.anchor import anchor as anchor_now
    from consentry.workflows.anchor import check_anchored

    with platform_for(home) as platform:
        done = anchor_now(platform, local_operator())
        _say_anchored(done, as_json=as_json)
        check_anchored(done)


def anchors(
    limit: Annotated[int, typer.Option("--limit", help="How many checkpoints at most.", min=1, max=500)] = 10,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Stored cosignatures and timestamps, newest first, each verified offline; exit 1 where one is bad."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.list_anchors import list_anchors

    with platform_for(home) as platform:
        rows = list_anchors(platform, local_operator(), limit=limit)
    if as_json:
        for row in rows:
            say_json(row.as_json())
    else:
        header = ("size", "kind", "name", "states", "verdict")
        say_table(header, [(row.size, row.kind, row.name, row.states, row.verdict) for row in rows])
    if bad := sum(row.is_bad for row in rows):
        raise IntegrityFailed(
            f"{bad} stored anchors do not verify", hint="Export the log and run consentry-verify; keep both."
        )


def _say_anchored(done: "AnchoredHead", *, as_json: bool) -> None:
    witnesses = {one.witness.name: one.problem or "cosigned" for one in done.said}
    told = {
        "size": done.checkpoint.size,
        "root": done.checkpoint.root.hex(),
        "quorum_met": done.quorum_met,
        "timestamp": None if done.timestamp is None else done.timestamp.isoformat(),
        "entry": done.entry_id,
    }
    if as_json:
        say_json(told | {"witnesses": witnesses, "timestamp_problem": done.timestamp_problem or None})
        return
    say_pairs(told | {f"witness {ascii(name)[1:-1]}": said for name, said in witnesses.items()})


def _parse_log(text: str) -> "VerifierKey":
    from audit.verifier import KeyTextError, VerifierKey

    try:
        return VerifierKey.parse(text)
    except KeyTextError as err:
        raise BadInput(f"--log is wrong: {err}", hint="Give the public key that `consentry init` prints.") from None


def _say_cosigned(one: "Cosigned", *, as_json: bool) -> None:
    signed = one.checkpoint
    told = {"origin": signed.origin, "size": signed.size, "root": signed.root.hex(), "at": one.at.isoformat()}
    if as_json:
        say_json(told | {"note": signed.note.decode()})
    else:
        say_pairs(told)


def _say_fork(fork: "Fork", *, as_json: bool) -> None:
    if as_json:
        notes = {"known_note": fork.known_note.decode(), "note": fork.note.decode()}
        say_json({"origin": fork.origin, "conflict_at": fork.size, "at": fork.at.isoformat(), **notes})
    else:
        say_pairs({"origin": fork.origin, "conflict at": fork.size, "seen": fork.at.isoformat()})
