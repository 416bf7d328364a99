"""Hospitals, schools, employers and banks in Chinese text: a suffix, and before it a place, a number or a proper name.

What only says the sort of thing (当地医院, 三甲医院, 人民医院, 保险公司) is no name.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from deid.text.addresses.gazetteer import Place, is_whole, places_in
from deid.text.kinds import Kind
from deid.text.lists import segment, simplified, word_costs
from deid.text.lists.divisions import Strength
from deid.text.lists.reading import alternation, lines_of, sections_of
from deid.text.lists.words import UNKNOWN
from deid.text.marks import without_marks
from deid.text.names.evidence import is_han
from deid.text.reading import Reading
from deid.text.spans import Hit

_SCORES: Final = {
    "organisation.place": 0.85,
    "organisation.firm": 0.8,
    "organisation.known": 0.75,
    "organisation.ordinal": 0.6,
    "organisation.proper": 0.6,
    "organisation.bank": 0.7,
    "organisation.employer": 0.6,
    "organisation.bare": 0.55,
}

_LONGEST: Final = 18
_LONGEST_FIRM: Final = 24
"""Characters of a name before its suffix."""

_ENDS: Final = frozenset("的了吗呢吧啊呀哦嗯我你您他她它们这那哪怎么就也还又很不没在到去从是被把让给问说看想请")
"""Characters that a name does not go over."""

_FIRM_ENDS: Final = frozenset("于去往跑与及或跟向由对有要想会能做再才最某个家")
"""Characters that the name of a limited company does not go over besides; nearly any other may be in it."""

_AND: Final = frozenset("和与或及跟")

_ORDINAL: Final = re.compile("第[一二三四五六七八九十0-9]{1,3}|[0-9]{3}")
_AROUND: Final = 4

_RARE: Final = 112
"""Words that are dearer may be a proper name; commoner ones say what sort of thing it is."""

_LONGEST_STEM: Final = 5
_PROPER: Final = 2
"""Characters of a proper name at least."""

_ILLNESS: Final = re.compile("[病科症炎癌瘤痛痹癣疮疹疣痔肝肾脑肺胃肠眼耳鼻喉牙孕产]\\Z")

_ACTION: Final = re.compile("[诊治疗查送赶往回转换找救跑陪]")
"""Characters of words for what is done in a hospital, or for how one gets there."""

_CODED: Final = re.compile("(?:第[0-9]{1,3}|[0-9]{3})\\Z")
_DIGITS: Final = 3
_COMMON_CHARACTER: Final = 80
"""Single characters that are cheaper are grammar rather than a part of a name."""

_BRANCH: Final = re.compile("(?:[东西南北]院区?|[\u4e00-\u9fff]{1,3}(?:院区|校区|分院)|分院|分公司)")


_SHORT: Final = re.compile("第?[一二三四五六七八九十]{1,3}(?:中|小|院)(?![心午旬药医考年学校国华级等期度长子间时])")
_UNIVERSITY: Final = re.compile("[\u4e00-\u9fff]?(?:医大|北医|浙大|川大|武大|山大|吉大|中大|郑大|南大|苏大)附?\\Z")


class _Words(NamedTuple):
    """The list as it is asked."""

    suffix: re.Pattern[str]
    firm: frozenset[str]
    body: frozenset[str]
    office: frozenset[str]
    stem: frozenset[str]
    usual: frozenset[str]
    kind: frozenset[str]
    vague: frozenset[str]
    medical: frozenset[str]
    bank: re.Pattern[str]
    bare: re.Pattern[str]
    employer: re.Pattern[str]


@cache
def _words() -> _Words:
    sections = sections_of("organisation_words.txt")
    suffixes = (word for name in ("care", "school", "firm", "office", "body") for word in sections[name])
    han = "[\u4e00-\u9fff]"
    firms, work = (
        alternation((*sections["employer"], *sections["bank"])),
        "上班|工作|打工|任职|就职|实习|当|做|干|供职|退休|搬砖",
    )
    return _Words(
        re.compile(alternation(suffixes)),
        frozenset(name for name in sections["firm"] if name.endswith("公司") and name[0] in "有股集控"),
        frozenset(sections["body"]),
        frozenset(sections["office"]),
        frozenset((*sections["stem"], *sections["employer"])),
        frozenset(sections["usual"]),
        frozenset(sections["kind"]),
        frozenset(sections["vague"]),
        frozenset(" ".join(lines_of("medical_words.txt")).split()),
        re.compile(
            f"(?P<bank>{alternation(sections['bank'])})(?:(?:(?!的|在|去){han}){{0,8}}?(?:{alternation(sections['branch'])})){{1,2}}"
            f"|{alternation(name for name in sections['bank'] if name.endswith('银行'))}"
        ),
        re.compile(
            f"(?:{alternation(sections['cue'])})(?P<care>{alternation(sections['bare'])})(?!医院|医学院)"
            f"|(?P<college>{alternation(sections['college'])})(?!大学|人大|方|京)"
        ),
        re.compile(f"(?:在|于|是)(?P<works>{firms})(?={han}{{0,4}}(?:{work}|员工|职员|工程师|公司|总部|的员工))"),
    )


class OrganisationFinder:
    """Organisations in Chinese text."""

    name = "organisations"
    kinds = frozenset((Kind.ORGANIZATION,))
    languages = frozenset(("zh",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all rules; they may overlap."""
        if not reading.has_han:
            return
        text, words = without_marks(simplified(reading.text)), _words()
        yield from _joined(text, _all_named(text))
        yield from _numbered(text)
        for bank in words.bank.finditer(text):
            yield _hit(_with_place(text, bank.start()), bank.end(), "organisation.bank")
        for bare in words.bare.finditer(text):
            yield from _bare(text, bare)
        for employer in words.employer.finditer(text):
            yield _hit(*employer.span("works"), "organisation.employer")


