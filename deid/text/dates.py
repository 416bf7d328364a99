"""Days and ages that single somebody out: dates in all the ways in which people write them, ages over 89.

A year alone is none (45 CFR 164.514(b)(2)(i)(C) lets it stay), nor is a duration, nor a time of day by itself.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

_CLUE: Final = re.compile("[年月岁享历]")
_NUMERIC_CLUE: Final = re.compile(r"(?:19|20)[0-9]{2}[-/.0-9]")
_MONTH_IN_DIGITS: Final = re.compile("[0-9] ?月")
_MONTH_IN_WORDS: Final = re.compile("[一二三四五六七八九十正冬腊闰廿卅] ?月")
_OLD: Final = re.compile("[91][0-9]")
"""Without these a text holds no day, no month, no age."""

_TIME: Final = (
    r"(?:[ T]{0,2}[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?(?![0-9]))?"
)
_MONTH: Final = "(?:1[0-2]|0?[1-9])"
_DAY: Final = "(?:3[01]|[12][0-9]|0?[1-9])"

_NUMERIC: Final = re.compile(
    rf"(?<![0-9.])(?P<y>(?:19|20)[0-9]{{2}})"
    rf"(?: ?年 ?(?P<m1>{_MONTH}) ?月 ?(?P<d1>{_DAY})(?: ?[日号])?(?![0-9]){_TIME}"
    rf"|(?P<sep>[-/.])(?P<m2>{_MONTH})(?P=sep)(?P<d2>{_DAY})(?![0-9]|(?P=sep)[0-9]){_TIME}"
    rf"| ?年 ?{_MONTH} ?月份?|[-/]{_MONTH}月份?)"  # no day is said
)
_SHORT_YEAR: Final = re.compile(rf"(?<![0-9.])[0-9]{{2}} ?年 ?{_MONTH} ?月 ?{_DAY} ?[日号]")
_MONTH_DAY: Final = re.compile(rf"(?<![0-9.])(?P<m>{_MONTH}) ?月 ?(?P<d>{_DAY}) ?[日号](?!文件){_TIME}")
_COMPACT: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?P<y>(?:19|20)[0-9]{2})(?P<m>[01][0-9])(?P<d>[0-3][0-9])(?![0-9A-Za-z])"
)
_COMPACT_WORDS: Final = re.compile(
    r"(?:日期|时间|生日|出生|生于|出生于|末次月经|预产期|入院|出院|就诊|手术日|检查日|date|dob|born)[^0-9]{0,4}\Z",
    re.IGNORECASE,
)

_NUMERAL: Final = "[〇零○一二三四五六七八九两]"
_TENS: Final = "(?:[一二三]?十[一二三四五六七八九]?|[一二三四五六七八九]|廿[一二三四五六七八九]?|卅一?)"
_WRITTEN: Final = re.compile(
    rf"(?:(?:{_NUMERAL}{{4}}|{_NUMERAL}{{2}}) ?年 ?{_TENS} ?月(?:份| ?{_TENS} ?[日号])?"
    rf"|(?<![〇零○一二三四五六七八九十]){_TENS}月{_TENS}[日号])"
)
_LUNAR: Final = re.compile(
    "(?:农历|阴历|旧历)?(?:[〇零一二三四五六七八九0-9]{4}年)?(?:闰?(?:[正冬腊]|十[一二]?|[一二三四五六七八九])月|除夕|大年)"
    "(?:初[一二三四五六七八九十]|十[一二三四五六七八九]|二十[一二三四五六七八九]?|廿[一二三四五六七八九十]?|三十)(?![天个年岁次分日号])"
)
_LUNAR_NUMERIC: Final = re.compile(
    rf"(?:农历|阴历|旧历) ?{_MONTH} ?[月.] ?(?:初?[0-9]{{1,2}}|初[一二三四五六七八九十])日?"
)

_AGE: Final = re.compile(
    r"(?<![0-9.])(?:9[0-9]|1[0-2][0-9])(?= ?(?:周岁|岁|多岁|来岁|虚岁))"
    r"|(?<=年龄)[ :是为]{0,3}(?:9[0-9]|1[0-2][0-9])(?![0-9.])"
    r"|享年 ?(?:9[0-9]|1[0-2][0-9])(?![0-9])"
)
_WRITTEN_AGE: Final = re.compile(
    "(?:九十[一二三四五六七八九]?[多几来]?|一百(?:零[一二三四五六七八九]|[一二]十[一二三四五六七八九]?)?[多几来]?)(?=周?岁)"
)
_ANY_PERSON: Final = re.compile("(?:周?岁|多岁|来岁)(?:以上|以下|以内|及以上|的?老年人群)")


class DateFinder:
    """Dates and ages as one finder."""

    name = "dates"
    kinds = frozenset((Kind.DATE, Kind.AGE))
    languages = frozenset(("zh", "en"))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Return the dates and the ages over 89; they may overlap."""
        text = reading.text
        if _CLUE.search(text) is not None:
            return _in_words(text)
        return _with_year(text) if reading.has_codes and _NUMERIC_CLUE.search(text) is not None else iter(())


