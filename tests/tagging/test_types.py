"""Numbers: exact, rounded once and half to even, unknown beyond their range."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagging.types import bounded, product, quotient

STEPS = st.integers(-(10**18) + 1, 10**18 - 1).map(lambda step: Decimal(step).scaleb(-4))


def half_even(exact: Fraction) -> Decimal | None:
    """Round an exact fraction to four decimals; Python's round is half-even and exact on fractions."""
    steps = round(exact * 10**4)
    return Decimal(steps).scaleb(-4) if abs(steps) < 10**18 else None


@given(STEPS, STEPS)
def test_product_is_rounded_once(left, right):
    """A product is that of exact fractions, rounded half to even."""
    assert product(left, right) == half_even(Fraction(left) * Fraction(right))


@given(STEPS, STEPS.filter(bool))
def test_quotient_is_rounded_once(left, right):
    """A quotient is that of exact fractions, rounded half to even."""
    assert quotient(left, right) == half_even(Fraction(left) / Fraction(right))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("1", "0", None), ("0", "5", "0"), ("1", "20000", "0"), ("3", "20000", "0.0002"), ("-3", "20000", "-0.0002")],
)
def test_quotient_at_its_edges(left, right, expected):
    """Zero divisors are unknown and ties go to the even neighbour."""
    assert quotient(Decimal(left), Decimal(right)) == (None if expected is None else Decimal(expected))


def test_number_beyond_the_range_is_unknown():
    """The largest number is just below 10^14."""
    assert bounded(Decimal("99999999999999.9999")) == Decimal("99999999999999.9999")
    assert bounded(Decimal("99999999999999.99995")) is None
    assert bounded(Decimal(-(10**14))) is None
