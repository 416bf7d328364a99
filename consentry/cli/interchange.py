"""Commands on consent for others: records, receipts, FHIR."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json, Subject
from consentry.cli.output import say, say_json, say_pairs, say_table
from consentry.interchange.releases import Release
from kernel.errors import BadInput, Denied
from kernel.ids import DecisionId, SubjectId

if TYPE_CHECKING:
    from consent.receipts import VerifiedReceipt
    from consentry.workflows.import_fhir import ImportReport


def register(app: typer.Typer) -> None:
    """Add the commands to the consent commands."""
    app.command("record")(record)
    app.command("receipt")(receipt)
    app.command("receipt-key")(receipt_key)
    app.command("verify-receipt")(verify)
    app.command("export-fhir")(export)
    app.command("import-fhir")(take_over)


def record(subject: Subject, home: Home = None) -> None:
    """The subject's consent records after ISO/IEC TS 27560, one JSON object a line."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.interchange import read_records

    with platform_for(home) as platform:
        for found in read_records(platform, local_operator(), SubjectId(subject)):
            say_json(found)


def receipt(
    decision: Annotated[str, typer.Argument(help="Decision id, dec_….")],
    home: Home = None,
) -> None:
    """Issue a signed receipt for one decision and print it; each call issues a new one."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.interchange import issue_receipt

    with platform_for(home) as platform:
        say(issue_receipt(platform, local_operator(), DecisionId(decision)).token)


def receipt_key(home: Home = None) -> None:
    """Print the public key that receipts verify under (JWK); hand it out by another way than the receipts."""
    from consentry.cli.session import settings_for
    from consentry.receipt_keys import load_receipt_key

    say_json(load_receipt_key(settings_for(home).receipt_key_path).public_jwk)


def verify(
    file: Annotated[Path, typer.Argument(help="A file that holds one receipt.")],
    key: Annotated[
        Path | None, typer.Option(help="File with the issuer's public key (JWK); without it, this deployment's.")
    ] = None,
    log_key: Annotated[
        str | None, typer.Option("--log-key", help="Public key of the issuer's log; also checks the checkpoint.")
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Verify a receipt; with --key it needs no deployment and no network."""
    from consent.receipts import verify_receipt

    token = _text_of(file)
    if key is None:
        public, log = _own_keys(home)
        found = verify_receipt(token, public, log_key=_log_key(log_key or log))
    else:
        found = verify_receipt(token, _jwk(key), log_key=None if log_key is None else _log_key(log_key))
    if as_json:
        say_json(found.claims)
        return
    _say_receipt(found)


def export(
    subject: Subject,
    release: Annotated[Release, typer.Option(help="Release of FHIR.")] = Release.R4,
    home: Home = None,
) -> None:
    """The choices that stand now as a FHIR bundle of Consent resources."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.interchange import export_fhir

    with platform_for(home) as platform:
        say_json(export_fhir(platform, local_operator(), SubjectId(subject), release))


def take_over(
    file: Annotated[Path, typer.Argument(help="A Consent, a Bundle, or NDJSON; R4 or R5.")],
    source: Annotated[str, typer.Option(help="The system that the file comes from.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, record nothing.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Take over the consents of a FHIR file: all of them, or none and every reason why."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.import_fhir import import_fhir

    with platform_for(home) as platform:
        report = import_fhir(platform, local_operator(), file, source=source, dry_run=dry_run)
    if as_json:
        say_json(report.as_json())
    else:
        _say_report(report)
    if report.refused:
        raise Denied(
            f"{len(report.refused)} reasons stand against {file.name}",
            hint="See docs/reference/interchange.md for the rules.",
        )


def _say_report(report: "ImportReport") -> None:
    if report.refused:
        rows = [(one.place, one.rule, one.element, one.detail) for one in report.refused]
        say_table(("place", "rule", "element", "detail"), rows)
        return
    made = {"would record": report.rehearsed} if report.is_dry_run else {"decisions": len(report.decisions)}
    told = {"consents": report.consents} | made | ({} if report.is_dry_run else {"repeated": report.repeated})
    say_pairs(told | {f"skipped {kind}": number for kind, number in report.skipped.items()})
    if report.is_dry_run:
        say("nothing was recorded: this was a dry run")


def _say_receipt(found: "VerifiedReceipt") -> None:
    kept = "verified" if found.is_checkpoint_verified else "not checked: give --log-key"
    say_pairs(
        {
            "receipt": found.receipt_id,
            "issued": found.issued_at.isoformat(),
            "by": found.claims["iss"],
            "decision": found.claims["decision_id"],
            "key": found.key_id,
            "signature": "verified",
            "checkpoint": kept,
        }
    )


def _own_keys(home: Path | None) -> tuple[dict[str, str], str]:
    from audit.signing import load_signing_key
    from consentry.cli.session import settings_for
    from consentry.receipt_keys import load_receipt_key

    settings = settings_for(home)
    public = load_receipt_key(settings.receipt_key_path).public_jwk
    return public, load_signing_key(settings.signing_key_path).verifier_key


def _log_key(text: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a type of a part that loads late
    from audit.verifier import KeyTextError, VerifierKey

    try:
        return VerifierKey.parse(text)
    except KeyTextError:
        raise BadInput("--log-key is no public key of a log", hint="`consentry init` printed it.") from None


def _jwk(path: Path) -> dict[str, object]:
    import json

    try:
        given = json.loads(_text_of(path))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise BadInput(f"{path.name} is no JWK", hint="Give what `consentry consent receipt-key` printed.")
    return given


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path.name} cannot be read as text", hint="Check the path.") from None
