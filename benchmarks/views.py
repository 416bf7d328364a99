"""Building the two views of a made-up operator, beside the same rows made from records in clear, in memory."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from benchmarks.deployment import new_deployment
from benchmarks.figures import Figure
from benchmarks.opened import people_of
from benchmarks.timing import best_beside
from consentry.cli.session import local_operator
from consentry.platform import Platform
from consentry.workflows.build_view import build_view, get_view
from deid.rows import RowBuilder, SourceRow
from deid.views import ViewDefinition
from kernel.ids import SubjectId

PEOPLE: Final = 600
VIEWS: Final = ("subject_profile", "event_rows")

_ROUNDS: Final = 3
_SEED: Final = 7

Records: TypeAlias = Mapping[SubjectId, Sequence[SourceRow]]


def run(*, people: int = PEOPLE) -> list[Figure]:
    """Return the figures of this group; no targets are set yet."""
    with tempfile.TemporaryDirectory() as folder, new_deployment(Path(folder) / "home") as platform:
        _fill(platform, Path(folder) / "sources", people)
        return [measured(platform, name, Path(folder) / f"{name}.parquet") for name in VIEWS]


def measured(platform: Platform, name: str, file: Path) -> Figure:
    """Build one view with permit, receipt and vault, and once more from what that opened."""
    view = get_view(platform, name)
    opened = _open(platform, view)
    names = platform.pseudonyms.pseudonyms(sorted(opened), scope=view.scope)
    today = platform.clock.now().astimezone(ZoneInfo(view.time_zone)).date()

    def bare() -> None:
        _write_bare(platform, view, opened, names, today, file)

    taken, in_clear = best_beside(lambda: build_view(platform, local_operator(), name), bare, rounds=_ROUNDS)
    people = len(opened)
    return Figure("views", name, people / taken, "subjects/s", "rows from records in clear", people / in_clear)


def _fill(platform: Platform, folder: Path, people: int) -> None:
    """Take the demo's made-up sources in, without the changes that the demo goes on with."""
    from consentry.demo.files import write_source_files
    from consentry.workflows.capture_file import capture_file
    from consentry.workflows.ingest_files import ingest_events, ingest_fhir, ingest_table
    from kernel.pack import builtin_pack_path

    today = platform.clock.now().astimezone(ZoneInfo(platform.catalogue.time_zone)).date()
    files = write_source_files(platform.catalogue, folder, subjects=people, seed=_SEED, today=today)
    caller, maps = local_operator(), builtin_pack_path("medical") / "maps"
    capture_file(platform, caller, files.consents)
    ingest_fhir(platform, caller, [files.hospital], source="his")
    ingest_table(platform, caller, files.orders, files.order_map)
    ingest_table(platform, caller, files.readings, maps / "wearable.yaml")
    ingest_events(platform, caller, files.events, maps / "tracker.yaml", source="app")


def _open(platform: Platform, view: ViewDefinition) -> Records:
    asking = platform.asking(local_operator())
    with platform.data.read() as connection:
        subjects = platform.vault.subjects(connection)
    with platform.data.write() as connection:
        permit = platform.gate.check_many(
            connection, asking=asking, purpose=view.purpose, subjects=subjects, fields=view.fields
        ).permit
    assert permit is not None
    receipt = platform.log.receipt(
        permit.entry_id, actor=asking.actor, purpose=view.purpose, subjects=permit.subjects, fields=permit.fields
    )
    opened = platform.vault.open_cohort(permit, receipt, fields=permit.fields, kinds=view.kinds)
    return dict.fromkeys(permit.subjects, ()) | people_of(opened)


def _write_bare(  # noqa: PLR0917 - what one build needs
    platform: Platform, view: ViewDefinition, opened: Records, names: Mapping[SubjectId, str], today: date, file: Path
) -> None:
    """Make the same rows and the same file from records that lie open in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from deid.text import TextScrubber

    scrubber = TextScrubber()
    builder = RowBuilder(view, tokeniser=platform.pseudonyms, scrub=lambda text: scrubber.scrub(text).text, as_of=today)
    rows = [row for subject, records in opened.items() for row in builder.rows(names[subject], records)]
    pq.write_table(pa.Table.from_pylist(rows, schema=builder.schema), file, compression="zstd")
