"""Numbers as people write them who number, break and disguise them."""

from time import process_time

import pytest

from deid.text import TextScrubber
from deid.text.deidentifier import Deidentifier
from deid.text.identifiers import broken_in
from deid.text.operators import KeyedTokeniser, Setting
from deid.text.own import OwnFinder, OwnIdentifiers
from deid.text.profiles import profile_called
from deid.text.record_only import RecordDetector
from tests.deid.text.numbers import with_id_check, with_luhn

_MOBILE = "13812345678"
_CARD = with_luhn("622202123456789012")
_ID = with_id_check("11010519491231003")


@pytest.fixture(scope="module")
def scrubber():
    return TextScrubber()


@pytest.mark.parametrize("sign", ["①", "⑩", "1️⃣", "²", "½", "㎡", "❶"])
@pytest.mark.parametrize("value", [_MOBILE, _ID, "2024年3月5日"])
def test_value_behind_an_items_number_is_found(scrubber, sign, value):
    """``①138…`` is item one and a number, however digits that are none are folded."""
    for text in (f"手机{sign}{value}", f"{sign}{value}，下一条"):
        scrubbed = scrubber.scrub(text)
        assert value not in scrubbed.text
        assert scrubber.scrub(scrubbed.text).text == scrubbed.text


def test_own_number_behind_an_items_number_is_found():
    """What the subject's record says is found beside such signs too."""
    own = [OwnFinder(OwnIdentifiers(mobiles=(_MOBILE,)))]
    assert _MOBILE not in TextScrubber(detector=RecordDetector()).scrub(f"①{_MOBILE}", own=own).text


@pytest.mark.parametrize(
    "sign", ["\n", "\r\n", "/", ",", "，", "。", "、", "*", "~", "|", "😀", "\ufffd", "\x00", " - "]
)
def test_mobile_in_three_parts_is_found_whatever_parts_it(scrubber, sign):
    """Three, four and four digits with the same sign between them are a number, on one line or on three."""
    assert scrubber.scrub(f"我的手机是138{sign}1234{sign}5678谢谢").text == "我的手机是〔手机〕谢谢"


@pytest.mark.parametrize("text", ["138\n12345678", "13812\n345678", "1381234\n5678", "1381234 \r\n5678"])
def test_mobile_over_a_line_end_is_found(scrubber, text):
    """A number that did not fit on its line goes on in the next."""
    assert scrubber.scrub(f"电话{text}。").text == "电话〔手机〕。"


@pytest.mark.parametrize("sign", ["\n", "/", "，", "😀"])
def test_identity_number_in_parts_is_found(scrubber, sign):
    """Its check digit proves it, whatever stands between its parts."""
    assert scrubber.scrub(f"证{_ID[:6]}{sign}{_ID[6:14]}{sign}{_ID[14:]}的").text == "证〔身份证〕的"


@pytest.mark.parametrize("number", ["壹參捌壹貳參肆伍陸柒捌", "〡〣〨〡〢〣〤〥〦〧〨"])
def test_traditional_and_suzhou_numerals_are_digits(scrubber, number):
    """As on the mainland, so in Hong Kong, Taiwan and on old shop signs."""
    assert scrubber.scrub(f"電話{number}").text == "電話〔手机〕"


@pytest.mark.parametrize("address", ["abc(at)qq.com", "abc [AT] qq.com", "abc艾特qq点com", "li.li 艾特 163.com"])
def test_address_with_a_word_for_its_sign_is_found(scrubber, address):
    """Nothing of it stays, nor what stood before the sign."""
    assert scrubber.scrub(f"发到{address}吧").text == "发到〔邮箱〕吧"


@pytest.mark.parametrize(
    "text",
    [
        "血压138/88，126/80",
        "白细胞138\n1234",
        "编号\n138\n123",
        "订单138-1234-56789",
        "见图13、1234、5678",
        "血糖5.6\n血压138\n心率1234",
    ],
)
def test_columns_of_figures_stay(scrubber, text):
    """Figures under each other, and lists of them, are no numbers of telephones."""
    assert scrubber.scrub(text).text == text