def _in_words(text: str) -> Iterator[Hit]:
    """Read a text that speaks of years, months or ages closely, each for what it holds."""
    if "19" in text or "20" in text:
        yield from _with_year(text)
    if _MONTH_IN_DIGITS.search(text) is not None:
        yield from _with_month(text)
    if _MONTH_IN_WORDS.search(text) is not None:
        yield from _plain(text, _WRITTEN, "date.written", 0.85)
        yield from _plain(text, _LUNAR, "date.lunar", 0.8)
    elif "除夕" in text or "大年" in text:
        yield from _plain(text, _LUNAR, "date.lunar", 0.8)
    if "历" in text:
        yield from _plain(text, _LUNAR_NUMERIC, "date.lunar", 0.85)
    if "岁" in text or "年龄" in text or "享年" in text:
        yield from _ages(text)


def _with_year(text: str) -> Iterator[Hit]:
    for match in _NUMERIC.finditer(text):
        month, day = match["m1"] or match["m2"], match["d1"] or match["d2"]
        if day is None or _is_day(int(match["y"]), int(month), int(day)):
            yield _hit(match, "date.numeric", 0.9)
    for match in _COMPACT.finditer(text):
        is_named = _COMPACT_WORDS.search(text, max(0, match.start() - 12), match.start())
        if is_named and _is_day(int(match["y"]), int(match["m"]), int(match["d"])):
            yield _hit(match, "date.compact", 0.8)


def _with_month(text: str) -> Iterator[Hit]:
    for match in _MONTH_DAY.finditer(text):
        if _is_day(2024, int(match["m"]), int(match["d"])):
            yield _hit(match, "date.month_day", 0.8)
    yield from _plain(text, _SHORT_YEAR, "date.numeric", 0.85)


def _plain(text: str, pattern: re.Pattern[str], source: str, score: float) -> Iterator[Hit]:
    for match in pattern.finditer(text):
        yield _hit(match, source, score)


def _ages(text: str) -> Iterator[Hit]:
    in_digits, in_words = _OLD.search(text) is not None, "九十" in text or "一百" in text
    for pattern in (*((_AGE,) if in_digits else ()), *((_WRITTEN_AGE,) if in_words else ())):
        for match in pattern.finditer(text):
            if not _ANY_PERSON.match(text, match.end()):
                start = match.end() - len(match.group().lstrip(" :是为享年"))
                yield Hit(start, match.end(), Kind.AGE, 0.8, checked=False, source="age")


def _hit(match: re.Match[str], source: str, score: float) -> Hit:
    return Hit(match.start(), match.end(), Kind.DATE, score, checked=False, source=source)


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