def _all_named(text: str) -> Iterator[Hit]:
    """Yield the names that end with a suffix; one that "and" joins to another begins behind that."""
    begin = 0
    for suffix in _words().suffix.finditer(text):
        yield from _named(text, suffix, begin)
        if text[suffix.end() : suffix.end() + 1] in _AND:
            begin = suffix.end() + 1


def _named(text: str, suffix: re.Match[str], begin: int) -> Iterator[Hit]:
    """Yield the name that ends with the suffix, if what precedes makes it one.

    Args:
        text: simplified Chinese.
        suffix: of an organisation.
        begin: where the name begins at the earliest.
    """
    is_firm = suffix.group() in _words().firm
    letters = suffix.group() in _words().firm or suffix.group() in ("公司", "集团")
    least = max(begin, _reach_left(text, suffix.start(), _LONGEST_FIRM if is_firm else _LONGEST, letters=letters))
    branch = _BRANCH.match(text, suffix.end())
    end = branch.end() if branch else suffix.end()
    found = _from_place(text, least, suffix) or _from_words(text, least, suffix)
    if found is not None:
        yield _hit(found[0], end, found[1])


def _joined(text: str, hits: Iterable[Hit]) -> Iterator[Hit]:
    """Yield names; one that directly follows another, or is attached to it, together with it."""
    before: Hit | None = None
    for hit in hits:
        if before is not None and text[before.end : hit.start] in ("", "附属", "附设"):
            before = replace(before, end=max(before.end, hit.end))
        elif before is None or hit.start >= before.end:
            before = hit
        else:
            before = replace(before, start=min(before.start, hit.start), end=max(before.end, hit.end))
        yield before


def _numbered(text: str) -> Iterator[Hit]:
    """Yield schools and hospitals that are called by a number behind a place or a university: 成都七中, 哈医大二院."""
    for match in _SHORT.finditer(text):
        start = _with_place(text, match.start())
        above = _UNIVERSITY.search(text, max(0, match.start() - _DIGITS), match.start())
        if start < match.start():
            yield _hit(start, match.end(), "organisation.place")
        elif above is not None and match.group().endswith("院"):
            yield _hit(above.start(), match.end(), "organisation.known")


def _reach_left(text: str, place: int, most: int, *, letters: bool = False) -> int:
    """Return how far to the left a name may go; numbers are in it only where they number a hospital or a school."""
    least, begin = max(0, place - most), place
    while begin > least:
        character = text[begin - 1]
        if is_han(character):
            if character in _ENDS:
                break
        elif character.isdigit():
            if (
                _CODED.search(text, max(least, begin - _DIGITS - 1), begin) is None
                or text[begin : begin + 1] in "天年月岁"
            ):
                break
            begin -= _DIGITS - 1 if text[begin - _DIGITS : begin].isdigit() else 0
        elif not (letters and character.isascii() and character.isalpha()):
            break
        begin -= 1
    return begin


def _words_of(text: str, least: int, end: int) -> list[str]:
    """Return the words before an end, without one that is cut where the name may begin at the earliest."""
    left = least
    while left > max(0, least - 2) and is_han(text[left - 1]) and text[left - 1] not in _AND:
        left -= 1
    return [text[start:stop] for start, stop in segment(text, left, end) if start >= least]