@pytest.mark.parametrize("part", ["1 ", "13", "138/", "1\n", "138\n", "19 ", "20\n", "a(at)b.", "a艾特", "138，1234，"])
def test_time_grows_with_length_only(part):
    """No text makes the patterns of broken numbers go over it again and again."""
    text = (part * 20_000)[:20_000]
    began = process_time()
    list(broken_in(text))
    assert process_time() - began < 0.5


@pytest.mark.parametrize("profile", ["analyst", "surrogate"])
@pytest.mark.parametrize(
    "text",
    [
        "2024年3月5日星期二复查", "周二3月5日复查", "2024-03-05（周二）复查", "除夕2024年2月9日复查",
        "2024年2月10日大年初一复查", "Tuesday, March 5, 2024 visit", "2024年2月9日，除夕，复查",
    ],
)  # fmt: skip
def test_names_of_a_day_go_with_its_moved_date(profile, text):
    """A weekday or a holiday that stays beside a moved date tells by how many days it was moved."""
    setting = Setting(scope="s", tokeniser=KeyedTokeniser(bytes(32)), shift_days=11)
    done = Deidentifier(profile_called(profile)).apply(text, setting)
    assert not any(name in done.text for name in ("周二", "星期二", "除夕", "初一", "Tuesday"))
    assert any(words in done.text for words in ("复查", "visit"))
    assert all(text[span.start : span.end] not in done.text for span in done.spans)


@pytest.mark.parametrize("profile", ["public", "mask"])
def test_year_of_birth_of_the_oldest_is_not_told(profile):
    """Years say of somebody that they are over 89 as ages do (45 CFR 164.514(b)(2)(i)(C))."""
    deidentifier = Deidentifier(profile_called(profile))
    assert "1930" not in deidentifier.apply("生于1930年3月5日").text
    assert "1985年" in deidentifier.apply("生于1985年3月5日").text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("患者〔张伟〕来电", "张伟"),
        ("姓名：〔张伟〕", "张伟"),
        ("病历号〔12345678〕", "12345678"),
        ("微信号〔abc12345〕", "abc12345"),
        ("〔姓名：张伟〕", "张伟"),
        ("〔〔姓名〕张伟〕", "张伟"),
    ],
)
def test_nothing_hides_between_brackets_like_ours(scrubber, text, value):
    """Only the marks that we make are marks; what somebody else writes between such brackets is read."""
    scrubbed = scrubber.scrub(text).text
    assert value not in scrubbed
    assert scrubber.scrub(scrubbed).text == scrubbed
    assert scrubber.scrub("〔姓名〕〔手机〕").spans == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("病历号：\nB20230001", "B20230001"),
        ("微信:\r\n  abc12345", "abc12345"),
        ("手机❶❸❽❶❷❸❹❺❻❼❽", "❶❸❽❶❷❸❹❺❻❼❽"),
        (f"退款到{_CARD[:10]}\n{_CARD[10:]}", _CARD[10:]),
        (f"退款到{_CARD[:4]} {_CARD[4:8]} {_CARD[8:12]}\n{_CARD[12:]}", _CARD[12:]),
    ],
)
def test_value_on_the_next_line_is_found(scrubber, text, value):
    """Behind a label with a colon, and the rest of a card; black circled digits are digits."""
    assert value not in scrubber.scrub(text).text


@pytest.mark.parametrize("label", ["+V ", "＋v：", "加我薇❤:", "wei信", "威芯", "抠抠"])
def test_account_is_found_behind_evading_labels(scrubber, label):
    """As sellers write 微信 and 扣扣 where these words are watched for."""
    value = "87654321" if label == "抠抠" else "abc_12345"
    assert value not in scrubber.scrub(f"{label}{value}").text


@pytest.mark.parametrize("text", ["HIV+Vb12345复查", "a+variable12", "5% +VitaminC100", "CA125+Vit1234567"])
def test_plus_signs_of_other_things_stay(scrubber, text):
    """A plus and a V within a word name no account."""
    assert scrubber.scrub(text).text == text
