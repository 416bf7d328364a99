"""Marks of an earlier round, which are ours and none of a person's words."""

import re
from typing import Final

_MARK: Final = re.compile("〔[^〔〕]{0,6}〕")


def without_marks(text: str) -> str:
    """Return a text of the same length in which nothing of a mark can be read."""
    return _MARK.sub(lambda match: "〔" * len(match.group()), text) if "〔" in text else text
