"""Names in pinyin behind a label: 姓名 Zhang Wei, name: ZHANGWEI, 拼音 zhang xiao-ming."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.lists.reading import alternation, sections_of

_INITIALS: Final = "zh|ch|sh|b|p|m|f|d|t|n|l|g|k|h|j|q|x|r|z|c|s|y|w"
_FINALS: Final = (
    "iang|iong|uang|ang|eng|ing|ong|iao|ian|uai|uan|van|ai|ei|ui|ao|ou|iu|ie|ia|ue|ve|er|an|en|in|un|vn|ua|uo"
    "|a|o|e|i|u|v|ü"
)


@cache
def _pattern() -> re.Pattern[str]:
    syllable = f"(?:(?:{_INITIALS})?(?:{_FINALS}))"
    surnames = alternation(sections_of("pinyin_surnames.txt")["surname"])
    gap = "[ .'-]{0,2}"
    return re.compile(
        rf"(?:姓名|名字|拼音|英文名|full name|name|我叫|名叫)(?:的?拼音)?\s?(?:is|是|为|叫)?\s?[:：=(（]?\s?"
        rf"(?P<name>(?:{surnames})[ ,.'-]{{0,2}}{syllable}(?:{gap}{syllable}){{0,1}}"
        rf"|{syllable}(?:{gap}{syllable}){{0,1}} (?:{surnames}))(?![A-Za-z])",
        re.IGNORECASE,
    )


_CUE: Final = re.compile("姓名|名字|拼音|英文名|name|我叫|名叫", re.IGNORECASE)


def pinyin_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of names in pinyin that a label introduces."""
    for cue in _CUE.finditer(text):
        match = _pattern().match(text, cue.start())
        if match is not None:
            yield *match.span("name"), "person.pinyin"
