"""Commands on breach cases; what is said of a breach comes as JSON, from a file or from standard input."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from consentry.cli.consents import Locale
from consentry.cli.options import Home, Json, Token
from consentry.cli.output import say, say_json, say_pairs, say_table
from kernel.errors import BadInput, ConsentryError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from consentry.platform import Platform
    from consentry.principals import Principal

    _M = TypeVar("_M", bound=BaseModel)

app = typer.Typer(no_args_is_help=True, help="Breach cases: whom the law wants told, and by when.")

Case = Annotated[str, typer.Argument(help="Case id, brc_….")]
File = Annotated[Path, typer.Argument(help="JSON; - reads standard input.")]
Reason = Annotated[str, typer.Option(help="Why; sealed beside the entry.")]

_MAX_BYTES: Final = 4 * 1024 * 1024
_SHOWN: Final = ("case", "state", "grade_label", "aware_at", "people", "minors", "sensitive", "profiles", "closed_at")


class TimerPassed(ConsentryError):
    """Somebody should have been told by now."""


@app.command("open")
def open_(file: File, token: Token = None, home: Home = None) -> None:
    """Open a case; prints its id."""
    from consentry.breach_acts import BreachReport
    from consentry.cli.session import platform_for
    from consentry.workflows.breach import open_breach

    said = _read(file, BreachReport)
    with platform_for(home) as platform:
        say(open_breach(platform, _caller(platform, token), said).case_id)


@app.command("changed")
def changed(case: Case, file: File, token: Token = None, home: Home = None) -> None:
    """Record what turned out later: numbers, words, subjects, accesses."""
    from consentry.breach_acts import BreachReport
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.breach import change_breach

    said = _read(file, BreachReport)
    with platform_for(home) as platform:
        say(change_breach(platform, person_from(platform, token), case, said).case_id)


@app.command("notified")
def notified(case: Case, file: File, token: Token = None, home: Home = None) -> None:
    """Record that somebody was told; of the text only its hash is kept."""
    from consentry.breach_acts import BreachNotice
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.breach import notify_breach

    said = _read(file, BreachNotice)
    with platform_for(home) as platform:
        say(notify_breach(platform, person_from(platform, token), case, said).case_id)


@app.command("waive")
def waive(
    case: Case,
    duty: Annotated[str, typer.Argument(help="For example pipl.individuals.")],
    reason: Reason,
    token: Token = None,
    home: Home = None,
) -> None:
    """Say that a duty need not be done; it counts once two people have said so."""
    from consentry.breach_acts import BreachWaiver
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.breach import waive_breach

    with platform_for(home) as platform:
        said = _checked(BreachWaiver, {"duty": duty, "reason": reason})
        done = waive_breach(platform, person_from(platform, token), case, said)
    say("waived" if done.is_waived(duty) else "a second person has to say so too")


@app.command("close")
def close(case: Case, reason: Reason, token: Token = None, home: Home = None) -> None:
    """Close a case in which nobody is left to be told."""
    from consentry.cli.session import person_from, platform_for
    from consentry.workflows.breach import close_breach

    with platform_for(home) as platform:
        say(close_breach(platform, person_from(platform, token), case, reason=reason).case_id)


@app.command("list")
def list_(
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where a timer has passed.")] = False,  # noqa: FBT002
    token: Token = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Every case, and whom nobody has told in time."""
    from consentry.cli.session import platform_for
    from consentry.workflows.breach import list_breaches

    with platform_for(home) as platform:
        cases = list_breaches(platform, _caller(platform, token), locale=locale)
    if as_json:
        for case in cases:
            say_json(case)
    else:
        header = ("case", "state", "grade_label", "aware_at", "people", "minors", "overdue")
        say_table(header, [[case[name] for name in header] for case in cases])
    late = [str(case["case"]) for case in cases if case["overdue"]]
    if check and late:
        raise TimerPassed(f"Timers have passed in {', '.join(late)}", hint="See `consentry breach show`.")


@app.command("show")
def show(
    case: Case,
    token: Token = None,
    locale: Locale = "zh-CN",
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """One case: its timers, what was told, its evidence; its words for who manages cases, which is logged."""
    from consentry.cli.session import platform_for
    from consentry.workflows.breach import show_breach

    with platform_for(home) as platform:
        found = show_breach(platform, _caller(platform, token), case, locale=locale)
    if as_json:
        say_json(found)
        return
    words = found["words"] if isinstance(found["words"], Mapping) else {}
    more = {name: found[name] for name in ("guardian_tasks", "accesses", "checkpoint")}
    say_pairs({**{name: found[name] for name in _SHOWN}, **words, **more})
    _say_rows(found["duties"], ("duty", "label", "due_at", "done_at", "state", "waived_by"))
    _say_rows(found["notifications"], ("duty", "channel", "at", "people", "complete", "text_hash"))


def _say_rows(rows: object, header: tuple[str, ...]) -> None:
    if isinstance(rows, list) and rows:
        say_table(header, [[row[name] for name in header] for row in rows])


def _caller(platform: "Platform", token: str | None) -> "Principal":
    """Return the person of a token, or whoever runs the command line."""
    from consentry.cli.session import local_operator, person_from

    return local_operator() if token is None else person_from(platform, token)


def _read(file: Path, model: "type[_M]") -> "_M":
    """Read what is said from JSON; a mistake is told by its place, never by its value."""
    import json

    content = sys.stdin.buffer.read(_MAX_BYTES + 1) if str(file) == "-" else file.read_bytes()
    if len(content) > _MAX_BYTES:
        raise BadInput(f"The file has more than {_MAX_BYTES} bytes", hint="Name fewer subjects.")
    try:
        return _checked(model, json.loads(content))
    except (ValueError, RecursionError):
        raise BadInput("The file is no JSON in UTF-8", hint="See docs/how-to/breach.md.") from None


def _checked(model: "type[_M]", said: object) -> "_M":
    from pydantic import ValidationError

    try:
        return model.model_validate(said)
    except ValidationError as err:
        first = err.errors(include_input=False, include_url=False)[0]
        words = first["msg"].removeprefix("Value error, ")
        hint = f"Members are {', '.join(model.model_fields)}; see docs/how-to/breach.md."
        raise BadInput(f"{_place(model, said, first['loc'])}: {words}", hint=hint) from None


def _place(model: "type[BaseModel]", said: object, loc: "tuple[int | str, ...]") -> str:
    """Return where something is wrong; a member that nobody knows is told by its number: its name may be a value."""
    schema = model.model_json_schema()
    objects = [schema, *schema.get("$defs", {}).values()]
    known = {name for one in objects for name in one.get("properties", {})}
    parts = list[str]()
    for part in loc:
        if isinstance(part, int) or part in known:
            parts.append(str(part))
        elif isinstance(said, Mapping) and part in said:
            parts.append(f"member {list(said).index(part) + 1}")
        said = said.get(part) if isinstance(said, Mapping) else None
    return ".".join(parts) or "the whole"
