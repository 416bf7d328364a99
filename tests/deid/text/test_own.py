"""The subject's own identifiers are found however they are written, and nobody else's are taken for them."""

import os
import pickle
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted_own import NEAR, PLANTED, missed, taken
from deid.text import Kind, TextScrubber
from deid.text.own import OwnFinder, OwnIdentifiers, OwnNotStored
from deid.text.reading import read

TRIALS = 3_000 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 60
SEED = 20260301

OWN = OwnIdentifiers(
    names=("王小明",),
    kin=("李芳", "阿不都·热合曼", "Mary Hartwell"),
    mobiles=("13800138000",),
    landlines=("0571-87654321",),
    id_numbers=("110105199003077652",),
    bank_cards=("6222021234567890123",),
    addresses=("浙江省杭州市西湖区文三路259号翠苑小区3幢2单元502室",),
    emails=("wxm_1990@qq.com",),
    accounts=("wang_xm90",),
    record_numbers=("ZY00123456", "0004512"),
    birth_dates=(date(1990, 3, 8),),
    others={Kind.INSURANCE_NUMBER: ("A330106778",)},
)

FOUND = [
    ("王小明头晕", "name", "王小明"),
    ("找 王 小 明 的", "name", "王 小 明"),
    ("小明他妈说", "name", "小明"),
    ("王先生您好", "name", "王先生"),
    ("，老王，", "name", "老王"),
    ("患者王*明", "name", "王*明"),
    ("患者**明，", "name", "**明"),
    ("Wáng Xiǎomíng came", "name", "Wáng Xiǎomíng"),
    ("签名 Xiao-Ming WANG", "name", "Xiao-Ming WANG"),
    ("姓名缩写：W.X.M", "name", "W.X.M"),
    ("李芳说", "kin", "李芳"),
    ("热合曼来了", "kin", "热合曼"),
    ("ask Hartwell, M. about", "kin", "Hartwell, M"),
    ("Mrs. Hartwell", "kin", "Hartwell"),
    ("Mr. Wang said", "name", "Wang"),
    ("+86 138-0013-8000", "mobile", "+86 138-0013-8000"),
    ("幺三八，零零幺三，八零零零", "mobile", "幺三八，零零幺三，八零零零"),
    ("138OO138OOO", "mobile", "138OO138OOO"),
    ("尾号是（8000）", "mobile", "8000"),
    ("8000结尾", "mobile", "8000"),
    ("138****8000", "mobile", "138****8000"),
    ("6222 **** **** 0123", "bank_card", "6222 **** **** 0123"),
    ("前七位1380013", "mobile", "1380013"),
    ("打87654321", "landline", "87654321"),
    ("110105 19900307 7652", "id_number", "110105 19900307 7652"),
    ("老号110105900307765", "id_number", "110105900307765"),
    ("后六位077652", "id_number", "077652"),
    ("文三路259号", "address", "文三路259号"),
    ("西湖区文三路", "address", "西湖区文三路"),
    ("翠苑小区那边", "address", "翠苑小区"),
    ("文三路二百五十九号", "address", "文三路二百五十九号"),
    ("翠苑3幢", "address", "翠苑3幢"),
    ("住3-2-502", "address", "3-2-502"),
    ("杭州文三路 259 号 翠苑小区3幢2单元502门口", "address", "杭州文三路 259 号 翠苑小区3幢2单元502"),
    ("WXM_1990 (at) QQ.com", "email", "WXM_1990 (at) QQ.com"),
    ("vxwang_xm90", "account", "wang_xm90"),
    ("zy123456", "record_number", "zy123456"),
    ("MRN123456", "record_number", "123456"),
    ("住院号4512", "record_number", "4512"),
    ("一九九〇年三月七日", "birth_date", "一九九〇年三月七日"),
    ("born March 8, 1990", "birth_date", "March 8, 1990"),
    ("生日3月7号", "birth_date", "3月7号"),
    ("医保330106778", "insurance_number", "330106778"),
]

LEFT_ALONE = [
    "张小明说",
    "王医生好",
    "小王子和老毛病",
    "阿姨和热敷",
    "李芳华来了",
    "白细胞8000",
    "尾号8001",
    "13800138001",
    "文三路260号",
    "文三路上的药店",
    "文三路2590号",
    "wang_xm901",
    "wxm_19901@qq.com",
    "血小板4512",
    "123456片",
    "B123456",
    "3月7号来的",
    "900307",
    "1991年3月7日",
    "〔姓名〕〔手机〕",
]


