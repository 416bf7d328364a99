"""Commands on the audit log."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from consentry.cli.options import Home, Json, SubjectFilter, Token
from consentry.cli.output import cell, say, say_json, say_pairs, say_table
from consentry.cli.questions import After, Since, Until, Words, WordsLocale
from kernel.errors import BadInput, IntegrityFailed, Unavailable

if TYPE_CHECKING:
    from consentry.workflows.export_audit import LogHandedOver
    from consentry.workflows.reconcile import Reconciled

app = typer.Typer(no_args_is_help=True, help="Read the audit log and hand it over for verification.")


_HEADER: Final = ("at", "act", "outcome", "actor", "role", "purpose", "recipient", "subject", "reason", "fields")
_WIDE: Final = ("id", "actor_name", "level", "request_id")
"""What a table has no room for unless it is asked for."""


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the whole log for `consentry-verify`."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.anchor import check_anchored
    from consentry.workflows.export_audit import export_audit

    with platform_for(home, check_log=False) as platform:
        done = export_audit(platform, local_operator(), folder)
        _say_export(done, str(platform.signer.verifier_key), as_json=as_json)
        if done.summary.alarm is not None:
            raise IntegrityFailed(f"The log does not verify: {done.summary.alarm}", hint="Keep the export as evidence.")
        if done.problem:
            raise Unavailable(f"The witnesses were not asked: {done.problem}", hint="The export itself is whole.")
        if done.anchored is not None:
            check_anchored(done.anchored)


@app.command("query")
def query(  # noqa: PLR0917 - filters of one command
    subject: SubjectFilter = None,
    actor: Annotated[str | None, typer.Option(help="Name or id of an account or key.")] = None,
    act: Annotated[str | None, typer.Option(help="For example gate.permit.")] = None,
    purpose: Annotated[str | None, typer.Option(help="For example P02.")] = None,
    outcome: Annotated[str | None, typer.Option(help="allowed, denied, done or failed.")] = None,
    level: Annotated[int | None, typer.Option(help="Fields of this level or above.", min=1, max=5)] = None,
    request_id: Annotated[str | None, typer.Option("--request", help="All entries of one request.")] = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,  # noqa: FBT002 - a flag
    limit: Annotated[int, typer.Option(help="How many entries at most.", min=1, max=500)] = 50,
    wide: Annotated[bool, typer.Option("--wide", help="Ids, names of actors, levels and requests too.")] = False,  # noqa: FBT002
    words: Words = False,  # noqa: FBT002 - a flag
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Entries by subject, actor, act, purpose, outcome, level, request and time; this reading is logged too."""
    from consentry.cli.session import local_operator, person_from, platform_for
    from consentry.workflows.read_audit import AuditQuery, read_audit

    asked = AuditQuery(
        subject=subject, actor=actor, act=act, purpose=purpose, outcome=outcome, level=level,
        request_id=request_id, after_index=after, newest_first=newest, limit=limit,
        since=since, until=until,
    )  # fmt: skip
    with platform_for(home) as platform:
        caller = person_from(platform, token) if words or token is not None else local_operator()
        found = read_audit(platform, caller, asked, with_words=words)
    if as_json:
        for entry in found.entries:
            say_json(entry)
        if found.pruned is not None:
            say_json({"pruned": found.pruned})
        return
    header = ("index", *_WIDE, *_HEADER) if wide else ("index", *_HEADER)
    more = ("words",) if words else ()
    rows = [(*(entry.get(name) for name in header), _refs(entry), *map(entry.get, more)) for entry in found.entries]
    say_table((*(name.replace("_", " ") for name in header), "refers to", *more), rows)
    if found.next_after is not None:
        say(f"there may be more entries; narrow the query, or go on with --after {found.next_after}")
    if found.pruned is not None:
        say(f"of entries before {found.pruned['before']} only what is always kept has its bytes; the rest was pruned")


