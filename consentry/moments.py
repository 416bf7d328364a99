"""Moments as people write them: an instant with its offset, or a day of the operator's calendar."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from kernel.clock import parse_instant, require_aware
from kernel.errors import BadInput

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


def parse_as_of(text: str, time_zone: str, *, now: datetime | None = None) -> datetime:
    """Return the instant to look back to; a day means its end, and today means up to now.

    Args:
        text: RFC 3339 with an offset, or a day such as 2026-11-21.
        time_zone: IANA name of the pack's zone.
        now: an end of day that is still to come is replaced by it; None leaves it.
    Raises:
        BadInput: the text is neither.
    """
    day = _day(text)
    if day is None:
        return parse_moment(text)
    end = _midnight(day + _DAY, time_zone) - _MICROSECOND
    return now if now is not None and _midnight(day, time_zone) <= now < end else end


def parse_start(text: str, time_zone: str) -> datetime:
    """Return where a period begins, or the first instant after it; a day means its beginning. As ``parse_as_of``."""
    day = _day(text)
    return parse_moment(text) if day is None else _midnight(day, time_zone)


def parse_moment(text: str) -> datetime:
    """Return an RFC 3339 instant; raises ``BadInput`` with what else could have been written."""
    try:
        found = parse_instant(text)
    except BadInput:
        raise BadInput(
            "This is no moment", hint="Write 2026-01-31T08:00:00+08:00 with its offset, or a day as 2026-01-31."
        ) from None
    _check_year(found.date())
    return found


def _day(text: str) -> date | None:
    if len(text) != len("2026-01-31"):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    _check_year(found)
    return found


def _check_year(day: date) -> None:
    """Refuse years beyond any decision; every sum that is made with the rest stays within the calendar."""
    if not date(1900, 1, 1) <= day <= date(2999, 12, 31):
        raise BadInput("A moment lies between 1900 and 2999", hint="Check the year.")


def _midnight(day: date, time_zone: str) -> datetime:
    return require_aware(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)))
