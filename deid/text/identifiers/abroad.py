"""What is written in English text of most countries: telephone numbers, accounts and cards of banks, hosts."""

import re
from collections.abc import Iterable
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import is_first_generation_id, is_resident_id, passes_luhn
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_EXTENSION: Final = r"(?:,? ?(?:x|ext\.?|extension) ?[0-9]{1,6})?"

_NORTH_AMERICAN: Final = re.compile(
    r"(?<![0-9A-Za-z+])(?<![0-9][-.])(?:(?:\+|00)?1[-. ]{0,2})?"
    r"(?:\([2-9][0-9]{2}\)[-. ]{0,2}|(?!400)[2-9][0-9]{2}[-. ])"
    rf"[0-9]{{3}}[-. ][0-9]{{4}}{_EXTENSION}(?![0-9]|[-.][0-9])"
)
"""Area code, three digits, four digits, with or without a 1 in front (NANPA); no area is 400."""

_TOLL_FREE: Final = re.compile(r"(?:(?:\+|00)?1[-. ]{0,2})?\(?8(?:00|33|44|55|66|77|88)[-). ]")

_INTERNATIONAL: Final = re.compile(
    rf"(?<![0-9A-Za-z+])(?<![0-9][-. ])(?:\+|00(?=[1-9][0-9]{{0,2}}[-. (]))(?!86)"
    rf"[1-9](?:[-. /]{{0,2}}\(?[0-9]\)?){{6,14}}{_EXTENSION}(?![0-9])"
)
"""ITU-T E.164: a country code and fifteen digits at most."""

_NATIONAL: Final = re.compile(
    rf"(?<![0-9A-Za-z+$€£#])(?<![0-9][-.,/:])(?:\([0-9]{{1,5}}\)|[0-9]{{1,5}})(?:[-. /]{{1,2}}[0-9]{{2,8}}){{1,5}}"
    rf"{_EXTENSION}(?![0-9A-Za-z%]|[-.,/:][0-9])"
)
_PLAIN: Final = re.compile(rf"(?<![0-9A-Za-z+$€£#.,-])[0-9]{{7,12}}{_EXTENSION}(?![0-9A-Za-z%]|[-.,][0-9])")

_CUES: Final = re.compile(
    r"(?<![a-z])(?:(?P<fax>fax|facsimile)"
    r"|(?P<mobile>mobile|cell(?:ular|phone)?|whatsapp|sms|texts?|texting|texted|messages?)"
    r"|(?P<phone>(?:tele)?phones?|tel|ph|call(?:s|ed|ing|back)?|dial(?:ed|led|ing)?|ring|rang|reach(?:ed|able)?|contact"
    r"|answer(?:s|ed|ing)?|picks? up|hotline|helpline|landline|pager|voice ?mail|switchboard"
    r"|(?:line|desk|office|home|work|[tmpcho]) ?[:=])"
    r"|(?P<other>account|acct|card|order|invoice|tracking|case|ticket|ref(?:erence)?|confirmation|licen[cs]e|passport"
    r"|policy|zip|postal|isbn|issn|ndc|mrn|ids?|ssn|security|lot|batch|serial|model|iban|doses?|version|pages?|pmid|doi"
    r"|trial|nct|grant|born|dob|dated?|since|between|from|range|ratio|total|count|level|levels))(?![a-z])"
)
"""The word nearest to a number decides; ``_WEAK`` ones where there is none of these."""

_WEAK: Final = re.compile(r"(?<![a-z])(?:line|desk|office|home|work|numbers?)(?![a-z])")
_REACH: Final = 40
_HAN: Final = re.compile("[\u3400-\u9fff]")

_DAY: Final = re.compile(
    r"(?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:0?[1-9]|[12][0-9]|3[01])[-./ ](?:19|20)?[0-9]{2}"
    r"|(?:19|20)[0-9]{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12][0-9]|3[01])"
)
_OTHER_SHAPE: Final = re.compile(
    r"[0-9]{5}-[0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9]{4} ?- ?[0-9]{4}"
    r"|[0-9]{1,4}[./][0-9]+"
    r"|97[89][- ].*|(?:19|20)[0-9]{2}[-/](?:19|20)[0-9]{2}"
)
"""ZIP+4, social security, addresses of machines, ranges of years, fractions, books."""

