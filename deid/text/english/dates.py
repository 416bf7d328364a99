"""Days in English text, in words and in figures, and ages over 89. A year alone is none, nor is a day of the week."""

import re
from collections.abc import Iterator
from typing import Final

from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
_WEEKDAY: Final = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? (?:the )?)?"
_DAY: Final = r"(?:3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?(?![0-9a-z])"
_YEAR: Final = r"(?:(?:19|20)[0-9]{2}|'[0-9]{2})(?![0-9])"
_TIME: Final = (
    r"(?:,?(?: at)?[ T][0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?: ?[ap]\.?m\.?(?![a-z]))?(?:Z|[+-][0-9]{2}:?[0-9]{2}| (?:utc|gmt|e[sd]t|c[sd]t|m[sd]t|p[sd]t)(?![a-z]))?)?"
)

_IN_WORDS: Final = re.compile(
    rf"(?<![a-z0-9])(?:{_WEEKDAY}(?:{_MONTH} (?:the )?{_DAY}(?:(?:,| of)? ?{_YEAR})?"
    rf"|(?:the )?{_DAY} ?(?:of )?{_MONTH}(?:,? ?{_YEAR})?"
    rf"|(?:3[01]|[12][0-9]|0?[1-9])-{_MONTH}-(?:(?:19|20)[0-9]{{2}}|[0-9]{{2}})(?![0-9])){_TIME}"
    rf"|{_MONTH},? (?:of )?{_YEAR})",
    re.IGNORECASE,
)
_MAY_AS_VERB: Final = re.compile(r"may (?:the )?[0-9]{1,2}|(?:[0-9]{1,2} )may")
"""In small letters and without a year or an ending of the number it is more often the verb."""

_FIGURES: Final = re.compile(
    rf"(?<![0-9A-Za-z/.-])(?:(?P<a>[0-9]{{1,2}})(?P<sep>[-/.])(?P<b>[0-9]{{1,2}})(?P=sep)(?P<y>(?:19|20)?[0-9]{{2}})"
    rf"|(?P<iso>(?:19|20)[0-9]{{2}})-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12][0-9]"
    rf"|3[01])(?=T[0-9])){_TIME}(?![0-9A-Za-z/-]|\.[0-9])"
)
_MONTH_AND_DAY: Final = re.compile(
    r"(?<![0-9A-Za-z/.-])(?:1[0-2]|0?[1-9])/(?:3[01]|[12][0-9]|0?[1-9])(?![0-9A-Za-z/%]|\.[0-9])"
)
_MONTH_AND_YEAR: Final = re.compile(r"(?<![0-9A-Za-z/.-])(?:1[0-2]|0?[1-9])[/-](?:19|20)[0-9]{2}(?![0-9A-Za-z/-])")
_DAY_CUES: Final = re.compile(
    r"(?<![a-z])(?:on|since|dated?|until|till|by|before|after|from|born|dob|due|seen|admitted|discharged|visit"
    r"|appointment|appt|through)"
    r"[ :]{1,2}(?:the )?\Z",
    re.IGNORECASE,
)
_CUE_REACH: Final = 16
_MONTHS, _DAYS = 12, 31

_OVER_89: Final = r"(?:9[0-9]|1[0-2][0-9])"
_UNITS: Final = r"[- ]?(?:years?|yrs?|y)[- ]?(?:olds?|of age|/?o)(?![a-z])| ?y\.?/?o\.?(?![a-z])"
_AGE: Final = re.compile(
    rf"(?<![0-9A-Za-z.,/:-])(?:{_OVER_89}(?={_UNITS}))"
    rf"|(?:(?<=aged )|(?<=age )|(?<=age: )|(?<=age of )|(?<=turned )){_OVER_89}(?![0-9%]|\.[0-9])",
    re.IGNORECASE,
)
_WRITTEN_AGE: Final = re.compile(
    r"(?<![a-z])(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
    r"|(?:one|a) hundred(?:[ -](?:and[ -])?[a-z]{3,9})?)(?=[- ]years?[- ](?:olds?|of age))",
    re.IGNORECASE,
)
_ANY_PERSON: Final = re.compile(r"(?:(?:[- ]?years?| ?y/?o).{0,8})? ?(?:and|or) (?:over|above|older)|\+", re.IGNORECASE)

_CLUE: Final = re.compile(
    r"[0-9][/.-][0-9]|[A-Za-z]{3}[. ,:-]|[0-9](?:st|nd|rd|th)? ?[A-Za-z]|ninety|hundred", re.IGNORECASE
)


class EnglishDateFinder:
    """Dates and ages of English text as one finder."""

    name = "english_dates"
    kinds = frozenset((Kind.DATE, Kind.AGE))
    languages = frozenset(("en",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield the dates and the ages over 89; they may overlap."""
        text = reading.text
        if not reading.has_codes or _CLUE.search(text) is None:
            return
        yield from _days(text)
        for pattern in (_AGE, _WRITTEN_AGE):
            for match in pattern.finditer(text):
                if not _ANY_PERSON.match(text, match.end()):
                    yield Hit(match.start(), match.end(), Kind.AGE, 0.8, checked=False, source="english.age")


def _days(text: str) -> Iterator[Hit]:
    for match in _IN_WORDS.finditer(text):
        if not _MAY_AS_VERB.fullmatch(match.group()):
            yield _hit(match, 0.85)
    for match in _FIGURES.finditer(text):
        if match["iso"] or (_is_day(int(match["a"]), int(match["b"])) and _is_told_as_day(text, match)):
            yield _hit(match, 0.85)
    for match in _MONTH_AND_YEAR.finditer(text):
        yield _hit(match, 0.7)
    for match in _MONTH_AND_DAY.finditer(text):
        if _DAY_CUES.search(text, max(0, match.start() - _CUE_REACH), match.start()):
            yield _hit(match, 0.65)


def _is_day(first: int, second: int) -> bool:
    """Say whether two numbers are month and day, in either order."""
    return 0 < min(first, second) <= _MONTHS and max(first, second) <= _DAYS


def _is_told_as_day(text: str, match: re.Match[str]) -> bool:
    """With dots or dashes and a short year it may be a version or a range, unless a word speaks of a day."""
    if match["sep"] == "/" or len(match["y"]) > len("99"):
        return True
    return _DAY_CUES.search(text, max(0, match.start() - _CUE_REACH), match.start()) is not None


def _hit(match: re.Match[str], score: float) -> Hit:
    return Hit(match.start(), match.end(), Kind.DATE, score, checked=False, source="english.date")