@app.command("show")
def show(
    entry: Annotated[str, typer.Argument(help="Id of the entry, ent_…, or its index in the log.")],
    locale: WordsLocale = "zh-CN",
    token: Token = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """All that one entry says, in words; what is sealed beside it for a token whose role reviews accesses."""
    from consentry.cli.session import local_operator, person_from, platform_for
    from consentry.workflows.show_entry import flat, show_entry

    with platform_for(home) as platform:
        caller = local_operator() if token is None else person_from(platform, token)
        found = show_entry(platform, caller, entry, locale=locale)
    if as_json:
        say_json(found)
        return
    say_pairs(flat(found))
    if found["sealed"]:
        say("a person's words, where there are any, are opened for a compliance officer's --token")
    if found["pruned"] is not None:
        say("it was pruned: its hash and every proof of it stay")
    else:
        say(f"prove it: {found['proof']}")


@app.command("reconcile")
def reconcile(
    release: Annotated[str | None, typer.Option("--release", help="Let the gate answer again; say why.")] = None,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="Token of a person who accepts what differs; twice.")
    ] = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Compare what the gate reads with the log; exit 1 where they differ, and while the gate is suspended."""
    from consentry.cli.session import local_operator, person_from, platform_for
    from consentry.workflows.reconcile import reconcile as compare
    from consentry.workflows.reconcile import release_gate

    if accept and release is None:
        raise BadInput("Nothing is accepted without a release", hint="Give --release with the reason.")
    with platform_for(home, check_log=False) as platform:
        if release is None:
            done = compare(platform, local_operator())
        else:
            people = [person_from(platform, token) for token in accept or ()]
            done = release_gate(platform, local_operator(), reason=release, accepted_by=people)
        _say_reconciled(done, as_json=as_json)
        _check_reconciled(done)


def _say_export(done: "LogHandedOver", key: str, *, as_json: bool) -> None:
    summary, head = done.summary, done.anchored
    policy = "" if head is None or head.quorum_met is None else " --policy POLICY"
    if as_json:
        note = summary.checkpoint.note.decode()
        told = {"folder": str(summary.folder), "entries": summary.checkpoint.size, "checkpoint": note, "key": key}
        outside = None if head is None else {"quorum_met": head.quorum_met, "problems": head.problems}
        say_json(told | {"alarm": summary.alarm, "anchored": outside, "problem": done.problem or None})
        return
    say_pairs({"folder": summary.folder, "entries": summary.checkpoint.size, "bytes": summary.entries_bytes})
    say(f"verify: consentry-verify log {summary.folder} --key '{key}'{policy}")


def _refs(entry: Mapping[str, object]) -> str:
    """Return what an entry refers to, without what other columns tell: decision, notice, relation, task."""
    refs = entry.get("refs")
    named = refs if isinstance(refs, Mapping) else {}
    return "; ".join(f"{cell(name)} {cell(value)}" for name, value in named.items() if name not in _TOLD)


_TOLD: Final = frozenset({"act", "notice_hash"})


def _check_reconciled(done: "Reconciled") -> None:
    """Raise ``IntegrityFailed`` where something differs, or where the gate is suspended for another reason."""
    if done.entry_id is None:
        raise IntegrityFailed(
            f"The gate is suspended: {done.suspended}; nothing was added to the log",
            hint="Restore the newest copy of the data store, or see docs/how-to/keep-the-log.md on `audit recover`.",
        )
    if done.is_suspended:
        raise IntegrityFailed(
            f"{done.total} mismatches between register and log; the gate is suspended",
            hint="Find out who changed the store, restore it, then `consentry audit reconcile --release REASON`.",
        )
    if done.suspended is not None:
        raise IntegrityFailed(
            f"The gate is suspended: {done.suspended}",
            hint="Everything agrees; `consentry audit reconcile --release REASON` opens it.",
        )


def _say_reconciled(done: "Reconciled", *, as_json: bool) -> None:
    if as_json:
        say_json(done.as_json())
        return
    say_pairs({"entries": done.size, **done.counts, "mismatches": done.total})
    for one in done.mismatches[:_SHOWN]:
        say(cell(str(one)))
    if done.total > _SHOWN:
        say(f"and {done.total - _SHOWN} more; --json names the first thousand")


_SHOWN: Final = 20
