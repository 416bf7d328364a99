"""Telephone numbers, e-mail and web addresses."""

import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

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

_AREA: Final = r"(?:10|2[0-57-9]|[3-9][0-9]{2})"
"""Area codes without the trunk zero (MIIT numbering plan): 10, 2x, and three digits from 3xx to 9xx."""

_EXTENSION: Final = r"(?:(?:-|转|分机| ?ext\.?)[ ]?[0-9]{1,5})?"

_LANDLINE: Final = re.compile(
    rf"(?<![0-9])(?:{_COUNTRY}[-. ]{{0,2}}(?:\(0?{_AREA}\)|0?{_AREA})|\(0{_AREA}\)|0{_AREA}\)?)[-. ]{{0,3}}"
    rf"(?:[1-9][0-9]{{2,3}}[-. ]?[0-9]{{4}}|[2-8](?:[-. ][0-9]){{6,7}})"
    rf"{_EXTENSION}(?![0-9])"
)
"""Area code, then seven or eight digits whole, in two groups or one by one, with or without an extension."""

_LOCAL_NUMBER: Final = re.compile(rf"(?<![0-9])[2-8][0-9]{{2,3}}[- ]?[0-9]{{4}}{_EXTENSION}(?![0-9])")

_SERVICE: Final = re.compile(rf"(?<![0-9])[48]00(?:[-. ]{{0,2}}[0-9]){{7}}{_EXTENSION}(?![0-9])")
"""400 and 800 numbers: ten digits in any grouping."""

_EMAIL: Final = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,256}+[ ]{0,2}@[ ]{0,2}"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.。]){1,8}[A-Za-z]{2,24}"
)
"""RFC 5321 atoms in ASCII only, so that Chinese before an address is not swallowed; 。 typed for a dot is common."""

_URL: Final = re.compile(r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)[!-~]+", re.IGNORECASE)
"""Printable ASCII up to a space or the first Chinese character (RFC 3986 section 2)."""

_BARE_HOST: Final = re.compile(
    r"(?<![A-Za-z0-9@._%+-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}"
    r"(?:com|cn|net|org|edu|gov|info|biz|me|io|cc|vip|top|xyz|shop|site|hk|tw|uk|de|eu)(?:[/?#][!-~]{0,200})?"
    r"(?![A-Za-z0-9@-])",
    re.IGNORECASE,
)
"""A host without scheme, by its zone."""

_LOCAL_LABEL: Final = re.compile(
    r"(?:电话|座机|固话|宅电|传真|tel|phone|fax)(?:号码|号)?[是为]?[^0-9a-z\u4e00-\u9fff]{0,4}\Z"
)
_FAX_LABEL: Final = re.compile(r"(?:传真|fax)(?:号码|号)?[是为]?[^0-9a-z\u4e00-\u9fff]{0,4}\Z")
_COMMON_ZONES: Final = re.compile(r"[.。](?:com|cn|net|org|edu|gov|me|io|cc|vip|top)\Z", re.IGNORECASE)


def _judge_mobile(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code or (candidate.is_contiguous and candidate.is_labelled_as_thing):
        return None
    return Verdict(0.9)


def _fixed(candidate: Candidate, score: float) -> Verdict:
    """Accept a number of a fixed line, as one of a fax where the words say so."""
    return Verdict(score, kind=Kind.FAX if _FAX_LABEL.search(candidate.before(16)) else None)


def _judge_landline(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code:
        return None
    if not candidate.is_contiguous:
        return _fixed(candidate, 0.8)
    return None if candidate.is_labelled_as_thing else _fixed(candidate, 0.6)


def _judge_local_number(candidate: Candidate) -> Verdict | None:
    return _fixed(candidate, 0.6) if _LOCAL_LABEL.search(candidate.before(16)) else None


def _judge_service(candidate: Candidate) -> Verdict | None:
    if candidate.is_part_of_code or candidate.is_labelled_as_thing or len(candidate.number) < 10:  # noqa: PLR2004
        return None
    return Verdict(0.7)


def _judge_email(candidate: Candidate) -> Verdict | None:
    """A mention such as ``to @name.surname`` is no address: with spaces inside, the zone must be a common one."""
    if " " in candidate.matched and not _COMMON_ZONES.search(candidate.matched):
        return None
    return Verdict(0.95)


def _judge_url(candidate: Candidate) -> Verdict | None:
    return Verdict(0.9) if "." in candidate.matched else None


def _judge_bare_host(candidate: Candidate) -> Verdict | None:
    """A host has a letter before its zone; ``3.me`` and ``No.cn`` after a number are cut sentences."""
    host = candidate.matched.split("/", 1)[0].rsplit(".", 1)[0]
    return Verdict(0.6) if re.search("[A-Za-z]{2}", host) else None


CONTACTS: Final = (
    Identifier("mobile", Kind.MOBILE, _MOBILE, _judge_mobile, digits=11),
    Identifier("landline", Kind.LANDLINE, _LANDLINE, _judge_landline, digits=9),
    Identifier("local_number", Kind.LANDLINE, _LOCAL_NUMBER, _judge_local_number, digits=7),
    Identifier("service_number", Kind.SERVICE_NUMBER, _SERVICE, _judge_service, digits=10),
    Identifier("email", Kind.EMAIL, _EMAIL, _judge_email, sign="@"),
    Identifier("url", Kind.URL, _URL, _judge_url, trim=".,;:!?'\")]}>", sign="."),
    Identifier("bare_host", Kind.URL, _BARE_HOST, _judge_bare_host, trim=".,;:!?'\")]}>", sign="."),
)
