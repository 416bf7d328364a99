"""Made-up identifiers, valid by their check digits, planted into Chinese texts the way people write them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deid.text.checks import id_check_character

_REGIONS: Final = ("110101", "310104", "440305", "510107", "330106")
_PREFIXES: Final = ("133", "138", "150", "177", "186", "199")


class Sort(StrEnum):
    """What sort of identifier was planted."""

    MOBILE = "mobile"
    ID_NUMBER = "ID number"
    EMAIL = "e-mail"


_GLUE: Final[dict[Sort, tuple[str, ...]]] = {
    Sort.MOBILE: ("我的手机{}请回电", "电话{}随时可打", "加我{}细聊"),
    Sort.ID_NUMBER: ("身份证{}帮忙查一下", "我爸的证件号是{}挂过号", "实名{}已认证"),
    Sort.EMAIL: ("报告发{}谢谢", "邮箱{}收结果", "请寄到{}就行"),
}
"""No space and no punctuation between the identifier and the characters around it."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A text, and the identifier that was put into it; made up, so its repr may show it."""

    text: str
    value: str
    sort: Sort


class Planter:
    """Makes identifiers that no two texts share; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sorts: Sequence[Sort] = tuple(Sort)
        self._made: set[str] = set()
        self._number = 0

    def plant(self, text: str) -> Planted:
        """Put the next sort of identifier, glued to Chinese characters, at a random place of the text."""
        sort = self._sorts[self._number % len(self._sorts)]
        self._number += 1
        value = self._fresh(sort)
        place = self._random.choice((0, len(text) // 2, len(text)))
        phrase = self._random.choice(_GLUE[sort]).format(value)
        return Planted(text[:place] + phrase + text[place:], value, sort)

    def _fresh(self, sort: Sort) -> str:
        while (value := self._made_up(sort)) in self._made:
            pass
        self._made.add(value)
        return value

    def _made_up(self, sort: Sort) -> str:
        draw = self._random
        match sort:
            case Sort.MOBILE:
                return f"{draw.choice(_PREFIXES)}{draw.randrange(10**8):08}"
            case Sort.ID_NUMBER:
                birth = f"{draw.randint(1940, 2005)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
                seventeen = f"{draw.choice(_REGIONS)}{birth}{draw.randrange(1000):03}"
                return seventeen + id_check_character(seventeen)
            case Sort.EMAIL:
                return f"patient{draw.randrange(10**7):07}@mail.example.com"
