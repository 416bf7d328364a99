"""Made-up addresses in the spellings of chats and forms, and sentences that only sound like addresses.

Divisions are real; names of roads, villages and estates are drawn character by character, so that no list has them.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from deid.text.lists.divisions import Level, divisions

CARRIERS: Final = (
    "医生您好，{}头晕三天了怎么办",
    "我住在{}，最近总是胸闷",
    "我家在{}老人走路不方便能不能上门",
    "药请寄到{}谢谢",
    "收货地址：{}，电话13800001111",
    "地址{}",
    "{}",
    "患者，女，45岁，{}，因发热3天入院",
    "{}高血压十年，吃氨氯地平5mg",
    "家庭住址:{} 联系人张先生",
    "我是{}的，想问下你们那边能做这个手术吗",
    "（{}）",
    "快递发到{}可以吗",
    "之前在{}住过两年",
    "{}，邮编310012",
    "{} 518000，挂号信",
)
"""Glued to Chinese on both sides, on one, behind a cue or a label, and alone."""

_CHARACTERS: Final = (
    "文晨康泰祥龙凤翔鹤松柏竹梅兰桂莲荷枫桐榆槐杨柳青翠碧玉金银珠瑞福禄寿喜庆丰盛昌隆顺利永恒远宏伟景秀丽芳雅清澄湖海江河溪泉山岭峰岩石桥"
    "塘湾洲浦渡口营寨堡店铺窑坊井巷阁台楼亭朝晖曙旭霞彩虹云霄星辰月映照光耀华荣富强民主安定平和谐仁义礼智信忠孝勤俭"
)
_VILLAGE: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"


@dataclass(frozen=True, slots=True)
class PlantedAddress:
    """A text with one address in it."""

    text: str
    start: int
    address: str


def _name(draw: random.Random, least: int = 2, most: int = 3) -> str:
    return "".join(draw.sample(_CHARACTERS, draw.randint(least, most)))


_DIGITS: Final = "〇一二三四五六七八九"


def _written(number: int) -> str:
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else _DIGITS[tens] + "十") + (_DIGITS[ones] if ones else "")


def _division(draw: random.Random) -> str:
    """Return a district with some of what holds it, in full or short names."""
    district = draw.choice([one for one in divisions() if one.level is Level.DISTRICT])
    province, city = district.province, district.city
    above = draw.choice((province + city, province + city, city or province, _short(province) + _short(city)))
    if city and draw.random() < 0.15:  # noqa: PLR2004 - some have no district, or the city alone
        return draw.choice((province + city, city, _short(city)))
    return above + district.name


def _short(name: str) -> str:
    plain = name.removesuffix("省").removesuffix("市")
    return plain if len(plain) > 1 else name


def _road(draw: random.Random) -> str:
    name = draw.choice(("", "", _name(draw) + "镇", _name(draw) + "街道", _name(draw, 2, 2) + "乡")) + _name(draw)
    name += draw.choice(
        ("路", "路", "路", "街", "大道", "东路", "西路", "南路", "北大街", "中路", "巷", "胡同", "二路")
    )
    number = draw.randint(1, 2999)
    return name + draw.choice(
        (f"{number}号", f"{number}号", f"{number}弄{draw.randint(1, 60)}号", f"{number}-{draw.randint(1, 9)}号")
    )


def _estate(draw: random.Random) -> str:
    kinds = ("小区", "花园", "苑", "家园", "公寓", "新村", "名苑", "华庭", "府", "城", "大厦", "广场", "国际")
    return _name(draw) + draw.choice(kinds)


def _flat(draw: random.Random) -> str:
    block, stairs, floor, door = draw.randint(1, 40), draw.randint(1, 4), draw.randint(1, 33), draw.randint(1, 8)
    flat = f"{floor}{door:02}"
    return draw.choice(
        (
            f"{block}幢{stairs}单元{flat}室",
            f"{block}栋{stairs}单元{flat}",
            f"{block}号楼{stairs}单元{flat}室",
            f"{block}号楼{flat}",
            f"{block}-{stairs}-{flat}",
            f"{_written(block)}栋{_written(stairs)}单元{flat}室",
            f"{draw.choice('ABCD')}座{flat}",
            f"{block}栋{flat}房",
            f"{block}#{flat}",
        )
    )


def _in_town(draw: random.Random) -> str:
    return _division(draw) + _road(draw) + draw.choice(("", _flat(draw), _estate(draw) + _flat(draw)))


def _in_estate(draw: random.Random) -> str:
    return _division(draw) + _estate(draw) + _flat(draw)


def _in_village(draw: random.Random) -> str:
    village = draw.choice(_VILLAGE) + draw.choice(("家村", "庄村", "家屯", "各庄村", "家湾村"))
    group = draw.choice(
        ("", f"{draw.randint(1, 12)}组", f"{_written(draw.randint(1, 12))}组", f"{draw.randint(1, 200)}号")
    )
    return _division(draw) + _name(draw, 2, 2) + draw.choice("镇乡") + village + group


def _without_division(draw: random.Random) -> str:
    return draw.choice((_road(draw) + draw.choice(("", _flat(draw))), _estate(draw) + _flat(draw)))


def _spaced(draw: random.Random) -> str:
    """Return an address with a space after each part."""
    district = draw.choice([one for one in divisions() if one.level is Level.DISTRICT])
    parts = (district.province, district.city, district.name, _road(draw), draw.choice(("", _flat(draw))))
    return " ".join(part for part in parts if part)


_WIDE: Final = str.maketrans("0123456789-ABCD", "０１２３４５６７８９－ＡＢＣＤ")


def _full_width(draw: random.Random) -> str:
    return _in_town(draw).translate(_WIDE)


STYLES: Final[dict[str, Callable[[random.Random], str]]] = {
    "in a town": _in_town,
    "in an estate": _in_estate,
    "in a village": _in_village,
    "no division": _without_division,
    "spaced": _spaced,
    "full width": _full_width,
    "division only": _division,
}

SOUNDS_LIKE: Final = (
    "心脏区域疼痛，双侧肺野清晰，气道通畅，肠道菌群失调",
    "尿道口红肿，消化道出血，呼吸道感染，阴道分泌物多",
    "一楼二楼都找过了，门诊三楼取药，住院部3号楼5楼做检查",
    "订单号12345，3号下午2点去的，吃了2号药片",
    "走路3天就疼，上街2号去的，一路上都晕",
    "小区里有人感冒，社区医生让我多喝水，我们村都打了疫苗",
    "中国人都这样，农村没有条件，城镇医保能报多少",
    "二单元复习完了，第3单元的词还没背，一座山一幢楼",
    "祝您早日安康，和平幸福，工作合作愉快，天长地久",
    "云南白药，西藏红花，宁夏枸杞，长春西汀每日3次",
    "市场上的药，超市买的，城市和地区之间，病区床位",
    "血糖7号高8号低，B超单元格，5组数据，每组3次",
    "我在家里3号就发烧了，夜里2号又吐，知道5号出院，和上次相同3号",
    "根据患者所在地区的医院级别，户籍制度，出生地不清楚",
    "他们单位组织体检，道路拥堵，思路清晰，线路故障",
)
"""Nothing in them is an address or a place that says where somebody lives."""


def planted_address(style: str, draw: random.Random, carriers: Sequence[str] = CARRIERS) -> PlantedAddress:
    """Put one address into a carrier with ``{}``."""
    address = STYLES[style](draw)
    before, _, after = draw.choice(carriers).partition("{}")
    return PlantedAddress(before + address + after, len(before), address)
