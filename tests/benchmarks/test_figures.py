"""Figures, their targets, and how they are shown."""

import pytest

from benchmarks.figures import COLUMNS, Bound, Figure, Target, shown


def test_the_ratio_is_value_over_yardstick():
    """A figure at half the speed of its yardstick has the ratio 0.5."""
    assert Figure("vault", "seal", 50.0, "values/s", "bare", 100.0).ratio == 0.5


@pytest.mark.parametrize(
    ("bound", "limit", "met"),
    [
        (Bound.AT_MOST, 50, True),
        (Bound.AT_MOST, 49.9, False),
        (Bound.AT_LEAST, 50, True),
        (Bound.AT_LEAST, 50.1, False),
        (Bound.EXACTLY, 50, True),
        (Bound.EXACTLY, 51, False),
    ],
)
def test_a_target_on_the_value_is_met_on_its_side_of_the_bound(bound, limit, met):
    """Both bounds include their limit."""
    assert Figure("demo", "wall", 50.0, "s", target=Target(bound, limit)).met is met


def test_a_target_on_the_ratio_does_not_look_at_the_value():
    """Forty values a second meet 0.4 of a hundred, and not of a hundred and one."""
    target = Target(Bound.AT_LEAST, 0.4, of_ratio=True)
    assert Figure("vault", "seal", 40, "values/s", "bare", 100, target).met is True
    assert Figure("vault", "seal", 40, "values/s", "bare", 101, target).met is False


def test_without_a_target_nothing_is_met_or_missed():
    """Figures without a target do not decide the exit code."""
    assert Figure("tags", "speed", 1, "subjects/s").met is None


def test_the_json_of_a_figure_has_every_column():
    """The members are those that results.json promises, with the target in words."""
    figure = Figure("demo", "wall", 30, "s", "bare", 3, Target(Bound.AT_MOST, 90))
    assert figure.as_json() == dict(
        zip(COLUMNS, ("demo", "wall", 30, "s", "bare", 3, 10, "value ≤ 90", True), strict=True)
    )


def test_a_yardstick_has_a_name_and_a_value():
    """One without the other is a mistake in the benchmark."""
    with pytest.raises(ValueError, match="yardstick"):
        Figure("demo", "wall", 30, "s", yardstick="bare")
    with pytest.raises(ValueError, match="yardstick"):
        Figure("demo", "wall", 30, "s", yardstick_value=3)


def test_a_target_on_the_ratio_needs_a_yardstick():
    """A ratio to nothing cannot be bounded, nor one to a yardstick of zero."""
    target = Target(Bound.AT_LEAST, 0.4, of_ratio=True)
    with pytest.raises(ValueError, match="ratio"):
        Figure("vault", "seal", 40, "values/s", target=target)
    with pytest.raises(ValueError, match="ratio"):
        Figure("vault", "seal", 40, "values/s", "bare", 0, target)


@pytest.mark.parametrize(
    ("number", "text"), [(None, ""), (0, "0"), (931, "931"), (0.41236, "0.412"), (54321.9, "54,322"), (12.0, "12")]
)
def test_numbers_are_shown_with_what_they_say(number, text):
    """Counts stay whole, measurements keep three digits."""
    assert shown(number) == text
