"""Addresses and places in Chinese text: what is found, what is none, and the bounds of both."""

import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.planted_addresses import SOUNDS_LIKE, STYLES, planted_address
from deid.text.addresses import AddressFinder
from deid.text.kinds import MARKS, Kind
from deid.text.reading import read
from deid.text.scrubber import TextScrubber
from deid.text.spans import Span, settle

_FINDER = AddressFinder()
_TRIALS = 2_000 if os.environ.get("CONSENTRY_NIGHTLY") == "1" else 40


def _spans(text: str) -> list[Span]:
    """Return what the finder covers, in offsets of the text as it was given."""
    reading = read(text, "zh")
    spans = []
    for span in settle(_FINDER.find(reading)):
        start, end = reading.folded.original_span(span.start, span.end)
        spans.append(Span(start, end, span.type, span.score, span.source))
    return spans


def _found(text: str) -> list[tuple[str, Kind]]:
    return [(text[span.start : span.end], span.type) for span in _spans(text)]


@pytest.mark.parametrize(
    "address",
    [
        "浙江省杭州市西湖区文三路259号3幢1单元602室",
        "杭州西湖区文三路259号",
        "西湖区文三路259号3-1-602",
        "浙江省 杭州市 西湖区 文三路 259 号 3 幢 1 单元 602 室",
        "西湖区文三路２５９号３幢１单元６０２",
        "上海市浦东新区张江镇祖冲之路1000弄25号602室",
        "广州市天河区体育西路103号维多利广场A座28楼",
        "北京市朝阳区酒仙桥路10号恒通商务园B12C",
        "郑州市金水区花园路与农业路交叉口正弘城写字楼20层",
        "西安市碑林区咸宁西路28号西安交通大学东三舍",
        "河南省周口市太康县王集乡李庄村4组",
        "贵州省毕节市威宁县草海镇西海村白岩组",
        "黑龙江省绥化市肇东市正阳街八委四组",
        "台北市大安区忠孝东路四段100号5楼之2",
        "香港九龙尖沙咀弥敦道100号",
        "臺北市信義區信義路五段7號",
        "天津市河北区金钟河大街256号增1号",
        "重庆市渝北区龙溪街道金龙路258号1幢5-3",
        "玉英县友好台北路d座",
        "文三路259号",
        "阳光花园三栋二单元601",
        "柳林镇王家村",
    ],
)
@pytest.mark.parametrize("carrier", ["我住在{}，头晕三天", "{}", "药寄到{}谢谢"])
def test_addresses_are_found_whole(address, carrier):
    """From the first division to the last number, glued, alone, in full width, in traditional characters, spaced."""
    text = carrier.format(address)
    assert (address, Kind.ADDRESS) in _found(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("住在西湖区附近", "西湖区"),
        ("我是河南的", "河南"),
        ("来自义乌的商人", "义乌"),
        ("老家在朝阳", "朝阳"),
        ("去丰台那边看看", "丰台"),
        ("河南人都爱吃面", "河南"),
        ("从浙江省杭州市西湖区过来", "浙江省杭州市西湖区"),
        ("我人在内蒙古自治区呼和浩特", "内蒙古自治区呼和浩特"),
        ("现在在伦敦读书", "伦敦"),
        ("住北京朝阳望京", "北京朝阳望京"),
    ],
)
def test_bare_divisions_are_places(text, place):
    """A province, a city, a district, full or short, alone or in a chain; words that may be places behind a cue."""
    assert _found(text) == [(place, Kind.PLACE)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("家在古荡新村", "古荡新村"),
        ("我们小区在古墩路", "古墩路"),
        ("到杭州东站转车", "杭州东站"),
        ("住在三墩那边", "三墩"),
        ("我家门牌号是解放路12号", "解放路12号"),
        ("去万达广场吃饭", "万达广场"),
    ],
)
def test_names_behind_cues_are_addresses(text, address):
    """A road, an estate or a neighbourhood without a number, where a sentence says that it is one."""
    assert _found(text) == [(address, Kind.ADDRESS)]


def test_places_in_a_list_are_spans_of_their_own():
    """A sign joins a wider place and a narrower one in full, and nothing else."""
    assert [one for one, _ in _found("新疆乌鲁木齐，西藏拉萨")] == ["新疆乌鲁木齐", "西藏拉萨"]
    assert [one for one, _ in _found("浙江省，杭州市，西湖区")] == ["浙江省，杭州市，西湖区"]
    assert [one for one, _ in _found("发到河北沧州，昌平回龙观的")] == ["河北沧州", "回龙观"]


@pytest.mark.parametrize(
    "text", ["住在医院附近", "我住学校对面", "在路上", "去公园，去机场", "在山路上走", "我家在村里，去镇上看病"]
)
def test_common_words_behind_cues_stay(text):
    """A name is more than the sort of a place."""
    assert _found(text) == []


