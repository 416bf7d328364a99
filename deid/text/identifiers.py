r"""The identifiers that are found: for each a pattern, and a judge that looks at check digits and context.

No ``\b`` and no ``\w``: both are blind between a Chinese character and a digit. Patterns have no open repetition inside
another, so that matching is linear; what they cannot say, the judges do. Every character that a pattern can match is in
``deid.text.scanner.ALPHABET``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from deid.text.candidates import Candidate
from deid.text.checks import (
    has_card_prefix,
    has_id_shape,
    is_card_length,
    is_first_generation_id,
    is_resident_id,
    passes_luhn,
)
from deid.text.kinds import Kind
from deid.text.spans import Hit


class Verdict(NamedTuple):
    """A judge's yes: how sure, and whether a check digit proved it."""

    score: float
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Identifier:
    """One kind in one spelling.

    Attributes:
        judge: returns None when the candidate is no identifier.
        trim: characters that end a sentence rather than the identifier, dropped from the right.
    """

    name: str
    kind: Kind
    pattern: re.Pattern[str]
    judge: Callable[[Candidate], Verdict | None]
    trim: str = ""

    def hits(self, text: str, start: int, end: int) -> Iterator[Hit]:
        """Yield the hits in ``text[start:end]``; a rejected candidate gives way to one that begins later."""
        position = start
        while (match := self.pattern.search(text, position, end)) is not None:
            match_end = match.start() + len(match.group().rstrip(self.trim)) if self.trim else match.end()
            verdict = self.judge(Candidate(text, match.start(), match_end))
            if verdict is None:
                position = match.start() + 1
            else:
                yield Hit(match.start(), match_end, self.kind, *verdict, source=self.name)
                position = match_end


_SEPARATOR: Final = "[-._· ]{1,3}"

_COUNTRY: Final = r"(?:\((?:\+|00)86\)|(?:\+|00)86)"

_MOBILE: Final = re.compile(
    rf"(?<![0-9])(?:(?:{_COUNTRY}|86)[-._· ]{{0,3}})?0?(?:"
    rf"1[3-9][0-9]{{9}}"
    rf"|1[3-9][0-9]{_SEPARATOR}(?:[0-9]{{8}}|[0-9]{{4}}{_SEPARATOR}[0-9]{{4}}|[0-9]{{3}}{_SEPARATOR}[0-9]{{5}})"
    rf"|1[3-9][0-9]{{2}}{_SEPARATOR}(?:[0-9]{{3}}{_SEPARATOR}[0-9]{{4}}|[0-9]{{4}}{_SEPARATOR}[0-9]{{3}})"
    rf"|1[3-9][0-9]{{3}}[- ][0-9]{{6}}"
    rf"|1[3-9][0-9]{{5}}{_SEPARATOR}[0-9]{{4}}"
    rf"|1[-._· ][3-9](?:[-._· ][0-9]){{9}}"
    rf")(?![0-9])"
)
"""11 digits from 13 to 19 (MIIT numbering plan), in the groupings people use, with +86, 0086 or a trunk zero."""

_ID_PLAIN: Final = re.compile(r"[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx]")
"""No boundaries: region, date and check character leave one chance in a million that other digits pass."""

_ID_SPACED: Final = re.compile(r"(?<![0-9])[1-9](?:[-._ ]{0,2}[0-9]){16}[-._ ]{0,2}[0-9Xx](?![0-9])")

_ID_15: Final = re.compile(r"(?<![0-9])[1-9][0-9]{5}[- ]?[0-9]{6}[- ]?[0-9]{3}(?![0-9])")

_CARD: Final = re.compile(
    r"(?<![0-9])(?:[0-9]{15,19}|[0-9]{4}(?:[- ]{1,2}[0-9]{4}){3}(?:[- ]{1,2}[0-9]{1,3})?|[0-9]{6}[- ][0-9]{10,13})"
    r"(?![0-9])"
)

_AREA: Final = r"(?:10|2[0-57-9]|[3-9][0-9]{2})"
"""Area codes without the trunk zero (MIIT numbering plan): 10, 2x, and three digits from 3xx to 9xx."""

_LANDLINE: Final = re.compile(
    rf"(?<![0-9])(?:{_COUNTRY}[-. ]{{0,2}}(?:\(0?{_AREA}\)|0?{_AREA})|\(0{_AREA}\)|0{_AREA}\)?)[-. ]{{0,3}}"
    rf"(?:[1-9][0-9]{{2,3}}[-. ]?[0-9]{{4}}|[2-8](?:[-. ][0-9]){{6,7}})"
    rf"(?:(?:-|转|分机| ?ext\.?)[ ]?[0-9]{{1,5}})?(?![0-9])"
)
"""Area code, then seven or eight digits whole, in two groups or one by one, with or without an extension."""

