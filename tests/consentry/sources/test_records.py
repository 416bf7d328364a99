"""What a reader hands on."""

from datetime import UTC, datetime
from pathlib import Path

from consentry.sources.records import BadRow, Identity, Reading, RowFault, RowRefused, SourceRecord, Tally

RECORD = SourceRecord(
    "a.csv:2",
    "shop",
    "u1",
    "profile",
    "r1",
    datetime(2026, 1, 3, tzinfo=UTC),
    {"name": "张三"},
    Identity(mobile="13800138000"),
    ("snomed:123456789",),
)


def test_plaintext_is_not_in_the_repr():
    """Neither a record nor an identity shows a value."""
    shown = repr([RECORD, RECORD.identity])
    assert "a.csv:2" in shown
    assert "张三" not in shown
    assert "13800138000" not in shown
    assert "u1" not in shown


def test_reading_counts_what_passes():
    """Records, refusals by reason and unmapped codes are counted as they pass."""
    tally = Tally()
    tally.skipped["CarePlan"] += 2
    tally.duplicates["near"] += 1
    reading = Reading(iter([RECORD, BadRow("a.csv:3", RowFault.RAGGED)]), tally)
    assert len(list(reading)) == 2
    assert (tally.records, dict(tally.refused)) == (1, {"ragged": 1})
    assert dict(reading.unmapped) == {"snomed:123456789": 1}
    assert (dict(reading.skipped), dict(reading.duplicates)) == ({"CarePlan": 2}, {"near": 1})


def test_refusal_keeps_the_field_that_it_names():
    """The innermost field is the right one."""
    assert RowRefused(RowFault.BAD_DATE, "time").within("name").field == "time"
    assert RowRefused(RowFault.BAD_DATE).within("name").field == "name"


def test_every_reason_is_documented():
    """A refusal that nobody can look up helps nobody."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "ingest.md").read_text(encoding="utf-8")
    assert [fault for fault in RowFault if f"| `{fault}` |" not in page] == []
