"""The command that streams the log to other systems."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say_json, say_pairs
from consentry.cli.questions import LAST_INDEX, Since, Until
from kernel.errors import BadInput

_E = TypeVar("_E", bound=StrEnum)


def register(app: typer.Typer) -> None:
    """Add the command to the audit commands."""
    app.command("stream")(stream)


def stream(  # noqa: PLR0917 - filters of one command
    form: Annotated[str, typer.Option("--format", help="fhir, ocsf or csv.")] = "fhir",
    out: Annotated[Path | None, typer.Option(help="A new file; standard output when left out.")] = None,
    from_index: Annotated[int, typer.Option(help="Index of the first entry.", min=0, max=LAST_INDEX)] = 0,
    to_index: Annotated[
        int | None, typer.Option(help="The first index that is not wanted.", min=0, max=LAST_INDEX)
    ] = None,
    act: Annotated[list[str] | None, typer.Option(help="Only this act, for example gate.permit; again.")] = None,
    since: Since = None,
    until: Until = None,
    header: Annotated[str, typer.Option(help="First line of a CSV: zh, en or none.")] = "en",
    bom: Annotated[bool, typer.Option("--bom", help="Begin a CSV as Excel wants it.")] = False,  # noqa: FBT002
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Entries for other systems: FHIR AuditEvent, OCSF or CSV; this reading is logged too."""
    from audit.events import Act
    from consentry.cli.session import local_operator, platform_for
    from consentry.interchange.audit_csv import Heading
    from consentry.workflows.stream_audit import Format, StreamQuery, stream_audit

    query = StreamQuery(
        _chosen(Format, form, "format"), from_index, to_index, tuple(_chosen(Act, one, "act") for one in act or ()),
        since, until,
        _chosen(Heading, header, "header"), with_bom=bom,
    )  # fmt: skip
    _check_free(out)
    with platform_for(home) as platform:
        streamed = stream_audit(platform, local_operator(), query)
        if out is None:
            _write_out(streamed.chunks)
        else:
            _write_file(out, streamed.chunks)
    signed = streamed.checkpoint
    told = {"entries": streamed.entries, "origin": signed.origin, "checkpoint size": signed.size}
    if out is None:
        sys.stderr.write(json.dumps(told) + "\n" if as_json else f"{_in_words(told)}\n")
    else:
        (say_json if as_json else say_pairs)({"file": str(out), **told})


def _chosen(kind: type[_E], text: str, option: str) -> _E:
    try:
        return kind(text)
    except ValueError:
        raise BadInput(f"There is no {option} {text!r}", hint=f"One of: {', '.join(kind)}.") from None


def _check_free(out: Path | None) -> None:
    if out is not None and out.exists():
        raise BadInput(f"{out} exists already", hint="Name a new file.")
    if out is not None and not out.parent.is_dir():
        raise BadInput(f"There is no folder {out.parent}", hint="Make it first, or name another.")


def _write_out(chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _write_file(out: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that only its owner can read; it gets its name when it is complete and on disk."""
    from consentry.places import OWNER_FILE
    from kernel.files import sync_folder

    draft = out.with_name(f".{out.name}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_FILE), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        _check_free(out)
        draft.replace(out)
        sync_folder(out.parent)
    finally:
        draft.unlink(missing_ok=True)


def _in_words(told: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())
