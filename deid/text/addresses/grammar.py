"""How the parts of an address are written: roads, villages, estates, and what numbers count in them.

All patterns are matched at a place, never searched for, and each reads a bounded number of characters.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.reading import alternation, sections_of

STOP: Final = "的了吗呢吧啊呀哦嗯我你您他她它们这怎么什就也还很不没吃疼痛药症诊请让被把因为已"
"""Characters that are in hardly any name of a road, a village or an estate."""

GRAMMAR: Final = "那哪都又有是在到去看想说给跟与及做将会能要该个些"
"""Characters that are in few; as words of their own they are none of a name."""

_NAME: Final = f"[^{STOP}\\W\\d_A-Za-z]"
_CHINESE: Final = "[一二三四五六七八九十百零〇]{1,6}"

_NUMBER: Final = (
    "(?:[附临增新旧老甲乙丙丁第]?"
    r"(?:[0-9]{1,5}[甲乙丙丁]?[A-Za-z]?(?:[-/之][A-Za-z]?[0-9]{1,5}){0,3}|[A-Za-z]{1,2}[0-9]{0,3}(?:-[0-9]{1,3})?)"
    f"|[东西南北]?{_CHINESE}|[甲乙丙丁东西南北中])"
)
_HOUSE: Final = "号(?:楼|院|门|房|馆|库|地块|小区|附[0-9]{1,4}号?)?|#楼?|支?弄"
_BUILDING: Final = "号楼|号院|栋|幢|座|单元|#楼?|号房"
_INSIDE: Final = "室|层|楼|房|户|门|组|大?队|社|排|段|期|区|片|院|舍|委|巷|座|栋|幢|单元|村民小?组|[Ff](?![A-Za-z])"
_BEHIND: Final = "(?:之[0-9]{1,3}|[甲乙丙丁戊](?![肝状亢流型沟癌级类钴基胎硝氨酰醚醇酸烯酮苯]))?"

NAME: Final = re.compile(f"(?:{_NAME}|[0-9]{{1,3}}(?=大?[街路])){{0,14}}+")
"""A name with its suffix, or several, as far as they may reach."""

_THREE: Final = "[0-9]{1,3}-[0-9]{1,2}-[0-9]{2,5}(?![0-9-])"

BUILT: Final = re.compile(
    f"(?:{_NAME}|[A-Z]|[0-9]{{1,4}}(?={_NAME})){{2,12}}?(?= ?(?:{_NUMBER} ?(?:{_BUILDING})|{_THREE}))"
)
"""Any name that the number of a building follows, or house, stairs and flat."""

NUMBERED: Final = re.compile(f" {{0,2}}{_NUMBER} ?(?P<unit>{_HOUSE}|{_INSIDE}){_BEHIND}(?![0-9]?(?:医院|中学|小学))")
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

CODE: Final = re.compile("[A-Z][0-9]{1,4}[A-Z]?(?:-[0-9]{1,4}){0,2}(?![0-9A-Za-z.])|[0-9]{1,4}[A-Z](?![0-9A-Za-z.])")
"""A flat by letter and number behind the name of a building: B12C, 18A."""

CROSSING: Final = re.compile(
    f"[与和及/]{_NAME}{{1,6}}?(?:路|街|大道|巷)(?:的)?(?:交叉口|交叉路口|交汇处|交界处|交口|路口|口)(?:[东西南北]{{1,2}}[侧角]?)?"
)
"""The second of two roads that meet."""

TAIL: Final = re.compile(f"{_NAME}{{1,3}}?(?:组|屯|寨|队|社|片|坳|冲)")
"""A part of a village by name."""

BARE: Final = re.compile(r" ?[0-9]{1,4}(?:-[0-9]{1,5}){0,3}(?!号)" + _NO_MEASURE)
"""The number of a house in a road without 号."""

POSTCODE: Final = re.compile(r"[ ,，(]{0,3}(?:邮编|邮政编码)?[:： ]{0,2}(?P<code>[0-9]{6})(?![0-9A-Za-z.])")

POSTCODE_BEFORE: Final = re.compile(r"(?<![0-9A-Za-z.])(?P<code>[0-9]{6}|[0-9]{5}(?= )) ?\Z")

GAP: Final = re.compile("[ ]{1,2}|[ ]?[,，/·(-][ ]?")
"""What may stand between two parts; a sign only before a part with a number or a division."""


class Suffixes(NamedTuple):
    """What a name ends with.

    Attributes:
        road: of a road.
        settled: of a town, a village, an estate or a building.
        counted: of anything that the number of a house follows.
        body: of what stands at the number of a house.
    """

    road: re.Pattern[str]
    settled: re.Pattern[str]
    counted: re.Pattern[str]
    body: re.Pattern[str]


@cache
def suffixes() -> Suffixes:
    """Return the patterns, made from ``lists/address_words.txt`` once."""
    sections = sections_of("address_words.txt")
    road, settled, body = (alternation(sections[section]) for section in ("road", "settled", "body"))
    loose = alternation((*sections["loose"], *sections["body"]))
    counted = re.compile(f"(?:{loose})(?= ?(?:{_NUMBER} ?(?:{_HOUSE}|{_INSIDE})|{_THREE}))")
    return Suffixes(re.compile(road), re.compile(settled), counted, re.compile(body))
