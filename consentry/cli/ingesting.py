"""Commands that take source files in: fhir, table, events, arrow, consents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consentry.cli.options import Home, Json
from consentry.cli.output import say, say_json, say_pairs, say_table

if TYPE_CHECKING:
    from consentry.workflows.ingest import IngestReport

app = typer.Typer(no_args_is_help=True, help="Take source files through the gate into the vault.")

Source = Annotated[str, typer.Option(help="Name of the source system; its ids are known under it.")]
Quarantine = Annotated[Path | None, typer.Option(help="Where bad rows are listed; default beside the first input.")]
Encoding = Annotated[str, typer.Option(help="Text encoding, for example gb18030.")]
Again = Annotated[
    bool,
    typer.Option("--again", help="Through the gate once more, although it was complete before; stores what is new."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]


@app.command("fhir")
def fhir(  # noqa: PLR0917 - options of one command
    paths: Annotated[list[Path], typer.Argument(help="R4 bundles (.json) and NDJSON files, or folders of them.")],
    source: Source = "his",
    encoding: Encoding = "utf-8",
    quarantine: Quarantine = None,
    again: Again = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Quiet = False,  # noqa: FBT002 - a flag
) -> None:
    """FHIR R4 bundles and NDJSON."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.ingest_files import ingest_fhir

    with platform_for(home) as platform:
        report = ingest_fhir(
            platform, local_operator(), paths,
            source=source, encoding=encoding, quarantine=quarantine, again=again, show_progress=not quiet,
        )  # fmt: skip
    show(report, as_json=as_json)


@app.command("table")
def table(  # noqa: PLR0917 - options of one command
    file: Annotated[Path, typer.Argument(help="CSV, Parquet, Excel or NDJSON.")],
    mapping: Annotated[Path | None, typer.Option("--map", help="Which column is which field; YAML.")] = None,
    suggest_map: Annotated[bool, typer.Option("--suggest-map", help="Print a draft of the map and stop.")] = False,  # noqa: FBT002
    encoding: Encoding = "utf-8",
    quarantine: Quarantine = None,
    again: Again = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Quiet = False,  # noqa: FBT002 - a flag
) -> None:
    """A table by its map; --suggest-map drafts the map from the header."""
    from consentry.cli.session import local_operator, platform_for, settings_for
    from consentry.workflows.ingest_files import ingest_table, suggest_table_map

    if suggest_map:
        say(suggest_table_map(settings_for(home), file, encoding=encoding))
        return
    if mapping is None:
        raise typer.BadParameter("give --map MAP.yaml, or --suggest-map for a draft", param_hint="--map")
    with platform_for(home) as platform:
        report = ingest_table(
            platform, local_operator(), file, mapping,
            encoding=encoding, quarantine=quarantine, again=again, show_progress=not quiet,
        )  # fmt: skip
    show(report, as_json=as_json)


@app.command("events")
def events(  # noqa: PLR0917 - options of one command
    file: Annotated[Path, typer.Argument(help="NDJSON, one event a line.")],
    mapping: Annotated[Path | None, typer.Option("--map", help="For trackers with other names; YAML.")] = None,
    source: Source = "app",
    encoding: Encoding = "utf-8",
    quarantine: Quarantine = None,
    again: Again = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Quiet = False,  # noqa: FBT002 - a flag
) -> None:
    """Behaviour events."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.ingest_files import ingest_events

    with platform_for(home) as platform:
        report = ingest_events(
            platform, local_operator(), file, mapping,
            source=source, encoding=encoding, quarantine=quarantine, again=again, show_progress=not quiet,
        )  # fmt: skip
    show(report, as_json=as_json)


@app.command("arrow")
def arrow(  # noqa: PLR0917 - options of one command
    file: Annotated[Path, typer.Argument(help="Parquet or Arrow file of prepared batches.")],
    mapping: Annotated[Path, typer.Option("--map", help="Which column is what; YAML.")],
    processes: Annotated[
        int | None, typer.Option(min=0, max=64, help="Processes that seal; default one a core.")
    ] = None,
    quarantine: Quarantine = None,
    again: Again = False,  # noqa: FBT002 - a flag
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Quiet = False,  # noqa: FBT002 - a flag
) -> None:
    """Prepared Arrow batches in bulk; their values are checked and not cleaned."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.ingest_arrow import ingest_arrow

    with platform_for(home) as platform:
        report = ingest_arrow(
            platform, local_operator(), file, mapping,
            quarantine=quarantine, processes=processes, again=again, show_progress=not quiet,
        )  # fmt: skip
    show(report, as_json=as_json)


@app.command("consents")
def consents(  # noqa: PLR0917 - options of one command
    file: Annotated[Path, typer.Argument(help="NDJSON, one act a line.")],
    encoding: Encoding = "utf-8",
    quarantine: Quarantine = None,
    home: Home = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
    quiet: Quiet = False,  # noqa: FBT002 - a flag
) -> None:
    """Consent acts, in the order in which they happened."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.capture_file import capture_file

    with platform_for(home) as platform:
        report = capture_file(
            platform, local_operator(), file, encoding=encoding, quarantine=quarantine, show_progress=not quiet
        )
    if as_json:
        say_json(report.as_json())
        return
    say_table(("act", "recorded"), sorted(report.recorded.items()), title=f"consent acts of {file.name}")
    say_pairs({"repeated": report.repeated, "new subjects": report.registered, "refused": report.refused.total()})
    _say_quarantine(report.quarantine)


@app.command("discard")
def discard(
    batch: Annotated[str, typer.Argument(help="Batch id, bat_…, as an interrupted ingestion or a refusal names it.")],
    home: Home = None,
) -> None:
    """Take back an interrupted batch; running its command again would resume it instead."""
    from consentry.cli.session import local_operator, platform_for
    from consentry.workflows.discard_batch import discard_batch

    with platform_for(home) as platform:
        taken = discard_batch(platform, local_operator(), batch)
    say(f"{taken.batch_id} is discarded: nothing of it is left")


def show(report: "IngestReport", *, as_json: bool) -> None:
    """Print what became of one input."""
    if as_json:
        say_json(report.as_json())
        return
    say_pairs(
        {
            "batch": report.batch_id
            + (" (was complete already; nothing changed; see --again)" if report.repeated else ""),
            "records stored": report.stored_records,
            "field values stored": report.stored_fields,
            "duplicates": report.duplicates,
            "subjects": report.subjects,
        }
    )
    if report.refused:
        rows = [(code, why, count) for (code, why), count in report.refused.most_common()]
        say_table(("refused field", "reason", "values"), rows)
    if report.bad_by_reason:
        say_table(("bad rows, by reason", "count"), report.bad_by_reason.most_common())
    if report.skipped:
        say_table(("skipped types", "count"), report.skipped.most_common())
    if report.unmapped:
        say_table(("codes kept without a mapping (first 20)", "count"), report.unmapped.most_common(20))
    if report.left_out:
        say_table(("parts left out, which no field can hold", "count"), report.left_out.most_common())
    _say_quarantine(report.quarantine)


def _say_quarantine(path: Path | None) -> None:
    if path is not None:
        say(f"bad rows are listed, without values, in {path}")
