"""Made-up identifiers of every structured kind, in the spellings of chats, and numbers that only look like them.

Values are valid by the rules of their kind. Everything is drawn from a seed; nothing is taken from a person.
"""

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from deid.text.checks import id_check_character, is_credit_code, passes_luhn
from deid.text.kinds import Kind

Make = Callable[[random.Random], str]

CARRIERS: Final = (
    "医生您好，{}头晕三天了怎么办",
    "{}，帮我爸爸挂一个心内科的号",
    "血压135/85，空腹血糖6.8mmol/L，{}尽快回复",
    "孩子4岁咳嗽一周{}",
    "{}",
    "退款（{}）谢谢",
    "我和他爱人一起吃的二甲双胍0.5g，{}。昨天复查ALT 56U/L",
    "想问下{}这个情况要不要紧，吃了药还是疼",
    "之前在你们这里看过{} 麻烦查一下",
)
"""Glued to Chinese on both sides, on one, and delimited."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One kind in its spellings.

    Attributes:
        make: a value.
        lead: what stands directly before it; words that the kind needs, or none.
    """

    kind: Kind
    make: Make
    lead: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Planted:
    """A text with one identifier in it."""

    text: str
    start: int
    value: str
    kind: Kind


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.digits, k=count))


def _some(draw: random.Random, signs: str, count: int) -> str:
    return "".join(draw.choices(signs, k=count))


def _day(draw: random.Random) -> tuple[int, int, int]:
    return draw.randint(1930, 2025), draw.randint(1, 12), draw.randint(1, 28)


def _mobile(draw: random.Random) -> str:
    number = f"1{draw.randint(3, 9)}{_digits(draw, 9)}"
    a, b, c = number[:3], number[3:7], number[7:]
    spelled = draw.choice((number, number, f"{a}-{b}-{c}", f"{a} {b} {c}", f"{a}.{b}.{c}", " ".join(number)))
    return draw.choice(("", "", "+86", "+86 ", "86-", "0086 ")) + spelled


_SPOKEN: Final = ("零一二三四五六七八九", "〇一二三四五六七八九", "零幺二三四五六七八九", "零壹贰叁肆伍陆柒捌玖")


def _spoken_mobile(draw: random.Random) -> str:
    return f"1{draw.randint(3, 9)}{_digits(draw, 9)}".translate(str.maketrans(string.digits, draw.choice(_SPOKEN)))


def _id_number(draw: random.Random) -> str:
    area = draw.choice(("110105", "310104", "440305", "510107", "650102", "820000", "542425"))
    year, month, day = _day(draw)
    seventeen = f"{area}{year}{month:02}{day:02}{_digits(draw, 3)}"
    number = seventeen + id_check_character(seventeen)
    return draw.choice((number, number.lower(), f"{number[:6]} {number[6:14]} {number[14:]}"))


def _id_number_15(draw: random.Random) -> str:
    year, month, day = _day(draw)
    return f"{draw.choice(('110105', '310104', '440305', '620102'))}{year % 100:02}{month:02}{day:02}{_digits(draw, 3)}"


def _credit_code(draw: random.Random) -> str:
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    head = draw.choice(("91", "92", "93", "12", "51", "52")) + draw.choice(("110108", "310115", "440300"))
    body = head + _some(draw, signs, 9)
    return next(body + sign for sign in signs if is_credit_code(body + sign))


def _luhn(draw: random.Random, prefix: str, length: int) -> str:
    body = prefix + _digits(draw, length - len(prefix) - 1)
    return next(body + digit for digit in string.digits if passes_luhn(body + digit))


def _card(draw: random.Random) -> str:
    prefix, length = draw.choice((("622202", 19), ("621700", 19), ("625965", 16), ("4", 16), ("53", 16), ("9558", 19)))
    number = _luhn(draw, prefix, length)
    return draw.choice((number, " ".join(number[at : at + 4] for at in range(0, length, 4))))


def _landline(draw: random.Random) -> str:
    area, length = draw.choice((("010", 8), ("021", 8), ("0571", 8), ("0911", 7), ("023", 8)))
    number = str(draw.randint(2, 8)) + _digits(draw, length - 1)
    return draw.choice(
        (f"{area}-{number}", f"({area}){number}", f"{area} {number}", f"{area}-{number}-{draw.randint(1, 999)}")
    )


def _service(draw: random.Random) -> str:
    head, rest = draw.choice(("400", "800")), _digits(draw, 7)
    return draw.choice((head + rest, f"{head}-{rest[:3]}-{rest[3:]}", f"{head}{rest[0]}-{rest[1:4]}-{rest[4:]}"))


def _email(draw: random.Random) -> str:
    user = draw.choice(("zhang.san", "li_si99", "wangwu", f"1{draw.randint(3, 9)}{_digits(draw, 9)}", _digits(draw, 9)))
    return f"{user}@{draw.choice(('qq.com', '163.com', 'mail.hospital.org.cn', 'Gmail.com'))}"


def _url(draw: random.Random) -> str:
    return draw.choice(("https://www.example.com/u/", "http://example.cn/?id=", "www.example.com.cn/")) + _digits(
        draw, 6
    )


