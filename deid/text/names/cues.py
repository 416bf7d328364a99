"""Names that are introduced, also spaced ones: 我叫…, 姓名：…, 患者：…; the cues are in ``lists/name_cues.txt``."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from deid.text.lists import word_costs
from deid.text.lists.reading import alternation, sections_of
from deid.text.lists.words import UNKNOWN
from deid.text.names.evidence import is_han
from deid.text.names.model import UNSEEN, name_model

_GAP: Final = r"[\s:：=\-—_|.]{0,4}"
_COLON: Final = r"\s{0,2}[:：=]\s{0,3}"
_QUOTE: Final = "[\\s:：“\"'「]{0,3}"
_HAN: Final = "[\u4e00-\u9fff]"
_HAN_NAME: Final = _HAN + "{2,4}"
_SPACED: Final = f"{_HAN}(?:[ \u3000]{{1,3}}{_HAN}){{1,2}}(?!{_HAN})"

_WHOLE: Final = 3
_SHORTEST: Final = 2
_LONGEST: Final = 4

_SECOND_IS_LIKELY: Final = 90
"""How much dearer than a new word the second character of a given name may be behind a cue."""

_COMMON: Final = 112
"""Words dearer than this, about one in 75,000, may be somebody's name behind a cue."""


class _Cues(NamedTuple):
    """What introduces names.

    Attributes:
        labels: after which nearly anything is a name.
        strict: after which a name has a surname or the characters of a given name.
        stop: what is no name all the same.
    """

    labels: re.Pattern[str]
    strict: tuple[re.Pattern[str], ...]
    stop: frozenset[str]


@cache
def _cues() -> _Cues:
    sections = sections_of("name_cues.txt")
    labels, roles, said = (alternation(sections[section]) for section in ("label", "role", "said"))
    return _Cues(
        re.compile(f"(?:{labels}|姓\\s{{1,4}}名){_GAP}(?P<name>{_SPACED}|{_HAN_NAME})"),
        (
            re.compile(f"(?:{roles}){_COLON}(?P<name>{_SPACED}|{_HAN_NAME}(?!{_HAN}))"),
            re.compile(f"(?:{said}){_QUOTE}(?P<name>{_HAN_NAME})"),
        ),
        frozenset(sections["stop"]),
    )


def introduced_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of the names that a label or a sentence introduces, in simplified characters."""
    cues = _cues()
    for match in cues.labels.finditer(text):
        yield from _settled(text, *match.span("name"), strict=False)
    for pattern in cues.strict:
        for match in pattern.finditer(text):
            yield from _settled(text, *match.span("name"), strict=True)


def _settled(text: str, start: int, end: int, *, strict: bool) -> Iterator[tuple[int, int, str]]:
    """Yield how much of what follows a cue is a name, if anything.

    Args:
        strict: whether what has no surname must be made of the characters of given names.
    """
    letters = "".join(text[start:end].split())
    if len(letters) < end - start:
        if letters[0] in name_model().surnames and letters not in _cues().stop and not _is_common(letters):
            yield start, end, "person.cue"
        return
    length = _length(letters, text[end : end + 1], strict=strict)
    if length:
        yield start, start + length, "person.cue"


def _length(name: str, behind: str, *, strict: bool) -> int:
    """Return how many characters of a stretch are a name; 0 for none."""
    if not _cues().stop.isdisjoint((name[:_SHORTEST], name[:_WHOLE])):
        return 0
    surnames = name_model().surnames
    if name[:_SHORTEST] in surnames and len(name) > _SHORTEST:
        return len(name)
    if name[0] in surnames and not _is_common(name[:_SHORTEST]):
        return _length_with_surname(name, behind)
    ended = not is_han(behind) and len(name) < _LONGEST
    if ended and not _is_common(name) and (not strict or _is_given(name)):
        return len(name)
    return 0


def _length_with_surname(name: str, behind: str) -> int:
    """Return two or three: three where the third is at home in given names, or nothing else follows."""
    if len(name) == _SHORTEST or (len(name) == _WHOLE and not is_han(behind)):
        return len(name)
    _, first, second, _ = name_model()
    costs = word_costs()
    new_word = min(costs.get(name[2:_LONGEST], UNKNOWN), costs.get(name[2], UNKNOWN))
    given = first.get(name[1], UNSEEN) + second.get(name[2], UNSEEN)
    return _WHOLE if given < new_word + _SECOND_IS_LIKELY else _SHORTEST


def _is_given(name: str) -> bool:
    _, first, second, _ = name_model()
    return len(name) == _SHORTEST and name[0] in first and name[1] in second


def _is_common(word: str) -> bool:
    return word_costs().get(word, UNKNOWN) < _COMMON
