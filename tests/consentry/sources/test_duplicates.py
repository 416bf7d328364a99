"""What one file says twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from consentry.sources.duplicates import DuplicateFilter
from consentry.sources.records import BadRow, RowFault, SourceRecord, Tally

SYSTOLIC = {"code": "loinc:8480-6", "value": "128", "unit": "mm[Hg]"}
DIASTOLIC = {"code": "loinc:8462-4", "value": "82", "unit": "mm[Hg]"}
ORDER = SourceRecord(
    "o.csv:2", "shop", "u1", "order", "o1", datetime(2026, 1, 3, tzinfo=UTC), {"order_id": "o1", "order_amount": "99"}
)
READING = replace(ORDER, kind="observation", values={"vitals_lab": [SYSTOLIC, DIASTOLIC], "height": {"value": "170"}})


def sift(*rows, window=100):
    """What is left of the rows, and the counts."""
    tally = Tally()
    return list(DuplicateFilter(window=window).filter(rows, tally)), dict(tally.duplicates)


def test_same_record_twice_is_an_exact_duplicate():
    """Under the same record id it was sent twice."""
    assert sift(ORDER, replace(ORDER, locator="o.csv:3")) == ([ORDER], {"exact": 1})


def test_same_values_under_another_id_are_a_near_duplicate():
    """Subject, time and values are the same, the record id is another."""
    assert sift(ORDER, replace(ORDER, source_record="row-3")) == ([ORDER], {"near": 1})


def test_records_that_differ_stay():
    """Another subject, time, kind or value is another record."""
    rows = [
        ORDER,
        replace(ORDER, source_subject="u2"),
        replace(ORDER, observed_at=ORDER.observed_at + timedelta(seconds=1)),
        replace(ORDER, kind="profile"),
        replace(ORDER, values={"order_id": "o2", "order_amount": "99"}),
    ]
    assert sift(*rows) == (rows, {})


def test_repeated_measurement_is_taken_out_of_its_record():
    """In an observation each measurement counts by itself."""
    other = replace(
        READING, source_record="r2", values={"vitals_lab": [SYSTOLIC, {"value": "1"}], "weight": {"value": "70"}}
    )
    kept, counts = sift(READING, other)
    assert kept[1].values == {"vitals_lab": [{"value": "1"}], "weight": {"value": "70"}}
    assert counts == {"value": 1}


def test_observation_that_says_nothing_new_is_dropped():
    """All of its measurements were told before."""
    assert sift(READING, replace(READING, source_record="r2", values={"vitals_lab": [DIASTOLIC]})) == (
        [READING],
        {"near": 1},
    )


def test_refused_rows_pass():
    """A refusal is no duplicate of another."""
    bad = BadRow("o.csv:9", RowFault.RAGGED)
    assert sift(bad, bad) == ([bad, bad], {})


def test_memory_is_bounded():
    """What repeats beyond the window passes, for the vault to find."""
    others = [replace(ORDER, source_subject=f"u{number}") for number in range(2, 5)]
    kept, _ = sift(ORDER, *others, ORDER, window=3)
    assert kept == [ORDER, *others, ORDER]
