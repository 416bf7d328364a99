"""The divisions of China by their names, short names and other names, down to districts; and well-known places.

``spellings`` is what finders look up; ``divisions_called`` leads from a name to where it lies, for who generalises.
"""

import re
from collections.abc import Iterator
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.reading import lines_of, sections_of

_PEOPLES: Final = (
    "(?:蒙古|维吾尔|哈萨克|柯尔克孜|达斡尔|塔吉克|乌孜别克|俄罗斯|鄂温克|鄂伦春|布依|朝鲜|土家|哈尼|傈僳|拉祜|东乡|纳西|景颇|仫佬|"
    "布朗|撒拉|毛南|仡佬|锡伯|阿昌|普米|德昂|保安|裕固|独龙)族?|[回藏苗彝壮满侗瑶白傣黎佤畲水土羌怒各]族"
)
_OF_A_PEOPLE: Final = re.compile(
    f"(?:{_PEOPLES}){{1,4}}自治[区州县旗]$|[回藏]族区$|(?:达斡尔|鄂温克|满)族区$|回族?自治区$"
)
_SUFFIX: Final = re.compile("(?:特别行政区|自治区|地区|林区|新区|堂区|矿区|省|市|盟|县|区|旗)$")
_SHORTEST: Final = 2
_SHORT_PROVINCES: Final = {"内蒙古自治区": "内蒙古", "西藏自治区": "西藏"}


class Level(IntEnum):
    """How wide a division is."""

    PROVINCE = 1
    CITY = 2
    DISTRICT = 3


class Division(NamedTuple):
    """One division with where it lies.

    Attributes:
        province, city: the names of those that hold it; empty where it is one itself, or has no city.
    """

    name: str
    level: Level
    province: str
    city: str


class Strength(IntEnum):
    """What a name says by itself.

    A word that may be a part of an address; a short name of a district, which is a place behind a cue; a place where it
    is a word; a place anywhere.
    """

    WORD = 1
    PART = 2
    SHORT = 3
    FULL = 4


class Spelling(NamedTuple):
    """A way to write a place."""

    level: Level
    strength: Strength


@cache
def divisions() -> tuple[Division, ...]:
    """Return all divisions, provinces before their cities before their districts."""
    return (*_listed(), *_added())


@cache
def spellings() -> dict[str, Spelling]:
    """Return every name that is looked for, with the widest division and the greatest strength that it has."""
    found: dict[str, Spelling] = {}
    for division in divisions():
        for name, strength in _names(division):
            _add(found, name, Spelling(division.level, strength))
    sections = sections_of("place_names.txt")
    for section, level in (("former", Level.CITY), ("area", Level.DISTRICT), ("abroad", Level.CITY)):
        for name in sections[section]:
            _add(found, name, Spelling(level, Strength.SHORT))
    for name in sections["word"]:
        if name in found:
            found[name] = Spelling(found[name].level, Strength.WORD)
    return found


@cache
def divisions_called(name: str) -> tuple[Division, ...]:
    """Return the divisions that a full or short name stands for; none, one, or several."""
    return _by_name().get(name, ())


@cache
def _by_name() -> dict[str, tuple[Division, ...]]:
    homes: dict[str, tuple[Division, ...]] = {}
    for division in divisions():
        for name, _ in _names(division):
            homes[name] = (*homes.get(name, ()), division)
    return homes


def _add(found: dict[str, Spelling], name: str, spelling: Spelling) -> None:
    known = found.get(name, spelling)
    found[name] = Spelling(min(known.level, spelling.level), max(known.strength, spelling.strength))


def _names(division: Division) -> Iterator[tuple[str, Strength]]:
    """Yield the full name and, where two characters stay, the name without what kind of division it is."""
    name = division.name
    yield name, Strength.FULL if len(name) > _SHORTEST else Strength.WORD
    short = _SHORT_PROVINCES.get(name) or _OF_A_PEOPLE.sub("", name)
    short = _SUFFIX.sub("", name) if short == name else short
    if _SHORTEST <= len(short) < len(name):
        yield short, _strength_of_short(division)


def _strength_of_short(division: Division) -> Strength:
    is_city = division.level < Level.DISTRICT or division.name.endswith("市")
    return Strength.SHORT if is_city else Strength.PART


def _listed() -> Iterator[Division]:
    province = ""
    for line in lines_of("divisions.txt"):
        if not line.startswith(" "):
            province = line
            yield Division(province, Level.PROVINCE, "", "")
        else:
            yield from _of_city(province, line.split())


def _added() -> Iterator[Division]:
    provinces: set[str] = set()
    for row in sections_of("place_names.txt")["more"]:
        province, *names = row.split("|")
        if province not in provinces:
            provinces.add(province)
            yield Division(province, Level.PROVINCE, "", "")
        yield from _of_city(province, names)


def _of_city(province: str, names: list[str]) -> Iterator[Division]:
    city = names[0] if names[0] != "-" else ""
    if city:
        yield Division(city, Level.CITY, province, "")
    for name in names[1:]:
        yield Division(name, Level.DISTRICT, province, city)
