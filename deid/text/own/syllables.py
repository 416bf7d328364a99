"""How a Chinese name is written in pinyin."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice, product
from typing import Final

from deid.text.lists.reading import lines_of

_LIKE: Final = (
    "单shan 仇qiu 曾zeng 解xie 查zha 区ou 朴piao 任ren 华hua 乐yue 盖ge 缪miao 冼xian 员yun 召shao 秘bi 种chong 覃qin "
    "逄pang 费fei 洗xian 翟zhai 尉迟yuchi 长孙zhangsun 万俟moqi"
)
_SURNAMES: Final = dict(re.findall("([\u4e00-\u9fff]+)([a-z]+)", _LIKE))
"""Surnames that do not sound as their characters usually do."""

_MOST: Final = 8
"""Ways to say a name that are looked for."""


@cache
def _sounds() -> dict[str, tuple[str, ...]]:
    sounds: dict[str, tuple[str, ...]] = {}
    for line in lines_of("pinyin.txt"):
        sound, _, characters = line.partition("\t")
        for character in characters:
            sounds[character] = (*sounds.get(character, ()), sound)
    return sounds


def syllables(name: str, *, is_surname: bool = False) -> list[tuple[str, ...]]:
    """Return how a name may be said, each as its syllables; nothing where a character is unknown."""
    if is_surname and name in _SURNAMES:
        return [(one,) for one in dict.fromkeys((_SURNAMES[name], *_sounds().get(name, ())))]
    choices = [tuple(_spellings(_sounds().get(character, ()))) for character in name]
    return list(islice(product(*choices), _MOST))


def _spellings(sounds: Iterable[str]) -> Iterator[str]:
    """Yield syllables as they are typed: ü as v, u or yu (ISO 7098, and passports)."""
    for sound in sounds:
        yield sound
        if "v" in sound:
            yield sound.replace("v", "u")
            yield sound.replace("v", "yu")
