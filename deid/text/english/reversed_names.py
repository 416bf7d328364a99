"""Names as registers write them: ``DOE, JANE A.`` and ``Doe, Jane`` behind a label."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.english.letters import CAPITAL, LETTER
from deid.text.kinds import Kind
from deid.text.lists.english import given_names, surnames
from deid.text.spans import Hit

_WORD: Final = rf"[{CAPITAL}][{LETTER}]{{1,40}}(?:['’-][{LETTER}]{{1,40}}){{0,2}}"
_PAIR: Final = re.compile(
    rf"(?<![{LETTER}0-9'’-])(?P<family>{_WORD}), ?(?P<given>{_WORD})(?: [{CAPITAL}](?![{LETTER}])\.?)?(?![{LETTER}0-9])"
)
_LABEL: Final = re.compile(
    r"(?<![a-z])(?:names?|patient|pt|member|insured|subscriber|guarantor|provider|physician|attending|surgeon|resident"
    r"|contact|employee|student|client) ?(?:name)?[:=\t ]{1,3}\Z",
    re.IGNORECASE,
)
_REACH: Final = 24


def reversed_names(text: str, start: int, end: int) -> Iterator[Hit]:
    """Yield the pairs of ``text[start:end]`` whose second word is a given name, in capitals or behind a label."""
    for match in _PAIR.finditer(text, start, end):
        if match["given"].lower() not in given_names():
            continue
        is_labelled = _LABEL.search(text, max(0, match.start() - _REACH), match.start()) is not None
        is_in_capitals = match["family"].isupper() and match["given"].isupper()
        if is_labelled or (is_in_capitals and match["family"].lower() in surnames()):
            yield Hit(match.start(), match.end(), Kind.PERSON, 0.8, checked=False, source="english.reversed_name")
