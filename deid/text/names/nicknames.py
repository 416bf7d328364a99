"""Forms of address without a surname: 小芳, 阿强, 佳佳, 杰哥, and given names of two characters by themselves.

They are weaker than full names: each needs an end that no Chinese word continues, and none may be a listed word.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from deid.text.lists import path_cost, word_costs
from deid.text.lists.reading import sections_of
from deid.text.names.evidence import is_han, is_inside, weigh
from deid.text.names.model import name_model

_USUAL_ONLY: Final = 85
_USUAL: Final = 72
"""Characters cheaper than this are usual in given names, alone or in their place of two."""

_A_GIVEN_NAME: Final = 85
"""How seldom one stands for itself in running text; see ``deid.text.names.model.A_NAME``."""

_NEEDED: Final = 10
_NEEDED_INSIDE: Final = 30
"""How much cheaper than words a given name must be where it ends, and where other characters follow."""

_LEFT: Final = 4
_RIGHT: Final = 6

_COMMON: Final = 130
"""Words cheaper than this, about one in 450,000, are words."""

_AFTER: Final = frozenset("的说在是和跟与也就都还去来给要会有被把让吗吧啊呢呀你我他她姐哥回今")
"""What may follow directly: grammar, no part of a longer word."""


@cache
def _pattern() -> re.Pattern[str]:
    _, first, second, only = name_model()
    ends = {character for character, cost in second.items() if cost < _USUAL}
    called = ends | {character for character, cost in only.items() if cost < _USUAL_ONLY}
    twins = "".join(sorted(called - set("".join(sections_of("nicknames.txt")["no twin"]))))
    starts = "".join(sorted(character for character, cost in first.items() if cost < _USUAL))
    return re.compile(
        f"(?=(?P<doubled>(?P<one>[{twins}])(?P=one)|[{twins}]子))"
        f"|(?=(?P<called>[小阿][{''.join(sorted(called))}]|[{twins}][哥姐叔]))"
        f"|(?=(?P<given>[{starts}][{''.join(sorted(ends))}]))"
    )


def nicknames(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of forms of address in a text in simplified characters."""
    costs = word_costs()
    no_names = frozenset(sections_of("nicknames.txt")["no name"])
    reached = 0
    for match in _pattern().finditer(text):
        start, end = match.start(), match.start() + 2
        pair = text[start:end]
        if start < reached or costs.get(pair, _COMMON) < _COMMON or pair in no_names:
            continue
        if _JUDGES[str(match.lastgroup)](text, start, end):
            yield start, end, "person.nickname"
            reached = end


def _is_called(text: str, start: int, end: int) -> bool:
    """Whether what is addressed so begins where a word does and ends where nothing but grammar follows."""
    behind = text[end : end + 1]
    return (not is_inside(behind) or behind in _AFTER) and _is_doubled(text, start, end)


def _is_doubled(text: str, start: int, end: int) -> bool:
    """Whether no listed word reaches over one of the edges."""
    costs = word_costs()
    if any(costs.get(text[end - 1 : right], _COMMON) < _COMMON for right in (end + 1, end + 2)):
        return False
    reach = range(max(0, start - 2), start)
    return not any(costs.get(text[left:stop], _COMMON) < _COMMON for left in reach for stop in (start + 1, end))


def _is_given(text: str, start: int, end: int) -> bool:
    """Whether two characters are cheaper as a given name than in any reading as words, with what surrounds them."""
    _, first, second, _ = name_model()
    cost = _A_GIVEN_NAME + first[text[start]] + second[text[start + 1]]
    left, right = start, end
    while left > max(0, start - _LEFT) and is_han(text[left - 1]):
        left -= 1
    while right < min(len(text), start + _RIGHT) and is_han(text[right]):
        right += 1
    words = path_cost(text, left, right) - path_cost(text, left, start) - path_cost(text, end, right)
    ended = not is_inside(text[end : end + 1]) or text[end] in _AFTER
    return words - cost + weigh(text, start, end) >= (_NEEDED if ended else _NEEDED_INSIDE)


_JUDGES: Final[dict[str, Callable[[str, int, int], bool]]] = {
    "doubled": _is_doubled,
    "one": _is_doubled,
    "called": _is_called,
    "given": _is_given,
}
