"""Surnames with a title, a form of address or a mask: 王先生, 张大夫, 李阿姨, 老李, 小王, 刘某某, 张*明."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from deid.text.lists import path_cost, word_costs
from deid.text.lists.reading import alternation, compound_surnames, sections_of, surname_cost, surname_ranks
from deid.text.lists.words import UNKNOWN
from deid.text.names.evidence import is_han, is_inside

_A_TITLE: Final = 25
"""That a surname stands before a title: far likelier than that a name stands at any place."""

_FIRST: Final = 30
"""What it adds that nothing precedes: where a sentence begins with a title, its first character is a surname."""

_FAMILIAR: Final = 45
"""For 小 or 老 before a surname, beside what a title costs."""

_SHORT_NEEDS: Final = 5

_SOUND: Final = 100
"""Ranks of surnames with which 小王, 老李 and titles of one character are read."""

_NO_SHORT: Final = frozenset("高方万金白黄江林夏马石田龙牛向常汤温时成文明安水花于何任连车路关平")
_NO_FAMILIAR: Final = frozenset("高方万金白黄江夏石龙牛向常汤时孔毛孟范熊文武")
"""Common words themselves: 小黄, 老毛 and 高工 say nothing."""

_LEFT: Final = 4
_RIGHT: Final = 6

_MASK: Final = "[*＊xX×○〇●■□Ⅹ某]"


@cache
def _pattern() -> re.Pattern[str]:
    titles, short = (alternation(sections_of("titles.txt")[section]) for section in ("title", "short"))
    surnames = surname_ranks()
    sound = {name for name, rank in surnames.items() if rank < _SOUND}
    single = "".join(surnames)
    return re.compile(
        f"(?P<titled>[{single}](?:{titles}))"
        f"|(?P<short>[{''.join(sorted(sound - _NO_SHORT))}](?:{short}))"
        f"|(?P<masked>[{single}](?:某某|某|[*＊○〇●]{{1,2}}[\u4e00-\u9fff]|{_MASK}{{1,3}})(?![*A-Za-z0-9]))"
        f"|(?P<familiar>[小老][{''.join(sorted(sound - _NO_FAMILIAR))}])"
        f"|(?P<compound>(?=[{''.join(sorted({name[0] for name in compound_surnames()}))}])"
        f"(?:{alternation(compound_surnames())})(?:{titles}|某某|某|{_MASK}{{1,3}}))"
    )


def titled_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of surnames with a title in a text in simplified characters."""
    for match in _pattern().finditer(text):
        rule = str(match.lastgroup)
        if _JUDGES[rule](text, *match.span()):
            yield *match.span(), "person.masked" if rule == "masked" else "person.title"


def _is_titled(text: str, start: int, end: int) -> bool:
    """Whether the surname with its title is cheaper than any reading in which the surname is a word or part of one."""
    title = word_costs().get(text[start + 1 : end], UNKNOWN)
    gain = _gain(text, start, end, _A_TITLE + _surname(text[start]) + title)
    return gain + (_FIRST if start == 0 or not is_inside(text[start - 1]) else 0) > 0


def _is_short(text: str, start: int, end: int) -> bool:
    title = word_costs().get(text[start + 1], UNKNOWN)
    return _gain(text, start, end, _A_TITLE + _surname(text[start]) + title) > _SHORT_NEEDS


def _is_familiar(text: str, start: int, end: int) -> bool:
    return _gain(text, start, end, _A_TITLE + _FAMILIAR + _surname(text[end - 1])) > _SHORT_NEEDS


def _is_masked(text: str, start: int, end: int) -> bool:
    """Whether what is masked is a name: nothing before the surname makes it a part of a word."""
    if text[end - 1] == "某":
        return _gain(text, start, end, 2 * _A_TITLE + _surname(text[start])) > 0
    if start == 0 or not is_inside(text[start - 1]):
        return True
    plain = surname_ranks()[text[start]] < _SOUND and text[start] not in _NO_FAMILIAR
    return plain and text[start - 1 : start + 1] not in word_costs()


def _is_compound(_text: str, _start: int, _end: int) -> bool:
    return True


_JUDGES: Final[dict[str, Callable[[str, int, int], bool]]] = {
    "titled": _is_titled,
    "short": _is_short,
    "masked": _is_masked,
    "familiar": _is_familiar,
    "compound": _is_compound,
}


def _surname(name: str) -> int:
    return surname_cost(surname_ranks()[name])


def _gain(text: str, start: int, end: int, cost: int) -> int:
    """Return how much cheaper a stretch is at this cost than on the best path over its surroundings."""
    left, right = start, end
    while left > max(0, start - _LEFT) and is_han(text[left - 1]):
        left -= 1
    while right < min(len(text), start + _RIGHT) and is_han(text[right]):
        right += 1
    return path_cost(text, left, right) - path_cost(text, left, start) - cost - path_cost(text, end, right)
