"""Commands on the log's signature: proofs, the verifier, the signer, its key, and a new origin after a loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs
from consentry.cli.people import Accept, Officer, PasswordsStdin, people_from

if TYPE_CHECKING:
    from audit.verifier import VerifierKey


def register(app: typer.Typer) -> None:
    """Add the commands to those on the audit log."""
    app.command("proof")(proof)
    app.command("verifier")(verifier)
    app.command("signer-key")(signer_key)
    app.command("signer")(signer)
    app.command("rotate-key")(rotate_key)
    app.command("configure")(configure)
    app.command("recover")(recover)


def proof(
    entry: Annotated[str, typer.Argument(help="Id of the entry, ent_…, or its index in the log.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the two files.")] = Path(),
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Write one entry and its proof for `consentry-verify entry`; this reading is logged too."""
    from audit.proofs import write_proof_files
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.prove_entry import prove

    with platform_for(home) as platform:
        proven = prove(platform, local_operator(), entry)
        key = str(platform.signer.verifier_key)
    files = dict(zip(("entry", "proof"), write_proof_files(out, proven), strict=True))
    told = {"index": proven.index, **{name: str(path) for name, path in files.items()}, "key": key}
    if as_json:
        say_json(told)
        return
    say_pairs(told)
    say(f"verify: consentry-verify entry --proof {files['proof']} --entry {files['entry']} --key '{key}'")


def verifier(file: Annotated[Path, typer.Argument(help="New file for the program.")]) -> None:
    """Write the verifier as one program in one file, to be handed over; needs no deployment."""
    from audit.verifier_file import write_verifier

    say(f"{write_verifier(file)}: one program; it needs python3 and the package cryptography.")


def signer_key(
    file: Annotated[Path, typer.Argument(help="New file for the secret key.")],
    name: Annotated[str, typer.Option("--name", help="The log's name, like hospital.example/log.")],
) -> None:
    """Make the key of a signer that is a process of its own, and print the public key; needs no deployment."""
    from audit.signing import create_signing_key

    say(create_signing_key(file, name).verifier_key)


def signer(
    key: Annotated[Path, typer.Option("--key", help="Secret key of `consentry audit signer-key`.")],
    state: Annotated[Path, typer.Option("--state", help="File with what was signed last.")],
    socket: Annotated[Path, typer.Option("--socket", help="Unix socket to listen on.")],
    group: Annotated[
        str | None, typer.Option("--group", help="Group whose members may connect: that of the platform's account.")
    ] = None,
) -> None:
    """Run the signer as a process of its own, under its own account; ends with Ctrl-C."""
    from audit.rotation import load_tree_signer
    from audit.signer_service import serve_signer

    signing = load_tree_signer(key, state)
    signing.head()
    with serve_signer(signing, socket, group=group) as server:
        say(f"signing for {signing.verifier_key} on {socket}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("the signer ends")


def rotate_key(
    key: Annotated[Path | None, typer.Option("--key", help="Key file of a signer on its own.")] = None,
    state: Annotated[Path | None, typer.Option("--state", help="Its state file.")] = None,
    home: Home = None,
) -> None:
    """Hand the log over to a new signing key; restart what runs. With --key and --state for a signer on its own."""
    from audit.rotation import load_tree_signer, rotate_signing_key
    from consentry.cli.session import platform_for
    from kernel.errors import BadInput

    if (key is None) is not (state is None):
        raise BadInput("A signer on its own has a key and a state", hint="Give --key and --state, or neither.")
    if key is None or state is None:
        with platform_for(home) as platform:
            if platform.settings.signer_socket is not None:
                raise BadInput("The key is the signer's, behind its socket", hint="Rotate it there: --key and --state.")
            platform.log.settle()
            key, state = platform.settings.signing_key_path, platform.settings.signer_state_path
        rotate_signing_key(key, state)
        with platform_for(home):
            pass  # the start writes the hand-over into the log
    else:
        rotate_signing_key(key, state)
    now = str(load_tree_signer(key, state).verifier_key)
    say(f"handed over; the log's public key is now {now}")
    say_next_key(now)


def say_next_key(key: str) -> None:
    """Say what others have to do about a new key, since no program of ours reaches them."""
    say(f"witness policy, add the line: log {key}")
    say(f"each witness, start again with: --log '{key}'")
    say("docs/how-to/keep-the-log.md tells the order")


def configure(
    accept: Accept = None,
    officer: Officer = None,
    passwords_stdin: PasswordsStdin = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Put the settings' retention and witness policy into use; takes two people."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.configure_log import configure_log

    with platform_for(home, check_log=False) as platform:
        people = people_from(platform, accept, officer, from_stdin=passwords_stdin)
        done = configure_log(platform, local_operator(), accepted_by=people)
    told = {"retention_days": done.retention_days, "policy": done.policy_hash}
    say_json(told) if as_json else say_pairs(told)


def recover(  # noqa: PLR0917 - options of one command
    reason: Annotated[str, typer.Option("--reason", help="What happened to the log.")],
    accept: Accept = None,
    officer: Officer = None,
    passwords_stdin: PasswordsStdin = False,  # noqa: FBT002 - a flag
    checkpoint: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint of the old log that was kept elsewhere.")
    ] = None,
    old_key: Annotated[
        list[str] | None,
        typer.Option("--old-key", help="Public key of the old log, where the signer has a new one already."),
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Open a new origin after the log was lost or rolled back; takes two people."""
    from audit.verifier.failures import InputError
    from audit.verifier.verdicts import read_note
    from consentry.cli.session import local_operator, settings_for
    from consentry.platform import open_platform
    from consentry.workflows.recover_log import recover_log
    from kernel.errors import BadInput

    try:
        known = [read_note(path) for path in checkpoint or ()]
    except InputError as err:
        raise BadInput(f"A checkpoint cannot be read: {err}", hint="Check --checkpoint.") from None
    except OSError as err:
        raise BadInput(f"A checkpoint cannot be read: {err.strerror}", hint="Check --checkpoint.") from None
    old_keys = _keys_from(old_key or ())
    with open_platform(settings_for(home)) as platform:
        people = people_from(platform, accept, officer, from_stdin=passwords_stdin)
        done = recover_log(
            platform, local_operator(), reason=reason, accepted_by=people, known=known, old_keys=old_keys
        )
    previous = "unknown" if done.previous is None else f"{done.previous.origin}, {done.previous.size} entries"
    told = {"origin": done.checkpoint.origin, "entry": done.entry_id, "key": done.verifier_key, "previous": previous}
    say_json(told) if as_json else say_pairs(told)
    if not as_json:
        say("the gate is suspended: `consentry audit reconcile --release REASON` once the register was looked through")
        say("unwitnessed until `consentry audit anchor`; back up signing.key and signing.state, keep the old ones")
        say_next_key(done.verifier_key)


def _keys_from(texts: Sequence[str]) -> "list[VerifierKey]":
    from audit.verifier import KeyTextError, VerifierKey
    from kernel.errors import BadInput

    try:
        return [VerifierKey.parse(text) for text in texts]
    except KeyTextError as err:
        raise BadInput(f"--old-key is wrong: {err}", hint="log.pub of an earlier export holds it.") from None
