"""A Chinese name of the subject's: whole, in part, with titles, split, masked, in pinyin."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.kinds import Kind
from deid.text.lists import path_cost, word_costs
from deid.text.lists.given_names import given_names
from deid.text.lists.reading import alternation, compound_surnames, sections_of, surname_cost, surname_ranks
from deid.text.names.evidence import is_han
from deid.text.own.forms import Form, Page, Place, is_letter, name_value
from deid.text.own.pinyin import PinyinName

_AROUND: Final = 4
"""Characters on both sides of a place that are read with it."""

_EXPECTED: Final = 30
"""The cost of the subject's own name in their own document, in the costs of ``deid.text.lists.words``."""

_EXPECTED_PART: Final = 60
"""The cost of a part of it."""

_UNSEEN: Final = 110
"""The cost of a character that given names hardly ever have."""

_FIRST: Final = 80
"""The most that the first character of another's given name costs."""

_ANOTHERS: Final = 8
"""How much likelier another's longer name must be."""

_WORDS: Final = 35
"""The same, where the character begins a word: 平 may be 平时."""

_CHANCE: Final = 115
"""A given name that is a word at less than this cost is looked for behind cues only."""

_NOT_THEIRS: Final = frozenset(
    (
        "医生",
        "医师",
        "大夫",
        "药师",
        "护士长",
        "护士",
        "主任",
        "副主任",
        "教授",
        "副教授",
        "院长",
        "副院长",
        "所长",
        "博士",
    )
)
"""Titles of those who treat; who bears the same surname is another."""

_MORE_TITLES: Final = ("某某", "某", "同学", "老人")
_SHORT_TITLES: Final = ("哥", "姐", "姨", "叔", "婶", "嫂", "总")

_CUE: Final = re.compile(
    "(?:我叫|我是|本人|姓名|名字|叫做|名叫|就叫|患者|病人|家属|联系人|收件人|收货人|签名|昵称|称呼|孩子叫|叫)"
    '[是为: 「“"(]{0,3}\\Z'
)
_CUE_REACH: Final = 10

_FAMILIAR: Final = frozenset("老小阿")
_MASK: Final = "*＊x×○〇●■□某?_"
_STARS: Final = frozenset("*＊○●×x")
_MASKED: Final = re.compile(f"[{re.escape(_MASK)}]{{1,3}}")


@cache
def _title() -> re.Pattern[str]:
    titles = [title for title in sections_of("titles.txt")["title"] if title not in _NOT_THEIRS]
    others = alternation(_NOT_THEIRS)
    return re.compile(
        f"(?:(?P<long>{alternation((*titles, *_MORE_TITLES))})|(?P<short>[{''.join(_SHORT_TITLES)}]))|{others}"
    )


