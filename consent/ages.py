"""Age classes: what the law asks about a subject's age, without keeping a birth date in clear.

A class ends on the first day of the month after the birthday that ends it, at midnight UTC: the later, hence the
stricter side, and the month tells no birthday. Fourteen years: PIPL article 31; eighteen: 未成年人保护法 article 2.

The digital age, from which a person consents by itself, is the pack's (``Catalogue.digital_age``): R21, R23.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

CHILD_YEARS: Final = 14
ADULT_YEARS: Final = 18
DIGITAL_AGE: Final[Mapping[str, int]] = {
    "AT": 14, "BE": 13, "BG": 14, "CY": 14, "CZ": 15, "DE": 16, "DK": 15, "EE": 13, "ES": 14, "FI": 13, "FR": 15,
    "GB": 13, "GR": 15, "HR": 16, "HU": 16, "IE": 16, "IS": 13, "IT": 14, "LT": 14, "LU": 16, "LV": 13, "MT": 13,
    "NL": 16, "NO": 13, "PL": 16, "PT": 13, "RO": 16, "SE": 13, "SI": 15, "SK": 16, "CN": 14,
}  # fmt: skip
"""The age of consent to an information service by ISO 3166-1 country: GDPR article 8 and the laws under it; PIPL 31.

From memory and not checked against each law: a proposal for the pack's ``digital_age``, which alone is what counts.
"""

NO_MONTH: Final = "none"
"""What an entry says of an age class that does not end."""

_MONTH_CHARS: Final = 7
_DECEMBER: Final = 12
_LEAP_DAY: Final = (2, 29)


class AgeClass(StrEnum):
    """What is known about a subject's age."""

    UNDER_14 = "under_14"
    UNDER_18 = "under_18"
    ADULT = "adult"
    UNKNOWN = "unknown"


def class_of_birth(birth_date: date | None, on: date) -> tuple[AgeClass, date | None]:
    """Return the age class on a day and the day from which the next class counts (None where none follows)."""
    if birth_date is None:
        return AgeClass.UNKNOWN, None
    for years, age_class in ((CHILD_YEARS, AgeClass.UNDER_14), (ADULT_YEARS, AgeClass.UNDER_18)):
        until = _month_after_birthday(birth_date, years)
        if on < until:
            return age_class, until
    return AgeClass.ADULT, None


def class_on(age_class: AgeClass, until: date | None, on: date) -> AgeClass:
    """Return the class that counts on a day for a subject registered as ``age_class`` until ``until``."""
    majority = majority_on(age_class, until)
    if until is None or on < until:
        return age_class
    return AgeClass.ADULT if majority is None or on >= majority else AgeClass.UNDER_18


def childhood_until(age_class: AgeClass, until: date | None, digital_age: int = CHILD_YEARS) -> date | None:
    """Return the day from which the subject consents by itself; None when it is not known or long past.

    Args:
        age_class: as registered, with the day ``until`` which it counts.
        until: the first of a month.
        digital_age: whole years.
    """
    majority = majority_on(age_class, until)
    return None if majority is None else majority.replace(year=majority.year - (ADULT_YEARS - digital_age))


def age_told(age_class: AgeClass, until: date | None) -> tuple[str, str]:
    """Return what an entry says of an age: the class, and the month in which it ends (``none`` without an end)."""
    return age_class.value, NO_MONTH if until is None else until.isoformat()[:_MONTH_CHARS]


def grown_up_by(day: date, digital_age: int) -> dict[AgeClass, date]:
    """Return for each class of minors the latest ``age_class_until`` of those who have reached the digital age."""
    return {
        AgeClass.UNDER_14: _years_before(day, digital_age - CHILD_YEARS),
        AgeClass.UNDER_18: _years_before(day, digital_age - ADULT_YEARS),
    }


def majority_on(age_class: AgeClass, until: date | None) -> date | None:
    """Return the day of majority of a subject that was registered as a minor, or None."""
    if age_class is AgeClass.UNDER_14 and until is not None:
        return until.replace(year=until.year + (ADULT_YEARS - CHILD_YEARS))
    return until if age_class is AgeClass.UNDER_18 else None


def _month_after_birthday(birth_date: date, years: int) -> date:
    year, month = birth_date.year + years, birth_date.month
    if (month, birth_date.day) == _LEAP_DAY:
        month += 1  # neither the 14th nor the 18th year is a leap year; the birthday completes on 1 March
    return date(year + 1, 1, 1) if month == _DECEMBER else date(year, month + 1, 1)


def _years_before(day: date, years: int) -> date:
    is_leap_day = (day.month, day.day) == _LEAP_DAY
    return day.replace(year=day.year - years, day=day.day - 1 if is_leap_day else day.day)
