"""Days are read in every form, and another day is written in the same one."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.text.days import number_of, read_day, written_days

FORMS = [
    ("2026-03-05", "2026-04-14"),
    ("2026/3/5", "2026/4/14"),
    ("2026.12.31", "2027.02.09"),
    ("2026年3月5日", "2026年4月14日"),
    ("2026 年 03 月 05 日", "2026 年 04 月 14 日"),
    ("98年5月12日", "98年6月21日"),
    ("19900307", "19900416"),
    ("二〇二四年三月廿一日", "二〇二四年四月三十日"),
    ("二零二三年十二月", "二零二四年一月"),
    ("九八年五月十日", "九八年六月十九日"),
    ("March 7th, 1990", "April 16th, 1990"),
    ("7 Mar 1990", "16 Apr 1990"),
    ("SEPT 3, 2020", "OCT 13, 2020"),
    ("25/12/1990", "03/02/1991"),
    ("90-03-07", "90-04-16"),
    ("2023年11月", "2023年12月"),
]


@pytest.mark.parametrize(("written", "moved"), FORMS)
def test_another_day_takes_the_form(written, moved):
    """Separators, zeros, numerals, names of months, ordinals."""
    day = read_day(written)
    assert day is not None
    assert day.end == len(written)
    assert day.rewritten(next(day.dates()) + timedelta(days=40)) == moved


def test_day_without_a_year_lies_in_a_given_one():
    """3月5日 is a day of no year by itself."""
    day = read_day("3月5号复查")
    assert day is not None
    assert list(day.dates()) == []
    assert list(day.dates(2024)) == [date(2024, 3, 5)]
    assert day.rewritten(date(2024, 2, 29)) == "2月29号"


def test_figures_in_doubt_are_two_days():
    """03/07/1990 is in March in one country and in July in another."""
    day = read_day("03/07/1990")
    assert day is not None
    assert list(day.dates()) == [date(1990, 3, 7), date(1990, 7, 3)]


@pytest.mark.parametrize("text", ["2026-13-01", "2026年2月30日", "血压135/85", "第三章", "10.12.33.7", "腊月廿三", ""])
def test_what_is_no_day_of_the_calendar_is_none(text):
    """Values, versions, lunar days, days that never were."""
    assert read_day(text) is None


def test_numerals_up_to_39():
    """As the days of a month are counted."""
    spelled = ["一", "十", "十一", "二十", "二十一", "廿", "廿九", "三十", "卅一", "零"]
    assert [number_of(one) for one in spelled] == [1, 10, 11, 20, 21, 20, 29, 30, 31, 0]


def test_repr_says_nothing():
    """A birth date is an identifier."""
    assert "1990" not in repr(list(written_days("生于1990-03-07")))


@given(st.dates(date(1930, 1, 1), date(2029, 12, 31)), st.dates(date(1930, 1, 1), date(2029, 12, 31)))
def test_rewriting_is_reading_again(first, second):
    """What is written in a form is read from it."""
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y%m%d", "%B %d, %Y", "%d %b %Y"):
        day = read_day(first.strftime(form))
        assert day is not None
        assert list(day.dates())[:1] == [first]
        again = read_day(day.rewritten(second))
        assert again is not None
        assert next(again.dates()) == second
