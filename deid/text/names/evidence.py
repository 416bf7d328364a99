"""What stands directly before and behind a candidate and makes it more or less likely to be somebody's name.

Weights are in the costs of ``deid.text.lists.words`` (ten times nats), set by hand: 10 makes a name about three times
as likely, 25 twelve times, 50 a hundred and fifty times. The cues are in ``lists/name_evidence.txt``.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists.reading import sections_of

NEEDED: Final = -10
"""How much cheaper the reading as a name must be than the best one as words: the one threshold of this package.

Less than nothing, by a factor of e: a word that is masked costs less than a name that is left.
"""

MOST: Final = 75
"""The most that surroundings can add; candidates that are dearer by more are dropped before anything else is asked."""

_LONGEST_CUE: Final = 4

_LIKE_A_DRUG: Final = -25
"""For a name all of whose characters are those that medicines are named with."""

_NO_NAME: Final = -60
"""For a name with a character that only chemistry uses, or that is a part of the body or an illness."""

_COUNTED: Final = -50
"""For a surname behind a number that counts it: 2周, 3石, 第三章."""

_UNITS: Final = frozenset("周时石元万米包支车门项方章成度年月号双")
_NUMBERS: Final = frozenset("0123456789一二三四五六七八九十百千两几每半第数多")

_ALONE: Final = 22
"""For a name with no Chinese character on either side."""

_MENTIONED: Final = 25
"""For a name directly behind an @."""

_SEX_OR_NUMBER: Final = re.compile(
    r"[\s,，、:：(（;；/|]{0,3}(?:[男女](?![\u4e00-\u9fff])|[男女]性|1[3-9][0-9]{9}|今年|现年|,?[0-9]{1,3}岁)"
)
_SEX: Final = frozenset("男女今现")
"""What begins what may stand directly behind a name without being a cue itself."""

_NAMED_BEHIND: Final = 40

_DOSE: Final = re.compile(r"\s?[0-9.]{1,6}\s?(?:mg|g|ug|ml|克|毫克|毫升|片|粒|袋|支|盒|丸)", re.IGNORECASE)
_DOSED: Final = -45

_PREPARATION: Final = re.compile(
    "[^吃了一两几的有服用喝和与，。、\\s]{1,2}"
    "(?:[片丸膏汤散酊栓]|胶囊|颗粒|糖浆|口服液|洗剂|洗液|冲剂|合剂|滴眼液|注射液|喷雾)"
)
_PREPARED: Final = -30
"""For a name that one or two further characters and the form of a medicine follow."""

_MARK: Final = frozenset("〔〕")


class _Evidence(NamedTuple):
    """The list as it is asked.

    Attributes:
        before, behind: weights of cues.
        last_before, first_behind: the characters next to a name that some cue with a positive weight has there.
        pharmacy: characters of the names of medicines.
        no_name: characters of chemicals, bodies and illnesses.
    """

    before: dict[str, int]
    behind: dict[str, int]
    last_before: frozenset[str]
    first_behind: frozenset[str]
    pharmacy: frozenset[str]
    no_name: frozenset[str]


@cache
def _evidence() -> _Evidence:
    sections = sections_of("name_evidence.txt")
    before, behind = _weights(sections, "before"), _weights(sections, "behind")
    return _Evidence(
        before,
        behind,
        frozenset(cue[-1] for cue, weight in before.items() if weight > 0),
        frozenset(cue[0] for cue, weight in behind.items() if weight > 0),
        frozenset("".join(sections["pharmacy"])),
        frozenset("".join((*sections["chemistry"], *sections["body"]))),
    )


def _weights(sections: dict[str, list[str]], side: str) -> dict[str, int]:
    """Return the cues of the sections ``SIDE WEIGHT``."""
    return {
        cue: int(section.removeprefix(side))
        for section, cues in sections.items()
        if section.startswith(side + " ")
        for cue in cues
    }


def may_gain(text: str, start: int, end: int) -> bool:
    """Whether ``weigh`` can be positive; a quick look at the two neighbouring characters."""
    evidence = _evidence()
    left, right = text[start - 1 : start] if start else "", text[end : end + 1]
    if left in evidence.last_before or right in evidence.first_behind or right in _SEX:
        return True
    return not (is_inside(left) or is_inside(right))


def weigh(text: str, start: int, end: int) -> int:
    """Return what the surroundings of ``text[start:end]`` add to the margin of the reading as a name.

    Args:
        text: simplified Chinese.
        start: the first character of the surname.
        end: one past the last of the given name.
    """
    evidence = _evidence()
    weight = 0
    for size in range(min(_LONGEST_CUE, start), 0, -1):
        if (found := evidence.before.get(text[start - size : start])) is not None:
            weight = found
            break
    for size in range(_LONGEST_CUE, 0, -1):
        if (found := evidence.behind.get(text[end : end + size])) is not None:
            weight += found
            break
    weight += _look(evidence, text[start:end]) + _edges(text, start, end)
    if text[start] in _UNITS and start and text[start - 1] in _NUMBERS:
        weight += _COUNTED
    return min(weight, MOST)


def _look(evidence: _Evidence, name: str) -> int:
    """Return what the characters of the name itself say."""
    if not evidence.no_name.isdisjoint(name[1:]):
        return _NO_NAME
    return _LIKE_A_DRUG if evidence.pharmacy.issuperset(name) else 0


def _edges(text: str, start: int, end: int) -> int:
    """Return what it says that the name stands alone, behind an @, or before a sex, an age, a number or a dose."""
    right = text[end : end + 1]
    if is_han(right) and right not in _SEX:
        return _PREPARED if _PREPARATION.match(text, end) else 0
    weight = 0
    if _SEX_OR_NUMBER.match(text, end):
        weight = _NAMED_BEHIND
    elif _DOSE.match(text, end):
        weight = _DOSED
    left = text[start - 1 : start] if start else ""
    if left == "@":
        return weight + _MENTIONED
    return weight if is_inside(left) or is_inside(right) else weight + _ALONE


def is_han(character: str) -> bool:
    """Whether it is one Chinese character; the empty string is none."""
    return "\u4e00" <= character <= "\u9fff"


def is_inside(character: str) -> bool:
    """Whether a name next to it is not alone: a Chinese character, or the edge of a mark of an earlier round.

    Were marks an edge, whatever stands beside a name would look like one in the next round.
    """
    return is_han(character) or character in _MARK
