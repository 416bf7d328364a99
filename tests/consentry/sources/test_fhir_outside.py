"""The outside FHIR files: every resource is accounted for."""

from collections import Counter

import pytest

from consentry.sources.fhir import read_fhir
from consentry.sources.records import BadRow, SourceRecord


@pytest.fixture
def reading(context, outside_data):
    """One pass over the twelve bundles, with its rows."""
    one = read_fhir([outside_data / "fhir_r4"], context)
    return one, list(one)


def test_every_resource_is_accounted_for(reading):
    """Emitted, refused by name, dropped as a duplicate, or skipped by type: together all 931."""
    one, rows = reading
    refused = sum(one.tally.refused.values())
    dropped = one.duplicates["exact"] + one.duplicates["near"]
    assert one.tally.rows == 931
    assert one.tally.records + refused + dropped + sum(one.skipped.values()) == 931
    assert len(rows) == one.tally.records + refused


def test_types_that_are_not_read_are_skipped(reading):
    """Five types that the catalogue has no use for."""
    one, _ = reading
    assert dict(one.skipped) == {
        "ExplanationOfBenefit": 70,
        "DiagnosticReport": 28,
        "Organization": 13,
        "Practitioner": 13,
        "CarePlan": 5,
    }


def test_what_is_refused_is_no_surgery(reading):
    """Throat cultures and notes of medicines are the only refusals."""
    _, rows = reading
    assert Counter((row.reason, row.field) for row in rows if isinstance(row, BadRow)) == {
        ("no_field", "Procedure.surgery"): 17
    }


def test_every_code_is_mapped(reading):
    """The tables cover every code that occurs."""
    one, _ = reading
    assert dict(one.unmapped) == {}


def test_records_by_kind(reading):
    """What each kind of resource gives."""
    _, rows = reading
    assert Counter(row.kind for row in rows if isinstance(row, SourceRecord)) == {
        "observation": 495,
        "order": 88,
        "immunization": 72,
        "encounter": 70,
        "condition": 26,
        "medication": 18,
        "profile": 12,
        "procedure": 3,
    }
