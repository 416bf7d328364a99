"""Addresses in English text: streets, boxes, units, towns with postcodes, and the lines that follow them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from deid.text.english.letters import CAPITAL, LETTER, with_capitals
from deid.text.english.prose import english_stretches
from deid.text.english.streets import BEGIN, END, LINK, NAME, NAMES, streets
from deid.text.kinds import Kind
from deid.text.lists.english import cue, is_word, places
from deid.text.lists.reading import alternation
from deid.text.reading import Reading
from deid.text.spans import Hit

_BOX: Final = re.compile(
    rf"{BEGIN}(?:[0-9]{{1,6}} )?(?:P\.? ?O\.? ?Box|Post(?:al)? ?Box|Post Office Box|Postfach|Apartado|Casilla|B\.P\."
    rf"|Postbus|Boks) #?[0-9]{{1,6}}{END}|{BEGIN}(?:PSC|CMR|Unit) ?[0-9]{{0,5}},? ?Box [0-9]{{1,5}}{END}"
    rf"|{BEGIN}US(?:S|NS|NV|CGC) [{LETTER}]{{1,40}}(?=,?\s{{1,2}}[AFD]PO )",
    re.IGNORECASE,
)
"""Boxes of civil and military post (USPS Publication 28)."""

_UNIT: Final = re.compile(rf"{BEGIN}(?:Apt|Suite|Ste|apt|suite|APT|SUITE|STE)\.? ?#?[0-9]{{1,5}}[A-Za-z]?{END}")

_UK: Final = "[A-Z]{1,2}[0-9][0-9A-Z]? [0-9][ABD-HJLNP-UW-Z]{2}"
_CANADA: Final = "[ABCEGHJ-NPRSTVXY][0-9][A-Z] ?[0-9][A-Z][0-9]"
_POSTCODE: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{_UK}|{_CANADA})(?![A-Za-z0-9])")


@cache
def _state_with_zip() -> re.Pattern[str]:
    return re.compile(
        rf"(?<![{LETTER}0-9'’.-])(?:(?:{NAME} ){{0,3}}{NAME},? )?(?:{alternation(cue('state_codes'))}),? "
        rf"[0-9]{{5}}(?:-[0-9]{{4}})?{END}"
    )


_SEPARATOR: Final = r"(?:(?:[ ]?,|\.)?[ ]?\n[ ]{0,2}(?:[?>*|]{1,3} )?(?:, )?|[ ]?,[ ]{1,2}|[ ])"


@cache
def _more() -> re.Pattern[str]:
    """Return what may follow a part of an address, in the same line or the next ones."""
    return re.compile(
        rf"{_SEPARATOR}(?:"
        rf"(?P<unit>(?i:apt|apartment|suite|ste|unit|room|floor|bldg|flat|lot|box)\.? ?#?[0-9]{{1,5}}[A-Za-z]?){END}"
        rf"|(?P<zip>{_UK}|{_CANADA}|(?:[A-Z]{{1,3}}-)?[0-9]{{3,6}}(?:[ -][0-9]{{2,4}})?(?: [A-Z]{{2}})?"
        rf"|[0-9]{{2}}-[0-9]{{3}})"
        rf"{END}(?![.,][0-9])"
        rf"|(?P<code>(?:[A-Z]{{1,3}}|nan)(?=[ ,\n.]|\Z)(?:,? [0-9]{{5}}(?:-[0-9]{{4}})?)?){END}"
        rf"|(?P<street>{NAMES}(?:{alternation(word.title() for word in cue('streets'))})s?){END}"
        rf"|(?P<city>(?:(?:{LINK} ){{0,2}}{_TOWN} ){{0,3}}(?:{LINK} )?{_TOWN}{END}(?: \([{LETTER} ]{{2,30}}\))?))"
    )


_TOWN: Final = rf"(?:St\.|[{CAPITAL}][{LETTER}]{{0,40}}(?:['’-]{{1,2}}[{LETTER}]{{1,40}}){{0,4}})"
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
            for first, last, score in _beginnings(text, start, end):
                yield Hit(first, _reach(text, last), Kind.ADDRESS, score, checked=False, source="english.address")


def _beginnings(text: str, start: int, end: int) -> Iterator[tuple[int, int, float]]:
    """Yield start, end and score of what an address begins with."""
    yield from streets(text, start, end)
    for pattern, score in ((_BOX, 0.8), (_state_with_zip(), 0.8), (_POSTCODE, 0.7), (_UNIT, 0.65)):
        for match in pattern.finditer(text, start, end):
            yield *match.span(), score


def _reach(text: str, end: int) -> int:
    """Return where an address ends whose first part ends there: units, town, state, postcode, country follow."""
    previous = None
    for _ in range(_MOST_PARTS):
        more = _more().match(text, end)
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
    return (is_apart or previous in ("unit", "zip")) and any(not is_word(word) for word in words)