def _from_place(text: str, least: int, suffix: re.Match[str]) -> tuple[int, str] | None:
    """Return where a name begins with a place that no word without a name follows."""
    words = _words()
    for place in places_in(text[least : suffix.start()]):
        start, end = least + place.start, least + place.end
        if place.strength is not Strength.FULL and not _is_word(text, start, end, suffix.end()):
            continue
        rest = [text[first:last] for first, last in segment(text, end, suffix.start())]
        if not _is_led(place, rest) or any(_is_vague(rest, index) for index in range(len(rest))):
            continue
        if rest or suffix.group() not in words.body:
            return _with_stem(text, start), "organisation.place"
    return None


def _is_word(text: str, start: int, end: int, suffix_end: int) -> bool:
    """Whether a short name begins and ends as a word does, or is a word together with the suffix."""
    if is_whole(text, start, end):
        return True
    left = start
    while left > max(0, start - _AROUND) and is_han(text[left - 1]):
        left -= 1
    return any(first == start and last >= end for first, last in segment(text, left, suffix_end))


def _is_vague(rest: list[str], index: int) -> bool:
    """Whether a word between a place and a suffix makes it no name; single characters may be of one in the middle."""
    words, word = _words(), rest[index]
    is_edge = index in (0, len(rest) - 1)
    return word in words.vague and word not in words.kind and (len(word) > 1 or is_edge)


def _with_stem(text: str, start: int) -> int:
    """Return where a known name begins that directly precedes."""
    for size in range(_LONGEST_STEM, 1, -1):
        if text[max(0, start - size) : start] in _words().stem:
            return max(0, start - size)
    return start


def _is_led(place: Place, rest: list[str]) -> bool:
    """Whether a name that may be a word as well is followed by what names are made of."""
    return place.strength > Strength.PART or not rest or rest[0] in _words().kind or rest[0].startswith("第")


class _Use(Enum):
    """What a word is in a name."""

    KNOWN = "known"
    PROPER = "proper"
    SINGLE = "single"
    SORT = "sort"
    NONE = "none"


def _from_words(text: str, least: int, suffix: re.Match[str]) -> tuple[int, str] | None:
    """Return where a name begins that has a number or a proper word in it."""
    is_firm = suffix.group() in _words().firm
    begin, uses = suffix.start(), Counter[_Use]()
    for word in reversed(_words_of(text, least, suffix.start())):
        use = _use_of(word, is_firm=is_firm)
        if use is _Use.NONE:
            break
        uses[use] += len(word)
        begin -= len(word)
    if uses[_Use.KNOWN]:
        return begin, "organisation.known"
    is_weak = suffix.group() in _words().body or suffix.group() in _words().office
    if is_weak:
        return (
            (begin, "organisation.proper") if uses[_Use.PROPER] >= _PROPER and len(suffix.group()) > _PROPER else None
        )
    if _ORDINAL.search(text, begin, suffix.start()):
        return begin, "organisation.ordinal"
    if is_firm:
        return (begin, "organisation.firm") if uses[_Use.PROPER] and suffix.start() - begin >= _PROPER else None
    return (begin, "organisation.proper") if max(uses[_Use.PROPER], uses[_Use.SINGLE]) >= _PROPER else None


def _use_of(word: str, *, is_firm: bool) -> _Use:
    words = _words()
    if word in words.stem:
        return _Use.KNOWN
    if word in words.kind or _ORDINAL.fullmatch(word):
        return _Use.SORT
    if is_firm:
        ends = word in (_FIRM_ENDS if len(word) == 1 else words.vague)
        return _Use.NONE if ends else _Use.PROPER
    if word in words.vague:
        return _Use.NONE
    if len(word) == 1:
        is_grammar = word_costs().get(word, UNKNOWN) < _COMMON_CHARACTER or _ACTION.match(word)
        return _Use.NONE if is_grammar else _Use.SINGLE
    return _Use.PROPER if word in words.usual or _is_proper(word) else _Use.NONE


def _is_proper(word: str) -> bool:
    """Whether a word is rare enough for a name, and none of illnesses or of what is done about them."""
    costs = word_costs()
    return costs.get(word, UNKNOWN) >= _RARE and not _is_medical(word) and _ACTION.search(word) is None


def _is_medical(word: str) -> bool:
    return word in _words().medical or _ILLNESS.search(word) is not None


def _with_place(text: str, start: int) -> int:
    """Return where the place begins that directly precedes."""
    least = _reach_left(text, start, _LONGEST)
    places = places_in(text[least:start])
    return least + places[-1].start if places and least + places[-1].end == start else start


def _bare(text: str, match: re.Match[str]) -> Iterator[Hit]:
    start, end = match.span(match.lastgroup or 0)
    if is_whole(text, start, end):
        yield _hit(start, end, "organisation.bare")


def _hit(start: int, end: int, rule: str) -> Hit:
    return Hit(start, end, Kind.ORGANIZATION, _SCORES[rule], checked=False, source=rule)
