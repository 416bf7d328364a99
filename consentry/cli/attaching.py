"""Commands for files of a person's record: take one in, list them, open one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from consentry.cli.options import Approval, Home, Json, Subject, SubjectFilter, Token, check_new_file
from consentry.cli.output import say, say_json, say_pairs, say_table

app = typer.Typer(help="Files of a person's record: images, reports, recordings.", no_args_is_help=True)

_PIECE_BYTES = 256 * 1024


@app.command("put")
def put(  # noqa: PLR0917 - options of one command
    file: Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False, readable=True)],
    source: Annotated[str, typer.Option(help="The sending system.")],
    record: Annotated[str, typer.Option(help="The file's id there.")],
    field: Annotated[str, typer.Option(help="A field of type attachment, for example images.")],
    observed_at: Annotated[str, typer.Option(help="When it was made, RFC 3339, or a day.")],
    media_type: Annotated[str, typer.Option(help="For example image/png or application/pdf.")],
    person: Annotated[str | None, typer.Option(help="The person's id at the source.")] = None,
    subject: SubjectFilter = None,
    name: Annotated[str | None, typer.Option(help="The file's own name; default that of FILE.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Seal a file into a person's record, named by --person or --subject; the gate is asked first and last."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.moments import parse_start
    from consentry.workflows.attach import SentFile, attachment_json, store_attachment
    from kernel.ids import SubjectId

    with platform_for(home) as platform, file.open("rb") as content:
        sent = SentFile(
            source=source,
            source_record=record,
            field=field,
            observed_at=parse_start(observed_at, platform.catalogue.time_zone),
            name=name or file.name,
            media_type=media_type,
            source_subject=person,
            subject=None if subject is None else SubjectId(subject),
        )
        stored = store_attachment(platform, local_operator(), sent, iter(lambda: content.read(_PIECE_BYTES), b""))
    told = {**attachment_json(stored), "repeated": stored.is_repeated}
    if as_json:
        say_json(told)
    else:
        say_pairs(told)


@app.command("get")
def get(  # noqa: PLR0917 - options of one command
    attachment: Annotated[str, typer.Argument(help="Attachment id, att_….")],
    out: Annotated[Path, typer.Option(help="File to write; it must not be there yet, and is its owner's alone.")],
    purpose: Annotated[str, typer.Option(help="Purpose under which it is opened, for example P02.")],
    reason: Annotated[str, typer.Option(help="Why; kept sealed beside the log entry.")],
    approval: Approval = None,
    case: Annotated[str | None, typer.Option("--case", help="Id of the case grant that the field needs.")] = None,
    ticket: Annotated[str | None, typer.Option(help="The occasion's number elsewhere; it stands in the log.")] = None,
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Open one file; needs a person's token, and leaves its entry first."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.attach import open_attachment

    check_new_file(out)
    with platform_for(home) as platform:
        opened = open_attachment(
            platform,
            person_from(platform, token),
            attachment,
            purpose=purpose,
            reason=reason,
            approval=approval,
            case=case,
            ticket=ticket,
        )
        _write(out, opened.attachment.pieces)
    file = opened.attachment
    told = {
        "attachment": file.attachment_id,
        "name": file.name,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "digest": file.digest,
        "entry": opened.entry_id,
    }
    if as_json:
        say_json(told)
    else:
        say_pairs(told)


@app.command("list")
def list_of(subject: Subject, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """What can be told of a person's files without opening one."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.attach import attachment_json, list_attachments
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        found = list_attachments(platform, local_operator(), SubjectId(subject))
    if as_json:
        for one in found:
            say_json(attachment_json(one))
        return
    rows = [(one.attachment_id, one.field, one.source, one.observed_at.date(), one.size_bytes) for one in found]
    say_table(("attachment", "field", "source", "observed", "bytes"), rows)
    say(f"{len(found)} files")


def _write(out: Path, pieces: Iterator[bytes]) -> None:
    """Write a file for its owner alone; one that cannot be opened to its end is taken away again."""
    import os

    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
