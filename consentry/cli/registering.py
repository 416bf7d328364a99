"""The officer's commands on the register itself: assessments, recipients, transfers abroad, suspension."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import cell, say, say_json, say_pairs, say_table

if TYPE_CHECKING:
    from consent.assessments import Assessment
    from consent.recipients import Recipient

app = typer.Typer(no_args_is_help=True, help="The register apart from people: assessments, recipients, transfers.")
assessments = typer.Typer(no_args_is_help=True, help="Impact assessments.")
recipients = typer.Typer(no_args_is_help=True, help="Who outside is given data.")
app.add_typer(assessments, name="assessment")
app.add_typer(recipients, name="recipient")

AssessmentId = Annotated[str, typer.Argument(metavar="ID", help="Assessment id, for example PIA-2026-07.")]
Code = Annotated[str, typer.Argument(help="Code of a recipient, for example insurer.")]
File = Annotated[Path, typer.Argument(help="YAML, written as in a pack.")]


@assessments.command("list")
def list_assessments(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """The newest version of every assessment."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import assessments as read

    with platform_for(home) as platform:
        found = read(platform, local_operator())
    if as_json:
        for one in found:
            say_json(_assessment(one))
        return
    rows = [
        (one.assessment_id, one.version, one.outcome, one.purposes, one.approved_by, one.expires_at) for one in found
    ]
    say_table(
        ("assessment", "version", "outcome", "purposes", "approved by", "expires"),
        [tuple(map(cell, row)) for row in rows],
    )


@assessments.command("show")
def show_assessment(
    assessment_id: AssessmentId,
    version: Annotated[int | None, typer.Option(help="The newest when left out.", min=1)] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """One version of an assessment with its three parts."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import show_assessment as read

    with platform_for(home) as platform:
        found = _assessment(read(platform, local_operator(), assessment_id, version=version))
    (say_json if as_json else say_pairs)(found)


@assessments.command("record")
def record_assessment(file: File, home: Home = None) -> None:
    """Record an assessment, or a new version of one; purposes that name it become active."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import record_assessment_file

    with platform_for(home) as platform:
        made = record_assessment_file(platform, local_operator(), file)
    say(f"{made} is {made.outcome.value} until {cell(made.expires_at)}")


@assessments.command("revoke")
def revoke_assessment(
    assessment_id: AssessmentId,
    reason: Annotated[str, typer.Option(help="Why; kept sealed beside the log entry.")],
    home: Home = None,
) -> None:
    """Take an approval back; every purpose that needs it is inactive when this command returns."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import revoke

    with platform_for(home) as platform:
        made = revoke(platform, local_operator(), assessment_id, reason=reason)
    say(f"{made.assessment_id} is revoked: {', '.join(made.purposes)} stay inactive until it is approved anew")


@recipients.command("list")
def list_recipients(home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """The newest version of every recipient, ended ones as well."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import recipients as read

    with platform_for(home) as platform:
        found = read(platform, local_operator())
    if as_json:
        for one in found:
            say_json(_recipient(one))
        return
    rows = [
        (one.code, one.version, one.text.kind, one.text.country, one.text.purposes, one.text.term_until, _state(one))
        for one in found
    ]
    say_table(
        ("recipient", "version", "kind", "country", "purposes", "term until", "state"),
        [tuple(map(cell, row)) for row in rows],
    )


@recipients.command("show")
def show_recipient(code: Code, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """One recipient: contract, term, scope, mechanism, approval, certificate."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import show_recipient as read

    with platform_for(home) as platform:
        found = _recipient(read(platform, local_operator(), code))
    (say_json if as_json else say_pairs)(found)


@recipients.command("record")
def record_recipient(file: File, home: Home = None) -> None:
    """Record every recipient of a file, or new versions of them: all or none."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import record_recipient_file

    with platform_for(home) as platform:
        for made, is_news in record_recipient_file(platform, local_operator(), file):
            said = "is recorded" if is_news else "is unchanged"
            say(f"{made} {said}: {made.text.kind} in {made.text.country}")


@recipients.command("end")
def end_recipient(
    code: Code,
    certificate: Annotated[Path, typer.Option(help="The certificate of return or deletion; name and hash are kept.")],
    home: Home = None,
) -> None:
    """End the relation with a recipient; it, its sub-processors and its keys get nothing from now on."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import end

    with platform_for(home) as platform:
        made = end(platform, local_operator(), code, certificate=certificate)
    say(f"the relation with {code} is ended: {made.certificate}")


@app.command("transfers")
def transfers(
    year: Annotated[int | None, typer.Option(help="Calendar year; this one when left out.")] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How many people's data went abroad in a year, to whom, and what the law asks for by these numbers."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import transfers as count

    with platform_for(home) as platform:
        found = count(platform, local_operator(), year=year)
    if as_json:
        say_json(found)
        return
    rows = found.pop("recipients")
    say_pairs(found)
    if isinstance(rows, list) and rows:
        named = [row for row in rows if isinstance(row, dict)]
        say_table(tuple(name.replace("_", " ") for name in named[0]), [tuple(row.values()) for row in named])


@app.command("suspend")
def suspend(
    reason: Annotated[str, typer.Option(help="Why; everybody who asks the gate is shown it.")],
    home: Home = None,
) -> None:
    """Make the gate refuse everything until `consentry audit reconcile --release`."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.register import suspend_gate

    with platform_for(home) as platform:
        suspend_gate(platform, local_operator(), reason=reason)
    say("the gate is suspended; `consentry audit reconcile --release REASON` opens it")


def _state(one: "Recipient") -> str:
    return "ended" if one.is_ended else "registered"


def _assessment(one: "Assessment") -> dict[str, object]:
    return {
        "assessment": one.assessment_id,
        "version": one.version,
        "outcome": one.outcome.value,
        "purposes": list(one.purposes),
        **one.parts,
        "approved_by": one.approved_by,
        "approved_at": one.approved_at,
        "expires_at": one.expires_at,
        "keep_until": one.keep_until,
        "recorded_at": one.recorded_at,
        "hash": one.hash,
        "entry": one.entry_id,
    }


def _recipient(one: "Recipient") -> dict[str, object]:
    text, mechanism = one.text, one.text.mechanism
    return {
        "recipient": one.code,
        "version": one.version,
        "state": _state(one),
        "kind": text.kind,
        "name_zh": text.name.zh,
        "name_en": text.name.en,
        "contact": text.contact,
        "country": text.country,
        "overseas": one.is_overseas,
        "purposes": list(text.purposes),
        "fields": None if text.fields is None else sorted(text.fields),
        "method": text.method,
        "contract": text.contract,
        "term_from": text.term_from,
        "term_until": text.term_until,
        "mechanism": None if mechanism is None else f"{mechanism.kind} {mechanism.document} until {mechanism.until}",
        "engaged_by": text.engaged_by,
        "approved_by": text.approved_by,
        "certificate": one.certificate,
        "recorded_at": one.recorded_at,
        "hash": one.hash,
        "entry": one.entry_id,
    }
