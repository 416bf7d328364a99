"""What each identifier accepts and leaves alone, as tables."""

import re

import pytest

from deid.text import Kind, TextScrubber
from deid.text.identifiers import IDENTIFIERS
from deid.text.scanner import ALPHABET, islands

_FOUND = [
    # mobile: prefixes, groupings, glued to Chinese and to Latin labels
    ("手机13800138000谢谢", Kind.MOBILE, "13800138000"),
    ("13800138000", Kind.MOBILE, "13800138000"),
    ("打+8613800138000找我", Kind.MOBILE, "+8613800138000"),
    ("打+86 138 0013 8000找我", Kind.MOBILE, "+86 138 0013 8000"),
    ("打(+86)138-0013-8000找我", Kind.MOBILE, "(+86)138-0013-8000"),
    ("打（+8613800138000）找我", Kind.MOBILE, "+8613800138000"),
    ("打0086-13800138000找我", Kind.MOBILE, "0086-13800138000"),
    ("打8613800138000找我", Kind.MOBILE, "8613800138000"),
    ("打013800138000找我", Kind.MOBILE, "013800138000"),
    ("是138-0013-8000呢", Kind.MOBILE, "138-0013-8000"),
    ("是138.0013.8000呢", Kind.MOBILE, "138.0013.8000"),
    ("是138 00138000呢", Kind.MOBILE, "138 00138000"),
    ("是138 001 38000呢", Kind.MOBILE, "138 001 38000"),
    ("是1380 013 8000呢", Kind.MOBILE, "1380 013 8000"),
    ("是1380 0138 000呢", Kind.MOBILE, "1380 0138 000"),
    ("是13800-138000呢", Kind.MOBILE, "13800-138000"),
    ("是1380013 8000呢", Kind.MOBILE, "1380013 8000"),
    ("是1 3 8 0 0 1 3 8 0 0 0呢", Kind.MOBILE, "1 3 8 0 0 1 3 8 0 0 0"),
    ("是１３８００１３８０００呢", Kind.MOBILE, "１３８００１３８０００"),
    ("是138\u200b0013\u200b8000呢", Kind.MOBILE, "138\u200b0013\u200b8000"),
    ("加vx13800138000聊", Kind.MOBILE, "13800138000"),
    ("13800138000那位", Kind.MOBILE, "13800138000"),
    ("13800138000wang", Kind.MOBILE, "13800138000"),
    ("13800138000or问我妈", Kind.MOBILE, "13800138000"),
    ("订单手机号13800138000", Kind.MOBILE, "13800138000"),
    ("订单号+8613800138000", Kind.MOBILE, "+8613800138000"),
    # identity numbers
    ("身份证11010519491231002X的", Kind.ID_NUMBER, "11010519491231002X"),
    ("11010519491231002x", Kind.ID_NUMBER, "11010519491231002x"),
    ("身份证１１０１０５１９４９１２３１００２Ｘ的", Kind.ID_NUMBER, "１１０１０５１９４９１２３１００２Ｘ"),
    ("证110105 19491231 002X好", Kind.ID_NUMBER, "110105 19491231 002X"),
    ("证1101-0519-4912-3100-2X好", Kind.ID_NUMBER, "1101-0519-4912-3100-2X"),
    ("35岁 120 11010519491231002X 60", Kind.ID_NUMBER, "11010519491231002X"),
    ("sfz11010519491231002X", Kind.ID_NUMBER, "11010519491231002X"),
    ("年龄3511010519491231002X", Kind.ID_NUMBER, "11010519491231002X"),
    ("订单号11010519491231002X", Kind.ID_NUMBER, "11010519491231002X"),
    ("身份证号:110105194912310021", Kind.ID_NUMBER, "110105194912310021"),
    ("老身份证110105491231002了", Kind.ID_NUMBER, "110105491231002"),
    ("老身份证110105 491231 002了", Kind.ID_NUMBER, "110105 491231 002"),
    # bank cards
    ("卡号6222020200112230004工行", Kind.BANK_CARD, "6222020200112230004"),
    ("6222 0202 0011 2230 004", Kind.BANK_CARD, "6222 0202 0011 2230 004"),
    ("打到4111-1111-1111-1111吧", Kind.BANK_CARD, "4111-1111-1111-1111"),
    ("打到622202 0200112230004吧", Kind.BANK_CARD, "622202 0200112230004"),
    ("转账到9400000000000007", Kind.BANK_CARD, "9400000000000007"),
    ("9400000000000007这张银行卡", Kind.BANK_CARD, "9400000000000007"),
    ("银行卡号：6222020200112230005", Kind.BANK_CARD, "6222020200112230005"),
    # landlines
    ("座机010-62345678好", Kind.LANDLINE, "010-62345678"),
    ("座机01062345678好", Kind.LANDLINE, "01062345678"),
    ("座机(0571)8765 4321好", Kind.LANDLINE, "(0571)8765 4321"),
    ("座机（010-62345678）好", Kind.LANDLINE, "010-62345678"),
    ("座机+86(0571)87654321好", Kind.LANDLINE, "+86(0571)87654321"),
    ("座机(+86)571-87654321好", Kind.LANDLINE, "(+86)571-87654321"),
    ("座机0571-8765432好", Kind.LANDLINE, "0571-8765432"),
    ("座机010-62345678转801好", Kind.LANDLINE, "010-62345678转801"),
    ("座机010-62345678-801好", Kind.LANDLINE, "010-62345678-801"),
    ("座机+86 10 62345678好", Kind.LANDLINE, "+86 10 62345678"),
    ("座机023）-6.8.5.8.7.1.1.4好", Kind.LANDLINE, "023）-6.8.5.8.7.1.1.4"),
    ("家里电话62345678打不通", Kind.LANDLINE, "62345678"),
    ("电话号码是：6234-5678", Kind.LANDLINE, "6234-5678"),
    ("客服400-820-8820吧", Kind.SERVICE_NUMBER, "400-820-8820"),
    # e-mail
    ("邮箱zhang.san@qq.com谢谢", Kind.EMAIL, "zhang.san@qq.com"),
    ("发13800138000@163.com吧", Kind.EMAIL, "13800138000@163.com"),
    ("发zhangsan＠ｑｑ．ｃｏｍ吧", Kind.EMAIL, "zhangsan＠ｑｑ．ｃｏｍ"),
    ("发zhangsan @ qq.com吧", Kind.EMAIL, "zhangsan @ qq.com"),
    ("发zhangsan@qq。com吧", Kind.EMAIL, "zhangsan@qq。com"),
    ("a@b.cn", Kind.EMAIL, "a@b.cn"),
    ("发a_b+c@mail.hospital.edu.cn。", Kind.EMAIL, "a_b+c@mail.hospital.edu.cn"),
    # web addresses
    ("见https://www.example.com/u?id=7，谢谢", Kind.URL, "https://www.example.com/u?id=7"),
    ("见www.example.com。", Kind.URL, "www.example.com"),
    ("（见http://example.com/a）", Kind.URL, "http://example.com/a"),
]

