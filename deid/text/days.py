"""Days as people write them, read and written again in the same form: 2026-03-05, 二〇二六年三月五日, March 5, 2026.

Lunar days are not read: which day of the calendar they were is not told by their words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

_MONTH: Final = "(?:1[0-2]|0?[1-9])"
_DAY: Final = "(?:3[01]|[12][0-9]|0?[1-9])"
_YEAR: Final = "(?:19|20)[0-9]{2}"
_ZEROS: Final = "〇零○"
_DIGITS: Final = f"{_ZEROS}一二三四五六七八九"
_TENS: Final = "(?:[一二三]?十[一二三四五六七八九]?|[一二三四五六七八九]|廿[一二三四五六七八九]?|卅一?)"
_NAMES: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_NAME: Final = rf"(?:{'|'.join(f'{name[:3]}(?:{name[3:]})?' if name[3:] else name for name in _NAMES)}|sept)"

_PATTERNS: Final = (
    re.compile(
        rf"(?<![0-9.])(?P<y>{_YEAR}|[0-9]{{2}}) ?年 ?(?P<m>{_MONTH}) ?月份?(?: ?(?P<d>{_DAY})(?![0-9])(?: ?[日号])?)?"
    ),
    re.compile(rf"(?<![0-9.])(?P<y>{_YEAR})(?P<s>[-/.])(?P<m>{_MONTH})(?P=s)(?P<d>{_DAY})(?![0-9])"),
    re.compile(rf"(?<![0-9.])(?P<y>{_YEAR})[-/](?P<m>{_MONTH})(?![0-9/-])"),
    re.compile(rf"(?<![0-9年])(?<!年 )(?P<m>{_MONTH}) ?月 ?(?P<d>{_DAY}) ?[日号]"),
    re.compile(rf"(?<![0-9])(?P<y>{_YEAR})(?P<m>[01][0-9])(?P<d>[0-3][0-9])(?![0-9])"),
    re.compile(rf"(?P<y>[{_DIGITS}]{{4}}|[{_DIGITS}]{{2}}) ?年 ?(?P<m>{_TENS}) ?月份?(?: ?(?P<d>{_TENS}) ?[日号]?)?"),
    re.compile(rf"(?<![年{_DIGITS}十])(?P<m>{_TENS})月(?P<d>{_TENS})[日号]"),
    re.compile(
        rf"(?<![a-z])(?P<n>{_NAME})\.? (?P<d>{_DAY})(?:st|nd|rd|th)?(?:,? (?P<y>{_YEAR}))?(?![0-9a-z])", re.IGNORECASE
    ),
    re.compile(
        rf"(?<![0-9])(?P<d>{_DAY})(?:st|nd|rd|th)? (?:of )?(?P<n>{_NAME})\.?(?:,? (?P<y>{_YEAR}))?(?![0-9a-z])",
        re.IGNORECASE,
    ),
    re.compile(rf"(?<![0-9./-])(?P<m>[0-9]{{1,2}})(?P<s>[-/.])(?P<d>[0-9]{{1,2}})(?P=s)(?P<y>{_YEAR})(?![0-9])"),
    re.compile(rf"(?<![0-9./-])(?P<y>[0-9]{{2}})(?P<s>[-/.])(?P<m>{_MONTH})(?P=s)(?P<d>{_DAY})(?![0-9]|(?P=s)[0-9])"),
)
"""Each with groups for year, month (or its name) and day; what a pattern lacks is not said."""

_CLUE: Final = re.compile(
    "[月年]|[0-9][-/.][0-9]|[0-9]{8}|(?:[0-9](?:st|nd|rd|th)? |[0-9] of )[A-Za-z]{3}|[A-Za-z.] [0-9]"
)

_ORDINAL: Final = re.compile("st|nd|rd|th", re.IGNORECASE)
_THIS_CENTURY: Final = 30
"""Years of two digits below it are of this century."""

_TEN, _TWENTY, _THIRTY = 10, 20, 30
_MONTHS: Final = 12
_LEAP: Final = 2000


class _Part(NamedTuple):
    start: int
    end: int
    written: str


@dataclass(frozen=True, slots=True)
class WrittenDay:
    """A day in a text.

    Attributes:
        start, end: offsets in the text that was searched.
        year, day: None where they are not said.
        swapped: the month where what stands first of two figures may be the day; None where no doubt is.
    """

    start: int
    end: int
    year: int | None
    month: int
    day: int | None
    swapped: int | None
    _text: str
    _parts: dict[str, _Part]

    def __repr__(self) -> str:
        """Return where it stands, without what it says."""
        return f"WrittenDay({self.start}, {self.end})"

    def dates(self, year: int | None = None) -> Iterator[date]:
        """Yield the days of the calendar that it may be: one, or two where day and month may be exchanged.

        Args:
            year: for a day without one.
        """
        at = year if self.year is None else self.year
        if at is None:
            return
        yield date(at, self.month, self.day or 15)
        if self.swapped is not None and self.day is not None and self.swapped != self.month:
            yield date(at, self.swapped, self.month)

    def rewritten(self, other: date) -> str:
        """Return the text between start and end with another day in the same form."""
        said = {"y": other.year, "m": other.month, "n": other.month, "d": other.day}
        pads = self._pads()
        result, position = "", self.start
        for name, part in sorted(self._parts.items(), key=lambda pair: pair[1].start):
            ending = _ORDINAL.match(self._text, part.end) if name == "d" else None
            result += self._text[position : part.start] + _spelled(said[name], part.written, pads=pads)
            result += _ordinal(other.day) if ending else ""
            position = ending.end() if ending else part.end
        return result + self._text[position : self.end]

    def _pads(self) -> bool:
        """Say whether figures below ten are written with a zero."""
        figures = [part.written for name, part in self._parts.items() if name in "md"]
        if any(len(one) == 1 for one in figures):
            return False
        return any(one.startswith("0") for one in figures) or "年" not in self._text[self.start : self.end]


def written_days(text: str) -> Iterator[WrittenDay]:
    """Yield the days in a folded text; a stretch may be read in several ways."""
    if _CLUE.search(text) is None:
        return
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            found = _read(text, match)
            if found is not None:
                yield found


def read_day(text: str) -> WrittenDay | None:
    """Return the longest day that begins a folded text, or None."""
    at_start = [found for found in written_days(text) if found.start == 0]
    return max(at_start, key=lambda found: found.end, default=None)


def number_of(written: str) -> int:
    """Return what figures or Chinese numerals up to 39 say."""
    if written.isascii():
        return int(written)
    total = 0
    for sign in written:
        if sign == "十":
            total = max(total, 1) * _TEN
        elif sign in "廿卅":
            total = _TWENTY if sign == "廿" else _THIRTY
        else:
            total += max(_DIGITS.index(sign) - 2, 0)
    return total


def _read(text: str, match: re.Match[str]) -> WrittenDay | None:
    groups: dict[str, str | None] = match.groupdict()
    named = {name: value for name, value in groups.items() if value is not None and name != "s"}
    parts = {name: _Part(*match.span(name), value) for name, value in named.items()}
    year = _year(named["y"]) if "y" in named else None
    month = _named_month(named["n"]) if "n" in named else number_of(named["m"])
    day = number_of(named["d"]) if "d" in named else None
    swapped = None
    if match.re is _PATTERNS[-2] and day is not None:  # 03/05/2026: month and day, or day and month
        if month > _MONTHS:
            month, day = day, month
            parts["m"], parts["d"] = parts["d"], parts["m"]
        elif day <= _MONTHS:
            swapped = day
    try:
        date(_LEAP if year is None else year, month, day or 1)
    except ValueError:
        return None
    return WrittenDay(*match.span(), year, month, day, swapped, text, parts)


def _year(written: str) -> int:
    figures = written if written.isascii() else "".join(str(max(_DIGITS.index(sign) - 2, 0)) for sign in written)
    year = int(figures)
    if len(figures) > 2:  # noqa: PLR2004 - written in full
        return year
    return 2000 + year if year < _THIS_CENTURY else 1900 + year


def _named_month(name: str) -> int:
    return next(number for number, full in enumerate(_NAMES, 1) if full.startswith(name[:3].lower()))


def _spelled(number: int, like: str, *, pads: bool) -> str:
    """Return a year, month or day as ``like`` is written."""
    if like.isascii() and like.isdigit():
        if len(like) > 2:  # noqa: PLR2004 - a year
            return f"{number:04}"
        return f"{number % 100:02}" if pads or number > _MONTHS * 100 else str(number)
    if like.isascii():
        name = _NAMES[number - 1] if len(like) > 4 or like.lower() in _NAMES else _NAMES[number - 1][:3]  # noqa: PLR2004
        return name.upper() if like.isupper() else name.capitalize() if like[0].isupper() else name
    if number >= _MONTHS * 100:
        zero = next((sign for sign in like if sign in _ZEROS), "〇")
        signs = [zero, *_DIGITS[len(_ZEROS) :]]
        return "".join(signs[int(figure)] for figure in str(number)[-len(like) :])
    tens, ones = divmod(number, _TEN)
    return ("", "十", "二十", "三十")[tens] + _DIGITS[len(_ZEROS) :][ones - 1 : ones]  # nothing for 0


def _ordinal(day: int) -> str:
    if day in range(11, 14):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % _TEN, "th")
