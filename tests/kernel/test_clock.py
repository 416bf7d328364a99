"""Time."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.clock import (
    FixedClock,
    SystemClock,
    age_in_years,
    format_instant,
    from_micros,
    parse_instant,
    require_aware,
    to_micros,
)
from kernel.errors import BadInput

_INSTANTS = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
SHANGHAI = timezone(timedelta(hours=8))


def test_the_machine_clock_tells_utc():
    """It agrees with the machine and carries its zone."""
    before = datetime.now(UTC)
    told = SystemClock().now()
    assert before <= told <= datetime.now(UTC)
    assert told.tzinfo is UTC


class Machine:
    """A clock that can be set, and real time that cannot."""

    def __init__(self) -> None:
        self.wall, self.elapsed = datetime(2026, 1, 1, tzinfo=UTC), 100.0
        self.clock = SystemClock(wall=lambda: self.wall, elapsed=lambda: self.elapsed)

    def run(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds


def test_clock_that_is_set_back_goes_on_at_half_the_pace_until_it_has_caught_up():
    """Nothing that has ended begins again, and nothing lasts more than twice as long."""
    machine = Machine()
    started = machine.clock.now()
    machine.wall -= timedelta(days=1)
    assert machine.clock.now() == started
    machine.run(600)
    assert machine.clock.now() == started + timedelta(minutes=5)
    machine.run(2 * 86_400)
    assert machine.clock.now() == machine.wall


def test_clock_that_is_set_forward_is_followed():
    """Who is right cannot be told; what ends too early does no harm."""
    machine = Machine()
    started = machine.clock.now()
    machine.wall += timedelta(days=1)
    assert machine.clock.now() == started + timedelta(days=1)


def test_clock_goes_on_from_what_the_log_tells():
    """After a start with a clock that is behind the log; an instant that is over changes nothing."""
    machine = Machine()
    told = machine.clock.now() + timedelta(days=1)
    machine.clock.not_before(told)
    assert machine.clock.now() == told
    machine.run(60)
    assert machine.clock.now() == told + timedelta(seconds=30)
    machine.clock.not_before(told)
    assert machine.clock.now() == told + timedelta(seconds=30)


def test_a_fixed_clock_moves_when_told():
    """Forward and backward."""
    clock = FixedClock(datetime(2026, 1, 1, 8, tzinfo=SHANGHAI))
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(timedelta(minutes=5))
    clock.advance(timedelta(minutes=-6))
    assert clock.now() == datetime(2025, 12, 31, 23, 59, tzinfo=UTC)


def test_an_instant_without_zone_is_refused():
    """It cannot be ordered among others."""
    with pytest.raises(BadInput, match="without a time zone"):
        require_aware(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(BadInput, match="without a time zone"):
        parse_instant("2026-01-31T08:00:00")


def test_what_is_no_instant_is_refused_without_repeating_it():
    """An instant can be a value of a person, so the message does not hold it."""
    with pytest.raises(BadInput, match="Not an RFC 3339 instant") as caught:
        parse_instant("yesterday at nine")
    assert "nine" not in caught.value.diagnostics()
    assert caught.value.__cause__ is None


def test_offsets_are_read():
    """The instant is the same in every zone."""
    assert parse_instant("2026-01-31T08:00:00+08:00") == parse_instant("2026-01-31T00:00:00Z")


@given(instant=_INSTANTS)
def test_instants_survive_text_and_microseconds(instant):
    """Nothing is lost on either way."""
    assert parse_instant(format_instant(instant)) == instant
    assert from_micros(to_micros(instant)) == instant


@given(first=_INSTANTS, second=_INSTANTS)
def test_the_order_of_texts_is_the_order_of_time(first, second):
    """So that text columns and log lines sort."""
    assert (format_instant(first) < format_instant(second)) == (first < second)


def test_instants_before_1970_are_negative():
    """Birth years are among them."""
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


@pytest.mark.parametrize(
    ("birth_date", "on", "age"),
    [
        (date(2000, 6, 15), date(2026, 6, 14), 25),
        (date(2000, 6, 15), date(2026, 6, 15), 26),
        (date(2012, 2, 29), date(2026, 2, 28), 13),
        (date(2012, 2, 29), date(2026, 3, 1), 14),
        (date(2026, 1, 1), date(2026, 1, 1), 0),
    ],
)
def test_age_counts_completed_years(birth_date, on, age):
    """A birthday on 29 February completes on 1 March of other years."""
    assert age_in_years(birth_date, on) == age
