"""Numbers that an English word before them names: charts, policies, accounts, licences, postcodes.

Some words say it alone (``MRN 12345``), others only together with ``number``, ``#``, ``ID`` or a colon
(``group #12345``), since they mostly mean something else.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from deid.text.kinds import Kind
from deid.text.reading import Reading
from deid.text.spans import Hit

_CODE: Final = r"[A-Za-z]{0,8}[-_/]?[0-9](?:[-_/]?[0-9A-Za-z]){2,27}"
_SPACED: Final = r"[A-Za-z]{0,4}[-_/ ]?[0-9](?:[-_/ ]?[0-9A-Za-z]){1,5}(?:[-_/ ]?[0-9]){0,20}"
_POSTCODE: Final = (
    r"[0-9]{5}(?:-[0-9]{3,4})?|[0-9]{4} ?[A-Z]{2}|[0-9]{3} ?[0-9]{2,3}|[0-9]{2}-[0-9]{3}|[0-9]{4}(?:-[0-9]{3})?"
    r"|[A-Za-z]{1,2}[0-9][0-9A-Za-z]? ?[0-9][A-Za-z]{2}|[A-Za-z][0-9][A-Za-z] ?[0-9][A-Za-z][0-9]"
    r"|[A-Z]{1,3}-[0-9]{4,6}|[0-9]{6,7}"
)
_PLATE: Final = r"(?:[0-9A-Z]{1,4}[- ]?[0-9A-Z]{2,5}|[0-9A-Z]{2,8}|[0-9A-Za-z]{5,8})"
_USER: Final = r"[A-Za-z][A-Za-z0-9._-]{2,30}[A-Za-z0-9]"
_LICENCE: Final = r"(?:driver'?s?'?|driving|operator'?s?) ?(?:licen[cs]e|permit|lic\.?)|d/?l(?= ?(?:no|num|#|:))"
_SECURITY: Final = r"ssn|social(?: security)?(?: number)?"
_TAIL: Final = r"(?:(?:that )?end(?:s|ing)(?: in| with)?|last (?:four|4)(?: digits)?)"


@dataclass(frozen=True, slots=True)
class _Named:
    """One kind of numbers.

    Attributes:
        alone: words that name it by themselves; with_number: those that need more, as patterns in small letters.
        digits: that the number holds at least.
    """

    kind: Kind
    alone: str
    with_number: str = ""
    value: str = _CODE
    digits: int = 3
    score: float = 0.85


_NAMED: Final = {
    "record": _Named(
        Kind.RECORD_NUMBER,
        r"mrn|mr ?#|medical records?|med\.? rec\.?|health records?|nhs"
        r"|patient'?s? (?:id|number|no\.?|identifier)|pt\.? (?:id|no\.?)|hospital (?:number|no\.?|id)",
        r"chart|records?|patient|file|unit|registration",
    ),
    "visit": _Named(
        Kind.VISIT_NUMBER, r"csn|encounter (?:id|number|no\.?)", "encounter|visit|admission|appointment|episode|booking"
    ),
    "prescription": _Named(Kind.PRESCRIPTION_NUMBER, r"rx ?(?:no\.?|number|#)", "prescription|rx|refill"),
    "insurance": _Named(
        Kind.INSURANCE_NUMBER,
        r"hicn?"
        r"|(?:member|subscriber|policy|beneficiary|medicaid|medicare|insurance|group|plan|claim)"
        r" ?(?:id|number|no\.?|#)",
        "insurance|policy|member|subscriber|beneficiary|health plan|medicare|medicaid|group|claim"
        "|blue ?cross|aetna|cigna|humana",
    ),
    "beneficiary": _Named(
        Kind.US_MBI,
        r"mbi|medicare(?: (?:beneficiary )?(?:id|number|no\.?|#))?",
        value=r"[1-9][A-Za-z][0-9A-Za-z][0-9][- ]?[A-Za-z][0-9A-Za-z][0-9][- ]?[A-Za-z]{2}[0-9]{2}",
        score=0.9,
    ),
    "examination": _Named(
        Kind.EXAMINATION_NUMBER, r"accession(?: (?:id|number|no\.?|#))?", "specimen|sample|lab|report|study|case|slide"
    ),
    "account": _Named(
        Kind.ACCOUNT_NUMBER,
        r"(?:bank |checking |savings |patient )?(?:account|acct\.?) ?(?:number|no\.?|#)|a/c(?: no\.?)?"
        r"|routing(?: number| no\.?)?|sort code|aba"
        r"|(?:customer|client|employee|student|user|badge|staff|loyalty|membership) ?(?:id|number|no\.?|#)",
        r"account|acct\.?",
        value=rf"{_CODE}|[0-9](?:[- ]?[0-9]){{5,20}}",
        digits=4,
    ),
    "bare_account": _Named(Kind.ACCOUNT_NUMBER, r"account|acct\.?", value=r"[0-9](?:[- ]?[0-9]){5,20}", digits=6),
    "user": _Named(
        Kind.ACCOUNT_NUMBER,
        r"user ?name|login|user ?id|screen ?name|skype|telegram|snapchat",
        value=_USER,
        digits=0,
        score=0.6,
    ),
    "licence": _Named(
        Kind.DRIVER_LICENCE,
        _LICENCE,
        r"licen[cs]e|certificate|cert\.?|permit|lic\.?",
        value=f"{_CODE}|{_SPACED}",
        digits=4,
    ),
    "passport": _Named(Kind.PASSPORT, r"passport", value=r"[A-Za-z]{0,2} ?[0-9]{6,9}[A-Za-z]?", digits=6),
    "plate": _Named(
        Kind.PLATE,
        r"(?:licen[cs]e|number|registration|vehicle|car) (?:plates?|tags?)|plate (?:number|no\.?)",
        "plates?|tag",
        value=_PLATE,
        digits=1,
        score=0.75,
    ),
    "device": _Named(
        Kind.DEVICE_ID,
        r"serial (?:number|no\.?|#)|s/n|udi|device id|implant (?:id|number)",
        "serial|device|implant|pacemaker",
    ),
    "postcode": _Named(
        Kind.POSTCODE, r"zip(?: ?codes?)?|postal ?codes?|post ?codes?|postcodes?|pin ?code", value=_POSTCODE, digits=2
    ),
    "security_tail": _Named(
        Kind.US_SSN,
        rf"(?:{_SECURITY}),? {_TAIL}|{_TAIL} (?:of )?(?:his |her |the |my |your )?(?:{_SECURITY})",
        value="[0-9]{4}",
        score=0.7,
    ),
    "security": _Named(
        Kind.US_SSN,
        r"ssn|social security(?: (?:number|no\.?|#))?",
        value=r"[0-9X*]{3}[- ]?[0-9X*]{2}[- ]?[0-9]{4}",
        digits=4,
    ),
    "card_tail": _Named(Kind.BANK_CARD, rf"(?:card|visa|master ?card|amex),? {_TAIL}", value="[0-9]{4}", score=0.7),
    "tax": _Named(Kind.US_SSN, r"i?tin|tax(?:payer)? ?id", value=r"[0-9]{2,3}-?[0-9]{2}-?[0-9]{4,5}", digits=9),
    "provider": _Named(Kind.US_NPI, r"npi|dea", value=r"[A-Za-z]{0,2}[0-9]{7,10}", digits=7, score=0.75),
}

_BETWEEN: Final = (
    r"(?:[ \t]{0,2}(?:numbers?|nos?\.?|num\.?|nr\.?|#|ids?|codes?|is|was|are|of|[:=(\-]|\n)){0,4}[ \t]{0,2}"
)
_SAID: Final = (
    r"(?:[ \t]{0,2}(?:numbers?|no\.|no(?= ?[:#0-9])|num\.?|#|ids?(?![a-z])|[:=])){1,3}"
    r"(?: is| was)?[ \t]{0,2}[:#(]?[ \t]?"
)


def _labels(named: Mapping[str, _Named]) -> re.Pattern[str]:
    """Return a pattern of labels with what stands between them and the numbers, a group for each kind."""
    alone = (rf"(?P<{name}>{one.alone})(?![A-Za-z]){_BETWEEN}" for name, one in named.items())
    with_number = (rf"(?P<{name}_>{one.with_number}){_SAID}" for name, one in named.items() if one.with_number)
    return re.compile(f"(?<![A-Za-z])(?:{'|'.join((*alone, *with_number))})", re.IGNORECASE)


_OF_NUMBERS: Final = _labels({name: named for name, named in _NAMED.items() if named.digits})
_OF_WORDS: Final = _labels({name: named for name, named in _NAMED.items() if not named.digits})
_VALUES: Final = {name: re.compile(rf"(?:{named.value})(?![0-9A-Za-z])") for name, named in _NAMED.items()}

_STRETCH: Final = re.compile(r"[ -~\n\t]{8,}+")
"""ASCII, in which labels and numbers are written; Chinese text has little of it."""
_CODE_BEGINNING: Final = re.compile("[0-9][0-9A-Za-z]*+")
_LETTER: Final = re.compile("[A-Za-z]{2}")
_LONGEST_LABEL: Final = 64
"""Characters before a number in which its label stands."""

_DAY: Final = re.compile(r"[0-9]{1,2}[-/][0-9]{1,2}[-/](?:[0-9]{2}){1,2}|(?:19|20)[0-9]{2}[-/][0-9]{1,2}[-/][0-9]{1,2}")
_UNIT: Final = re.compile(r" ?(?:%|mg|ml|mcg|kg|cm|mm|g/|patients?|people|days?|weeks?|months?|years?|times)(?![a-z])")
_PLAIN_WORD: Final = re.compile("[A-Za-z-]+")
_IS_SAID: Final = re.compile(r"[:=#] ?\Z|(?:id|name|number) is ?\Z", re.IGNORECASE)


class EnglishLabelFinder:
    """All labelled numbers of English text as one finder."""

    name = "english_labelled"
    kinds = frozenset(named.kind for named in _NAMED.values())
    languages = frozenset(("en",))

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield a hit for each label with a number behind it."""
        if not reading.has_codes:
            return
        for stretch in _STRETCH.finditer(reading.text):
            if _LETTER.search(stretch.group()) is not None:
                for label in _found(reading.text, *stretch.span()):
                    hit = _hit(reading.text, label)
                    if hit is not None:
                        yield hit


def _found(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the labels before each number of ``text[start:end]``, and those before words."""
    done = start
    for code in _CODE_BEGINNING.finditer(text, start, end):
        yield from _OF_NUMBERS.finditer(text, max(done, code.start() - _LONGEST_LABEL), code.end())
        done = code.end()
    yield from _OF_WORDS.finditer(text, start, end)


def _hit(text: str, label: re.Match[str]) -> Hit | None:
    name = (label.lastgroup or "").rstrip("_")
    named, value = _NAMED[name], _VALUES[name].match(text, label.end())
    if value is None or sum(map(str.isdigit, value.group())) < named.digits:
        return None
    if _DAY.fullmatch(value.group()) or _UNIT.match(text, value.end()):
        return None
    is_told = _IS_SAID.search(label.group()) is not None
    if named.digits == 0 and (not is_told and _PLAIN_WORD.fullmatch(value.group())):
        return None
    return Hit(value.start(), value.end(), named.kind, named.score, checked=False, source=f"english.{name}")