_LOCAL_NUMBER: Final = re.compile(r"(?<![0-9])[2-8][0-9]{2,3}[- ]?[0-9]{4}(?![0-9])")

_EMAIL: Final = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,256}+[ ]{0,2}@[ ]{0,2}"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.。]){1,8}[A-Za-z]{2,24}"
)
"""RFC 5321 atoms in ASCII only, so that Chinese before an address is not swallowed; 。 typed for a dot is common."""

_URL: Final = re.compile(r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)[!-~]+", re.IGNORECASE)
"""Printable ASCII up to a space or the first Chinese character (RFC 3986 section 2)."""

_ID_WORDS: Final = re.compile("身份证|证件|公民身份|sfz|id ?card")
_CARD_WORDS: Final = re.compile(
    "银行|卡号|储蓄卡|信用卡|借记卡|账[号户]|帐[号户]|开户|打款|汇款|转账|退款到|bank|card|kh"
)
_LOCAL_LABEL: Final = re.compile(
    r"(?:电话|座机|固话|宅电|传真|tel|phone|fax)(?:号码|号)?[是为]?[^0-9a-z\u4e00-\u9fff]{0,4}\Z"
)
_COMMON_ZONES: Final = re.compile(r"[.。](?:com|cn|net|org|edu|gov|me|io|cc|vip|top)\Z", re.IGNORECASE)


def _judge_mobile(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code or (candidate.is_contiguous and candidate.is_labelled_as_thing):
        return None
    return Verdict(0.9)


def _judge_id(candidate: Candidate) -> Verdict | None:
    """Accept a verified number anywhere, and one with a slip in it where the words say what it is."""
    if is_resident_id(candidate.number):
        return Verdict(1.0, checked=True)
    slipped = has_id_shape(candidate.number) and _ID_WORDS.search(candidate.before(16))
    return Verdict(0.6) if slipped else None


def _judge_first_generation_id(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code or candidate.is_labelled_as_thing or not is_first_generation_id(candidate.number):
        return None
    return Verdict(0.7)


def _judge_card(candidate: Candidate) -> Verdict | None:
    """Accept a verified number with a card's prefix or words, and one with a slip in it that has both."""
    number = candidate.number
    if candidate.is_part_of_code or candidate.is_labelled_as_thing or not is_card_length(number):
        return None
    named = _CARD_WORDS.search(candidate.before(20) + candidate.after(8)) is not None
    prefixed = has_card_prefix(number)
    if passes_luhn(number):
        return Verdict(1.0, checked=True) if named or prefixed else None
    return Verdict(0.6) if named and prefixed else None


def _judge_landline(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code:
        return None
    if not candidate.is_contiguous:
        return Verdict(0.8)
    return None if candidate.is_labelled_as_thing else Verdict(0.6)


def _judge_local_number(candidate: Candidate) -> Verdict | None:
    return Verdict(0.6) if _LOCAL_LABEL.search(candidate.before(16)) else None


def _judge_email(candidate: Candidate) -> Verdict | None:
    """A mention such as ``to @name.surname`` is no address: with spaces inside, the zone must be a common one."""
    if " " in candidate.matched and not _COMMON_ZONES.search(candidate.matched):
        return None
    return Verdict(0.95)


def _judge_url(candidate: Candidate) -> Verdict | None:
    return Verdict(0.9) if "." in candidate.matched else None


IDENTIFIERS: Final = (
    Identifier("mobile", Kind.MOBILE, _MOBILE, _judge_mobile),
    Identifier("id_number", Kind.ID_NUMBER, _ID_PLAIN, _judge_id),
    Identifier("id_number_spaced", Kind.ID_NUMBER, _ID_SPACED, _judge_id),
    Identifier("id_number_15", Kind.ID_NUMBER, _ID_15, _judge_first_generation_id),
    Identifier("bank_card", Kind.BANK_CARD, _CARD, _judge_card),
    Identifier("landline", Kind.LANDLINE, _LANDLINE, _judge_landline),
    Identifier("local_number", Kind.LANDLINE, _LOCAL_NUMBER, _judge_local_number),
    Identifier("email", Kind.EMAIL, _EMAIL, _judge_email),
    Identifier("url", Kind.URL, _URL, _judge_url, trim=".,;:!?'\")]}>"),
)
"""Every identifier of this release, in the order in which the recognizers are registered."""
