"""What stands in the place of identifiers: shapes, stability, ranges that are nobody's, and no value that survives."""

import os
import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.planted_own import PLANTED, in_carrier, subject
from deid.text import MARKS, Kind, TextScrubber
from deid.text.checks import has_id_shape, id_check_character, passes_luhn
from deid.text.days import read_day, written_days
from deid.text.deidentifier import Deidentifier
from deid.text.folding import fold
from deid.text.operators import (
    Found,
    Generalise,
    KeyedTokeniser,
    Mask,
    Pseudonym,
    Redact,
    Setting,
    ShiftDate,
    Surrogate,
)
from deid.text.operators.surrogates import MOBILE_SEGMENTS
from deid.text.own import OwnIdentifiers
from deid.text.own.forms import name_value, number_value
from deid.text.profiles import profile_called, profile_names
from kernel.errors import BadInput

EXAMPLES = 400 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 25
KEY = bytes(range(32))
SETTING = Setting(scope="export-1", tokeniser=KeyedTokeniser(KEY), shift_days=-37)


def replaced(operator, kind, value, source="rule", setting=SETTING):
    """What an operator makes of one value."""
    return operator.replace(Found(kind, value, source), setting)


MASKED = [
    (Kind.MOBILE, "13812345678", "138****5678"),
    (Kind.MOBILE, "138-1234-5678", "138-****-5678"),
    (Kind.MOBILE, "+86 138 1234 5678", "138 **** 5678"),
    (Kind.MOBILE, "１３８１２３４５６７８", "138****5678"),
    (Kind.MOBILE, "幺三八一二三四五六七八", "138****5678"),
    (Kind.MOBILE, "5678", "****"),
    (Kind.ID_NUMBER, "110105194912310021", "110***********0021"),
    (Kind.ID_NUMBER, "077652", "******"),
    (Kind.BANK_CARD, "6222021234567890123", "6222***********0123"),
    (Kind.PERSON, "张三丰", "张**"),
    (Kind.PERSON, "李明", "李*"),
    (Kind.PERSON, "欧阳锋", "欧阳*"),
    (Kind.PERSON, "王先生", "王**"),
    (Kind.PERSON, "John Smith", "**"),
    (Kind.EMAIL, "zhang.san@163.com", "z***@163.com"),
    (Kind.RECORD_NUMBER, "ZY00123456", "********56"),
    (Kind.RECORD_NUMBER, "4512", "****"),
    (Kind.PLATE, "京A12345", "京****45"),
    (Kind.ADDRESS, "文三路259号", MARKS[Kind.ADDRESS]),
    (Kind.WITHHELD, "全文", MARKS[Kind.WITHHELD]),
]


@pytest.mark.parametrize(("kind", "value", "masked"), MASKED)
def test_mask_keeps_the_shape(kind, value, masked):
    """The ends of long numbers, the surname, the host; nothing of a part that is no more than what would be shown."""
    assert replaced(Mask(), kind, value) == masked


def test_pseudonym_is_the_same_for_every_spelling():
    """Within a scope; in another scope and for another kind it is another."""
    spellings = ("13812345678", "138-1234-5678", "+86 138 1234 5678", "幺三八一二三四五六七八")
    tokens = {replaced(Pseudonym(), Kind.MOBILE, one) for one in spellings}
    assert len(tokens) == 1
    other = Setting(scope="export-2", tokeniser=SETTING.tokeniser)
    assert replaced(Pseudonym(), Kind.MOBILE, spellings[0], setting=other) not in tokens
    assert replaced(Pseudonym(), Kind.FAX, spellings[0])[-9:] != tokens.pop()[-9:]


def test_pseudonym_has_the_mark_of_its_kind():
    """〔姓名·K7Q2〕, with as many letters as are asked for."""
    token = replaced(Pseudonym(4), Kind.PERSON, "张伟")
    assert token.startswith("〔姓名·")
    assert len(token) == len("〔姓名·K7Q2〕")


def test_own_name_in_all_its_forms_is_one_person():
    """The record says that 王先生, 小明 and 王小明 are the subject."""
    setting = Setting("s", SETTING.tokeniser, own=OwnIdentifiers(names=("王小明", "王晓明")))
    tokens = {replaced(Pseudonym(), Kind.PERSON, one, "record.name", setting) for one in ("王小明", "小明", "王先生")}
    assert len(tokens) == 1


def test_pseudonyms_need_a_tokeniser_and_a_scope():
    """Without them nothing is made up."""
    for setting in (Setting(), Setting(scope="s"), Setting(tokeniser=SETTING.tokeniser)):
        with pytest.raises(BadInput):
            replaced(Pseudonym(), Kind.PERSON, "张伟", setting=setting)
    with pytest.raises(ValueError, match="32 bytes"):
        KeyedTokeniser(b"short")