_FEWEST, _MOST = 7, 13
_LONGEST_ABROAD: Final = 19
"""Fifteen digits and an extension."""
_GROUPS_OF_PHONE: Final = 3


def _cue(candidate: Candidate) -> re.Match[str] | None:
    found = None
    for found in _CUES.finditer(candidate.before(_REACH)):  # noqa: B007 - the last one is wanted
        pass
    return found


def _kind(cue: re.Match[str] | None) -> Kind:
    if cue is not None and cue["fax"]:
        return Kind.FAX
    return Kind.MOBILE if cue is not None and cue["mobile"] else Kind.LANDLINE


def _is_chinese(candidate: Candidate) -> bool:
    """Whether Chinese is written around it, where numbers in groups are more often something else."""
    return _HAN.search(candidate.before(12) + candidate.after(12)) is not None


def _judge_north_american(candidate: Candidate) -> Verdict | None:
    if _is_chinese(candidate) or candidate.is_labelled_as_thing:
        return None
    cue = _cue(candidate)
    if cue is not None and cue["other"]:
        return None
    is_toll_free = _TOLL_FREE.match(candidate.matched) is not None
    return Verdict(0.8, kind=Kind.SERVICE_NUMBER if is_toll_free and _kind(cue) is not Kind.FAX else _kind(cue))


def _judge_international(candidate: Candidate) -> Verdict | None:
    cue, digits = _cue(candidate), len(candidate.number)
    is_other = cue is not None and cue["other"] and candidate.matched.startswith("0")
    return None if is_other or not _FEWEST < digits <= _LONGEST_ABROAD else Verdict(0.8, kind=_kind(cue))


def _judge_national(candidate: Candidate) -> Verdict | None:
    """Groups of digits after a word of telephones; without, those that begin with the zero of a trunk."""
    matched, digits = candidate.matched, len(re.sub("[^0-9]", "", re.split("[,xe]", candidate.matched)[0]))
    if not _FEWEST - 1 <= digits <= _MOST or _is_chinese(candidate) or _DAY.fullmatch(matched):
        return None
    cue = _cue(candidate)
    is_cued = not cue["other"] if cue is not None else _is_weakly_cued(candidate)
    if is_cued and not _OTHER_SHAPE.fullmatch(matched):
        return Verdict(0.7, kind=_kind(cue))
    is_trunk = matched.startswith(("0", "(0")) and len(re.findall("[0-9]+", matched)) >= _GROUPS_OF_PHONE
    return Verdict(0.55) if cue is None and is_trunk and digits > _FEWEST + 1 else None


def _is_weakly_cued(candidate: Candidate) -> bool:
    """Whether a word stands before it that may introduce a number, and no street behind it."""
    return _WEAK.search(candidate.before(16)) is not None and not re.match(" [a-z]", candidate.after(2))


def _judge_plain(candidate: Candidate) -> Verdict | None:
    """Digits in a row are a telephone number only behind a word for one."""
    if _is_chinese(candidate):
        return None
    cue = _cue(candidate)
    return None if cue is None or cue["other"] else Verdict(0.6, kind=_kind(cue))


