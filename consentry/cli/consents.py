"""Commands on one person's decisions, and on the words they were made under."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Home, Json, Subject
from consentry.cli.output import cell, say, say_json, say_table
from consentry.cli.questions import check_language

if TYPE_CHECKING:
    from datetime import datetime

    from consent.explain import Explanation
    from consentry.platform import Platform
    from consentry.workflows.history import History

app = typer.Typer(no_args_is_help=True, help="A subject's decisions, and the register's figures.")

AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="What was known then: an instant with its offset, or a day to its end; default now."),
]
Locale = Annotated[str, typer.Option("--locale", help="Language of the words: zh-CN or en.", callback=check_language)]
Purpose = Annotated[str, typer.Argument(help="Purpose, for example P07.")]
Recipient = Annotated[str | None, typer.Option(help="Only towards this recipient.")]


_SHOWN: Final = (
    "purpose", "label", "recipient_label", "track_label", "act_label", "state_label", "by", "decided_label",
    "valid_from", "valid_until", "uses", "max_uses", "fields", "notice", "decision",
)  # fmt: skip


class Format(StrEnum):
    """How a history is written."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


@app.command("show")
def show(
    subject: Subject,
    as_of: AsOf = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """The decisions that count now, or that counted at a moment, per purpose and recipient."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.show_consents import show_consents
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        at = _looked_back(platform, as_of)
        found = show_consents(platform, local_operator(), SubjectId(subject), as_of=at, locale=locale)
    if as_json:
        for row in found.rows:
            say_json(row)
        return
    if found.rows or not found.notes:
        header = tuple(name.removesuffix("_label").replace("_", " ") for name in _SHOWN)
        say_table(header, [tuple(cell(row[name]) for name in _SHOWN) for row in found.rows])
    for note in found.notes:
        say(note)


@app.command("history")
def history(  # noqa: PLR0917 - options of one command
    subject: Subject,
    as_of: AsOf = None,
    locale: Locale = "zh-CN",
    written: Annotated[Format, typer.Option("--format", help="text, json, or html to be printed.")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option(help="File to write to; standard output when left out.")] = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="Open how each act was made; logged apart.")] = False,  # noqa: FBT002 - a flag
    home: Home = None,
) -> None:
    """All that a person, or somebody for them, ever decided, with the exact words that were shown."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.history import read_history
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        at = _looked_back(platform, as_of)
        found = read_history(platform, local_operator(), SubjectId(subject), as_of=at, with_evidence=evidence)
        text = _written(platform, found, written, locale)
    if out is None:
        say(text)
        return
    _keep(out, text)
    say(f"written to {out}")


@app.command("explain")
def explain(  # noqa: PLR0917 - options of one command
    subject: Subject,
    purpose: Purpose,
    fields: Annotated[list[str], typer.Argument(help="Field codes, for example diagnosis.")],
    recipient: Annotated[str | None, typer.Option(help="Who outside would receive the data.")] = None,
    as_of: AsOf = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Why the gate would allow or refuse each field, rule by rule; opens nothing."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.explain_consent import explain_consent
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        at = _looked_back(platform, as_of)
        found = explain_consent(
            platform, local_operator(), SubjectId(subject), purpose, fields, recipient=recipient, as_of=at
        )
    _tell_explanation(found, locale, as_json=as_json)


@app.command("withdraw")
def withdraw(
    subject: Subject,
    purpose: Purpose,
    recipient: Recipient = None,
    home: Home = None,
) -> None:
    """Withdraw one purpose on the subject's behalf, as told to an officer; effective when this command returns."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.cli.waking import tell_wake_of
    from consentry.workflows.capture import has_basis, withdraw_purpose
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = withdraw_purpose(platform, local_operator(), SubjectId(subject), purpose, recipient=recipient)
        say(f"{purpose} is withdrawn: decision {made.decision_id}")
        if has_basis(platform, SubjectId(subject), purpose):
            say(f"a contract or duty for {purpose} stays: fields that it covers can still be used")
        tell_wake_of(platform, SubjectId(subject))


@app.command("end")
def end(subject: Subject, purpose: Purpose, recipient: Recipient = None, home: Home = None) -> None:
    """Record that the contract or legal duty behind a purpose is over."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.cli.waking import tell_wake_of
    from consentry.workflows.tend import end_basis
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        made = end_basis(platform, local_operator(), SubjectId(subject), purpose, recipient=recipient)
        for one in made:
            towards = f" towards {one.recipient}" if one.recipient else ""
            say(f"the basis of {purpose}{towards} is over: decision {one.decision_id}")
        tell_wake_of(platform, SubjectId(subject))


@app.command("notice")
def notice(  # noqa: PLR0917 - options of one command
    code: Annotated[str, typer.Argument(help="Notice, for example care.")],
    version: Annotated[str | None, typer.Argument(help="Version; the newest when left out.")] = None,
    locale: Locale = "zh-CN",
    differences: Annotated[
        tuple[int, int] | None, typer.Option("--differences", help="What changed from one edition to another.")
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """The exact text of a published notice with its hash, or what changed between two of its editions."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.notice_text import compare_editions, differences_json, read_notice, told_notice

    with platform_for(home) as platform:
        if differences is not None:
            changed = compare_editions(platform, local_operator(), code, *differences, locale=locale)
            rows = differences_json(changed)
            if as_json:
                say_json({"code": code, "locale": locale, "changes": rows})
            elif rows:
                say_table(tuple(rows[0]), [tuple(map(cell, row.values())) for row in rows])
            else:
                say(f"nothing changed from edition {differences[0]} to edition {differences[1]}")
            return
        found = read_notice(platform, local_operator(), code, version=version, locale=locale)
    if as_json:
        from consentry.workflows.history import notice_json

        say_json(notice_json(found))
        return
    for line in told_notice(found):
        say(line)


def _looked_back(platform: "Platform", as_of: str | None) -> "datetime | None":
    from consentry.moments import parse_as_of

    if as_of is None:
        return None
    return parse_as_of(as_of, platform.catalogue.time_zone, now=platform.clock.now())


def _written(platform: "Platform", found: "History", written: Format, locale: str) -> str:
    import json

    from consentry.workflows.history import as_json
    from consentry.workflows.history_page import history_page, told_in_words

    match written:
        case Format.TEXT:
            return "\n".join(told_in_words(platform, found, locale))
        case Format.JSON:
            return json.dumps(as_json(platform, found, locale), ensure_ascii=False, indent=1)
        case Format.HTML:
            return history_page(platform, found, locale)


def _keep(out: Path, text: str) -> None:
    """Write a new file for its owner alone: it tells of one person."""
    import os

    from kernel.errors import BadInput

    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise BadInput(f"The file {out} is there already", hint="Name a new one in --out.") from None


def _tell_explanation(found: "Explanation", locale: str, *, as_json: bool) -> None:
    from consentry.workflows.explain_consent import explanation_json

    told = explanation_json(found, locale)
    if as_json:
        say_json(told)
        return
    for field, one in told["fields"].items():
        say(f"{field}: {one['words']}")
        for step in one["steps"]:
            cited = ", ".join(str(step[name]) for name in ("track_label", "decision", "notice", "cites") if step[name])
            say(f"  {'+' if step['holds'] else '-'} {step['words']}{f' ({cited})' if cited else ''}")
