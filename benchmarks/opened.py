"""Opened cohorts, person by person, for figures and comparisons that go by rows."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from deid.columns import PSEUDONYM, source_rows
from deid.rows import SourceRow
from kernel.ids import SubjectId
from vault.bulk_columns import SOURCE, SOURCE_RECORD, SUBJECT

if TYPE_CHECKING:
    import pyarrow as pa


def people_of(opened: Iterable["pa.RecordBatch"]) -> dict[SubjectId, list[SourceRow]]:
    """Return the records of each person of an opened cohort who has any."""
    found: dict[SubjectId, list[SourceRow]] = {}
    for columns in opened:
        people = columns[SUBJECT]
        bare = columns.drop_columns([SUBJECT, SOURCE_RECORD, SOURCE]).append_column(PSEUDONYM, people)
        found |= {SubjectId(subject): records for subject, records in source_rows(bare)}
    return found
