"""Recall on planted identifiers and silence on hard negatives, over many generated sentences."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from deid.text import Kind, TextScrubber
from deid.text.checks import id_check_character, passes_luhn

_TRIALS = 400
_SEED = 20260301

_CARRIERS = (
    "医生您好，{}头晕三天了怎么办",
    "{}，帮我爸爸挂一个心内科的号",
    "血压135/85，空腹血糖6.8mmol/L，{}尽快回复",
    "孩子4岁咳嗽一周{}",
    "{}",
    "退款（{}）谢谢",
    "我和他爱人一起吃的二甲双胍0.5g，{}。昨天复查ALT 56U/L",
)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _day(rng: random.Random) -> str:
    return f"{rng.randint(1930, 2020)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"


def _mobile(rng: random.Random) -> str:
    number = f"1{rng.randint(3, 9)}{_digits(rng, 9)}"
    a, b, c = number[:3], number[3:7], number[7:]
    spelled = rng.choice((number, f"{a}-{b}-{c}", f"{a} {b} {c}", f"{a}.{b}.{c}", " ".join(number)))
    return rng.choice(("", "", "+86", "+86 ", "86-", "0086 ")) + spelled


def _id_number(rng: random.Random) -> str:
    area = rng.choice(("110105", "310104", "440305", "510107", "650102", "820000", "542425"))
    seventeen = area + _day(rng) + _digits(rng, 3)
    number = seventeen + id_check_character(seventeen)
    return rng.choice((number, number.lower(), f"{number[:6]} {number[6:14]} {number[14:]}"))


def _id_number_15(rng: random.Random) -> str:
    return rng.choice(("110105", "310104", "440305", "620102")) + _day(rng)[2:] + _digits(rng, 3)


def _luhn(rng: random.Random, prefix: str, length: int) -> str:
    body = prefix + _digits(rng, length - len(prefix) - 1)
    return next(body + digit for digit in "0123456789" if passes_luhn(body + digit))


def _card(rng: random.Random) -> str:
    prefix, length = rng.choice((("622202", 19), ("621700", 19), ("625965", 16), ("4", 16), ("53", 16), ("9558", 19)))
    number = _luhn(rng, prefix, length)
    return rng.choice((number, " ".join(number[at : at + 4] for at in range(0, length, 4))))


def _landline(rng: random.Random) -> str:
    area, length = rng.choice((("010", 8), ("021", 8), ("0571", 8), ("0911", 7), ("023", 8)))
    number = str(rng.randint(2, 8)) + _digits(rng, length - 1)
    return rng.choice(
        (f"{area}-{number}", f"({area}){number}", f"{area} {number}", f"{area}-{number}-{rng.randint(1, 999)}")
    )


def _email(rng: random.Random) -> str:
    user = rng.choice(("zhang.san", "li_si99", "wangwu", f"1{rng.randint(3, 9)}{_digits(rng, 9)}", _digits(rng, 9)))
    return f"{user}@{rng.choice(('qq.com', '163.com', 'mail.hospital.org.cn', 'Gmail.com'))}"


def _url(rng: random.Random) -> str:
    return rng.choice(("https://www.example.com/u/", "http://example.cn/?id=", "www.example.com.cn/")) + _digits(rng, 6)


_PLANTED: dict[str, tuple[Kind, Callable[[random.Random], str]]] = {
    "mobile": (Kind.MOBILE, _mobile),
    "id_number": (Kind.ID_NUMBER, _id_number),
    "id_number_15": (Kind.ID_NUMBER, _id_number_15),
    "bank_card": (Kind.BANK_CARD, _card),
    "landline": (Kind.LANDLINE, _landline),
    "email": (Kind.EMAIL, _email),
    "url": (Kind.URL, _url),
}

_FULL_WIDTH = str.maketrans(
    "0123456789-@.ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "０１２３４５６７８９－＠．ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ",
)


def _disguised(value: str, rng: random.Random) -> str:
    """Spell a value plainly, in full width, or with zero-width characters inside."""
    style = rng.randrange(3)
    if style == 0:
        return value
    return value.translate(_FULL_WIDTH) if style == 1 else "\u200b".join(value)


def _order_number(rng: random.Random) -> str:
    stamp = f"{rng.randint(2019, 2026)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}{_digits(rng, 10)}"
    return rng.choice((f"订单号{_digits(rng, rng.randint(10, 19))}", f"订单{stamp}", f"运单SF{_digits(rng, 13)}"))


def _lab_value(rng: random.Random) -> str:
    name, unit = rng.choice((("ALT", "U/L"), ("空腹血糖", "mmol/L"), ("甘油三酯", "mmol/L"), ("HBV-DNA", "IU/ml")))
    return f"{name}{rng.uniform(0, 400):.2f}{unit}（参考值{rng.uniform(0, 1):.2f}-{rng.uniform(1, 60):.2f}）"


def _pressure(rng: random.Random) -> str:
    return (
        f"血压{rng.randint(90, 190)}/{rng.randint(50, 110)}，心率{rng.randint(50, 140)}，体温{rng.uniform(35, 41):.1f}"
    )


def _licence(rng: random.Random) -> str:
    return rng.choice(
        (f"国药准字{rng.choice('HZSBJ')}{_digits(rng, 8)}", f"国械注准{_digits(rng, 11)}", f"批号{_digits(rng, 8)}")
    )


def _disease_code(rng: random.Random) -> str:
    return f"诊断编码{rng.choice('ABCDEFGHIJ')}{_digits(rng, 2)}.{_digits(rng, 3)}x{_digits(rng, 3)}"


_HARD: dict[str, Callable[[random.Random], str]] = {
    "order_number": _order_number,
    "lab_value": _lab_value,
    "blood_pressure": _pressure,
    "licence": _licence,
    "disease_code": _disease_code,
}


@pytest.fixture(scope="module")
def scrubber() -> TextScrubber:
    """One scrubber for all trials."""
    return TextScrubber(budget_ms=60_000)


@pytest.mark.parametrize("name", _PLANTED)
def test_every_planted_identifier_is_found_exactly(scrubber: TextScrubber, name: str) -> None:
    """Glued or delimited, plain or disguised: full cover, right kind, nothing more."""
    kind, make = _PLANTED[name]
    rng = random.Random(f"{_SEED}{name}")
    missed: Counter[str] = Counter()
    for _ in range(_TRIALS):
        value = _disguised(make(rng), rng)
        before, after = rng.choice(_CARRIERS).split("{}")
        text = before + value + after
        found = [(span.type, text[span.start : span.end]) for span in scrubber.find(text)]
        missed[value] += found != [(kind, value)]
    assert +missed == Counter()


@pytest.mark.parametrize("name", _HARD)
def test_hard_negative_stays(scrubber: TextScrubber, name: str) -> None:
    """Orders, values, pressures, licences and codes are left alone in every sentence."""
    rng = random.Random(f"{_SEED}{name}")
    texts = [rng.choice(_CARRIERS).replace("{}", _HARD[name](rng)) for _ in range(_TRIALS)]
    assert [text for text in texts if scrubber.find(text)] == []
