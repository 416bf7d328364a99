"""Names of persons in Chinese text as one finder of all rules."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from deid.text.kinds import Kind
from deid.text.lists import simplified
from deid.text.names.cues import introduced_names
from deid.text.names.foreign import foreign_names
from deid.text.names.full_names import Name, full_names
from deid.text.names.mentions import mentioned_names
from deid.text.names.nicknames import nicknames
from deid.text.names.pinyin import pinyin_names
from deid.text.names.titles import titled_names
from deid.text.reading import Reading
from deid.text.spans import Hit

_SCORES: Final = {
    "person.cue": 0.85,
    "person.title": 0.75,
    "person.masked": 0.75,
    "person.foreign": 0.75,
    "person.pinyin": 0.75,
    "person.mention": 0.55,
    "person.nickname": 0.5,
    "person.repeat": 0.6,
}
_MARKS: Final = re.compile("〔[^〔〕]{0,6}〕")
"""Marks of an earlier round; the words in them are ours."""

_LEAST: Final = 0.6
_CERTAIN: Final = 60.0
"""The margin at which a name by its characters alone has 0.9."""

_SURE: Final = 35
_SURE_LONG: Final = 15
"""Names with this margin, and those of three characters or more with this, are looked for in the whole window."""

_SHORT: Final = 2

_MOST_REPEATED: Final = 200


class NameFinder:
    """Persons in Chinese text."""

    name = "names"
    kinds = frozenset((Kind.PERSON,))
    languages = frozenset(("zh",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the hits of all rules; they may overlap."""
        if "〔" not in reading.text:
            yield from _all_hits(reading)
            return
        marks = [match.span() for match in _MARKS.finditer(reading.text)]
        for hit in _all_hits(reading):
            place = bisect_right(marks, (hit.start, len(reading.text)))
            if not any(start < hit.end and hit.start < end for start, end in marks[max(0, place - 1) : place + 1]):
                yield hit


def _all_hits(reading: Reading) -> Iterator[Hit]:
    for start, end, rule in pinyin_names(reading.text):
        yield _hit(start, end, rule)
    if not reading.has_han:
        return
    text = simplified(reading.text)
    names = full_names(text)
    for name in names:
        score = _LEAST + 0.3 * min(name.margin / _CERTAIN, 1.0)
        yield Hit(name.start, name.end, Kind.PERSON, round(score, 2), checked=False, source="person.name")
    for rules in (titled_names, introduced_names, foreign_names, mentioned_names, nicknames):
        for start, end, source in rules(text):
            yield _hit(start, end, source)
    yield from _repeats(text, names)


def _hit(start: int, end: int, rule: str) -> Hit:
    return Hit(start, end, Kind.PERSON, _SCORES[rule], checked=False, source=rule)


def _repeats(text: str, names: list[Name]) -> Iterator[Hit]:
    """Yield the places where a name that is sure at one place of the window occurs at others."""
    found = {name.start for name in names}
    sure = dict.fromkeys(text[name.start : name.end] for name in names if _is_sure(name))
    for name in list(sure)[:_MOST_REPEATED]:
        start = text.find(name)
        while start >= 0:
            if start not in found:
                yield _hit(start, start + len(name), "person.repeat")
            start = text.find(name, start + len(name))


def _is_sure(name: Name) -> bool:
    return name.margin >= (_SURE if name.end - name.start == _SHORT else _SURE_LONG)