def _plate(draw: random.Random) -> str:
    head = draw.choice("京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼") + draw.choice("ABCDEFGH")
    tail = draw.choice((_digits(draw, 5), _digits(draw, 4) + draw.choice("警学挂领"), "D" + _digits(draw, 5),
                        f"{draw.choice('ABCEG')}{_digits(draw, 4)}", f"{_digits(draw, 5)}F"))  # fmt: skip
    return head + draw.choice(("", "", "·", " ")) + tail


def _code(prefixes: Sequence[str], low: int, high: int) -> Make:
    return lambda draw: draw.choice(prefixes) + _digits(draw, draw.randint(low, high))


def _wechat(draw: random.Random) -> str:
    tail = _some(draw, string.ascii_lowercase + string.digits, draw.randint(5, 10))
    return draw.choice(
        (f"wxid_{_some(draw, string.ascii_lowercase + string.digits, 14)}", f"w{tail}_8", f"zhang{tail}6")
    )


def _ip(draw: random.Random) -> str:
    four = ".".join(str(draw.randint(1, 254)) for _ in range(4))
    return draw.choice((four, four, ":".join(f"{draw.randint(0x100, 0xFFFF):x}" for _ in range(8))))


def _mac(draw: random.Random) -> str:
    return ":".join(f"{draw.randrange(256):02X}" for _ in range(6))


def _uuid(draw: random.Random) -> str:
    return "-".join(_some(draw, "0123456789ABCDEF", size) for size in (8, 4, 4, 4, 12))


def _openid(draw: random.Random) -> str:
    return "oX2y" + _some(draw, string.ascii_letters + string.digits, 24)


def _coordinates(draw: random.Random) -> str:
    return f"{draw.uniform(20, 45):.5f},{draw.uniform(80, 130):.5f}"


def _date(draw: random.Random) -> str:
    year, month, day = _day(draw)
    return draw.choice(
        (f"{year}-{month:02}-{day:02}", f"{year}/{month}/{day}", f"{year}年{month}月{day}日", f"{year}.{month}.{day}",
         f"{month}月{day}日", f"{year}年{month}月")
    )  # fmt: skip


