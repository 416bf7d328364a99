"""Single values: what is understood, and what is refused."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.sources import cleaning
from consentry.sources.records import RowFault, RowRefused

SHANGHAI = ZoneInfo("Asia/Shanghai")


def fault_of(call, *args, **kwargs):
    """The fault that a call is refused with."""
    with pytest.raises(RowRefused) as refused:
        call(*args, **kwargs)
    return refused.value.fault


@pytest.mark.parametrize(
    "text", ["2026-01-03", "2026/1/3", "2026.1.3", "2026年1月3日", "20260103", "２０２６／１／３", "2026-01-03 08:05"]
)
def test_day_is_read_in_every_usual_form(text):
    """Full-width digits, slashes, points, Chinese words and a time behind it all give one day."""
    assert cleaning.parse_date(text) == date(2026, 1, 3)


@pytest.mark.parametrize("text", ["03/01/2026", "2026-13-01", "2026-02-30", "26-1-3", "昨天", "", "2026-01-03x"])
def test_ambiguous_and_impossible_days_are_refused(text):
    """A day that could be another one is no day."""
    assert fault_of(cleaning.parse_date, text) is RowFault.BAD_DATE


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-03T08:05:00+08:00",
        "2026-01-03T00:05:00Z",
        "2026-01-03 08:05",
        "2026/1/3 8:05:00",
        "2026年1月3日 8时5分",
        "2026年1月3日8点5分0秒",
        "20260103080500",
        "202601030805",
        "1767398700",
        "1767398700000",
        "2026-01-03T00:05:00.000-0000",
    ],
)
def test_instant_is_read_in_every_usual_form(text):
    """Offsets go first, local times are taken in the zone, Unix times are what they are."""
    assert cleaning.parse_time(text, SHANGHAI) == datetime(2026, 1, 3, 0, 5, tzinfo=UTC)


def test_bare_day_is_its_first_instant_in_the_zone():
    """A day without a time begins at midnight where it was written."""
    assert cleaning.parse_time("2026-01-03", SHANGHAI) == datetime(2026, 1, 2, 16, tzinfo=UTC)


def test_fraction_of_a_second_is_kept():
    """Six digits of a fraction survive."""
    assert cleaning.parse_time("2026-01-03T00:05:00.1234567Z", SHANGHAI).microsecond == 123456


@pytest.mark.parametrize("text", ["2026-01-03 25:00", "2026-01-03 08:05 PM", "noon", "0001-01-01 00:00", "123456789"])
def test_what_is_no_instant_is_refused(text):
    """Hours that do not exist, other clocks and days before time are refused."""
    assert fault_of(cleaning.parse_time, text, SHANGHAI) is RowFault.BAD_DATE


def test_day_after_today_is_refused():
    """Nothing is observed tomorrow."""
    assert fault_of(cleaning.check_date, date(2026, 11, 22), today=date(2026, 11, 21)) is RowFault.FUTURE_DATE


def test_day_before_any_living_person_is_refused():
    """A year 1070 is a slip of the pen."""
    assert fault_of(cleaning.check_date, date(1070, 1, 1), today=date(2026, 11, 21)) is RowFault.BAD_DATE


@pytest.mark.parametrize(
    ("text", "value"),
    [("5.6", "5.6"), ("５．６", "5.6"), ("1,280.50", "1280.50"), ("1e2", "1E+2"), ("-3", "-3"), (".5", "0.5")],
)
def test_numbers_are_read(text, value):
    """Full-width digits and grouped thousands are numbers."""
    assert cleaning.parse_decimal(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "五", "1,2,3", "5.6.7", "NaN", "Infinity", "1e99", "12345678901234567", "0x10"])
def test_what_is_no_number_is_refused(text):
    """NaN, infinities and numbers beyond reason never become quantities."""
    assert fault_of(cleaning.parse_decimal, text) is RowFault.BAD_NUMBER


def test_huge_exponent_does_not_grow_into_text():
    """A short number with a huge exponent is refused before it is written out."""
    assert fault_of(cleaning.bounded, Decimal("1E+1000000")) is RowFault.BAD_NUMBER
    assert cleaning.bounded(Decimal("1E-1000")) == 0


@pytest.mark.parametrize(("text", "value"), [("¥1,280.50", "1280.50"), ("￥99", "99"), ("99元", "99"), ("CNY 5", "5")])
def test_amounts_of_yuan_are_read(text, value):
    """Currency signs before and after an amount are dropped."""
    assert cleaning.parse_money(text) == Decimal(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6))
def test_decimal_text_keeps_the_value(value):
    """Writing a decimal and reading it gives the same number, in one way to write it."""
    text = cleaning.decimal_text(value)
    assert Decimal(text) == value
    assert cleaning.decimal_text(Decimal(text)) == text
    assert "E" not in text


def test_negative_zero_is_zero():
    """There is one way to write nothing."""
    assert cleaning.decimal_text(Decimal("-0.00")) == "0"


def test_whole_numbers_only():
    """3.0 is whole, 3.5 is not."""
    assert cleaning.whole(Decimal("3.0")) == 3
    assert fault_of(cleaning.whole, Decimal("3.5")) is RowFault.BAD_NUMBER


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("男", "male"),
        ("女", "female"),
        ("M", "male"),
        ("f", "female"),
        ("1", "male"),
        ("２", "female"),
        ("0", "unknown"),
        ("9", "other"),
    ],
)
def test_sexes_are_read_in_words_and_codes(text, sex):
    """Chinese and English words and the codes of GB/T 2261.1."""
    assert cleaning.parse_sex(text) == sex


def test_unknown_sex_word_is_refused():
    """A word that means nothing is not silently unknown."""
    assert fault_of(cleaning.parse_sex, "3") is RowFault.UNKNOWN_CATEGORY


@pytest.mark.parametrize(("text", "truth"), [("是", True), ("否", False), ("True", True), ("0", False), ("有", True)])
def test_truth_values_are_read(text, truth):
    """Chinese and English truth values."""
    assert cleaning.parse_boolean(text) is truth


def test_unknown_truth_value_is_refused():
    """Maybe is neither."""
    assert fault_of(cleaning.parse_boolean, "也许") is RowFault.UNKNOWN_CATEGORY


def id_number(body):
    """Complete 17 digits by their check character (GB 11643-1999)."""
    return body + "10X98765432"[sum(int(d) * 2 ** (17 - i) for i, d in enumerate(body)) % 11]


def test_id_number_example_of_the_standard_is_accepted():
    """The standard's own example verifies."""
    assert cleaning.parse_id_number("11010519491231002x") == "11010519491231002X"


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 1, 1)), st.integers(0, 999), st.integers(0, 17))
def test_any_single_wrong_digit_of_an_id_number_is_refused(birth, order, place):
    """The check digit finds every single slip."""
    right = id_number(f"110105{birth:%Y%m%d}{order:03d}")
    assert cleaning.parse_id_number(right) == right
    wrong = ("1" if right[place] != "1" else "2") if place < 17 else ("0" if right[17] != "0" else "1")
    assert fault_of(cleaning.parse_id_number, right[:place] + wrong + right[place + 1 :]) is RowFault.CHECK_DIGIT


