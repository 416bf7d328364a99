"""The sources as which a machine's key may speak: bound when the key is made, for good.

A source's name decides whose records are replaced by newer ones and which value the pack trusts most, so that it must
not be the sender's to choose.
"""

import re
from collections.abc import Collection, Sequence
from typing import ClassVar, Final

from audit.entries import TEXT_MAX_CHARS
from kernel.errors import BadInput, Denied

NAME_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"
"""How names are written that come over HTTP: a shape that no number of a person has."""

_SEPARATOR: Final = ","
_NAME: Final = re.compile(NAME_PATTERN)


class ForeignSource(Denied):
    """A key stated sources that it is not bound to."""

    rule: ClassVar[str] = "SOURCE"

    def __init__(self, foreign: Sequence[str]) -> None:
        super().__init__(
            f"The key is not bound to source {', '.join(foreign)}",
            hint="Send under the key's own sources, or under a key that is made for this one.",
        )


def read_sources(text: str | None) -> frozenset[str] | None:
    """Return the sources behind ``write_sources``; None for a key that is bound to none and may state any."""
    return None if text is None else frozenset(text.split(_SEPARATOR))


def write_sources(sources: Collection[str] | None) -> str | None:
    """Return sources as they are stored and stand in the log; raises ``BadInput`` where they cannot."""
    if sources is None:
        return None
    faulty = [name for name in sources if not _NAME.fullmatch(name)]
    if faulty or not sources:
        raise BadInput(
            "A source's name begins with a letter and has 1 to 64 letters, digits and _.-",
            hint="Give the names under which the machine sends, such as --source his.",
        )
    text = _SEPARATOR.join(sorted(set(sources)))
    if len(text) > TEXT_MAX_CHARS:
        raise BadInput(
            f"The sources of one key have at most {TEXT_MAX_CHARS} characters together",
            hint="Make a key for each of them.",
        )
    return text


def foreign_sources(bound: Collection[str] | None, stated: Collection[str]) -> list[str]:
    """Return those of the stated sources that a key is not bound to, in order."""
    return [] if bound is None else sorted(set(stated) - set(bound))