_TENS: Final = ("", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")


def _written_date(draw: random.Random) -> str:
    year, month, day = _day(draw)
    digits = str(year).translate(str.maketrans(string.digits, draw.choice(_SPOKEN[:2])))
    tens, ones = divmod(day, 10)
    spelled = (("", "十", "二十")[tens] + ("", *"一二三四五六七八九")[ones]) or "十"
    return draw.choice(
        (f"{digits}年{_TENS[month]}月{spelled}日", f"农历{_TENS[month]}月初{draw.choice('一二三四五六七八九')}")
    )


PLANTS: Final[dict[str, Plant]] = {
    "mobile": Plant(Kind.MOBILE, _mobile),
    "mobile, spoken": Plant(Kind.MOBILE, _spoken_mobile),
    "landline": Plant(Kind.LANDLINE, _landline),
    "400/800": Plant(Kind.SERVICE_NUMBER, _service),
    "fax": Plant(Kind.FAX, _landline, ("传真", "传真号：")),
    "e-mail": Plant(Kind.EMAIL, _email),
    "web address": Plant(Kind.URL, _url),
    "WeChat": Plant(Kind.WECHAT, _wechat, ("微信", "加我微信", "微信号：", "V信", "薇信号是", "vx:")),
    "QQ": Plant(Kind.QQ, _code(("1", "9", "27"), 6, 8), ("QQ", "我的QQ号是", "扣扣", "企鹅号：")),
    "postcode": Plant(Kind.POSTCODE, _code(("31", "10", "51"), 4, 4), ("邮编", "邮政编码：")),
    "ID number": Plant(Kind.ID_NUMBER, _id_number),
    "ID number of 15": Plant(Kind.ID_NUMBER, _id_number_15),
    "home return permit": Plant(Kind.HK_MACAU_PERMIT, _code(("H", "M"), 8, 8), ("回乡证", "回乡证号：", "港澳通行证")),
    "Taiwan permit": Plant(Kind.TAIWAN_PERMIT, _code(("",), 8, 8), ("台胞证", "台胞证号：")),
    "passport": Plant(Kind.PASSPORT, _code(("E", "G", "EA", "EB"), 8, 8), ("护照", "护照号码：", "护照号是")),
    "officer's card": Plant(
        Kind.OFFICER_ID, lambda draw: f"{draw.choice('军政南北空海')}字第{_digits(draw, 8)}号", ("军官证", "")
    ),
    "driver's licence": Plant(Kind.DRIVER_LICENCE, _code(("3301", "1101"), 8, 8), ("驾驶证档案编号", "驾照号")),
    "credit code": Plant(Kind.USCC, _credit_code, ("", "信用代码：")),
    "bank card": Plant(Kind.BANK_CARD, _card),
    "plate": Plant(Kind.PLATE, _plate, ("", "车牌", "开的")),
    "record number": Plant(Kind.RECORD_NUMBER, _code(("", "B", "ZY"), 6, 10), ("病历号", "住院号：", "门诊号是")),
    "visit number": Plant(Kind.VISIT_NUMBER, _code(("", "A"), 7, 10), ("就诊卡号", "就诊号：", "挂号单号 ")),
    "prescription number": Plant(Kind.PRESCRIPTION_NUMBER, _code(("CF", "RX", ""), 8, 12), ("处方号", "处方编号：")),
    "insurance number": Plant(Kind.INSURANCE_NUMBER, _code(("", "A"), 8, 12), ("医保卡号", "社保号：", "医保号是")),
    "examination number": Plant(
        Kind.EXAMINATION_NUMBER, _code(("", "CT", "US-"), 6, 9), ("检查号", "标本号：", "报告单号")
    ),
    "IP address": Plant(Kind.IP_ADDRESS, _ip),
    "MAC address": Plant(Kind.MAC_ADDRESS, _mac),
    "IMEI": Plant(Kind.IMEI, lambda draw: _luhn(draw, "35", 15), ("IMEI", "IMEI:", "手机串号")),
    "device": Plant(Kind.DEVICE_ID, _uuid),
    "openid": Plant(Kind.OPENID, _openid, ("", "openid=")),
    "coordinates": Plant(Kind.COORDINATES, _coordinates),
    "date": Plant(Kind.DATE, _date),
    "date, written": Plant(Kind.DATE, _written_date),
    "age": Plant(Kind.AGE, lambda draw: str(draw.randint(90, 108)), ("年龄", "年龄：")),
}
"""Every structured kind."""


def _order(draw: random.Random) -> str:
    stamp = f"{draw.randint(2019, 2026)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}{_digits(draw, 10)}"
    return draw.choice((f"订单号{_digits(draw, draw.randint(10, 19))}", f"订单{stamp}", f"运单SF{_digits(draw, 13)}"))


def _lab_value(draw: random.Random) -> str:
    name, unit = draw.choice((("ALT", "U/L"), ("空腹血糖", "mmol/L"), ("甘油三酯", "mmol/L"), ("HBV-DNA", "IU/ml")))
    return f"{name}{draw.uniform(0, 400):.2f}{unit}（参考值{draw.uniform(0, 1):.2f}-{draw.uniform(1, 60):.2f}）"


def _pressure(draw: random.Random) -> str:
    pressure = f"血压{draw.randint(90, 190)}/{draw.randint(50, 110)}"
    return f"{pressure}，心率{draw.randint(50, 140)}，体温{draw.uniform(35, 41):.1f}"


def _licence(draw: random.Random) -> str:
    return draw.choice(
        (f"国药准字{draw.choice('HZSBJ')}{_digits(draw, 8)}", f"国械注准{_digits(draw, 11)}", f"批号{_digits(draw, 8)}")
    )


def _disease_code(draw: random.Random) -> str:
    return f"诊断编码{draw.choice('ABCDEFGHIJ')}{_digits(draw, 2)}.{_digits(draw, 3)}x{_digits(draw, 3)}"


def _dose(draw: random.Random) -> str:
    once = f"每次{draw.choice(('0.25', '0.5', '1.5'))}g每日{draw.randint(1, 4)}次"
    return f"{once}，共{draw.randint(7, 90)}天，{draw.randint(100, 999)}mg×{draw.randint(2, 9)}"


def _time_stamp(draw: random.Random) -> str:
    hour, minute, second = draw.randint(0, 23), draw.randint(10, 59), draw.randint(10, 59)
    return draw.choice(
        (
            f"时间戳17{_digits(draw, 8)}",
            f"流水20260{draw.randint(1, 9)}1518{_digits(draw, 8)}",
            f"{hour}:{minute}:{second}",
        )
    )


def _lot(draw: random.Random) -> str:
    return f"疫苗批号{_digits(draw, 6)}A{_digits(draw, 2)}"


HARD: Final[dict[str, Make]] = {
    "order number": _order,
    "lab value": _lab_value,
    "blood pressure": _pressure,
    "licence of a product": _licence,
    "code of a disease": _disease_code,
    "dose": _dose,
    "time stamp": _time_stamp,
    "vaccine lot": _lot,
}
"""What stays."""

_FULL_WIDTH: Final = str.maketrans(
    string.digits + "-@." + string.ascii_uppercase,
    "０１２３４５６７８９－＠．ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ",
)


def _disguised(value: str, draw: random.Random) -> str:
    """Spell a value plainly (half of the time), in full width, or with zero-width characters inside."""
    style = draw.randrange(4)
    if style < 2:  # noqa: PLR2004 - half of them
        return value
    return value.translate(_FULL_WIDTH) if style == 2 else "\u200b".join(value)  # noqa: PLR2004


def planted(name: str, draw: random.Random, carrier: str) -> Planted:
    """Put one identifier into a carrier with ``{}``."""
    plant = PLANTS[name]
    before, _, after = carrier.partition("{}")
    head = before + draw.choice(plant.lead)
    value = _disguised(plant.make(draw), draw)
    return Planted(head + value + after, len(head), value, plant.kind)