_LEFT_ALONE = [
    # orders, batches, licences, products
    "订单号13800138000",
    "订单编号：20260315182233445566",
    "订单20260315182233445566还没发货",
    "运单号01062345678",
    "快递单号6222020200112230004",
    "流水号110105491231002",
    "国药准字H20103456",
    "国药准字Z13020361号",
    "批准文号：国械注准20153401234",
    "批号20260315",
    "SKU13812345678A",
    "SF1380013800012",
    "code13800138000",
    "XH01062345678",
    "id13812345678ab9",
    "发票代码011001900211",
    # measurements
    "血压135/85mmHg，心率78次/分",
    "谷丙转氨酶参考值是0.0-40.0U/L而我检查结果56.0",
    "病毒含量为20807000，拷贝5.3E+006",
    "白细胞10.5×10⁹/L，血小板230×10⁹/L",
    "体温36.5 37.2 38.0 36.8 36.6",
    "空腹5.6 餐后7.8 糖化6.1%",
    "卡马西平 600-1200mg/d",
    "身高1.75米体重70公斤",
    "一天吃1 3 5 7 9 11 13 15",
    # codes and dates
    "ICD编码E11.900x001、I10.x00、C34.9",
    "20260315 18:22:33",
    "8:30-11:30，14:00-17:30门诊",
    "SNOMED 44054006 LOINC 2345-7",
    # almost identifiers
    "12800138000",
    "1380013800",
    "138001380001",
    "110105194912310021",
    "4111111111111112",
    "6222020200112230005",
    "银行流水9400000000000008",
    "银行给的编号9400000000000008",
    "编号12345678901234",
    "9400000000000007",
    "110105491331002",
    "62345678",
    "急救120，医保12393",
    "to @name.surname",
    "https://",
    "user@localhost",
]


