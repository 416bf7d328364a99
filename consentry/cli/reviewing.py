"""The officer's commands on the log: who saw whom, disclosures, unusual access, the law's counters."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Home, Json, Subject, Token
from consentry.cli.output import say, say_json, say_pairs, say_table
from consentry.cli.questions import After, Since, Until, Words
from consentry.cli.questions import WordsLocale as Locale
from consentry.cli.session import local_operator, person_from, platform_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consentry.platform import Platform
    from consentry.principals import Principal
    from consentry.workflows.bundle_seen import Bundled
    from consentry.workflows.seen_by import Stretch

watch = typer.Typer(no_args_is_help=True, help="Whose every access is told, and which of the staff is which person.")


class LawView(StrEnum):
    """Whose view of the log is asked for."""

    HIPAA = "hipaa"
    PIPL = "pipl"


class Form(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Said(StrEnum):
    """What a review comes to."""

    JUSTIFIED = "justified"
    INCIDENT = "incident"


Reason = Annotated[str, typer.Option("--reason", help="Why; kept sealed beside the log entry.")]
Account = Annotated[str, typer.Argument(help="Name of an account.")]

_SEEN: Final = (
    "index", "at_label", "kind_label", "allowed", "actor", "actor_name", "who", "purpose_label", "recipient_label",
    "fields_label", "basis_label", "reason_label", "ticket",
)  # fmt: skip
_FINDING: Final = ("finding", "rule", "words", "verdict", "due_at", "evidence")


def register(app: typer.Typer) -> None:
    """Add these commands to the group of the log."""
    app.command("seen")(seen)
    app.command("disclosures")(disclosures)
    app.command("unusual")(unusual)
    app.command("findings")(findings)
    app.command("review")(review)
    app.command("counters")(counters)
    app.command("filed")(filed)
    app.add_typer(watch, name="watch")


def seen(
    subject: Subject,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Annotated[int, typer.Option(help="How many entries at most.", min=1, max=500)] = 100,
    *,
    words: Words = False,
    bundle: Annotated[Path | None, typer.Option(help="A new folder for all entries of the period, proven.")] = None,
    token: Token = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every access to a person's data, the newest first: who, when, what, why, on which basis."""
    from consentry.workflows.bundle_seen import bundle_seen
    from consentry.workflows.seen_by import read_seen_by
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        asked = _stretch(since, until, after=after, limit=limit)
        caller = _reader(platform, token, words=words)
        if bundle is not None:
            _say_bundle(bundle_seen(platform, caller, SubjectId(subject), asked, bundle), as_json=as_json)
            return
        found = read_seen_by(platform, caller, SubjectId(subject), asked, locale=locale, with_words=words)
    if as_json:
        for row in found.rows:
            say_json(row)
        _say_pruned(found.pruned, as_json=True)
        return
    columns = (*_SEEN, "words") if words else _SEEN
    say_table(_names(columns), [[row[name] for name in columns] for row in found.rows])
    _say_pruned(found.pruned)
    if found.next_after is not None:
        say(f"there may be more; go on with --after {found.next_after}")


def disclosures(
    subject: Subject,
    view: Annotated[LawView, typer.Option(help="hipaa leaves out what 45 CFR 164.528 does; pipl nothing.")],
    since: Since = None,
    until: Until = None,
    form: Annotated[Form, typer.Option("--format", help="table, json or csv.")] = Form.TABLE,
    *,
    words: Words = False,
    token: Token = None,
    locale: Locale = "zh-CN",
    home: Home = None,
) -> None:
    """The accounting of disclosures for a person: date, recipient and address, what, purpose."""
    from audit.disclosures import Law
    from consentry.workflows.disclosures import account_disclosures
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        asked = _stretch(since, until)
        law = Law(view.value)
        caller = _reader(platform, token, words=words)
        told = account_disclosures(
            platform, caller, SubjectId(subject), law, asked, locale=locale, with_words=words
        )  # fmt: skip
    match form:
        case Form.JSON:
            say_json(told.as_json())
        case Form.CSV:
            say(told.as_csv().rstrip())
        case Form.TABLE:
            say_table(told.header, told.table())
            for left in told.left_out:
                say(f"{left['number']} left out: {left['why_label']}")
            _say_pruned(told.pruned)


