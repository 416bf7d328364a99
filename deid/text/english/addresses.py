"""Addresses in English text: streets with numbers in the orders of many countries, boxes, and the lines that follow."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.english.letters import CAPITAL, LETTER, with_capitals
from deid.text.english.prose import english_stretches
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word, places
from deid.text.lists.reading import alternation
from deid.text.reading import Reading
from deid.text.spans import Hit

_END: Final = rf"(?![{LETTER}0-9])"
_BEGIN: Final = rf"(?<![{LETTER}0-9.,/$€£#+-])"
_NUMBER: Final = r"[0-9]{1,6}[A-Za-z]?(?:[-/][0-9]{1,5}[A-Za-z]?)?"
_NAME: Final = rf"(?:[{CAPITAL}][{LETTER}]*(?:['’.-]{{1,2}}[{LETTER}]+)*\.?|[0-9]{{1,3}}(?:st|nd|rd|th))"
_LINK: Final = "(?:de|del|della|di|da|do|dos|das|du|des|la|le|las|los|les|el|al|e|y|of|the|van|von|der|den|af|på|i|u|nad|pod|v|ve|na|dei|degli|delle|dello|aux?|sur|am|an|im|zum|zur)"
_NAMES: Final = rf"(?:{_NAME} (?:(?:{_LINK} ){{0,2}}{_NAME} ){{0,4}})"
_CORNER: Final = (
    rf"(?:(?:{_NUMBER} ){{0,2}}(?:[{LETTER}]{{1,3}}\.? )?{_NAMES}(?:{_NUMBER}|[{LETTER}]{{2,12}})(?![{LETTER}0-9]))"
)
_DIRECTION: Final = r"(?:[NSEW]|[NS]\.?[EW]|North|South|East|West)\.?"

_CUE: Final = re.compile(
    r"(?<![a-z])(?:address(?:es)?(?: is| to| with| are)?[:;]?|liv(?:es?|ed|ing)(?: at| on| in)?|resid(?:es|ing|ed|ence)(?: at| on)?"
    r"|located(?: at| on)?|meet(?:ing)?(?: me| you| us)?(?: at)?|(?:sent|send|ship(?:ped)?|mail(?:ed)?|deliver(?:ed)?|return|forward)"
    r"(?: it| them| this| a new one)? to|(?:taxi|cab|uber|ride|drive|go|went|come|walk) to|off at|up (?:at|from)|enter on"
    r"|(?:left|right) on(?:to)?|corner of|side of|it's in|it is in|here they are:?|there's|refers to|in|at|on|and|user:)"
    r"[ \n]{1,3}(?:the )?\Z"
)
"""A place to go, to send to or to live at may follow."""

_CUE_REACH: Final = 36


@cache
def _streets() -> re.Pattern[str]:
    """Return how streets are written with their numbers, each way a group."""
    kinds = alternation(word.title() for word in cue("streets"))
    heads = alternation(form for word in cue("foreign_street_heads") for form in (word, word.title()))
    head = rf"(?:C/ ?|(?:{heads})\.? (?:d['’]|l['’])?)(?:(?:{_LINK} ){{0,3}}{_NAME}[ ,]{{1,2}})"
    ways = {
        "numbered": rf"(?:{_NUMBER},? ){{1,2}}(?:{_DIRECTION} )?{_NAMES}(?:{kinds}){_END}\.?(?: {_DIRECTION}{_END})?",
        "small": rf"{_NUMBER} (?:[a-z0-9]{{2,20}} ){{1,3}}(?:{alternation(cue('sure_streets'))}){_END}\.?",
        "headed": rf"(?:{_NUMBER},? ){{0,2}}{head}{{1,5}}(?:[Nnº°]{{1,2}}\.? ?)?{_NUMBER}{_END}",
        "ended": rf"(?:{_NUMBER} ){{0,2}}(?:{_NAME} ){{0,3}}(?:[{LETTER}]{{3,24}} )?(?:[{LETTER}]{{2,24}}-?)?"
        rf"(?:{alternation(cue('foreign_street_ends'))})\.? {_NUMBER}{_END}\.?",
        "named": rf"(?:{_NUMBER} ){{0,2}}{_NAMES}{_NUMBER}{_END}\.?",
        "street": rf"(?:{_NUMBER} ){{0,2}}{_NAMES}(?:[Ss]treet|[Aa]venue|[Bb]oulevard|St\.|Ave\.?|Blvd\.?|Rd\.?){_END}",
        "corner": rf"(?:the )?corner of {_CORNER} and {_CORNER}",
        "led": rf"(?:[0-9]{{1,6}} ){{1,2}}(?:(?:{heads})\.? [{LETTER}]{{3,24}}{_END}|(?:{_LINK} )?{_NAME}(?: {_NAME}){{0,3}}{_END})",
    }
    return re.compile(_BEGIN + "(?:" + "|".join(f"(?P<{name}>{way})" for name, way in ways.items()) + ")")


_BOX: Final = re.compile(
    rf"{_BEGIN}(?:[0-9]{{1,6}} )?(?:P\.? ?O\.? ?Box|Post(?:al)? ?[Bb]ox|PO ?Box|Post Office Box|Postfach|Apartado|Casilla|B\.P\.|Postbus|Boks)"
    rf" #?[0-9]{{1,6}}{_END}|{_BEGIN}(?:PSC|CMR|Unit) ?[0-9]{{0,5}},? ?Box [0-9]{{1,5}}{_END}"
    rf"|{_BEGIN}US(?:S|NS|NV|CGC) [{LETTER}]+(?=,?\s{{1,2}}[AFD]PO )",
    re.IGNORECASE,
)
_UNIT: Final = re.compile(
    rf"{_BEGIN}(?:Apt|Apartment|Suite|Ste|Unit|Room|Rm|Floor|Fl|Bldg|Building|Flat|Lot)\.? ?#?[0-9]{{1,5}}[A-Za-z]?{_END}",
    re.IGNORECASE,
)
_SURE_UNIT: Final = re.compile(r"(?:Apt|Suite|Ste|apt|suite)\.? ?#?[0-9]")

_STATE_ZIP: Final = re.compile(
    rf"(?<![{LETTER}0-9])(?:(?:{_NAME} ){{0,3}}{_NAME},? )?(?:{alternation(cue('state_codes'))}),? [0-9]{{5}}(?:-[0-9]{{4}})?{_END}"
)
_UK_POSTCODE: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][ABD-HJLNP-UW-Z]{2}(?![A-Za-z0-9])")

_SEPARATOR: Final = r"(?:(?:[ ]?,|\.)?[ ]?\n[ ]{0,2}(?:\?{3} )?(?:, )?|[ ]?,[ ]{1,2}|[ ])"
_MORE: Final = re.compile(
    rf"{_SEPARATOR}(?:(?P<unit>(?i:apt|apartment|suite|ste|unit|room|floor|bldg|flat|lot|box)\.? ?#?[0-9]{{1,5}}[A-Za-z]?){_END}"
    rf"|(?P<zip>(?:[A-Z]{{1,3}}-)?[0-9]{{3,5}}(?:[ -][0-9]{{2,4}})?(?: [A-Z]{{2}})?){_END}(?![.,][0-9])"
    rf"|(?P<code>(?:[A-Z]{{1,3}}|nan)(?=[ ,\n.]|\Z)(?:,? [0-9]{{5}}(?:-[0-9]{{4}})?)?){_END}"
    rf"|(?P<street>{_NAMES}(?:{alternation(word.title() for word in cue('streets'))})s?){_END}"
    rf"|(?P<city>(?:(?:{_LINK} ){{0,2}}{_NAME} ){{0,3}}(?:{_LINK} )?{_NAME}(?: \([{LETTER} ]{{2,30}}\))?)(?<!\.))"
)
_LINE_LABEL: Final = re.compile(rf"[{LETTER} -]{{0,20}}:")
_MOST_PARTS: Final = 7


class EnglishAddressFinder:
    """Streets, boxes, units, and towns with their postcodes."""

    name = "english_addresses"
    kinds = frozenset((Kind.ADDRESS,))
    languages = frozenset(("en",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield addresses as far as they reach; they may overlap."""
        stretches = list(english_stretches(reading))
        text = (with_capitals(reading.text) if stretches else None) or reading.text
        for start, end in stretches:
            yield from _within(text, start, end)


