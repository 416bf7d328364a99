"""Moments as people write them: an instant with its offset, or a day of the pack's calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from consentry.moments import parse_as_of, parse_start
from kernel.errors import BadInput

SHANGHAI = "Asia/Shanghai"


def test_day_is_looked_back_to_from_its_end():
    """As of a day means after everything that was recorded on it, and before the next day begins."""
    assert parse_as_of("2026-11-21", SHANGHAI) == datetime(2026, 11, 21, 16, tzinfo=UTC) - timedelta(microseconds=1)


def test_period_begins_with_its_day():
    """From a day means its first instant."""
    assert parse_start("2026-11-21", SHANGHAI) == datetime(2026, 11, 20, 16, tzinfo=UTC)


@pytest.mark.parametrize("parse", [parse_as_of, parse_start])
def test_instant_is_taken_as_it_is(parse):
    """With its offset."""
    assert parse("2026-11-21T10:00:00+08:00", SHANGHAI) == datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest.mark.parametrize("parse", [parse_as_of, parse_start])
@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-21T10:00:00", "2026-13-01", "2026-02-30", "1800-01-01", "21.11.2026", "0001-01-01T00Z"],
)
def test_anything_else_is_one_clear_line(parse, text):
    """Without offset, without month, or not a moment at all: what to write instead is told."""
    with pytest.raises(BadInput) as refused:
        parse(text, SHANGHAI)
    assert refused.value.hint
    assert "\n" not in refused.value.diagnostics()


def test_a_day_that_is_not_over_means_up_to_now():
    """Today is looked back to as it is now; a day to come keeps its end, which nobody knows."""
    now = datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert parse_as_of("2026-11-21", SHANGHAI, now=now) == now
    assert parse_as_of("2026-11-20", SHANGHAI, now=now) == datetime(2026, 11, 20, 16, tzinfo=UTC) - timedelta(
        microseconds=1
    )
    assert parse_as_of("2026-11-22", SHANGHAI, now=now) > now
