"""Outside dialogues as complaints of made-up subjects: what was planted into them stays in the vault."""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.complaints import SOURCE, Complaints, write_complaints
from benchmarks.deployment import new_deployment
from benchmarks.outside import DIALOGUES, Dialogue, dialogues
from benchmarks.planted import Planted, Sort
from consent.asking import Asking
from consentry.cli.session import local_operator
from consentry.platform import Platform
from consentry.workflows.build_view import Built, build_view
from consentry.workflows.capture_file import capture_file
from consentry.workflows.ingest import IngestReport
from consentry.workflows.ingest_files import ingest_table
from consentry.workflows.run_tags import run_tags
from deid.text import TextScrubber
from kernel.clock import FixedClock
from kernel.ids import RequestId, new_id

pytestmark = pytest.mark.xdist_group("outside_dialogue")

SUBJECTS = 600
MARKS = {Sort.MOBILE: "〔手机〕", Sort.ID_NUMBER: "〔身份证〕", Sort.EMAIL: "〔邮箱〕"}


@dataclass(frozen=True)
class Taken:
    """One deployment after the complaints were taken in, viewed and tagged."""

    platform: Platform
    home: Path
    files: Complaints
    report: IngestReport
    views: dict[str, Built]
    complaints: list[str | None]


@pytest.fixture(scope="module")
def texts(outside_data: Path) -> list[Dialogue]:
    """Dialogues from all over the outside file."""
    every = dialogues(outside_data / DIALOGUES)
    return every[:: len(every) // SUBJECTS][:SUBJECTS]


@pytest.fixture(scope="module")
def taken(texts: list[Dialogue], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """Acts, table, both views and tags of the complaints."""
    folder = tmp_path_factory.mktemp("complaints")
    clock = FixedClock(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    with new_deployment(folder / "home", clock=clock) as platform:
        files = write_complaints(texts, folder, platform.catalogue, now=clock.now())
        captured = capture_file(platform, local_operator(), files.acts)
        assert captured.refused == {}
        report = ingest_table(platform, local_operator(), files.table, files.map)
        views = {name: build_view(platform, local_operator(), name) for name in ("subject_profile", "event_rows")}
        run_tags(platform, local_operator())
        platform.log.export(folder / "home" / "audit-log")
        yield Taken(platform, folder / "home", files, report, views, _complaints(views["subject_profile"]))


def test_every_complaint_is_stored_for_its_own_subject(taken):
    """The whole table goes through the gate; no row is refused."""
    assert taken.report.stored_records == taken.report.subjects == SUBJECTS
    assert taken.report.bad_by_reason == {}
    assert taken.report.refused == {}


def test_all_three_sorts_are_planted_into_many_texts(taken):
    """The table that was ingested does hold the planted values, in clear."""
    source = taken.files.table.read_text(encoding="utf-8")
    assert all(value in source for value in taken.files.values)
    for planted in (taken.files.planted, taken.files.answers):
        sorts = [one.sort for one in planted.values()]
        assert all(sorts.count(sort) >= SUBJECTS // 15 for sort in Sort)


def test_no_planted_identifier_stands_in_a_view(taken):
    """No cell of either view contains a planted value."""
    cells = _cells(taken.views.values())
    assert not [value for value in taken.files.values if any(value in cell for cell in cells)]


def test_a_complaint_is_shown_with_its_mark_or_left_out_and_counted(taken, texts):
    """Where an identifier was planted its mark stands, where somebody told one theirs, and else every text is as asked.

    A complaint that tells a special disease is left out whole, and the build says how many.
    """
    marked = [_expected(text, taken.files.planted.get(f"user{n:05}")) for n, text in enumerate(texts)]
    scrub = TextScrubber().scrub
    expected = Counter(scrub(text).text for text in marked)
    assert sum(text in expected for text in marked) > 0.9 * SUBJECTS
    shown = Counter(text for text in taken.complaints if text is not None)
    assert shown <= expected
    assert shown.total() == SUBJECTS - taken.views["subject_profile"].dropped["complaint: special_disease"]
    assert all(sum(mark in text for text in shown) > SUBJECTS // 15 for mark in MARKS.values())


def test_no_planted_identifier_stands_in_any_byte_of_the_deployment(taken):
    """Stores with their journals, views, tags, audit export: no file holds a planted value, in no plain encoding."""
    needles = [needle for value in taken.files.values for needle in _spellings(value)]
    files = [file for file in taken.home.rglob("*") if file.is_file()]
    assert {"data.db", "keys.db", "checkpoint"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        assert not any(needle in content for needle in needles), file.name


def test_a_permitted_reader_gets_the_planted_text_back(taken):
    """The vault holds the complaint as it was asked: the values are sealed, not lost."""
    subject_id, planted = next(iter(taken.files.planted.items()))
    subject = taken.platform.resolver.find(SOURCE, subject_id)
    asking = Asking("usr_reader", "clinician", RequestId(new_id("req")))
    with taken.platform.data.write() as connection:
        permit = taken.platform.gate.check(
            connection, asking=asking, purpose="P02", subject=subject, fields=["chief_complaint"]
        )
    receipt = taken.platform.log.receipt(
        permit.entry_id, actor=asking.actor, purpose="P02", subjects=[subject], fields=["chief_complaint"]
    )
    opened = taken.platform.vault.open(permit, receipt, subject=subject, fields=["chief_complaint"])
    assert [record.values["chief_complaint"] for record in opened] == [planted.text.strip()]


def _expected(text: Dialogue, planted: Planted | None) -> str:
    return text.ask.strip() if planted is None else planted.text.strip().replace(planted.value, MARKS[planted.sort])


def _complaints(built: Built) -> list[str | None]:
    import pyarrow.parquet as pq

    (file,) = built.folder.glob("*.parquet")
    return pq.read_table(file, columns=["complaint"])["complaint"].to_pylist()


def _cells(views) -> set[str]:
    import pyarrow.parquet as pq

    tables = [pq.read_table(file) for built in views for file in built.folder.glob("*.parquet")]
    return {str(cell) for table in tables for row in table.to_pylist() for cell in row.values() if cell is not None}


def _spellings(value: str) -> tuple[bytes, ...]:
    return (
        value.encode(),
        value.encode("utf-16-le"),
        value.encode().hex().encode(),
        base64.b64encode(value.encode()).rstrip(b"="),
    )