def found(text, own=OWN):
    """What the finder gives, as it is written."""
    reading = read(text)
    return {
        (hit.source.removeprefix("record."), reading.text[hit.start : hit.end]) for hit in OwnFinder(own).find(reading)
    }


@pytest.mark.parametrize(("text", "what", "value"), FOUND, ids=[text for text, _, _ in FOUND])
def test_own_identifier_is_found_in_its_spelling(text, what, value):
    """Whole, in part, split, masked, spoken, in pinyin, behind a cue."""
    assert (what, value) in found(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_near_to_it_is_somebody_elses(text):
    """Others of the same surname, other houses of the road, values equal to the last digits."""
    assert found(text) == set()


@pytest.mark.parametrize("name", PLANTED)
def test_planted_spelling_is_covered(name):
    """At least 999 in 1,000, and by day every one."""
    assert missed(name, TRIALS, SEED).wrong <= TRIALS // 1_000


@pytest.mark.parametrize("name", NEAR)
def test_near_ones_stay(name):
    """At most one text in 100 without own identifiers has a hit; one in 20 where another's name begins like theirs."""
    assert taken(name, TRIALS, SEED).wrong <= TRIALS // (20 if name == "longer names" else 100)


def test_record_outranks_rules_in_a_scrubbed_text():
    """A short record number that no rule knows, and a name that no rule would take, become marks."""
    scrubbed = TextScrubber(budget_ms=60_000).scrub("小明的号4512，尾号8000，住3-2-502", own=[OwnFinder(OWN)])
    assert scrubbed.text == "〔姓名〕的号〔病历号〕，尾号〔手机〕，住〔地址〕"
    assert {span.source for span in scrubbed.spans} == {
        "record.name", "record.record_number", "record.mobile", "record.address",
    }  # fmt: skip


def test_nothing_is_shown_or_stored():
    """Neither repr nor pickle gives a value away."""
    assert "王" not in repr(OWN) + repr(OwnFinder(OWN))
    assert "138" not in repr(OWN) + str(OWN)
    with pytest.raises(OwnNotStored):
        pickle.dumps(OWN)
    with pytest.raises(OwnNotStored):
        pickle.dumps(OwnFinder(OWN))


def test_no_values_find_nothing():
    """Empty records, and values too short or too wide to be anything."""
    assert found("王小明13800138000", OwnIdentifiers()) == set()
    short = OwnIdentifiers(
        names=("王", "", "王·", "李*明"),
        mobiles=("", "1"),
        id_numbers=("1",),
        bank_cards=("12",),
        landlines=("120",),
        addresses=("", "1", "杭州", "浙江省杭州市", "3号"),
        emails=("", "a", "@"),
        accounts=("b",),
        record_numbers=("1", "", "x"),
    )
    assert found("王一李明 ** 1号 12 120 a b 在浙江省杭州市3号线 x @", short) == set()


WORDS = st.text("王小明李芳·* -尾号后四位18幺零OoXx@.浙江省杭州市路3栋年月日\u200b，。*〔〕wangxm", max_size=24)


@given(WORDS, WORDS, WORDS, st.text(max_size=40))
@settings(max_examples=200 if TRIALS > 100 else 40, deadline=None)
def test_whatever_is_known_and_written_offsets_lie_in_the_text(one, other, text, anything):
    """No crash, no empty span, nothing outside."""
    own = OwnIdentifiers(
        names=(one,), kin=(other,), mobiles=(one,), landlines=(other,), id_numbers=(one,), bank_cards=(other,),
        addresses=(one, other), emails=(one,), accounts=(other,), record_numbers=(one, other),
    )  # fmt: skip
    reading = read(text + one + anything + other)
    for hit in OwnFinder(own).find(reading):
        assert 0 <= hit.start < hit.end <= len(reading.text)


@pytest.mark.parametrize(
    "unit", ["王", "8", "文三路259", "王小明 ", "尾号8000", "w x m ", "li fang ", "3-2-502 ", "1990年3月"]
)
def test_time_is_linear(unit):
    """Four times the text takes about four times as long, whatever it repeats."""
    finder = OwnFinder(OWN)
    took = []
    for length in (10_000, 40_000):
        reading = read(unit * (length // len(unit)))
        start = time.process_time()
        list(finder.find(reading))
        took.append(time.process_time() - start)
    assert took[1] < 10 * max(took[0], 0.01)
