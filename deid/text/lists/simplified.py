"""Traditional characters read as simplified ones, one for one, so that offsets stay."""

import re
from functools import cache
from typing import NamedTuple

from deid.text.lists.reading import lines_of


class _Table(NamedTuple):
    occurs: re.Pattern[str]
    pairs: dict[int, int]


@cache
def _table() -> _Table:
    traditional, simplified = lines_of("simplified.txt")
    return _Table(re.compile(f"[{traditional}]"), str.maketrans(traditional, simplified))


def simplified(text: str) -> str:
    """Return a text of the same length in simplified characters; the text itself where nothing changes."""
    occurs, pairs = _table()
    return text if occurs.search(text) is None else text.translate(pairs)