def _within(text: str, start: int, end: int) -> Iterator[Hit]:
    for match in _streets().finditer(text, start, end):
        score = _score(match)
        if score:
            reach = _reach(text, match.end())
            yield _hit(match.start(), reach, max(score, 0.6) if reach > match.end() else score)
    for pattern in (_BOX, _STATE_ZIP, _UK_POSTCODE):
        for match in pattern.finditer(text, start, end):
            yield _hit(match.start(), _reach(text, match.end()), 0.8)
    for match in _UNIT.finditer(text, start, end):
        if _SURE_UNIT.match(match.group()):
            yield _hit(match.start(), _reach(text, match.end()), 0.65)


def _hit(start: int, end: int, score: float) -> Hit:
    return Hit(start, end, Kind.ADDRESS, score, checked=False, source="english.address")


def _score(match: re.Match[str]) -> float:
    """Return how sure a stretch is a street; 0 where it is something else."""
    way, text = match.lastgroup, match.string
    if way in ("headed", "ended", "corner"):
        return 0.75
    before = text[max(0, match.start() - _CUE_REACH) : match.start()].lower()
    names = [word for word in re.findall(rf"[{LETTER}]{{2,}}", match.group())]
    if way == "numbered":
        return 0.75 if any(not is_word(name.lower()) for name in names) or _CUE.search(before) else 0.65
    if way == "small":
        return 0.6 if any(not is_word(name) for name in names) or _is_address_cue(before) else 0.0
    if way == "street":
        return 0.6 if any(not is_word(name.lower()) for name in names[:-1]) or _is_address_cue(before) else 0.0
    is_followed = _UNIT.match(text, match.end() + 1) is not None or _SURE_UNIT.match(text, match.end() + 1) is not None
    is_unlisted = any(not is_word(name.lower()) for name in names)
    if way == "named":
        is_led = match.group()[0].isdigit()
        if _MEASURE.match(text, match.end()) or ". " in match.group():
            return 0.0
        is_line = text[: match.start()].endswith(("\n", "\n ")) and text[match.end() :][:1] in ("", "\n", ",", ".")
        return (
            0.6
            if is_followed
            or (is_led and is_unlisted)
            or is_line
            or _is_address_cue(before)
            or (is_unlisted and _CUE.search(before))
            else 0.0
        )
    is_twice_led = re.match("[0-9]+ [0-9]", match.group()) is not None
    return 0.6 if is_followed or (is_unlisted and (is_twice_led or _is_address_cue(before))) else 0.0