def unusual(
    since: Since = None,
    until: Until = None,
    *,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run the rules of unusual access over a period, a week by default, and flag what is new in the log."""
    from consentry.workflows.unusual_access import mark_unusual, sentence

    with platform_for(home) as platform:
        found = mark_unusual(platform, local_operator(), since=since, until=until)
    for one in found:
        told = {"finding": one.finding_id, "rule": one.rule.value, "words": sentence(one, locale)}
        if as_json:
            say_json(told | {"evidence": list(one.evidence)})
        else:
            say(f"{one.finding_id}  {one.rule.value}  {told['words']}")
    if not as_json:
        say(f"{len(found)} new; `consentry audit findings` lists all")


def findings(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has reviewed.")] = False,  # noqa: FBT002 - a flag
    *,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What was flagged, the newest first, with the entries behind it and the verdict."""
    from consentry.workflows.seen_by import read_pruned_stretch
    from consentry.workflows.unusual_access import finding_json, list_findings

    with platform_for(home) as platform:
        found = [finding_json(one, locale) for one in list_findings(platform, local_operator(), only_open=only_open)]
        pruned = read_pruned_stretch(platform)
    if as_json:
        for row in found:
            say_json(row)
        _say_pruned(pruned, as_json=True)
        return
    say_table(_names(_FINDING), [[row[name] for name in _FINDING] for row in found])
    _say_pruned(pruned)


def review(
    finding: Annotated[str, typer.Argument(help="Id of a finding.")],
    verdict: Annotated[Said, typer.Option(help="justified or incident.")],
    note: Annotated[str, typer.Option(help="What was found out; kept sealed beside the log entry.")],
    token: Token = None,
    home: Home = None,
) -> None:
    """Record a compliance officer's verdict on a finding; nobody reviews an own access."""
    from consentry.workflows.review_access import ReviewVerdict, review_finding

    with platform_for(home) as platform:
        caller = person_from(platform, token)
        done = review_finding(platform, caller, finding, verdict=ReviewVerdict(verdict.value), note=note)
    say(f"{done.finding_id} is {done.verdict}")


def counters(*, locale: Locale = "zh-CN", home: Home = None, as_json: Json = False) -> None:
    """How many people are held, are minors and went abroad; what the law asks for by it, until when, what was filed."""
    from consentry.workflows.counters import read_counters

    with platform_for(home) as platform:
        told = read_counters(platform, local_operator()).as_json(locale)
    if as_json:
        say_json(told)
        return
    duties, exempt = told["duties"], told["exemptions"]
    rows = [row for row in (duties if isinstance(duties, list) else []) if isinstance(row, dict)]
    say_table(_names(tuple(rows[0])), [list(row.values()) for row in rows])
    for one in exempt if isinstance(exempt, list) else []:
        say_pairs(one if isinstance(one, dict) else {})


def filed(
    duty: Annotated[str, typer.Argument(help="Code of a duty, as `consentry audit counters` prints it.")],
    at: Annotated[datetime, typer.Option(help="The day on which it was done.", formats=["%Y-%m-%d"])],
    reference: Annotated[str, typer.Option(help="The document's number; it stands in the log.")],
    token: Token = None,
    home: Home = None,
) -> None:
    """Record that a duty was done: an audit, a filing, a contract."""
    from consentry.workflows.counters import read_duty, record_filing

    with platform_for(home) as platform:
        record_filing(
            platform, person_from(platform, token), read_duty(duty), on=at.date(), reference=reference
        )  # fmt: skip
    say(f"{duty} is recorded as done on {at:%Y-%m-%d}")


@watch.command("add")
def add_protected(subject: Subject, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Have every access to a person told: an official, a colleague, somebody in the news."""
    from consentry.workflows.watch_lists import protect
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        protect(platform, person_from(platform, token), SubjectId(subject), reason=reason)
    say(f"every access to {subject} is told from now on")


@watch.command("remove")
def remove_protected(subject: Subject, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Take a person off the list."""
    from consentry.workflows.watch_lists import unprotect
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        unprotect(platform, person_from(platform, token), SubjectId(subject), reason=reason)
    say(f"{subject} is not on the list any more")


@watch.command("link")
def link(account: Account, subject: Subject, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Say which person an account of staff is, so that looks at oneself and at relatives are told."""
    from consentry.workflows.watch_lists import link_staff
    from kernel.ids import SubjectId

    with platform_for(home) as platform:
        link_staff(platform, person_from(platform, token), account, SubjectId(subject), reason=reason)
    say(f"{account} is {subject}")


@watch.command("unlink")
def unlink(account: Account, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Take the link of an account back."""
    from consentry.workflows.watch_lists import unlink_staff

    with platform_for(home) as platform:
        unlink_staff(platform, person_from(platform, token), account, reason=reason)
    say(f"{account} is nobody's account any more")


@watch.command("list")
def list_watched(token: Token = None, home: Home = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Both lists as they stand; for compliance officers."""
    from consentry.workflows.watch_lists import show_lists

    with platform_for(home) as platform:
        found = show_lists(platform, person_from(platform, token))
    if as_json:
        say_json({"protected": sorted(found.protected), "staff": dict(found.staff)})
        return
    rows = [("protected", subject, "") for subject in sorted(found.protected)]
    rows += [("staff", subject, principal) for principal, subject in sorted(found.staff.items())]
    say_table(("list", "subject", "principal"), rows)


def _stretch(
    since: datetime | None, until: datetime | None, *, after: int | None = None, limit: int = 100
) -> "Stretch":
    from consentry.workflows.seen_by import Stretch

    return Stretch(since=since, until=until, after=after, limit=limit)


def _reader(platform: "Platform", token: str | None, *, words: bool) -> "Principal":
    """Return who reads: the person of a token, which words ask for, or whoever runs the command line."""
    return person_from(platform, token) if words or token is not None else local_operator()


def _say_bundle(done: "Bundled", *, as_json: bool) -> None:
    told = {"folder": str(done.folder), "key": done.key, **{f"by {name}": n for name, n in done.entries.items()}}
    if as_json:
        say_json(told)
        return
    say_pairs(told)
    one = f"{done.folder}/entries/ENTRY"
    say(f"verify each: consentry-verify entry --proof {one}.tlog-proof --entry {one}.json --key '{done.key}'")


def _say_pruned(pruned: "Mapping[str, object] | None", *, as_json: bool = False) -> None:
    """Tell that there is a time of which only hashes are left, so that an empty answer is not taken for a no."""
    if pruned is None:
        return
    if as_json:
        say_json({"pruned": dict(pruned)})
    else:
        say(f"accesses before {pruned['before']} were pruned on {str(pruned['on'])[:10]}; entry {pruned['entry']}")


def _names(columns: tuple[str, ...]) -> list[str]:
    return [name.removesuffix("_label").replace("_", " ") for name in columns]