@given(st.integers(0, 10**9 - 1))
@settings(max_examples=EXAMPLES)
def test_surrogate_mobile_is_of_a_segment_of_nobody(tail):
    """Eleven digits in the original's layout."""
    number = f"13{tail:09}"
    made = replaced(Surrogate(), Kind.MOBILE, f"{number[:3]}-{number[3:7]}-{number[7:]}")
    assert made.startswith(MOBILE_SEGMENTS)
    assert [len(part) for part in made.split("-")] == [3, 4, 4]


def test_surrogate_id_number_is_valid_and_of_no_district():
    """Its check digit holds, its district was never one."""
    made = replaced(Surrogate(), Kind.ID_NUMBER, "110105 19491231 0021")
    digits = made.replace(" ", "")
    assert [len(part) for part in made.split(" ")] == [6, 8, 4]
    assert has_id_shape(digits)
    assert id_check_character(digits[:17]) == digits[17]
    assert digits[2:4] == "99"
    assert len(replaced(Surrogate(), Kind.ID_NUMBER, "110105491231002")) == 15


def test_surrogates_of_other_numbers_are_nobodys():
    """Reserved hosts and networks, a country without issuers, a leading zero."""
    card = replaced(Surrogate(), Kind.BANK_CARD, "6222021234567890123")
    assert card.startswith("9999")
    assert passes_luhn(card)
    assert len(card) == 19
    assert replaced(Surrogate(), Kind.EMAIL, "a.b@163.com").split("@")[1] in {
        "example.com",
        "example.org",
        "example.net",
    }
    assert replaced(Surrogate(), Kind.IP_ADDRESS, "10.0.0.1").startswith(("192.0.2.", "198.51.100.", "203.0.113."))
    assert replaced(Surrogate(), Kind.IP_ADDRESS, "fe80::1").startswith("2001:db8:")
    assert replaced(Surrogate(), Kind.MAC_ADDRESS, "00:1A:2B:3C:4D:5E").startswith("00:00:5E:00:53:")
    assert replaced(Surrogate(), Kind.LANDLINE, "0571-87654321").startswith("0571-1")
    assert replaced(Surrogate(), Kind.US_SSN, "123-45-6789").startswith("666-")
    assert replaced(Surrogate(), Kind.QQ, "87654321").startswith("0")
    assert replaced(Surrogate(), Kind.PLATE, "京A·12345")[1] == "I"
    assert replaced(Surrogate(), Kind.URL, "http://a.cn/x").startswith("https://example.")
    imei = replaced(Surrogate(), Kind.IMEI, "356938035643809")
    assert imei.startswith("00")
    assert passes_luhn(imei)


def test_surrogate_without_a_range_is_a_token_or_wider():
    """Record numbers of nobody are not known; an address becomes its city."""
    assert replaced(Surrogate(), Kind.RECORD_NUMBER, "ZY123456").startswith("〔病历号·")
    assert replaced(Surrogate(), Kind.ADDRESS, "杭州市西湖区文三路259号") == "浙江省杭州市"
    assert replaced(Surrogate(), Kind.DATE, "腊月廿三") == MARKS[Kind.DATE]


NAMES = [
    "张伟",
    "王小明",
    "欧阳锋",
    "张先生",
    "老王",
    "小李",
    "李某某",
    "司马相如",
    "John Smith",
    "J. SMITH",
    "阿不都·热合曼",
    "?",
]


@pytest.mark.parametrize("name", NAMES)
def test_surrogate_name_is_never_the_original(name):
    """It is written like it and stays the same within the scope."""
    made = replaced(Surrogate(), Kind.PERSON, name)
    assert made == replaced(Surrogate(), Kind.PERSON, name)
    assert name_value(name) not in name_value(made) or name == "?"
    assert all(part not in made for part in name.replace(".", " ").split() if len(part) > 1)


def test_surrogate_name_keeps_its_form():
    """Titles stay, and so do capitals and how many characters there are."""
    assert replaced(Surrogate(), Kind.PERSON, "张先生").endswith("先生")
    assert replaced(Surrogate(), Kind.PERSON, "老王").startswith("老")
    assert len(replaced(Surrogate(), Kind.PERSON, "王小明")) == 3
    assert replaced(Surrogate(), Kind.PERSON, "JOHN SMITH").isupper()


def test_surrogates_of_one_person_belong_together():
    """王小明, 小明 and 王先生 are one person, and so are a mobile and its last digits."""
    setting = Setting("s", SETTING.tokeniser, own=OwnIdentifiers(names=("王小明",), mobiles=("13812345678",)))
    whole = replaced(Surrogate(), Kind.PERSON, "王小明", "record.name", setting)
    assert replaced(Surrogate(), Kind.PERSON, "小明", "record.name", setting) == whole[1:]
    assert replaced(Surrogate(), Kind.PERSON, "王先生", "record.name", setting) == f"{whole[0]}先生"
    mobile = replaced(Surrogate(), Kind.MOBILE, "13812345678", "record.mobile", setting)
    assert replaced(Surrogate(), Kind.MOBILE, "5678", "record.mobile", setting) == mobile[-4:]


