"""What each kind accepts and leaves alone, as tables; folding and numbers written in Chinese included."""

import pytest

from deid.text import MARKS, Kind, TextScrubber
from tests.deid.text.numbers import with_credit_check, with_id_check, with_luhn

_USCC = with_credit_check("91110108551385082")
_SPARE_ID = with_id_check("11010519491231002")

FOUND = [
    # documents
    (f"企业{_USCC}开票", Kind.USCC, _USCC),
    (f"代码：{_USCC.lower()}。", Kind.USCC, _USCC.lower()),
    ("回乡证H12345678有效", Kind.HK_MACAU_PERMIT, "H12345678"),
    ("回乡证号：M1234567801", Kind.HK_MACAU_PERMIT, "M1234567801"),
    ("我的是H90345678", Kind.HK_MACAU_PERMIT, "H90345678"),
    ("往来港澳通行证C12345678", Kind.HK_MACAU_PERMIT, "C12345678"),
    ("往来港澳通行证CA1234567", Kind.HK_MACAU_PERMIT, "CA1234567"),
    ("台胞证12345678到期", Kind.TAIWAN_PERMIT, "12345678"),
    ("台胞证号0123456789(B)", Kind.TAIWAN_PERMIT, "0123456789(B)"),
    ("护照E12345678丢了", Kind.PASSPORT, "E12345678"),
    ("护照号码：EA1234567", Kind.PASSPORT, "EA1234567"),
    ("我拿G12345678去的", Kind.PASSPORT, "G12345678"),
    ("美国护照 123456789", Kind.PASSPORT, "123456789"),
    ("军官证南字第01234567号", Kind.OFFICER_ID, "南字第01234567号"),
    ("证件是空字第1234567号的", Kind.OFFICER_ID, "空字第1234567号"),
    ("驾驶证档案编号330100123456", Kind.DRIVER_LICENCE, "330100123456"),
    (f"身份证{_SPARE_ID}", Kind.ID_NUMBER, _SPARE_ID),
    # telephone
    ("客服400-820-8820", Kind.SERVICE_NUMBER, "400-820-8820"),
    ("打4008208820转1", Kind.SERVICE_NUMBER, "4008208820转1"),
    ("传真：010-62345678", Kind.FAX, "010-62345678"),
    ("座机62345678转801", Kind.LANDLINE, "62345678转801"),
    ("办公电话：6234567-12", Kind.LANDLINE, "6234567-12"),
    ("我手机幺三八零零幺三八零零零", Kind.MOBILE, "幺三八零零幺三八零零零"),
    ("电话一三八〇〇一三八〇〇〇联系", Kind.MOBILE, "一三八〇〇一三八〇〇〇"),
    ("电话138零零138零零零", Kind.MOBILE, "138零零138零零零"),
    ("壹叁捌零零壹叁捌零零零打这个", Kind.MOBILE, "壹叁捌零零壹叁捌零零零"),
    # accounts of platforms
    ("加我微信wang_ming88", Kind.WECHAT, "wang_ming88"),
    ("微信号：wxid_ab12cd34ef", Kind.WECHAT, "wxid_ab12cd34ef"),
    ("V信 abc12345", Kind.WECHAT, "abc12345"),
    ("加薇abc12345", Kind.WECHAT, "abc12345"),
    ("威信号是laowang_1", Kind.WECHAT, "laowang_1"),
    ("vx: doctor-li99", Kind.WECHAT, "doctor-li99"),
    ("加我QQ12345678", Kind.QQ, "12345678"),
    ("扣扣：876543210", Kind.QQ, "876543210"),
    ("企鹅号12345", Kind.QQ, "12345"),
    ("邮编310012", Kind.POSTCODE, "310012"),
    ("看example.com.cn/doc吧", Kind.URL, "example.com.cn/doc"),
    # vehicles
    ("车牌浙A12345", Kind.PLATE, "浙A12345"),
    ("停了辆京A·D1234", Kind.PLATE, "京A·D1234"),
    ("粤B12345D是我的车", Kind.PLATE, "粤B12345D"),
    ("沪AD12345", Kind.PLATE, "沪AD12345"),
    ("苏E1234警", Kind.PLATE, "苏E1234警"),
    ("他开浙a12c45来的", Kind.PLATE, "浙a12c45"),
    # records
    ("病历号：B20230001", Kind.RECORD_NUMBER, "B20230001"),
    ("住院号1234567", Kind.RECORD_NUMBER, "1234567"),
    ("门诊号是 00123456", Kind.RECORD_NUMBER, "00123456"),
    ("就诊卡号10023456", Kind.VISIT_NUMBER, "10023456"),
    ("就诊卡 A0023456", Kind.VISIT_NUMBER, "A0023456"),
    ("处方号：CF20230305001", Kind.PRESCRIPTION_NUMBER, "CF20230305001"),
    ("医保卡号330101234567", Kind.INSURANCE_NUMBER, "330101234567"),
    ("社保号A12345678", Kind.INSURANCE_NUMBER, "A12345678"),
    ("CT号1234567", Kind.EXAMINATION_NUMBER, "1234567"),
    ("标本编号:BB-20230012", Kind.EXAMINATION_NUMBER, "BB-20230012"),
    ("报告单号 R12345", Kind.EXAMINATION_NUMBER, "R12345"),
    ("账号33001616781235", Kind.ACCOUNT_NUMBER, "33001616781235"),
    # devices and places
    ("从10.12.33.7登录", Kind.IP_ADDRESS, "10.12.33.7"),
    ("ip 2001:db8::8a2e:370:7334断了", Kind.IP_ADDRESS, "2001:db8::8a2e:370:7334"),
    ("fe80:0:0:0:204:61ff:fe9d:f156", Kind.IP_ADDRESS, "fe80:0:0:0:204:61ff:fe9d:f156"),
    ("网卡00:1A:2b:3C:4d:5E", Kind.MAC_ADDRESS, "00:1A:2b:3C:4d:5E"),
    (f"IMEI {with_luhn('35693803564380')}", Kind.IMEI, with_luhn("35693803564380")),
    ("IDFA 1E2DFA89-496A-47FD-9941-DF1FC4E6484A", Kind.DEVICE_ID, "1E2DFA89-496A-47FD-9941-DF1FC4E6484A"),
    ("oaid=8f3c1e2d4b5a6978", Kind.DEVICE_ID, "8f3c1e2d4b5a6978"),
    ("用户oX2yZ5aBcDeFgHiJkLmNoPqRsTuV", Kind.OPENID, "oX2yZ5aBcDeFgHiJkLmNoPqRsTuV"),
    ("在30.2741,120.1551这儿", Kind.COORDINATES, "30.2741,120.1551"),
    ("坐标：48.8566, 2.3522", Kind.COORDINATES, "48.8566, 2.3522"),
    # dates and ages
    ("2026-03-15复查", Kind.DATE, "2026-03-15"),
    ("于2026年3月5日手术", Kind.DATE, "2026年3月5日"),
    ("2026/3/5 14:30入院", Kind.DATE, "2026/3/5 14:30"),
    ("２０２６．３．５来的", Kind.DATE, "２０２６．３．５"),
    ("去年 3月5日发病", Kind.DATE, "3月5日"),
    ("2023年11月确诊", Kind.DATE, "2023年11月"),
    ("98年5月12日生", Kind.DATE, "98年5月12日"),
    ("二〇二四年三月五日出院", Kind.DATE, "二〇二四年三月五日"),
    ("二零二三年十二月", Kind.DATE, "二零二三年十二月"),
    ("三月二十一日开始疼", Kind.DATE, "三月二十一日"),
    ("农历八月十五生的", Kind.DATE, "农历八月十五"),
    ("腊月廿三那天", Kind.DATE, "腊月廿三"),
    ("正月初一", Kind.DATE, "正月初一"),
    ("末次月经20260102", Kind.DATE, "20260102"),
    ("老人92岁了", Kind.AGE, "92"),
    ("外婆九十三岁", Kind.AGE, "九十三"),
    ("一百零一岁高龄", Kind.AGE, "一百零一"),
]

