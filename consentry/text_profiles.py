"""What is done with the identifiers that are found in a text, by the name of a profile."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final, TypeAlias

from deid.text import Scrubbed, TextScrubber
from kernel.errors import NotFound

REDACT: Final = "redact"
"""The profile of what leaves: every identifier becomes the mark of its kind."""

TextWork: TypeAlias = Callable[[str, str], Scrubbed]
"""Takes a text and its language (``auto``, ``zh`` or ``en``); the spans are in offsets of that text."""


def profile_names() -> list[str]:
    """Return the names of the profiles that there are."""
    return sorted(_WORKS)


def check_profile(name: str) -> None:
    """Raise ``NotFound`` for a profile that there is not."""
    if name not in _WORKS:
        raise NotFound(f"There is no profile {name!r}", hint=f"There are {', '.join(profile_names())}.")


def text_work(name: str) -> TextWork:
    """Return what a profile does; raises ``NotFound``."""
    check_profile(name)
    return _WORKS[name]


@cache
def _scrubber() -> TextScrubber:
    return TextScrubber()


def _redact(text: str, language: str) -> Scrubbed:
    return _scrubber().scrub(text, language)


_WORKS: Final[Mapping[str, TextWork]] = {REDACT: _redact}