class ChineseName:
    """One name in Chinese characters.

    Args:
        name: the full name.
        source: of its hits.
        is_foreign: whether it has no surname that it begins with, as 阿不都·热合曼; such a name is found whole.
    """

    kind = Kind.PERSON

    def __init__(self, name: str, source: str, *, is_foreign: bool = False) -> None:
        self.source = source
        self._full = name_value(name)
        self._has_surname = not is_foreign and (
            self._full[:1] in surname_ranks() or self._full[:2] in compound_surnames()
        )
        length = 2 if self._full[:2] in compound_surnames() and len(self._full) > 2 else 1  # noqa: PLR2004
        self._surname, self._given = self._full[:length], self._full[length:]
        self._is_word = word_costs().get(self._full, 255) < _CHANCE
        self._parts = self._given_parts() if self._has_surname else ()
        self._pinyin = PinyinName(self._surname, self._given)

    def _given_parts(self) -> tuple[str, ...]:
        """Return what the subject is called without the surname."""
        last = self._given[-1:]
        parts = [f"阿{last}", f"小{last}"] if last else []
        return tuple(dict.fromkeys((*([self._given] if len(self._given) > 1 else []), *parts)))

    def spans(self, page: Page) -> Iterator[tuple[int, int]]:
        """Yield where the name stands."""
        form = page.names
        for place in form.places(self._full):
            if self._is_theirs(form, place):
                yield place.start, place.end
        for part in self._parts:
            for place in form.places(part):
                if place.is_whole and self._is_called(form, place):
                    yield place.start, place.end
        if self._has_surname:
            yield from self._by_surname(page)
        yield from self._pinyin.spans(page)

    def _is_theirs(self, form: Form, place: Place) -> bool:
        """Whether the full name at a place is read as such, and not as words or the beginning of another's."""
        if self._is_word:
            return _is_cued(form, place) or _is_titled(form, place)
        if len(self._given) > 1:
            return True
        if not place.is_whole and is_han(form.text[place.to : place.to + 1] or " ") and not _is_cued(form, place):
            return False
        if _is_cued(form, place) and not self._goes_on(form.text, place):
            return True
        return _gain(form.text, place, _EXPECTED) > 0 and not self._goes_on(form.text, place)

    def _goes_on(self, text: str, place: Place) -> bool:
        """Whether a name of one character more, which is another's, is likelier."""
        third = text[place.to : place.to + 1]
        if not third or not is_han(third) or _title().match(text, place.to):
            return False
        names, right = given_names(), _right(text, place.to)
        first = min(names.first.get(self._given, _UNSEEN), _FIRST)
        longer = first + names.second.get(third, _UNSEEN) + path_cost(text, place.to + 1, right)
        begins_word = any(text[place.to : end] in word_costs() for end in range(place.to + 2, right + 1))
        needed = _WORDS if begins_word else _ANOTHERS
        return longer + needed < names.only.get(self._given, _UNSEEN) + path_cost(text, place.to, right)

    def _is_called(self, form: Form, place: Place) -> bool:
        """Whether a part of the name is the subject: no word, and nobody else's surname before it."""
        text = form.text
        if text[max(0, place.at - len(self._surname)) : place.at] == self._surname:
            return False
        part = text[place.at : place.to]
        if word_costs().get(part, 255) < _CHANCE and not _is_titled(form, place) and not _is_cued(form, place):
            return False
        if part != self._given and is_han(text[place.to : place.to + 1] or " ") and not _is_titled(form, place):
            return _gain(text, place, _EXPECTED) > 0 and not _is_anothers(text, place.at)
        return _gain(text, place, _EXPECTED_PART) > 0 and not _is_anothers(text, place.at)

    def _by_surname(self, page: Page) -> Iterator[tuple[int, int]]:
        form, text = page.whole, page.plain
        for place in form.places(self._surname):
            title = _title().match(text, place.to)
            is_familiar = place.at > 0 and text[place.at - 1] in _FAMILIAR
            if title is None:
                if is_familiar and self._is_familiar(text, form.place(place.at - 1, place.to)):
                    yield place.start - 1, place.end
            elif title.lastgroup is not None:
                named = form.place(place.at, title.end())
                if _gain(text, named, _EXPECTED + (30 if title.lastgroup == "short" else 0)) > 0:
                    yield place.start - is_familiar, title.end()
            yield from self._masked(text, place)
        yield from self._masked_surname(text)

    def _is_familiar(self, text: str, place: Place) -> bool:
        return _gain(text, place, _EXPECTED_PART) > 0 and not self._is_longer(text, place.to)

    def _is_longer(self, text: str, end: int) -> bool:
        """Whether 小王 goes on as the name of somebody else: 小王明 is none of theirs, 小王明天 is."""
        names, right = given_names(), _right(text, end)
        if right == end:
            return False
        alone = names.only.get(text[end], _UNSEEN) + path_cost(text, end + 1, right)
        return alone + _ANOTHERS < path_cost(text, end, right)

    def _masked(self, text: str, place: Place) -> Iterator[tuple[int, int]]:
        """Yield a name whose surname is left, with or without characters of the given name around a mask."""
        end = place.to
        if text.startswith(self._given[:1], end) and len(self._given) > 1:
            end += 1
        mask = _MASKED.match(text, end)
        if mask is None or text[end] == "?":
            return
        stop = mask.end()
        if text.startswith(self._given[-1:], stop):
            stop += 1
        elif is_letter(text, stop) or (is_han(text[stop : stop + 1] or " ") and mask.group()[0] not in "*＊某○●×"):
            return
        yield place.start, stop

    def _masked_surname(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the given name behind a masked surname: *小明."""
        whole = Form(text)
        for place in whole.places(self._given) if len(self._given) > 1 else ():
            if text[place.at - 1 : place.at] in _STARS:
                yield place.at - 1, place.to
        for star in "*＊":
            for place in whole.places(2 * star + self._given[-1:]):
                is_longer = is_han(text[place.to : place.to + 1] or " ") or text[place.at - 1 : place.at] == star
                if not is_longer:
                    yield place.at, place.to


def _is_cued(form: Form, place: Place) -> bool:
    return _CUE.search(form.plain, max(0, place.start - _CUE_REACH), place.start) is not None


def _is_titled(form: Form, place: Place) -> bool:
    return _title().match(form.text, place.to) is not None


def _is_anothers(text: str, at: int) -> bool:
    """Whether the character before a given name is likelier a surname than a word."""
    if text[max(0, at - 2) : at] in compound_surnames():
        return True
    before = text[at - 1] if at else ""
    rank = surname_ranks().get(before)
    if rank is None:
        return False
    left = _left(text, at)
    as_word = path_cost(text, left, at) - path_cost(text, left, at - 1)
    return surname_cost(rank) + _ANOTHERS < as_word


def _left(text: str, at: int) -> int:
    left = at
    while left > max(0, at - _AROUND) and is_han(text[left - 1]):
        left -= 1
    return left


def _right(text: str, to: int) -> int:
    right = to
    while right < min(len(text), to + _AROUND) and is_han(text[right]):
        right += 1
    return right


def _gain(text: str, place: Place, cost: int) -> int:
    """Return how much cheaper a place is as a name at this cost than on the best path over its surroundings."""
    left, right = _left(text, place.at), _right(text, place.to)
    named = path_cost(text, left, place.at) + cost + path_cost(text, place.to, right)
    return path_cost(text, left, right) - named