@given(st.integers(-4000, 4000).filter(bool), st.integers(0, 900))
@settings(max_examples=EXAMPLES)
def test_shift_keeps_intervals(offset, days):
    """Two days are as far apart as before, whatever their forms."""
    first = read_day("2001-03-05")
    assert first is not None
    second = next(first.dates()) + timedelta(days=days)
    setting = Setting(shift_days=offset)
    moved = [
        read_day(replaced(ShiftDate(), Kind.DATE, one, setting=setting))
        for one in ("2001-03-05", f"{second.year}年{second.month}月{second.day}日")
    ]
    assert (next(moved[1].dates()) - next(moved[0].dates())).days == days
    assert next(moved[0].dates()) != next(first.dates())


def test_shift_keeps_the_time_of_day_and_marks_what_it_cannot_read():
    """Lunar days, and days beyond the calendar."""
    assert replaced(ShiftDate(), Kind.DATE, "2026-03-05 14:30") == "2026-01-27 14:30"
    assert replaced(ShiftDate(), Kind.DATE, "农历八月十五") == MARKS[Kind.DATE]
    assert replaced(ShiftDate(), Kind.DATE, "2026-03-05", setting=Setting(shift_days=10**7)) == MARKS[Kind.DATE]
    with pytest.raises(BadInput):
        replaced(ShiftDate(), Kind.DATE, "2026-03-05", setting=Setting(shift_days=0))


WIDER = [
    (Generalise(), Kind.AGE, "92", "90+"),
    (Generalise(), Kind.AGE, "九十三", "90+"),
    (Generalise(), Kind.AGE, "一百零一", "90+"),
    (Generalise(), Kind.AGE, "47岁", "45-49"),
    (Generalise(years=10), Kind.AGE, "四十七", "40-49"),
    (Generalise(years=7), Kind.AGE, "88", "84-89"),
    (Generalise(to="year"), Kind.DATE, "2026-03-05", "2026年"),
    (Generalise(to="month"), Kind.DATE, "二〇二六年三月五日", "2026年3月"),
    (Generalise(to="year"), Kind.DATE, "3月5日", MARKS[Kind.DATE]),
    (Generalise(to="city"), Kind.ADDRESS, "浙江省杭州市西湖区文三路259号", "浙江省杭州市"),
    (Generalise(to="province"), Kind.ADDRESS, "杭州西湖区文三路259号", "浙江省"),
    (Generalise(to="city"), Kind.ADDRESS, "上海市徐汇区漕溪北路18号", "上海市"),
    (Generalise(to="province"), Kind.PLACE, "浙江省", "浙江省"),
    (Generalise(to="city"), Kind.ADDRESS, "文三路259号", MARKS[Kind.ADDRESS]),
    (Generalise(to="city"), Kind.ADDRESS, "朝阳区建国路88号", MARKS[Kind.ADDRESS]),
    (Generalise(), Kind.MOBILE, "13812345678", MARKS[Kind.MOBILE]),
]


@pytest.mark.parametrize(("operator", "kind", "value", "wider"), WIDER)
def test_generalise_leaves_what_is_wider(operator, kind, value, wider):
    """A band, a year, the province; the mark where the place may be in several provinces."""
    assert replaced(operator, kind, value) == wider


def test_redact_leaves_the_mark():
    """Of the kind alone."""
    assert replaced(Redact(), Kind.MOBILE, "13812345678", setting=Setting()) == "〔手机〕"


@pytest.fixture(scope="module")
def scrubber():
    """One for all documents."""
    return TextScrubber(budget_ms=60_000)


@given(st.integers(0, 10**6), st.sampled_from(sorted(PLANTED)), st.sampled_from(profile_names()))
@settings(max_examples=4 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_planted_value_survives(scrubber, seed, what, name):
    """Under every profile: in no normal form, names, numbers and addresses of the subject are left."""
    draw = random.Random(seed)
    one = subject(draw)
    planted = in_carrier(draw, PLANTED[what](draw, one))
    setting = Setting("s", SETTING.tokeniser, shift_days=11, own=one.own)
    left = Deidentifier(profile_called(name), scrubber).apply(planted.text, setting).text
    numbers, names = number_value(left), name_value(left)
    for start, end in planted.spans if what != "birth date" else ():
        value = planted.text[start:end]
        assert len(number_value(value)) <= 4 or number_value(value) not in numbers
        assert len(name_value(value)) < 2 or name_value(value) not in names
    whole_days = [found for found in written_days(fold(left).text) if found.day is not None]
    assert one.born not in {day for found in whole_days for day in found.dates()}
    assert one.mobile not in numbers
    assert one.id_number.lower() not in numbers


@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(sorted(PLANTED)), min_size=1, max_size=3),
    st.sampled_from(("redact", "public")),
)
@settings(max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redacting_twice_changes_nothing(scrubber, seed, whats, name):
    """With the subject's own identifiers known in both runs."""
    draw = random.Random(seed)
    one = subject(draw)
    text = "".join(in_carrier(draw, PLANTED[what](draw, one)).text for what in whats)
    profile, setting = Deidentifier(profile_called(name), scrubber), Setting(own=one.own)
    once = profile.apply(text, setting).text
    assert profile.apply(once, setting).text == once
