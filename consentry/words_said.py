"""What people say in their own words, a reason or a note: the same is asked for wherever it is given."""

import unicodedata
from typing import Final

from kernel.errors import BadInput

_SEEN: Final = frozenset("LNPS")
"""First letters of the Unicode categories that leave a mark on the screen: letters, numbers, punctuation, symbols."""


def check_said(text: str, *, what: str) -> str:
    """Return words without the space around them.

    Args:
        text: any length; one visible character is enough, for languages that need no more.
        what: what the words are for, as the beginning of a sentence.
    Raises:
        BadInput: nothing of it can be seen.
    """
    words = text.strip()
    if not any(unicodedata.category(character)[0] in _SEEN for character in words):
        raise BadInput(f"{what} needs a reason in words", hint="Say why; blank is no reason.")
    return words
