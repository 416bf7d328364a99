"""Counts of reading in windows, as pure functions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.reading_limits import (
    Count,
    Unit,
    Window,
    counted,
    exceeded,
    is_ordinary,
    limit_of,
    neared,
    window_begins,
)
from kernel.oversight import ReadingLimits

NOON = datetime(2026, 11, 21, 4, 30, 20, tzinfo=UTC)
"""Half past twelve in Shanghai."""


def after(medical, reads, *, fields=1, now=NOON, last_read=None, before=None):
    """The counts after some reads of one person."""
    counts = before or {}
    for number in range(reads):
        counts = counted(
            counts, fields=fields, last_read=last_read if number == 0 else now, now=now, catalogue=medical
        )  # fmt: skip
    return counts


@pytest.mark.parametrize(
    ("window", "begins"),
    [
        (Window.MINUTE, NOON.replace(second=0)),
        (Window.HOUR, NOON.replace(minute=0, second=0)),
        (Window.DAY, datetime(2026, 11, 20, 16, tzinfo=UTC)),
    ],
)
def test_window_begins_with_its_minute_hour_or_natural_day(medical, window, begins):
    """The day is the pack's own."""
    assert window_begins(window, NOON, medical) == begins


def test_each_read_counts_in_every_window_and_a_person_once_in_each(medical):
    """Reads and fields add up; the same person is one."""
    counts = after(medical, 3, fields=2)
    assert {(count.reads, count.fields, count.subjects) for count in counts.values()} == {(3, 6, 1)}


def test_window_that_is_over_begins_anew(medical):
    """A minute later the minute counts from one, hour and day go on; the person is new in the minute only."""
    later = NOON + timedelta(minutes=1)
    counts = after(medical, 1, now=later, last_read=NOON, before=after(medical, 3))
    assert [counts[window].reads for window in Window] == [1, 4, 4]
    assert [counts[window].subjects for window in Window] == [1, 1, 1]


def test_the_limit_itself_passes_and_one_more_does_not(medical):
    """Beyond several limits, the one that lasts longest is told."""
    limits = ReadingLimits(reads_minute=3, reads_hour=3, fields_day=100)
    assert exceeded(after(medical, 3), limits) is None
    reached = exceeded(after(medical, 4), limits)
    assert (reached.window, reached.unit, reached.limit) == (Window.HOUR, Unit.READS, 3)
    assert reached.ends_at == NOON.replace(hour=5, minute=0, second=0)


def test_coming_near_is_told_once_in_a_window(medical):
    """At four of five reads, not at the third or the fifth."""
    limits = ReadingLimits(reads_minute=5)
    told = []
    counts = {}
    for _ in range(5):
        before, counts = counts, after(medical, 1, before=counts, last_read=NOON)
        told.append([(one.window, one.unit) for one in neared(before, counts, limits, percent=80)])
    assert told == [[], [], [], [(Window.MINUTE, Unit.READS)], []]


def test_every_limit_has_its_number():
    """Each window and unit is bounded by default."""
    assert all(limit_of(ReadingLimits(), window, unit) > 0 for window in Window for unit in Unit)
    assert Count(NOON).of(Unit.FIELDS) == 0


_NUMBERS = st.integers(0, 12)
_COUNTS = st.fixed_dictionaries(
    {
        window: st.builds(Count, st.sampled_from([NOON, NOON - timedelta(days=2)]), _NUMBERS, _NUMBERS, _NUMBERS)
        for window in Window
    }
)


@given(before=_COUNTS, after=_COUNTS, limit=st.integers(1, 12), percent=st.sampled_from([50, 80, 100]))
def test_an_ordinary_reading_is_neither_beyond_nor_the_first_to_come_near(before, after, limit, percent):
    """What is asked for every reading says the same as what tells of limits."""
    limits = ReadingLimits(**{f"{unit}_{window}": limit for unit in Unit for window in Window})
    is_told = exceeded(after, limits) is not None or bool(neared(before, after, limits, percent=percent))
    assert is_ordinary(before, after, limits, percent=percent) is not is_told
