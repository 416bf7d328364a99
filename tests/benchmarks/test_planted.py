"""Planted identifiers are valid, glued to Chinese characters, and never repeated."""

import re
from datetime import datetime

from benchmarks.planted import Planter, Sort
from deid.text.checks import id_check_character

TEXT = "最近三天头晕得厉害"
CHINESE = re.compile("[一-鿿]")


def _planted(number=90):
    planter = Planter(5)
    return [planter.plant(TEXT) for _ in range(number)]


def test_every_sort_is_planted_equally_often():
    """Ninety texts hold thirty of each."""
    sorts = [planted.sort for planted in _planted()]
    assert all(sorts.count(sort) == 30 for sort in Sort)


def test_no_value_is_planted_twice():
    """A value that is found somewhere can be traced to its text."""
    values = [planted.value for planted in _planted()]
    assert len(set(values)) == len(values)


def test_values_are_glued_to_chinese_characters():
    """No space and no punctuation stands on either side."""
    for planted in _planted():
        before, after = planted.text.split(planted.value)
        assert CHINESE.fullmatch(before[-1])
        assert CHINESE.fullmatch(after[0])


def test_the_text_around_is_kept():
    """Without the phrase the text is what it was."""
    assert all(set(TEXT) <= set(planted.text) for planted in _planted())


def test_id_numbers_hold_a_real_day_and_the_right_check_character():
    """They pass every check that a real one passes."""
    for planted in _planted():
        if planted.sort is Sort.ID_NUMBER:
            assert planted.value[-1] == id_check_character(planted.value[:17])
            datetime.strptime(planted.value[6:14], "%Y%m%d")  # noqa: DTZ007 - a day only