LEFT_ALONE = [
    "国药准字H20103456",
    "进口药品注册证号H20150012",
    "疫苗批号G12345678",
    "型号E12345678",
    "订单号4008208820",
    "支付宝微信支付都行",
    "微信里说吧，wechat也行",
    "微信facebook都有",
    "QQ上聊",
    "维生素B12和B6",
    "青霉素V钾片0.25g",
    "甘A酸二铵",
    "版本v1.2.3.4",
    "软件版本10.12.33.7",
    "早上8:30:15测的",
    "比值1:2，滴度1:640",
    "血氧98.1234，120.55",
    "就诊卡丢了",
    "病历号忘了",
    "门诊量12345人次",
    "医保卡里有1200元",
    "89岁老人，65岁以上",
    "90岁以上的老人要慎用",
    "吃了3年2个月",
    "2年3月没来例假",
    "十月怀胎",
    "二月兰和三七",
    "一二三四五六七",
    "一天三次一次两片",
    "百分之九十五",
    "2026年",
    "2026-13-45",
    "2026年2月30日",
    "血压135/85，心率72",
    "血糖 5.6 7.8 11.1 9.9",
    "化验单上写 3.5-5.5",
    "ICD-10 E11.900x001，ATC A10BA02",
    "时间戳20260315182233",
    "1700000000123",
    "疫苗批次202603A015",
]


@pytest.fixture(scope="module")
def scrubber():
    """One scrubber for the tables; names, addresses and organisations have their own tests."""
    return TextScrubber(budget_ms=60_000)


def found(scrubber, text):
    return [(span.type, text[span.start : span.end]) for span in scrubber.find(text)]


@pytest.mark.parametrize(("text", "kind", "value"), FOUND, ids=[text for text, _, _ in FOUND])
def test_identifier_is_found_whole(scrubber, text, kind, value):
    """Exactly it, with its kind, in offsets of the text as written."""
    assert found(scrubber, text) == [(kind, value)]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_names_nobody_stays(scrubber, text):
    """Products, values, doses, versions, durations and talk about apps."""
    assert found(scrubber, text) == []


def test_every_kind_has_a_mark_of_its_own():
    """None of them holds what a pattern looks for."""
    assert set(MARKS) == set(Kind)
    assert len(set(MARKS.values())) == len(MARKS)
    assert not any(character.isascii() or character.isdigit() for mark in MARKS.values() for character in mark)