def test_old_id_number_is_completed():
    """Fifteen digits gain the century and the check digit."""
    assert cleaning.parse_id_number("110105491231002") == "11010519491231002X"


@pytest.mark.parametrize("text", ["", "abc", "11010519490231002X", "110105194912310", "١١٠١٠٥١٩٤٩١٢٣١٠٠٢X"])
def test_what_is_no_id_number_is_refused(text):
    """Other shapes and days that do not exist are refused."""
    assert fault_of(cleaning.parse_id_number, text) is RowFault.CHECK_DIGIT


@pytest.mark.parametrize(
    "text", ["13800138000", "+86 138-0013-8000", "１３８００１３８０００", "0086 13800138000", "138 0013 8000"]
)
def test_chinese_mobile_has_one_form(text):
    """Country code, spaces and hyphens make no other number."""
    assert cleaning.parse_mobile(text) == "13800138000"


def test_foreign_mobile_keeps_its_country():
    """A number from abroad is one where it says so."""
    assert cleaning.parse_mobile("+1 (555) 711-5374") == "+15557115374"


@pytest.mark.parametrize("text", ["1380013800", "23800138000", "555-711-5374", "+86 12345", "电话"])
def test_what_is_no_mobile_is_refused(text):
    """Too short, landlines and words are refused."""
    assert fault_of(cleaning.parse_mobile, text) is RowFault.BAD_MOBILE


def test_text_keeps_its_full_width_marks():
    """Free text stays as it was written."""
    assert cleaning.clean_text("  头痛，３天  ") == "头痛，３天"


def test_long_text_is_refused_by_bytes():
    """64 KiB is counted in UTF-8 bytes."""
    assert fault_of(cleaning.clean_text, "头" * 22_000) is RowFault.TOO_LONG
    assert fault_of(cleaning.clean_text, "x" * 65_537) is RowFault.TOO_LONG
    assert cleaning.clean_text("x" * 65_536)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "a\x1bb"])
def test_unprintable_text_is_refused(text):
    """Control characters and lone surrogates never reach a log or a store."""
    assert fault_of(cleaning.clean_text, text) is RowFault.BAD_TEXT


def test_keys_are_folded_and_short():
    """An id from a source is at most 256 characters."""
    assert cleaning.clean_key(" Ｐ１ ") == "P1"
    assert fault_of(cleaning.clean_key, "x" * 257) is RowFault.TOO_LONG


def test_fold_drops_invisible_characters():
    """Zero-width characters inside an identifier vanish."""
    assert cleaning.fold("\u200b１３\u200d８\ufeff") == "138"
