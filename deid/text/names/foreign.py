"""Names of other tongues in Chinese characters: with a middle dot, from the list, and those of the peoples of China.

The latter are told by their parts: two or more parts of the same people make a name, one part only behind a cue.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.reading import alternation, sections_of
from deid.text.lists.reading import foreign_names as listed_names
from deid.text.names.evidence import is_han

_DOT: Final = re.compile("[·•‧∙・．]")
_PART: Final = "[\u4e00-\u9fffA-Z]{1,8}"
_BEFORE_DOT: Final = re.compile(rf"{_PART}\s?$")
_DOTTED: Final = re.compile(rf"{_PART}(?:\s?{_DOT.pattern}\s?{_PART}){{1,4}}")
_LONGEST_PART: Final = 9
_SHORTEST: Final = 3
_MOSTLY: Final = 0.75
"""So many of a dotted name's characters must be those that foreign sounds are written with."""

_PEOPLES: Final = ("uyghur", "tibetan", "mongolian")
_ENDING: Final = "(?:汗|江|提|娜|花|罕|吐)?"

_CUED: Final = re.compile(r"(?:叫|是|名|患者|病人|老师|医生|同学|[:：])\s{0,2}$")
_LONGEST_CUE: Final = 6

_GRAMMAR: Final = frozenset("的说在是和跟与也就都还去来给要会有被把让吗吧啊呢呀以及对给从向请")
"""Characters that foreign sounds are written with, among others, yet more often are grammar."""

_NO_SOUND: Final = frozenset("的了和是在有不我你他她们这那个与及或医院公司药片中国第章节回")


class _Parts(NamedTuple):
    sounds: frozenset[str]
    composed: re.Pattern[str]
    lone: re.Pattern[str]


@cache
def _parts() -> _Parts:
    sections = sections_of("name_parts.txt")
    peoples = [sections[people] for people in _PEOPLES]
    composed = "|".join(f"(?:{alternation(parts)}){{2,4}}" for parts in peoples)
    return _Parts(
        frozenset("".join(sections["sounds"])) - _NO_SOUND,
        re.compile(f"{_beginning(part for parts in peoples for part in parts)}(?:{composed}){_ENDING}"),
        re.compile(f"{_beginning(sections['alone'])}(?:{alternation(sections['alone'])})"),
    )


def _beginning(words: Iterator[str] | list[str]) -> str:
    """Return a look ahead at the first character, which spares most places the alternatives."""
    return "(?=[" + "".join(sorted({word[0] for word in words})) + "])"


@cache
def _listed() -> tuple[re.Pattern[str], list[int]]:
    """Return where a listed name may begin, and how long listed names are, the longest first."""
    names = listed_names()
    return re.compile(_beginning(list(names))), sorted(set(map(len, names)), reverse=True)


def foreign_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of names of other tongues in a text in simplified characters."""
    parts = _parts()
    for start, end in _dotted(text, parts.sounds):
        yield start, end, "person.foreign"
    for match in parts.composed.finditer(text):
        yield *match.span(), "person.foreign"
    for match in parts.lone.finditer(text):
        if _CUED.search(text, max(0, match.start() - _LONGEST_CUE), match.start()):
            yield *match.span(), "person.foreign"
    for start, end in _from_list(text, parts.sounds):
        yield start, end, "person.foreign"


def _dotted(text: str, sounds: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield names whose parts a middle dot joins; looked for from the dots, which are rare."""
    reached = 0
    for dot in _DOT.finditer(text):
        before = _BEFORE_DOT.search(text, max(reached, dot.start() - _LONGEST_PART), dot.start())
        match = _DOTTED.match(text, before.start()) if before and dot.start() >= reached else None
        if match is None:
            continue
        reached = match.end()
        start, end = _without_words(text, match.start(), match.end(), sounds)
        if _sounds_foreign(text[start:end], sounds):
            yield start, end


def _without_words(text: str, start: int, end: int, sounds: frozenset[str]) -> tuple[int, int]:
    """Return the dotted stretch without what precedes its first part and follows its last as ordinary words."""
    first, last = _DOT.search(text, start, end), start
    for dot in _DOT.finditer(text, start, end):
        last = dot.end()
    before = range(start, first.start() if first else start)
    begin = max((place + 1 for place in before if is_han(text[place]) and text[place] not in sounds), default=start)
    behind = (place for place in range(last, end) if is_han(text[place]) and text[place] not in sounds)
    return begin, next(behind, end)


def _sounds_foreign(name: str, sounds: frozenset[str]) -> bool:
    parts = [part.strip() for part in _DOT.split(name)]
    han = [character for part in parts for character in part if is_han(character)]
    if not all(parts) or len(han) < _SHORTEST:
        return False
    return sum(character in sounds for character in han) >= _MOSTLY * len(han)


def _from_list(text: str, sounds: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield listed names that no further sound, as in a medicine's name, continues on either side."""
    pattern, lengths = _listed()
    names = listed_names()
    reached = 0
    for match in pattern.finditer(text):
        start = match.start()
        ends = (start + length for length in lengths if text[start : start + length] in names)
        end = next(ends, None) if start >= reached else None
        if end is not None and not _goes_on(text, start, end, sounds):
            yield start, end
            reached = end


def _goes_on(text: str, start: int, end: int, sounds: frozenset[str]) -> bool:
    left, right = text[start - 1 : start] if start else "", text[end : end + 1]
    return any(side in sounds and side not in _GRAMMAR for side in (left, right))
