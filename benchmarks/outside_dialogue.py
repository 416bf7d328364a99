"""The outside dialogues as complaints, table to view: what of the planted identifiers is left, and the speed."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.bare import load_in_clear
from benchmarks.complaints import Complaints, write_complaints
from benchmarks.deployment import new_deployment
from benchmarks.figures import Bound, Figure, Target
from benchmarks.outside import DIALOGUES, Dialogue, dialogues, outside_folder
from benchmarks.planted import Sort
from benchmarks.timing import seconds_of
from consentry.platform import Platform

_CHARACTERS: Final = 1_000


def run() -> list[Figure]:
    """Return the figures; none without outside data."""
    outside = outside_folder()
    if outside is None or not (outside / DIALOGUES).is_file():
        return []
    with tempfile.TemporaryDirectory() as folder:
        return measured(dialogues(outside / DIALOGUES), Path(folder))


def measured(texts: Sequence[Dialogue], folder: Path) -> list[Figure]:
    """Take the texts from the table to the view, and return the figures."""
    with new_deployment(folder / "home") as platform:
        files = write_complaints(texts, folder, platform.catalogue, now=platform.clock.now())
        _capture(platform, files)
        started = time.perf_counter()
        shown = _through(platform, files)
        seconds = time.perf_counter() - started
    left = Counter(planted.sort for planted in files.planted.values() if any(planted.value in text for text in shown))
    all_of = Counter(planted.sort for planted in files.planted.values())
    figures = [
        Figure(
            "text", f"outside dialogues: planted {sort} left in the view", left[sort], "identifiers", "planted",
            all_of[sort], Target(Bound.EXACTLY, 0),
        )
        for sort in Sort
    ]  # fmt: skip
    bare = seconds_of(lambda: load_in_clear([files.table], folder / "bare.db"))
    return [
        *figures,
        Figure("text", "outside dialogues: left out of the view for a special disease", len(texts) - len(shown),
               "texts", "all", len(texts)),
        Figure("text", "outside dialogues: found in the texts as they came", _found(texts), "per 1,000 characters"),
        Figure("text", "outside dialogues: table to view", len(texts) / seconds, "texts/s",
               "the table loaded in clear", len(texts) / bare),
    ]  # fmt: skip


def _capture(platform: Platform, files: Complaints) -> None:
    from consentry.cli.session import local_operator
    from consentry.workflows.capture_file import capture_file

    capture_file(platform, local_operator(), files.acts)


def _through(platform: Platform, files: Complaints) -> list[str]:
    """Ingest, build the view, and return every complaint in it."""
    import pyarrow.parquet as pq

    from consentry.cli.session import local_operator
    from consentry.layout import VIEW_FILE
    from consentry.workflows.build_view import build_view
    from consentry.workflows.ingest_files import ingest_table

    ingest_table(platform, local_operator(), files.table, files.map)
    built = build_view(platform, local_operator(), "subject_profile")
    table = pq.read_table(built.folder / VIEW_FILE, columns=["complaint"])
    return [text for text in table["complaint"].to_pylist() if text]


def _found(texts: Sequence[Dialogue]) -> float:
    """Return how often something is taken for an identifier where hardly any is."""
    from deid.text import TextScrubber

    scrubber = TextScrubber()
    asked = [part for dialogue in texts for part in (dialogue.ask, dialogue.answer)]
    return sum(len(scrubber.find(text)) for text in asked) * _CHARACTERS / sum(map(len, asked))
