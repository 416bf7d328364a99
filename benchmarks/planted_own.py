"""Made-up subjects, the ways in which what is known of them is written, and what is near to it but somebody else's."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from benchmarks.planted_kinds import CARRIERS, HARD
from deid.text.checks import id_check_character
from deid.text.own import OwnFinder, OwnIdentifiers
from deid.text.reading import read

_SURNAMES: Final = (
    *"王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高梁郑罗宋谢唐韩曹许邓萧冯曾程蔡彭潘袁于董余",
    "欧阳",
    "司马",
    "上官",
)
_GIVEN: Final = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛超霞平刚桂华玲辉玉鹏浩宇轩梓涵欣怡雨晨思琪子墨佳俊豪雅婷志建文晓红梅振凯旭"
)
_LIKE: Final = (
    "王wang 李li 张zhang 刘liu 陈chen 杨yang 黄huang 赵zhao 周zhou 吴wu 伟wei 芳fang 娜na 秀xiu "
    "英ying 敏min 静jing 丽li 强qiang 磊lei 军jun 洋yang 勇yong 艳yan 杰jie 娟juan 涛tao 超chao "
    "霞xia 刚gang 桂gui 华hua 玲ling 辉hui 玉yu 鹏peng 浩hao 宇yu 轩xuan 梓zi 涵han 欣xin "
    "怡yi 雨yu 晨chen 思si 琪qi 墨mo 佳jia 俊jun 豪hao 雅ya 婷ting 志zhi 建jian 文wen "
    "晓xiao 红hong 梅mei 振zhen 凯kai 旭xu "
)
_SOUNDS: Final = {pair[0]: pair[1:] for pair in _LIKE.split()}
_SPOKEN: Final = str.maketrans(string.digits, "零幺二三四五六七八九")
_WRITTEN: Final = str.maketrans(string.digits, "〇一二三四五六七八九")
_FULL_WIDTH: Final = str.maketrans(string.digits, "０１２３４５６７８９")
_DIVISIONS: Final = (
    ("浙江省", "杭州市", "西湖区"),
    ("四川省", "成都市", "双流区"),
    ("", "上海市", "徐汇区"),
    ("江苏省", "苏州市", "吴中区"),
    ("湖北省", "武汉市", "洪山区"),
    ("", "北京市", "海淀区"),
)
_ROADS: Final = ("文三路", "学院路", "漕溪北路", "人民南路", "珞喻路", "凤起东路", "解放大道", "中山北路")
_ESTATES: Final = ("翠苑小区", "金色家园", "阳光花园", "绿城百合公寓", "滨江新村", "御景苑")


@dataclass(frozen=True, slots=True)
class Subject:
    """A made-up subject."""

    surname: str
    given: str
    mobile: str
    id_number: str
    born: date
    divisions: tuple[str, str, str]
    road: str
    house: int
    estate: str
    building: int
    stairs: int
    flat: int
    user: str
    account: str
    record: str
    card: str

    @property
    def address(self) -> str:
        """As a record has it."""
        door = f"{self.estate}{self.building}幢{self.stairs}单元{self.flat}室"
        return "".join((*self.divisions, self.road, f"{self.house}号", door))

    @property
    def own(self) -> OwnIdentifiers:
        """What the finder is given."""
        return OwnIdentifiers(
            names=(self.surname + self.given,),
            mobiles=(self.mobile,),
            id_numbers=(self.id_number,),
            bank_cards=(self.card,),
            addresses=(self.address,),
            emails=(f"{self.user}@qq.com",),
            accounts=(self.account,),
            record_numbers=(self.record,),
        )


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.digits, k=count))


def subject(draw: random.Random, length: int = 0) -> Subject:
    """Make up a subject, with so many characters of the given name where that is said."""
    born = date(draw.randint(1935, 2015), draw.randint(1, 12), draw.randint(1, 28))
    body = f"{draw.choice(('110105', '330106', '440305', '510107'))}{born:%Y%m%d}{_digits(draw, 3)}"
    return Subject(
        surname=draw.choice(_SURNAMES),
        given="".join(draw.sample(_GIVEN, length or draw.choice((1, 2, 2, 2)))),
        mobile=f"1{draw.randint(3, 9)}{_digits(draw, 9)}",
        id_number=body + id_check_character(body),
        born=born,
        divisions=draw.choice(_DIVISIONS),
        road=draw.choice(_ROADS),
        house=draw.randint(1, 999),
        estate=draw.choice(_ESTATES),
        building=draw.randint(1, 60),
        stairs=draw.randint(1, 4),
        flat=draw.randint(1, 30) * 100 + draw.randint(1, 4),
        user="".join(draw.choices(string.ascii_lowercase, k=4)) + _digits(draw, 4),
        account="".join(draw.choices(string.ascii_lowercase, k=6)) + f"_{_digits(draw, 2)}",
        record=draw.choice(("", "ZY", "MZ")) + "00" + str(draw.randint(100_000, 9_999_999)),
        card=f"622202{_digits(draw, 13)}",
    )


Spell = Callable[[random.Random, Subject], str]
"""Returns a text with what is planted between ⟦ and ⟧."""


def _separated(draw: random.Random, number: str) -> str:
    sign = draw.choice((" ", "-", ".", "·", ", ", "，"))
    cuts = sorted(draw.sample(range(2, len(number) - 1), draw.choice((1, 2))))
    parts = [number[start:end] for start, end in zip((0, *cuts), (*cuts, len(number)), strict=True)]
    return sign.join(parts)


def _number(draw: random.Random, number: str) -> str:
    return draw.choice(
        (
            number,
            _separated(draw, number),
            number.translate(_SPOKEN),
            number.translate(_WRITTEN),
            number.translate(_FULL_WIDTH),
            " ".join(number),
            "\u200b".join(number),
            number[:3] + number[3:].translate(_SPOKEN),
        )
    )


def _name(draw: random.Random, one: Subject) -> str:
    name = one.surname + one.given
    lead = draw.choice(("我叫", "患者", "姓名：", "", "请问", "帮"))
    behind = draw.choice(
        (
            "",
            "，",
            "头晕",
            "的报告",
            "昨天来过",
            "说他疼",
            "有高血压",
            "平时血压高",
            "明天来",
            "和我",
            "是我妈",
            "红肿",
            "今年",
        )
    )
    written = draw.choice(
        (name, name, name, name.translate(str.maketrans("张刘陈杨黄赵吴孙郑罗", "張劉陳楊黃趙吳孫鄭羅")))
    )
    return f"{lead}⟦{written}⟧{behind}"


def _name_split(draw: random.Random, one: Subject) -> str:
    return f"姓名：⟦{draw.choice((' ', '  ', '·', '-', '*', '.')).join(one.surname + one.given)}⟧"


def _name_titled(draw: random.Random, one: Subject) -> str:
    title = draw.choice(("先生", "女士", "阿姨", "叔叔", "大爷", "奶奶", "小姐", "某", "某某"))
    return draw.choice(("您好⟦{}⟧，", "我是⟦{}⟧", "⟦{}⟧的", "⟦{}⟧")).format(one.surname + title)


def _name_familiar(draw: random.Random, one: Subject) -> str:
    surname = one.surname if one.surname not in "高马于黄何平金江林余程" else "刘"
    return (
        f"，⟦{draw.choice('老小')}{surname}⟧，"
        if surname == one.surname and len(surname) == 1
        else f"⟦{one.surname}先生⟧"
    )


def _name_given(draw: random.Random, one: Subject) -> str:
    if len(one.given) == 1:
        return f"叫⟦{one.surname}{one.given}⟧"
    return draw.choice(("，⟦{}⟧，", "我叫⟦{}⟧", "孩子⟦{}⟧今天", "我家⟦{}⟧")).format(one.given)


def _name_masked(draw: random.Random, one: Subject) -> str:
    masked = [
        f"{one.surname}*{one.given[-1]}",
        f"{one.surname}**",
        f"**{one.given[-1]}",
        f"{one.surname}×{one.given[-1]}",
    ]
    if len(one.given) > 1:
        masked += [f"*{one.given}", f"{one.surname}{one.given[0]}*"]
    return f"患者⟦{draw.choice(masked)}⟧，"


def _pinyin(draw: random.Random, one: Subject) -> str:
    if len(one.surname) > 1 or any(sign not in _SOUNDS for sign in one.surname + one.given):
        return f"我叫⟦{one.surname}{one.given}⟧"
    family, given = _SOUNDS[one.surname], [_SOUNDS[sign] for sign in one.given]
    joined = "".join(given)
    written = draw.choice(
        (
            f"{family} {joined}",
            f"{family.capitalize()} {joined.capitalize()}",
            f"{family}{joined}",
            f"{joined.capitalize()} {family.capitalize()}",
            f"{family.upper()} {' '.join(given).upper()}",
            f"{family.capitalize()} {'-'.join(given).capitalize()}",
            f"{family}_{joined}",
        )
    )
    return draw.choice(("姓名⟦{}⟧", "护照上是⟦{}⟧", "name: ⟦{}⟧")).format(written)


def _initials(draw: random.Random, one: Subject) -> str:
    if len(one.surname) > 1 or any(sign not in _SOUNDS for sign in one.surname + one.given):
        return f"我叫⟦{one.surname}{one.given}⟧"
    letters = "".join(_SOUNDS[sign][0] for sign in one.surname + one.given)
    written = draw.choice((letters, letters.upper(), ".".join(letters.upper())))
    return f"{draw.choice(('姓名缩写', '首字母：', '患者代号'))}⟦{written}⟧"


def _tail(draw: random.Random, one: Subject) -> str:
    tail = draw.choice((one.mobile, one.id_number, one.card))[-4:]
    before = draw.choice(("尾号", "尾号是", "手机尾号：", "后四位", "后四位是", "最后4位", "末四位为"))
    return f"{before}⟦{draw.choice((tail, tail.translate(_FULL_WIDTH)))}⟧"


def _date(draw: random.Random, one: Subject) -> str:
    day, year = one.born, one.born.year
    figures = draw.choice(
        (
            f"{day:%Y-%m-%d}",
            f"{year}/{day.month}/{day.day}",
            f"{year}年{day.month}月{day.day}日",
            f"{year}.{day.month}.{day.day}",
            f"{year}年{day.month}月{day.day}",
            f"{day:%Y%m%d}",
            f"{year % 100:02}年{day.month}月{day.day}日",
            f"{str(year).translate(_WRITTEN)}年{_numeral(day.month)}月{_numeral(day.day)}日",
        )
    )
    return draw.choice(("生日⟦{}⟧", "⟦{}⟧出生", "⟦{}⟧", "，⟦{}⟧，")).format(figures)


def _numeral(number: int) -> str:
    tens, ones = divmod(number, 10)
    return ("", "十", "二十", "三十")[tens] + "一二三四五六七八九"[ones - 1 : ones]


def _id_parts(draw: random.Random, one: Subject) -> str:
    number = one.id_number
    return draw.choice(
        (
            f"身份证⟦{number[:6]} {number[6:14]} {number[14:]}⟧",
            f"身份证⟦{_separated(draw, number)}⟧",
            f"身份证后六位⟦{number[-6:]}⟧",
            f"⟦{number[:6]}********{number[-4:]}⟧",
            f"⟦{number.lower()}⟧",
            f"前六位⟦{number[:6]}⟧，后四位是⟦{number[-4:]}⟧",
        )
    )


def _address(draw: random.Random, one: Subject) -> str:
    province, city, district = one.divisions
    door = f"{one.building}幢{one.stairs}单元{one.flat}"
    parts = (
        one.address,
        one.address.replace("省", "").replace("市", ""),
        f"{one.road}{one.house}号",
        f"{district}{one.road}",
        f"{one.estate}{one.building}幢",
        one.estate,
        f"{one.estate}{door}室",
        f"{one.estate}{one.building}-{one.stairs}-{one.flat}",
        f"{city}{district}{one.road}{one.house}号{one.estate}",
        f"{one.road} {one.house} 号 {one.estate}",
        door,
        f"{province}{city}{district}{one.road}{one.house}号",
        f"{district[:-1]}{one.road}{one.house}号",
    )
    return draw.choice(("我住⟦{}⟧，", "地址：⟦{}⟧", "寄到⟦{}⟧ 谢谢", "⟦{}⟧")).format(draw.choice(parts))


def _record(draw: random.Random, one: Subject) -> str:
    core = one.record.lstrip("ZYM").lstrip("0")
    written = draw.choice(
        (one.record, one.record.lower(), core, f"00{core}", f"ZY{core}" if "ZY" in one.record else core)
    )
    return draw.choice(("住院号⟦{}⟧", "⟦{}⟧", "号是⟦{}⟧", "我的病历⟦{}⟧")).format(written)


PLANTED: Final[dict[str, Spell]] = {
    "name": _name,
    "name, split": _name_split,
    "name with title": _name_titled,
    "name, familiar": _name_familiar,
    "given name": _name_given,
    "name, masked": _name_masked,
    "pinyin": _pinyin,
    "initials behind a cue": _initials,
    "mobile": lambda draw, one: f"{draw.choice(('', '+86', '+86 ', '86-', '0086'))}⟦{_number(draw, one.mobile)}⟧",
    "mobile, masked": lambda _, one: f"⟦{one.mobile[:3]}****{one.mobile[-4:]}⟧",
    "ID number, in parts": _id_parts,
    "bank card": lambda draw, one: f"⟦{_number(draw, one.card)}⟧",
    "tail behind a cue": _tail,
    "birth date": _date,
    "address, whole or partly": _address,
    "e-mail": lambda draw, one: f"⟦{draw.choice((one.user + '@qq.com', one.user, one.user.upper() + '@QQ.com'))}⟧",
    "account": lambda draw, one: f"{draw.choice(('微信', 'vx', ''))}⟦{one.account}⟧",
    "record number": _record,
}
"""What is known, in its spellings."""


def _near_number(draw: random.Random, number: str, kept: int) -> str:
    """Return another number with the same beginning."""
    other = number[:kept] + _digits(draw, len(number) - kept)
    return other if other != number else number[:-1] + str((int(number[-1], 36) + 1) % 10)


def _near_name(draw: random.Random, one: Subject) -> str:
    pool = [sign for sign in _GIVEN if sign not in one.given]
    given = "".join(draw.sample(pool, 2))
    other = draw.choice([surname for surname in _SURNAMES[:20] if surname != one.surname])
    title = draw.choice(("医生", "主任", "大夫", "护士", "教授"))
    return draw.choice(
        (
            f"{one.surname}{given}说",
            f"患者{one.surname}{given}，",
            f"{other}{one.given}",
            f"{one.surname}{title}好",
            f"{other}先生",
        )
    )


def _near_house(draw: random.Random, one: Subject) -> str:
    road = one.road
    estate = draw.choice([estate for estate in _ESTATES if estate != one.estate])
    return draw.choice(
        (
            f"我在{road}{one.house + draw.randint(1, 90) * 10}号",
            f"{road}上的药店",
            f"{estate}{one.building}幢",
            one.divisions[1],
        )
    )


def _near_tail(draw: random.Random, one: Subject) -> str:
    tail = one.mobile[-4:].lstrip("0") or "1"
    return draw.choice(
        (
            f"血小板{tail}",
            f"病毒载量{tail}拷贝",
            f"花了{tail}元",
            f"ALT {tail} U/L",
            f"走了{tail}步",
            f"{tail}ml",
            f"尾号{(int(tail) + 1) % 10_000:04}",
            f"肌酐{tail[:3]}.{tail[3:] or 0}",
        )
    )


def _near_longer(draw: random.Random, one: Subject) -> str:
    surname, given = one.surname, one.given[:1]
    other = draw.choice([sign for sign in _GIVEN if sign not in one.given])
    return (
        f"{draw.choice(('患者', '我叫', '', '，'))}{surname}{given}{other}{draw.choice(('说', '，', '来了', '头晕'))}"
    )


NEAR: Final[dict[str, Spell]] = {
    "names of others": _near_name,
    "longer names": _near_longer,
    "numbers with the same beginning": lambda draw, one: draw.choice(
        (
            _near_number(draw, one.mobile, 7),
            _near_number(draw, one.mobile, 3),
            _near_number(draw, one.card, 12),
            _near_number(draw, one.id_number[:17], 6) + "1",
            f"住院号{_near_number(draw, one.record, 5)}",
        )
    ),
    "values equal to a tail": _near_tail,
    "other houses": _near_house,
    "accounts with the same beginning": lambda draw, one: draw.choice(
        (f"{one.user}{draw.randint(0, 9)}@qq.com", f"{one.account}x")
    ),
    "days": lambda draw, one: f"{one.born.year + 1}年{one.born.month}月{one.born.day}日{draw.choice(('复查', '手术'))}",
    "hard": lambda draw, _: HARD[draw.choice(list(HARD))](draw),
}
"""What is near to it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with what was planted in it, as offsets."""

    text: str
    spans: tuple[tuple[int, int], ...]


def in_carrier(draw: random.Random, marked: str) -> Marked:
    """Put a text with ⟦ and ⟧ into a sentence, or leave it alone."""
    carrier = draw.choice((*CARRIERS, "{}"))
    text, spans, start = "", [], 0
    for sign in carrier.replace("{}", marked):
        if sign == "⟦":
            start = len(text)
        elif sign == "⟧":
            spans.append((start, len(text)))
        else:
            text += sign
    return Marked(text, tuple(spans))


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many texts."""

    wrong: int
    trials: int

    @property
    def right(self) -> float:
        """The share of those that are not wrong."""
        return 1 - self.wrong / self.trials


def missed(what: str, trials: int, seed: int) -> Share:
    """Plant one spelling into many texts and count those in which some of it is not covered."""
    draw = random.Random(f"{seed}{what}")
    wrong = 0
    for _ in range(trials):
        one = subject(draw)
        planted = in_carrier(draw, PLANTED[what](draw, one))
        reading = read(planted.text)
        hits = [reading.folded.original_span(hit.start, hit.end) for hit in OwnFinder(one.own).find(reading)]
        covered = {place for start, end in hits for place in range(start, end)}
        wrong += not all(covered.issuperset(range(start, end)) for start, end in planted.spans)
    return Share(wrong, trials)


def taken(what: str, trials: int, seed: int) -> Share:
    """Write what is near into many texts and count those in which some is taken for the subject's."""
    draw = random.Random(f"{seed}{what}")
    wrong = 0
    for _ in range(trials):
        one = subject(draw)
        reading = read(in_carrier(draw, NEAR[what](draw, one)).text)
        wrong += any(True for _ in OwnFinder(one.own).find(reading))
    return Share(wrong, trials)
