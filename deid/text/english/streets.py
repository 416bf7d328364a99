"""How streets are written with their numbers, in the orders of many countries, and which of it is something else."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.english.letters import CAPITAL, LETTER
from deid.text.lists.english import cue, is_word
from deid.text.lists.reading import alternation

END: Final = rf"(?![{LETTER}0-9])"
BEGIN: Final = rf"(?<![{LETTER}0-9.,/$€£#+'’-])"
NAME: Final = (
    rf"(?:[{CAPITAL}][{LETTER}]{{0,40}}(?:['’.-]{{1,2}}[{LETTER}]{{1,40}}){{0,4}}\.?|[0-9]{{1,3}}(?:st|nd|rd|th))"
)
LINK: Final = (
    "(?:de|del|della|di|da|do|dos|das|du|des|la|le|las|los|les|el|al|e|y|of|the|van|von|der|den|af|på|i|u|nad|pod|v|ve|na"
    "|dei|degli|delle|dello|aux?|sur|am|an|im|zum|zur)"
)
NAMES: Final = rf"(?:{NAME} (?:(?:{LINK} ){{0,2}}{NAME} ){{0,4}})"
_NUMBER: Final = r"[0-9]{1,6}[A-Za-z]?(?:[-/][0-9]{1,5}[A-Za-z]?)?"
_LEADING: Final = rf"(?:{_NUMBER},? )"
_DIRECTION: Final = r"(?:[NSEW]|[NS]\.?[EW]|North|South|East|West)\.?"
_CORNER: Final = rf"(?:{_LEADING}{{0,2}}(?:[{LETTER}]{{1,3}}\.? )?{NAMES}(?:{_NUMBER}|[{LETTER}]{{2,12}}){END})"

_PREPOSITION: Final = re.compile(r"(?<![a-z])(?:in|at|on|and|to|from)[ \n]{1,3}(?:the )?\Z")
_CUE: Final = re.compile(
    r"(?<![a-z])(?:address(?:es)?(?:(?: is| to| with| are)?[:;]?|[^.?!\n]{1,24}:)|liv(?:es?|ed|ing)(?: at| on| in)?"
    r"|resid(?:es|ing|ed|ence)(?: at| on)?|located(?: at| on)?|meet(?:ing)?(?: me| you| us)?(?: at)?"
    r"|(?:sent|send|ship(?:ped)?|mail(?:ed)?|deliver(?:ed)?|return|forward)(?: it| them| this| a new one)? to"
    r"|(?:taxi|cab|uber|ride|drive|go|went|come|walk) to|off at|up (?:at|from)|enter on|(?:left|right) on(?:to)?"
    r"|corner of|side of|it's in|it is in|(?:office|restaurant|house|home|shop|store|clinic|party|place) is (?:at"
    r"|on|in)"
    r"|there's)[ \n]{1,3}(?:the )?\Z"
)
"""A place to go, to send to or to live at follows."""
_CUE_REACH: Final = 40

_MEASURE: Final = re.compile(
    r" ?(?:%|[mk]?g(?![a-z])|mcg|ml|units?|mm|cm|bpm|iu|kcal|years?|months?|weeks?|days?|hours?|min|/)|[.,][0-9]|-[0-9]"
)
_COUNTED: Final = re.compile(r"(?:minute|hour|day|week|month|year|block|mile|time|dose|tablet|step|point|patient)s?\Z")
_FOLLOWED: Final = re.compile(r",?\s{1,3}(?:apt|apartment|suite|ste|unit|p\.? ?o\.? ?box)\.? ?#?[0-9]", re.IGNORECASE)
_TITLE_BEHIND: Final = re.compile(rf" [{CAPITAL}]")
_LINE_BEGIN: Final = re.compile(r"(?:\A|\n)[ ?*>-]{0,5}\Z")
_LINE_END: Final = re.compile(r"[ ]?(?:\Z|[\n,.])")
_LETTERS: Final = re.compile(rf"[{LETTER}]{{2,}}")
_SHORTEST: Final = 4
_MANY_DIGITS: Final = re.compile("[0-9]{3}")


@cache
def _ways() -> re.Pattern[str]:
    """Return the ways to write a street, each a group."""
    kinds = alternation(word.title() for word in cue("streets"))
    heads = alternation(form for word in cue("foreign_street_heads") for form in (word, word.title()))
    head = rf"(?:C/ ?|(?:{heads})\.? (?:[dl]['’])?)(?:(?:{LINK} ){{0,3}}{NAME}[ ,]{{1,2}}){{1,5}}"
    ends = rf"(?:[{CAPITAL}][{LETTER}]{{1,30}}-?(?:{alternation(cue('glued_street_ends'))})"
    ends += rf"|{NAME} (?:[{LETTER}]{{3,24}} )?(?:{alternation(cue('lone_street_ends'))}))"
    ways = {
        "numbered": rf"{_LEADING}{{1,2}}(?:{_DIRECTION} )?{NAMES}(?:{kinds}){END}\.?(?: {_DIRECTION}{END})?",
        "small": rf"{_NUMBER} (?:[a-z0-9]{{2,20}} ){{1,3}}(?:{alternation(cue('sure_streets'))}){END}\.?",
        "headed": rf"{_LEADING}{{0,2}}{head}(?:[Nnº°]{{1,2}}\.? ?)?{_NUMBER}{END}",
        "ended": rf"{_LEADING}{{0,2}}(?:{NAME} ){{0,3}}{ends} {_NUMBER}{END}\.?",
        "named": rf"{_LEADING}{{0,2}}{NAMES}{_NUMBER}{END}\.?",
        "street": rf"{_LEADING}{{0,2}}{NAMES}(?:[Ss]treet|[Aa]venue|[Bb]oulevard|St\.|Ave\.?|Blvd\.?|Rd\.?){END}",
        "corner": rf"(?:the )?corner of {_CORNER} and {_CORNER}",
        "led": rf"(?:[0-9]{{1,6}} ){{1,2}}(?:(?:{heads})\.? (?:(?:{LINK} ){{0,3}}{NAME} ){{0,3}}(?:{LINK} ){{0,2}}"
        rf"[{LETTER}]{{3,24}}{END}"
        rf"|(?:{LINK} )?{NAME}(?: {NAME}){{0,3}}{END})",
    }
    return re.compile(BEGIN + "(?:" + "|".join(f"(?P<{name}>{way})" for name, way in ways.items()) + ")")


def streets(text: str, start: int, end: int) -> Iterator[tuple[int, int, float]]:
    """Yield start, end and score of streets in ``text[start:end]``."""
    for match in _ways().finditer(text, start, end):
        score = _score(match)
        if score:
            yield *match.span(), score


def _score(match: re.Match[str]) -> float:
    """Return how sure a stretch is a street; 0 where it is something else."""
    way, text = match.lastgroup or "", match.string
    if way == "corner":
        return 0.75
    if way in ("headed", "ended", "named", "led") and _MEASURE.match(text, match.end()):
        return 0.0
    names = [name.lower() for name in _LETTERS.findall(match.group())]
    if any(_COUNTED.fullmatch(name) for name in names[:1]):
        return 0.0
    return _RULES[way](match, names)


def _is_unlisted(names: list[str]) -> bool:
    return any(not is_word(name) for name in names)


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - _CUE_REACH) : match.start()].lower()


def _is_cued(match: re.Match[str]) -> bool:
    """Whether the words before speak of a place to go to, or a flat follows."""
    return _CUE.search(_before(match)) is not None or _FOLLOWED.match(match.string, match.end()) is not None


def _is_line(match: re.Match[str]) -> bool:
    begins = _LINE_BEGIN.search(match.string, max(0, match.start() - 6), match.start()) is not None
    return begins and _LINE_END.match(match.string, match.end()) is not None


def _is_led(match: re.Match[str]) -> bool:
    return match.group()[0].isdigit()


def _numbered(match: re.Match[str], names: list[str]) -> float:
    """Score a number, names and a kind of street; ``3 PM Dr Jones`` is none."""
    text, kind = match.string, names[-1]
    if any(name in cue("no_names") and name not in ("of", "the", "dr") for name in names):
        return 0.0
    others = names[:-1]
    if kind in ("dr", "st") and not _is_unlisted(others) and _TITLE_BEHIND.match(text, match.end()):
        return 0.0
    if _is_unlisted(others) or _is_cued(match):
        return 0.75
    return 0.65 if kind in cue("sure_streets") or _MANY_DIGITS.match(match.group()) else 0.0


def _small(match: re.Match[str], names: list[str]) -> float:
    return 0.6 if _is_unlisted(names) or _is_cued(match) else 0.0


def _headed(match: re.Match[str], names: list[str]) -> float:
    """Score a foreign word for a street, names and a number; ``via Zoom 3`` is none."""
    if not names or not is_word(names[0]) or _is_led(match) or _is_cued(match) or _is_line(match):
        return 0.75
    return 0.6 if match.group()[0].isupper() and _is_unlisted(names[1:]) else 0.0


def _ended(match: re.Match[str], names: list[str]) -> float:
    """Score names that end like streets of other countries, and a number."""
    if not is_word(names[-1]) or _is_led(match) or _is_cued(match):
        return 0.75
    return 0.0


def _named(match: re.Match[str], names: list[str]) -> float:
    """Score names and a number, which are a street only where something else says so."""
    if ". " in match.group():
        return 0.0
    is_unlisted = any(len(name) >= _SHORTEST and name not in cue("clinical") and not is_word(name) for name in names)
    if _is_cued(match) or (is_unlisted and (_is_led(match) or _PREPOSITION.search(_before(match)) is not None)):
        return 0.6
    return 0.6 if _is_line(match) and is_unlisted else 0.0


def _street(match: re.Match[str], names: list[str]) -> float:
    """Score names and ``Street`` without a number; ``Mark St. John`` is none."""
    if match.group().endswith("St.") and _TITLE_BEHIND.match(match.string, match.end()):
        return 0.0
    return 0.6 if _is_unlisted(names[:-1]) or _is_cued(match) else 0.0


def _led(match: re.Match[str], names: list[str]) -> float:
    """Score a number or two before names that no kind of street ends."""
    is_twice_led = re.match("[0-9]+ [0-9]", match.group()) is not None
    return 0.6 if _is_cued(match) or (is_twice_led and _is_unlisted(names)) else 0.0


_RULES: Final = {
    "numbered": _numbered,
    "small": _small,
    "headed": _headed,
    "ended": _ended,
    "named": _named,
    "street": _street,
    "led": _led,
}
