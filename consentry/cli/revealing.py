"""Commands that concern one person's record: reveal, and what leads up to it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Approval, Fields, Home, Json, Reason, Subject, Ticket, Token
from consentry.cli.output import say, say_json, say_pairs, say_table

if TYPE_CHECKING:
    from consentry.platform import Platform
    from consentry.readings import Reading
    from consentry.workflows.reveal import Opened

History = Annotated[bool, typer.Option("--history", help="Every kept version: who said what, when, and why.")]
Current = Annotated[bool, typer.Option("--current", help="Of the profile the one value that counts.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command("reveal")(reveal)
    app.command("approve-read")(approve_read)
    app.command("revoke-approval")(revoke_approval)


def reveal(  # noqa: PLR0917 - options of one command
    subject: Subject,
    purpose: Annotated[str, typer.Option(help="Purpose under which the record is opened, for example P02.")],
    fields: Fields,
    reason: Reason,
    approval: Approval = None,
    case: Annotated[
        str | None, typer.Option(help="Id of the case grant for the most sensitive fields; found when left out.")
    ] = None,
    ticket: Ticket = None,
    history: History = False,  # noqa: FBT002 - a flag
    current: Current = False,  # noqa: FBT002 - a flag
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Open fields of one subject; needs a person's token, and leaves its entry first."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import reveal as workflow
    from consentry.workflows.admit import begin_reading
    from kernel.errors import BadInput
    from kernel.ids import SubjectId

    if history and current:
        raise BadInput("--history and --current exclude each other", hint="Give one of them.")
    if history or current:
        with platform_for(home) as platform:
            reading = begin_reading(
                platform, person_from(platform, token),
                subject=SubjectId(subject), purpose=purpose, fields=codes_in(fields), reason=reason, ticket=ticket,
            )  # fmt: skip
            say_versions(platform, reading, approval=approval, case=case, history=history, as_json=as_json)
        return
    with platform_for(home) as platform:
        opened = workflow.reveal(
            platform,
            person_from(platform, token),
            subject=SubjectId(subject),
            purpose=purpose,
            fields=codes_in(fields),
            reason=reason,
            approval=approval,
            case=case,
            ticket=ticket,
        )
    say_opened(opened, as_json=as_json)


def codes_in(fields: str) -> list[str]:
    """Return the codes of a list that is separated by commas."""
    return [code.strip() for code in fields.split(",") if code.strip()]


_OF_A_VERSION: Final = (
    "field", "value", "stands", "observed_at", "stored_at", "source", "stored_by", "record", "correction",
)  # fmt: skip
_OF_A_VALUE: Final = ("field", "value", "observed_at", "source", "trust_rank", "corrected", "record")


def say_versions(
    platform: "Platform", reading: "Reading", *, approval: str | None, case: str | None, history: bool, as_json: bool
) -> None:
    """Open and print the versions of some fields, or the values of a profile that count."""
    from consentry.workflows import read_versions as workflow

    if history:
        versions = workflow.open_history(platform, reading, approval=approval, case=case)
        rows, opened = [workflow.version_json(version) for version in versions.versions], versions.where
        header: Sequence[str] = _OF_A_VERSION
    else:
        profile = workflow.open_profile(platform, reading, approval=approval, case=case)
        rows, opened = [workflow.current_json(value) for value in profile.values.values()], profile.where
        header = _OF_A_VALUE
    if as_json:
        for row in rows:
            say_json(row)
        return
    say_table(header, [[row[name] for name in header] for row in rows])
    if opened.masked:
        say(f"masked: {', '.join(sorted(opened.masked))}")
    say(f"log entry {opened.entry_id} at index {opened.log_index}")


def say_opened(opened: "Opened", *, as_json: bool) -> None:
    """Print opened records, and where the log says so."""
    if as_json:
        for r in opened.records:
            say_json(
                {
                    "record": r.record_id,
                    "kind": r.kind,
                    "observed_at": r.observed_at.isoformat(),
                    "values": dict(r.values),
                }
            )
        return
    rows = [
        (r.observed_at.date(), r.kind, r.source, name, value)
        for r in opened.records
        for name, value in r.values.items()
    ]
    say_table(("observed", "kind", "source", "field", "value"), rows)
    if opened.masked:
        say(f"masked: {', '.join(sorted(opened.masked))}")
    say(f"log entry {opened.entry_id} at index {opened.log_index}")


def revoke_approval(
    approval: Annotated[str, typer.Argument(metavar="ID", help="Id of the approval, apr_….")],
    reason: Reason,
    token: Token = None,
    home: Home = None,
) -> None:
    """End an approval to read a minor's record before its hours are over."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import approvals

    with platform_for(home) as platform:
        approvals.revoke_approval(platform, person_from(platform, token), approval, reason=reason)
    say(f"{approval} is revoked")


def approve_read(  # noqa: PLR0917 - options of one command
    subject: Subject,
    purpose: Annotated[str, typer.Option(help="Purpose under which the record may be read, for example P02.")],
    role: Annotated[str, typer.Option(help="Role of those who may read, for example clinician.")],
    reason: Reason,
    hours: Annotated[int, typer.Option(help="How long the approval lasts.", min=1)] = 24,
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Approve that a minor's record is read; needs the token of somebody else than the reader."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import approvals
    from kernel.clock import format_instant
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = approvals.approve_read(
            platform,
            person_from(platform, token),
            subject=SubjectId(subject),
            purpose=purpose,
            role=role,
            reason=reason,
            hours=hours,
        )
    answer = {"approval": made.approval_id, "expires_at": format_instant(made.expires_at)}
    if as_json:
        say_json(answer)
    else:
        say_pairs(answer)
