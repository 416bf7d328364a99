"""Dates and instants made coarse: years, months, natural days, age bands."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from deid.cells import Cell, Drop, Params, Raw, Setting
from kernel.clock import age_in_years, parse_instant
from kernel.errors import BadInput

OLDEST_AGE: Final = 90
"""45 CFR 164.514(b)(2)(i)(C): ages over 89 are told as one class, and so is every date that would tell them."""

OLDEST_BAND: Final = f"{OLDEST_AGE}+"
_BAND_YEARS: Final = 5
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def year(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the calendar year as text."""
    day = _day(raw, setting)
    return day if isinstance(day, Drop) else f"{day.year:04d}"


def year_90(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the year of birth as text, or ``90+`` for whoever is 90 or older on ``as_of``."""
    day = _day(raw, setting)
    if isinstance(day, Drop):
        return day
    return OLDEST_BAND if age_in_years(day, setting.as_of) >= OLDEST_AGE else f"{day.year:04d}"


def age_band(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the five-year band of the age on ``as_of``: ``0-4`` to ``85-89``, then ``90+``."""
    day = _day(raw, setting)
    if isinstance(day, Drop):
        return day
    age = age_in_years(day, setting.as_of)
    if age >= OLDEST_AGE:
        return OLDEST_BAND
    low = age // _BAND_YEARS * _BAND_YEARS
    return f"{low}-{low + _BAND_YEARS - 1}"


def month(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the natural month as ``2026-11``."""
    day = _day(raw, setting)
    return day if isinstance(day, Drop) else f"{day.year:04d}-{day.month:02d}"


def natural_day(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the natural day."""
    return _day(raw, setting)


def hour(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the hour of the natural day, 0 to 23."""
    instant = _instant(raw, setting)
    return instant if isinstance(instant, Drop) else instant.astimezone(setting.zone).hour


def minute(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the instant in UTC, cut to its minute."""
    instant = _instant(raw, setting)
    return instant if isinstance(instant, Drop) else instant.astimezone(UTC).replace(second=0, microsecond=0)


def _day(raw: Raw, setting: Setting) -> date | Drop:
    if isinstance(raw, str) and _DATE.fullmatch(raw):
        try:
            day = date.fromisoformat(raw)
        except ValueError:
            return Drop.MALFORMED
        return Drop.FUTURE if day > setting.as_of else day
    instant = _instant(raw, setting)
    return instant if isinstance(instant, Drop) else instant.astimezone(setting.zone).date()


def _instant(raw: Raw, setting: Setting) -> datetime | Drop:
    try:
        instant = parse_instant(raw) if isinstance(raw, str) else raw
        if not isinstance(instant, datetime) or instant.tzinfo is None:
            return Drop.MALFORMED
        day = instant.astimezone(setting.zone).date()
    except (BadInput, OverflowError):
        # An offset can push the first and the last day of the calendar out of it.
        return Drop.MALFORMED
    return Drop.FUTURE if day > setting.as_of else instant


def is_past(instant: datetime, setting: Setting) -> bool:
    """Say whether an instant lies on a natural day up to ``as_of``."""
    return instant < datetime.combine(setting.as_of + timedelta(days=1), datetime.min.time(), setting.zone)