@pytest.mark.parametrize("text", SOUNDS_LIKE)
def test_what_only_sounds_like_an_address_stays(text):
    """Parts of the body, floors, orders, wishes, products, common words."""
    assert _found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "坚信阳光总在风雨后",
        "晚上海鲜吃多了",
        "城市中区域",
        "北京烤鸭吃多了",
        "长春西汀",
        "合作医疗",
        "我和县里的医生说了",
    ],
)
def test_names_of_places_in_other_words_stay(text):
    """Across two words, as a part of a longer one, as the sort of a product, or as a common word."""
    assert [one for one in _found(text) if one[0] != "北京"] == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "收货地址：滨江区长河街道江南大道3588号恒生大厦15楼，电话13800000000",
            "滨江区长河街道江南大道3588号恒生大厦15楼",
        ),
        ("家庭住址:幸福里小区6号楼3单元201，联系人张先生", "幸福里小区6号楼3单元201"),
        ("地址是王家老屋东头第三家村口", "王家老屋东头第三家村口"),
    ],
)
def test_what_a_label_names_is_an_address(text, address):
    """Up to the next label, also where no rule would read it."""
    assert _found(text) == [(address, Kind.ADDRESS)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("地址：上海市浦东新区世纪大道100号，心率80", "上海市浦东新区世纪大道100号"),
        ("住址北京市海淀区中关村大街5号3单元，体温38.5，咳嗽3天，2号来复查", "北京市海淀区中关村大街5号3单元"),
        ("地址：世纪大道100号，3-501", "世纪大道100号，3-501"),
        ("地址：广东省，深圳，南山科技园8", "广东省，深圳，南山科技园8"),
        ("地址：上海市世纪大道100号，欧阳禾苗13800138000", "上海市世纪大道100号，欧阳禾苗13800138000"),
    ],
)
def test_values_and_complaints_behind_a_labelled_address_stay(text, address):
    """They are what the text is read for; numbers of flats, places and people behind a comma go with the address."""
    assert _found(text) == [(address, Kind.ADDRESS)]


def test_a_place_behind_a_label_is_one():
    """Also where its short name is a word elsewhere."""
    assert _found("地址：上海浦东") == [("上海浦东", Kind.PLACE)]


@pytest.mark.parametrize("text", ["地址填哪个？", "地址：〔地址〕", "请问医院地址在哪里路口"])
def test_a_label_that_names_nothing_finds_nothing(text):
    """Questions about an address, and marks of an earlier round."""
    assert _found(text) == []


@pytest.mark.parametrize(
    "text", ["文三路259号，邮编310012", "文三路259号 310012，挂号信", "西湖区文三路3号（邮编：310012）"]
)
def test_postcodes_behind_addresses_are_found(text):
    """Six digits directly behind an address, with or without the word."""
    assert ("310012", Kind.POSTCODE) in _found(text)


@pytest.mark.parametrize("text", ["文三路3号3天没吃药", "学院路5号602头疼", "人民路12号丙肝病房"])
def test_what_follows_an_address_is_left(text):
    """Days, illnesses and doses behind a number of a house are none of the address."""
    (span,) = _spans(text)
    assert text[span.end - 1] in "号2"


@pytest.mark.parametrize("style", STYLES)
def test_planted_addresses_are_covered(style):
    """At least 97 % of their characters, in roads, villages and estates that no list has."""
    draw = random.Random(f"20260301{style}")
    total = covered = 0
    for _ in range(_TRIALS):
        planted = planted_address(style, draw)
        places = {place for span in _spans(planted.text) for place in range(span.start, span.end)}
        total += len(planted.address)
        covered += len(places & set(range(planted.start, planted.start + len(planted.address))))
    assert covered / total >= 0.97


@given(
    st.text(
        st.sampled_from("杭州市西湖区文三路街道镇村号栋单元室0123-A〔〕地址住在小花园，： 北京一二人民\u200b３"),
        max_size=40,
    )
)
@settings(max_examples=300 if _TRIALS > 1_000 else 60)
def test_any_text_gives_hits_within_it(text):
    """Nothing crashes; hits are not empty, lie within the text and touch no mark."""
    reading = read(text, "zh")
    for hit in _FINDER.find(reading):
        assert 0 <= hit.start < hit.end <= len(reading.text)
        assert "〔" not in reading.text[hit.start : hit.end]


def test_scrubbing_twice_changes_nothing():
    """Marks are no context: what stands beside one is read as before."""
    scrubber = TextScrubber(budget_ms=60_000)
    draw = random.Random(7)
    for style in STYLES:
        for _ in range(5):
            once = scrubber.scrub(planted_address(style, draw).text).text
            assert MARKS[Kind.ADDRESS] in once or MARKS[Kind.PLACE] in once
            assert scrubber.scrub(once).text == once


@pytest.mark.parametrize(
    "unit", ["路", "杭州市", "和平", "文三路2号", "1栋", "镇村", "住在路", "1-1-101", "地址：", "苑"]
)
def test_long_texts_take_linear_time(unit):
    """Four times the text takes about four times the time, far from sixteen."""

    def seconds(characters: int) -> float:
        reading = read((unit * characters)[:characters], "zh")
        started = time.process_time()
        list(_FINDER.find(reading))
        return time.process_time() - started

    seconds(100)
    assert min(seconds(2_000) for _ in range(2)) < 10 * min(seconds(500) for _ in range(2)) + 0.01


def test_texts_without_chinese_are_not_read():
    """No character of a name occurs in them."""
    assert _found("12 Main Street, Springfield") == []