@pytest.fixture(scope="module")
def scrubber() -> TextScrubber:
    """One scrubber for the tables."""
    return TextScrubber(budget_ms=60_000)


@pytest.mark.parametrize(("text", "kind", "found"), _FOUND, ids=[text for text, _, _ in _FOUND])
def test_identifier_is_found_whole(scrubber: TextScrubber, text: str, kind: Kind, found: str) -> None:
    """Exactly the identifier is found, with its kind, in offsets of the text as written."""
    assert [(span.type, text[span.start : span.end]) for span in scrubber.find(text)] == [(kind, found)]


@pytest.mark.parametrize("text", _LEFT_ALONE)
def test_number_that_names_nobody_stays(scrubber: TextScrubber, text: str) -> None:
    """Orders, products, measurements, codes, dates and near misses are left as they are."""
    assert scrubber.scrub(text).text == text


def test_two_identifiers_side_by_side_are_both_found(scrubber: TextScrubber) -> None:
    """The letters of an address do not hide the number that stands glued to it."""
    assert scrubber.scrub("a@b.com13800138000").text == "〔邮箱〕〔手机〕"
    assert scrubber.scrub("13800138000tel13900139000").text == "〔手机〕tel〔手机〕"
    assert scrubber.scrub("电话13800138000、010-62345678").text == "电话〔手机〕、〔座机〕"


def test_identity_number_inside_an_address_hides_the_whole_address(scrubber: TextScrubber) -> None:
    """The checked number gives the kind, and nothing of the address is left."""
    assert scrubber.scrub("发11010519491231002X@qq.com吧").text == "发〔身份证〕吧"
    assert scrubber.scrub("见https://a.cn/?sfz=11010519491231002X&name=zs吧").text == "见〔身份证〕吧"


def test_a_mark_is_no_context(scrubber: TextScrubber) -> None:
    """The word inside an earlier mark does not turn the number beside it into a bank card."""
    assert scrubber.scrub("〔银行卡〕9400000000000007").spans == ()
    assert scrubber.scrub("9400000000000007，退到〔银行卡〕").spans == ()
    for gap in range(20):
        assert scrubber.scrub(f"〔银行卡〕{'吧' * gap}9400000000000007").spans == (), "a mark cut by the window is none"


@pytest.mark.parametrize("identifier", IDENTIFIERS, ids=lambda identifier: identifier.name)
def test_patterns_know_no_word_boundaries(identifier) -> None:
    """No shorthand that is blind beside Chinese characters."""
    assert not re.search(r"\\[bBwWdDsS]", identifier.pattern.pattern)


@pytest.mark.parametrize("found", [found for _, _, found in _FOUND])
def test_every_identifier_is_written_in_the_alphabet(found: str) -> None:
    """The scanner reads nothing outside its islands, so that each identifier must lie within one."""
    from deid.text.folding import fold

    folded = fold(found).text
    assert re.fullmatch(f"[{ALPHABET}]+", folded)
    assert list(islands(f"电话号码是{folded}好"))
