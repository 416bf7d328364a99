"""The tests inside a taxonomy are read strictly."""

from datetime import date
from decimal import Decimal

import pytest

from kernel.located_yaml import PackError


@pytest.fixture
def example(taxonomy_of, tag_yaml):
    """Load a taxonomy with one test and return the test."""

    def load(text: str):
        (tag,) = taxonomy_of(tag_yaml("a", "TRUE", tests=f"[{text}]")).tags
        (one,) = tag.examples
        return one

    return load


def test_rows_are_typed_as_the_views_are(example):
    """Lists become tuples, numbers decimals, days dates."""
    one = example(
        "{as_of: 2026-11-21, subject: {sex: female, diagnosis_groups: [I10]},"
        " events: [{event_type: purchase, day: 2026-11-20, hour: 3, amount: 12.50}], expect: true}"
    )
    assert one.as_of == date(2026, 11, 21)
    assert one.subject == {"sex": "female", "diagnosis_groups": ("I10",)}
    assert one.events == (
        {"event_type": "purchase", "day": date(2026, 11, 20), "hour": Decimal(3), "amount": Decimal("12.50")},
    )
    assert one.expected is True
    assert one.line > 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("false", False), ("0.6667", Decimal("0.6667")), ("3", Decimal(3)), ("high", "high"), ("unknown", None)],
)
def test_expected_value_has_its_type(text, expected, example):
    """A truth value, a number, a word, or unknown."""
    assert example(f"{{as_of: 2026-11-21, expect: {text}}}").expected == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{expect: true}", "'as_of' is missing"),
        ("{as_of: today, expect: true}", "this is no day"),
        ("{as_of: 2026-02-30, expect: true}", "this is no day"),
        ("{as_of: 2026-11-21, expect: 0.12345}", "this number does not fit"),
        ("{as_of: 2026-11-21, expect: true, subject: {mobile: x}}", "unknown key 'mobile'"),
        ("{as_of: 2026-11-21, expect: true, subject: {complaint: x}}", "unknown key 'complaint'"),
        ("{as_of: 2026-11-21, expect: true, subject: {sex: [a]}}", "this is a sequence"),
        ("{as_of: 2026-11-21, expect: true, events: [{event_type: login}]}", "'day' is missing"),
        (
            "{as_of: 2026-11-21, expect: true, events: [{event_type: a, day: 2026-11-21, hour: x}]}",
            "expected a decimal",
        ),
    ],
)
def test_wrong_test_is_refused(text, message, example):
    """Columns and values that the views cannot have are mistakes of the file."""
    with pytest.raises(PackError) as caught:
        example(text)
    assert message in str(caught.value)