_LENGTHS: Final = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
    21: "CH CR HR LI LV", 22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT, IBAN registry, release 97)."""


def _iban_pattern(lengths: Iterable[tuple[int, str]]) -> str:
    return "|".join(
        f"(?:{countries.replace(' ', '|')})[0-9]{{2}}(?:[ -]?[0-9A-Z]){{{length - 4}}}" for length, countries in lengths
    )


_IBAN: Final = re.compile(f"(?<![0-9A-Za-z])(?:{_iban_pattern(_LENGTHS.items())})(?![0-9A-Za-z])", re.IGNORECASE)

_CARD: Final = re.compile(r"(?<![0-9A-Za-z.,])(?<![0-9]-)[0-9](?:[- ]?[0-9]){11,18}(?![0-9A-Za-z]|-[0-9])")
_CARD_WORDS: Final = re.compile(
    r"(?<![a-z])(?:cards?|cc|credit|debit|visa|master ?card|maestro|amex|american express|discover|diners|jcb"
    r"|atm)(?![a-z])"
)
_SCHEMES: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)[0-9]+|3[47][0-9]{13}"
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11,16}|35(?:2[89]|[3-8][0-9])[0-9]{12}|(?:2131|1800)[0-9]{11}"
    r"|(?:6011|64[4-9]|65)[0-9]{12,15}|(?:50|5[6-9]|6[0-9])[0-9]{10,17}"
)
"""Visa, Mastercard, American Express, Diners Club, JCB, Discover, Maestro, UnionPay (ISO/IEC 7812-1)."""
_LONG_CARD: Final = 13


def _judge_iban(candidate: Candidate) -> Verdict | None:
    """ISO 13616: the rearranged number leaves 1 when it is divided by 97."""
    plain = re.sub("[ -]", "", candidate.matched).upper()
    number = int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4]))
    if number % 97 == 1:
        return Verdict(1.0, checked=True)
    return Verdict(0.6) if "iban" in candidate.before(24) else None


def _judge_card(candidate: Candidate) -> Verdict | None:
    """A verified number with a word for cards, or of a known scheme; with a slip in it, both."""
    number = candidate.number
    if candidate.is_part_of_code or candidate.is_labelled_as_thing:
        return None
    known, is_verified = _SCHEMES.fullmatch(number) is not None, passes_luhn(number)
    if not known and not is_verified:
        return None
    named = _CARD_WORDS.search(candidate.before(48) + " " + candidate.after(32)) is not None
    if is_verified:
        return Verdict(1.0, checked=True) if named or (known and _is_plain_card(candidate)) else None
    return Verdict(0.6) if named and known and len(number) > _LONG_CARD else None


def _is_plain_card(candidate: Candidate) -> bool:
    """Whether a number of 13 digits or more stands where nothing else is named, nor Chinese is written.

    An identity number of China passes Luhn by chance once in ten times.
    """
    number = candidate.number
    if len(number) <= _LONG_CARD or _is_chinese(candidate) or is_resident_id(number) or is_first_generation_id(number):
        return False
    cue = _cue(candidate)
    return cue is None or not cue["other"]


_HOST: Final = re.compile(
    r"(?<![A-Za-z0-9@._%+-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}"
    r"(?:fr|se|nl|es|pl|cz|ch|dk|fi|ie|au|ca|jp|ru|br|nz|za|hu|gr|pt|ro|sk|kr|mx|ar|tr|il|app|dev|health|online|store|blog|tech)"
    r"(?:[/?#][!-~]{0,200})?(?![A-Za-z0-9@-])"
)
"""Zones that are no English words; those of all countries are found with a scheme or www."""


def _judge_host(candidate: Candidate) -> Verdict | None:
    """A cut sentence (``well.es``) has a capital behind the dot; a host has four letters at least before its zone."""
    host = candidate.matched.split("/", 1)[0].rsplit(".", 1)[0]
    return Verdict(0.6) if re.search("[A-Za-z]{3}", host) else None


ABROAD: Final = (
    Identifier("phone_north_america", Kind.LANDLINE, _NORTH_AMERICAN, _judge_north_american, digits=10),
    Identifier("phone_international", Kind.LANDLINE, _INTERNATIONAL, _judge_international, digits=8),
    Identifier("phone_national", Kind.LANDLINE, _NATIONAL, _judge_national, digits=6),
    Identifier("phone_plain", Kind.LANDLINE, _PLAIN, _judge_plain, digits=7, run=7),
    Identifier("iban", Kind.IBAN, _IBAN, _judge_iban, digits=8, has_letter=True),
    Identifier("card", Kind.BANK_CARD, _CARD, _judge_card, digits=12),
    Identifier("host", Kind.URL, _HOST, _judge_host, trim=".,;:!?'\")]}>", sign="."),
)
