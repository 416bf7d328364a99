"""One window of text as the finders read it: folded, with what several of them ask about it worked out once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from deid.text.folding import Folded, fold

_HAN: Final = re.compile("[\u3400-\u9fff]")

_CODE: Final = re.compile("[0-9A-Za-z][-_.: ]?[0-9A-Za-z][-_.: ]?[0-9A-Za-z]")

_WRITTEN_DIGITS: Final = {
    "0": "〇零○洞",
    "1": "一幺壹〡",
    "2": "二两贰貳兩〢",
    "3": "三叁叄參〣",
    "4": "四肆〤",
    "5": "五伍〥",
    "6": "六陆陸〦",
    "7": "七柒拐〧",
    "8": "八捌〨",
    "9": "九玖勾〩",
}
"""How digits are written (traditional and Suzhou numerals too) and said over the telephone (幺, 洞, 拐, 勾)."""

TO_DIGITS: Final = str.maketrans({sign: digit for digit, signs in _WRITTEN_DIGITS.items() for sign in signs})
"""From what a digit is written as to the digit, for ``str.translate``; offsets stay."""

_SIGNS: Final = "".join(_WRITTEN_DIGITS.values())
_WRITTEN_SIGN: Final = re.compile(f"[{_SIGNS}][-. ,]?[{_SIGNS}0-9][-. ,]?[{_SIGNS}0-9]")
_SPELLED: Final = re.compile(f"[{_SIGNS}0-9](?:[-. ,]?[{_SIGNS}0-9]){{6,}}")


_Answer = TypeVar("_Answer")


class _once(Generic[_Answer]):  # noqa: N801 - a decorator
    """A property that is worked out once.

    Unlike ``functools.cached_property`` of Python 3.11 it takes no lock, which costs more than most of the questions.
    Two threads may both work it out, and come to the same.
    """

    def __init__(self, work: Callable[[Any], _Answer]) -> None:
        self._work = work
        self._name = work.__name__
        self.__doc__ = work.__doc__

    def __get__(self, instance: object, _: type) -> _Answer:
        answer = self._work(instance)
        instance.__dict__[self._name] = answer
        return answer


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

    @_once
    def aside(self) -> "Reading | None":
        """The same without what numbers the items of a list (①, keycaps) or is raised (²); None without such."""
        apart = self.folded.apart
        return None if apart is None else Reading(self.folded._replace(text=apart, apart=None), self.language)

    @_once
    def has_han(self) -> bool:
        """Whether a Chinese character occurs."""
        return _HAN.search(self.text) is not None

    @_once
    def has_codes(self) -> bool:
        """Whether three digits or Latin letters stand together: what is written with fewer names nobody."""
        return _CODE.search(self.text) is not None

    @_once
    def digits(self) -> str | None:
        """The text, as long as it is, with digits where seven or more are written in Chinese; None without such."""
        if _WRITTEN_SIGN.search(self.text) is None:
            return None
        spelled = _SPELLED.sub(_as_digits, self.text)
        return spelled if spelled != self.text else None


def _as_digits(match: re.Match[str]) -> str:
    return match.group().translate(TO_DIGITS)


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
