"""Age classes: what the law asks about a subject's age, without keeping a birth date in clear.

A class ends on the first day of the month after the birthday that ends it, at midnight UTC: the later, hence the
stricter side, and the month tells no birthday. Fourteen years: PIPL article 31; eighteen: 未成年人保护法 article 2.
"""

from datetime import date
from enum import StrEnum
from typing import Final

CHILD_YEARS: Final = 14
ADULT_YEARS: Final = 18
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


def childhood_until(age_class: AgeClass, until: date | None) -> date | None:
    """Return the day from which the subject decides without a guardian; None when it is not known or long past."""
    if age_class is AgeClass.UNDER_14:
        return until
    if age_class is AgeClass.UNDER_18 and until is not None:
        return until.replace(year=until.year - (ADULT_YEARS - CHILD_YEARS))
    return None


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