_MEASURE: Final = re.compile(
    r" ?(?:%|[mk]?g(?![a-z])|mcg|ml|units?|mm|cm|bpm|iu|kcal|years?|months?|weeks?|days?|hours?|min|/)|[.,][0-9]|-[0-9]"
)


def _is_address_cue(before: str) -> bool:
    """Whether the words before speak of a place to go to, more than by a preposition."""
    found = _CUE.search(before)
    return found is not None and len(found.group().strip()) > len("and")


def _reach(text: str, end: int) -> int:
    """Return where an address ends whose first part ends there: units, town, state, postcode, country follow."""
    previous = None
    for _ in range(_MOST_PARTS):
        more = _MORE.match(text, end)
        if more is None or not _is_part(more, previous):
            break
        end, previous = more.end(), more.lastgroup
    return end


def _is_part(more: re.Match[str], previous: str | None) -> bool:
    """Say whether what follows belongs to the address; a word alone does behind a comma, in a new line or a unit."""
    is_apart = more.group()[0] != " "
    if more.lastgroup == "code":
        return is_apart or previous in ("unit", "city")
    if more.lastgroup != "city":
        return True
    if _LINE_LABEL.match(more.string, more.start("city")):
        return False
    words = [word.lower() for word in re.findall(rf"[{LETTER}]{{2,}}", more["city"])]
    if " ".join(words) in places() or (words and words[-1] in places()):
        return True
    return (is_apart or previous == "unit") and any(not is_word(word) for word in words)
