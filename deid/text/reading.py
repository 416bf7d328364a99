"""One window of text as the finders read it: folded, with what several of them ask about it worked out once."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from deid.text.folding import Folded, fold

_HAN: Final = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True)
class Reading:
    """A folded text; spans that finders give are offsets of ``text``, and ``folded`` leads back to the original.

    Attributes:
        folded: the text after folding, with the way back.
        language: ``zh`` or ``en``; what a text of both is mostly read as. Finders of the other run all the same where
            their script occurs.
    """

    folded: Folded = field(repr=False)
    language: str

    @property
    def text(self) -> str:
        """The folded text."""
        return self.folded.text

    @cached_property
    def has_han(self) -> bool:
        """Whether a Chinese character occurs."""
        return _HAN.search(self.text) is not None


def language_of(text: str) -> str:
    """Return ``zh`` where a Chinese character occurs, else ``en``."""
    return "zh" if _HAN.search(text) else "en"


def read(text: str, language: str = "auto") -> Reading:
    """Fold a text and settle its language.

    Args:
        text: as it was given.
        language: ``zh``, ``en``, or ``auto`` as ``language_of`` says.
    """
    return Reading(fold(text), language_of(text) if language == "auto" else language)
