"""Commands that keep stored records in order: corrections, and conflicts of sources."""

from typing import Annotated

import typer

from consentry.cli.options import Home, Json, Reason, Subject, SubjectFilter
from consentry.cli.output import say, say_json, say_table

app = typer.Typer(help="Keep stored records in order.", no_args_is_help=True)


@app.command("correct")
def correct(  # noqa: PLR0917 - options of one command
    subject: Subject,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Id of any version of the record, rec_….")],
    values: Annotated[
        str, typer.Option(help="File with the right values, a JSON object by field code; - for standard input.")
    ],
    reason: Reason,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Give values of a record a newer, right version; the old one stays in its history."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.wake.runner import run_wake_of
    from consentry.workflows.correct_record import Wrong, correct_record
    from kernel.ids import RecordId, SubjectId

    wrong = Wrong(SubjectId(subject), RecordId(record), _read_values(values), reason)
    with platform_for(home) as platform:
        made = correct_record(platform, local_operator(), wrong)
        run_wake_of(platform, SubjectId(subject))
    if as_json:
        say_json({"records": dict(made.records), "batch": made.batch_id, "entry": made.entry_id})
    else:
        say(f"corrected {', '.join(sorted(made.records))} of {record}; log entry {made.entry_id}")


@app.command("conflicts")
def conflicts(
    subject: SubjectFilter = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """List fields on which sources of one rank disagree, and corrections that a source has overtaken; no values."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.list_conflicts import conflict_json, list_conflicts
    from kernel.ids import SubjectId

    rows = []
    with platform_for(home) as platform:
        after: str | None = ""
        while after is not None:
            asked = None if subject is None else SubjectId(subject)
            page = list_conflicts(platform, local_operator(), subject=asked, after=after)
            rows += [conflict_json(one) for one in page.found]
            after = page.after
    if as_json:
        for row in rows:
            say_json(row)
        return
    header = ("subject", "field", "why", "sources", "records")
    say_table(header, [[row[name] for name in header] for row in rows])
    say(f"{len(rows)} fields for a person to look at")


def _read_values(path: str) -> dict[str, object]:
    """Return the values of a file, or of standard input, so that none stands in a list of processes."""
    import json
    import sys
    from pathlib import Path

    from kernel.errors import BadInput

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}", hint="Name a file with a JSON object.") from None
    except ValueError:  # a broken JSON text may hold values
        raise BadInput(f"{path} is no JSON", hint='Write for example {"diagnosis": "icd10:I11"}.') from None
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no JSON object", hint='Write for example {"diagnosis": "icd10:I11"}.')
    return found
