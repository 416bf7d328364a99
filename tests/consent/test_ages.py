"""Age classes: the law's ages, counted on the stricter side."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.ages import DIGITAL_AGE, AgeClass, childhood_until, class_of_birth, class_on, grown_up_by, majority_on
from kernel.clock import age_in_years

births = st.dates(date(1950, 1, 1), date(2026, 11, 1))
days = st.dates(date(2026, 11, 21), date(2060, 1, 1))


def test_class_ends_on_the_first_of_the_month_after_the_birthday():
    """The day that ends a class tells the month of birth and not the day."""
    assert class_of_birth(date(2014, 5, 20), date(2026, 11, 21)) == (AgeClass.UNDER_14, date(2028, 6, 1))
    assert class_of_birth(date(2010, 12, 2), date(2026, 11, 21)) == (AgeClass.UNDER_18, date(2029, 1, 1))


def test_unknown_birth_date_is_unknown():
    """No birth date gives no class and no end."""
    assert class_of_birth(None, date(2026, 11, 21)) == (AgeClass.UNKNOWN, None)
    assert class_on(AgeClass.UNKNOWN, None, date(2050, 1, 1)) is AgeClass.UNKNOWN


def test_birthday_on_the_leap_day_completes_in_march():
    """Born on 29 February, the year completes on 1 March and the class ends with March."""
    assert class_of_birth(date(2016, 2, 29), date(2026, 11, 21)) == (AgeClass.UNDER_14, date(2030, 4, 1))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2028, 5, 31), AgeClass.UNDER_14),
        (date(2028, 6, 1), AgeClass.UNDER_18),
        (date(2032, 5, 31), AgeClass.UNDER_18),
        (date(2032, 6, 1), AgeClass.ADULT),
    ],
)
def test_registered_class_moves_on_by_itself(day, expected):
    """A child's row needs no update for the child to grow up."""
    assert class_on(AgeClass.UNDER_14, date(2028, 6, 1), day) is expected


@given(birth=births, on=days)
def test_class_is_never_later_than_the_age(birth, on):
    """The class that counts is the age's, or for the rest of the month of the birthday the one before."""
    registered, until = class_of_birth(birth, date(2026, 11, 21))
    age = age_in_years(birth, on)
    exact = AgeClass.UNDER_14 if age < 14 else AgeClass.UNDER_18 if age < 18 else AgeClass.ADULT
    month_ago = age_in_years(birth, on - timedelta(days=31))
    before = AgeClass.UNDER_14 if month_ago < 14 else AgeClass.UNDER_18 if month_ago < 18 else AgeClass.ADULT
    found = class_on(registered, until, on)
    assert found in (exact, before)
    if found is not exact:
        assert on.month == birth.month or (birth.month, birth.day) == (2, 29)


@given(birth=births, on=days)
def test_childhood_and_majority_agree_whenever_the_subject_was_registered(birth, on):
    """Registered as a child or as a youth, the two days of the law are the same."""
    early = class_of_birth(birth, birth)
    late = class_of_birth(birth, on)
    if late[0] is AgeClass.UNDER_18:
        assert childhood_until(*late) == childhood_until(*early)
    if late[0] in (AgeClass.UNDER_14, AgeClass.UNDER_18):
        assert majority_on(*late) == majority_on(*early)
    else:
        assert (childhood_until(*late), majority_on(*late)) == (None, None)


@given(birth=births, on=days, digital_age=st.integers(13, 18))
def test_digital_age_is_counted_on_the_stricter_side(birth, on, digital_age):
    """Whoever consents alone has reached the pack's age, and does so by the end of the month after it (R23)."""
    registered, until = class_of_birth(birth, date(2026, 11, 21))
    day = childhood_until(registered, until, digital_age)
    if day is None:
        assert registered is AgeClass.ADULT
        return
    assert age_in_years(birth, day) >= digital_age
    assert age_in_years(birth, day - timedelta(days=62)) < digital_age
    assert (on >= day) == (until <= grown_up_by(on, digital_age)[registered])


def test_leap_day_is_no_obstacle_to_looking_back():
    """On 29 February the same day of another year is the 28th."""
    assert grown_up_by(date(2028, 2, 29), 14) == {
        AgeClass.UNDER_14: date(2028, 2, 28),
        AgeClass.UNDER_18: date(2032, 2, 28),
    }


def test_proposed_ages_lie_between_the_law_s_bounds():
    """GDPR article 8 leaves 13 to 16 to the countries (R23)."""
    assert all(13 <= age <= 16 for age in DIGITAL_AGE.values())
    assert DIGITAL_AGE["CN"] == 14
