"""Commands that concern one person's record: reveal, and what leads up to it."""

from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Approval, Fields, Home, Json, Reason, Subject, Ticket, Token
from consentry.cli.output import say, say_json, say_pairs, say_table

if TYPE_CHECKING:
    from consentry.workflows.reveal import Opened


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
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Open fields of one subject; needs a person's token, and leaves its entry first."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows import reveal as workflow
    from kernel.ids import SubjectId

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
