"""Commands of witnesses, who stand outside any deployment, and of anchoring a log with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Json
from consentry.cli.output import say, say_json, say_pairs
from kernel.errors import BadInput, IntegrityFailed

if TYPE_CHECKING:
    from audit.verifier import VerifierKey
    from audit.witness_state import Cosigned, Fork

_BUSY_AT: Final = 64
"""Connections at once; logs ask seldom, so more than that is somebody who wants to fill the memory."""

State = Annotated[Path, typer.Option("--state", help="File with what the witness cosigned last.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("witness-key")(witness_key)
    app.command("witness")(witness)
    app.command("witness-show")(witness_show)


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
