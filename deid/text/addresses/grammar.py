"""How the parts of an address are written: roads, villages, estates, and what numbers count in them.

All patterns are matched at a place, never searched for, and each reads a bounded number of characters.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.reading import alternation, sections_of

STOP: Final = (
    "的了吗呢吧啊呀哦嗯我你您他她它们这那哪怎么什就也都还又很不没"
    "吃疼痛药症诊是有在到去看请想说给让被把跟与及做为因已将会能要该"
)
"""Characters that are in hardly any name of a road, a village or an estate."""

_NAME: Final = f"[^{STOP}\\W\\d_A-Za-z]"
_CHINESE: Final = "[一二三四五六七八九十百零〇]{1,6}"

_NUMBER: Final = (
    "(?:[附临新旧老甲乙丙丁第]?"
    r"(?:[0-9]{1,5}[甲乙丙丁]?[A-Za-z]?(?:[-/之][A-Za-z]?[0-9]{1,5}){0,3}|[A-Za-z]{1,2}[0-9]{0,3}(?:-[0-9]{1,3})?)"
    f"|{_CHINESE}|[甲乙丙丁东西南北中])"
)
_HOUSE: Final = "号(?:楼|院|门|房|馆|库|地块|附[0-9]{1,4}号?)?|#楼?|支?弄"
_BUILDING: Final = "号楼|号院|栋|幢|座|单元|#楼?|号房"
_INSIDE: Final = "室|层|楼|房|户|门|组|大?队|社|排|段|期|区|座|栋|幢|单元|[Ff](?![A-Za-z])"

NAME: Final = re.compile(f"(?:{_NAME}|[0-9]{{1,3}}(?=大?[街路])){{0,14}}+")
"""A name with its suffix, or several, as far as they may reach."""

BUILT: Final = re.compile(f"(?:{_NAME}|[A-Z]){{2,12}}?(?= ?{_NUMBER} ?(?:{_BUILDING}))")
"""Any name that the number of a building follows."""

NUMBERED: Final = re.compile(f" {{0,2}}{_NUMBER} ?(?P<unit>{_HOUSE}|村民小?组|{_INSIDE})(?![0-9]?(?:医院|中学|小学))")
"""A number with what it counts: 259号, 3幢, 二单元, B座, 5-3号, 4组."""

BUILDING: Final = re.compile(f" {{0,2}}{_NUMBER} ?(?:{_BUILDING})")

_NO_MEASURE: Final = (
    "(?![0-9.%℃/:]| ?(?:[天日年月岁周次片粒颗袋支瓶盒点时分秒个元块斤克度倍多毫]"
    "|小时|星期|公斤|左右|m[gml]|g|cm|kg|[Uu]))"
)
ROOM: Final = re.compile(
    r"[- ]{0,2}[A-Za-z]?(?:[0-9]{2,5}(?:-[0-9]{1,5}){0,2}|[0-9](?:-[0-9]{1,5}){1,2})[A-Z]?(?:室|房|户)?" + _NO_MEASURE
)
"""The bare number of a flat behind its house, and no measure."""

PAIR: Final = re.compile(r" ?[0-9]{1,4}-[0-9]{1,4}(?:-[0-9]{1,5}){0,2}(?:室|房|户)?" + _NO_MEASURE)
"""House, stairs and flat in one: 3-1-602."""

BARE: Final = re.compile(r" ?[0-9]{1,4}(?:-[0-9]{1,5}){0,3}(?!号)" + _NO_MEASURE)
"""The number of a house in a road without 号."""

POSTCODE: Final = re.compile(r"[ ,，(]{0,3}(?:邮编|邮政编码)?[:： ]{0,2}(?P<code>[0-9]{6})(?![0-9A-Za-z.])")

GAP: Final = re.compile("[ ]{1,2}|[ ]?[,，/·(-][ ]?")
"""What may stand between two parts; a sign only before a part with a number or a division."""


class Suffixes(NamedTuple):
    """What a name ends with.

    Attributes:
        road: of a road.
        settled: of a town, a village, an estate or a building.
        counted: of anything that the number of a house follows.
    """

    road: re.Pattern[str]
    settled: re.Pattern[str]
    counted: re.Pattern[str]


@cache
def suffixes() -> Suffixes:
    """Return the patterns, made from ``lists/address_words.txt`` once."""
    sections = sections_of("address_words.txt")
    road, settled, loose = (alternation(sections[section]) for section in ("road", "settled", "loose"))
    return Suffixes(
        re.compile(road), re.compile(settled), re.compile(f"(?:{loose})(?= ?{_NUMBER} ?(?:{_HOUSE}|{_INSIDE}))")
    )
