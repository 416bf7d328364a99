"""Realistic surrogates, of ranges that are never issued, so that none is anybody's.

| kind | range |
| --- | --- |
| mobile | segments that the numbering plan of MIIT assigns to nobody: 154, 160, 161, 163, 164, 168, 169 |
| landline | subscriber numbers that begin with 1, which is no subscriber's |
| ID number | district 99 of a province (GB/T 2260 has none), a valid check digit |
| bank card | issuers of country 999 (ISO/IEC 7812-1, ISO 3166-1), a valid check digit |
| plate | letter I, which no office has (GA 36) |
| e-mail, URL | example.com, example.org, example.net (RFC 2606) |
| IP address | documentation networks (RFC 5737, RFC 3849) |
| MAC address | documentation range (RFC 7042) |
| IMEI | reporting body 00, for tests (GSMA TS.06), a valid check digit |
| SSN | area 666, never assigned |
| QQ | a leading zero, which no number has |

What has no such range becomes a pseudonym, addresses and ages what is wider, days are moved where the setting says so.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from deid.text.checks import id_check_character, passes_luhn
from deid.text.kinds import Kind
from deid.text.operators.draws import Draw
from deid.text.operators.generalising import Generalise
from deid.text.operators.marks import Redact
from deid.text.operators.pseudonyms import Pseudonym
from deid.text.operators.setting import Found, Operator, Setting
from deid.text.operators.shifting import ShiftDate
from deid.text.operators.surrogate_names import surrogate_name
from deid.text.own.forms import digit_form, number_value

MOBILE_SEGMENTS: Final = ("154", "160", "161", "163", "164", "168", "169")
_PROVINCES: Final = ("11", "13", "21", "31", "32", "33", "35", "37", "42", "43", "44", "51", "61")
_PLATE_PROVINCES: Final = "京津沪渝冀豫辽黑湘皖鲁苏浙赣鄂川"
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz"
_ID_LENGTH, _OLD_ID_LENGTH = 18, 15

Make = Callable[[Draw, str], str]
"""Takes what is drawn and the original as digits and letters; returns digits and letters."""


def _mobile(draw: Draw, _: str) -> str:
    return draw.choice(MOBILE_SEGMENTS) + draw.digits(8)


def _landline(draw: Draw, original: str) -> str:
    area = 0
    if original.startswith("0"):
        area = 3 if original[1:2] in ("1", "2") else 4
    return original[:area] + "1" + draw.digits(max(len(original) - area - 1, 6))


def _id_number(draw: Draw, original: str) -> str:
    born = f"{1940 + draw.number(65)}{1 + draw.number(12):02}{1 + draw.number(28):02}"
    district = f"{draw.choice(_PROVINCES)}99{draw.digits(2)}"
    serial = draw.digits(3)
    if len(original) == _OLD_ID_LENGTH:
        return district + born[2:] + serial
    seventeen = district + born + serial
    return seventeen + id_check_character(seventeen)


def _card(draw: Draw, original: str) -> str:
    return _checked("9999" + draw.digits(max(len(original), 16) - 5))


def _imei(draw: Draw, _: str) -> str:
    return _checked("00" + draw.digits(12))


def _checked(body: str) -> str:
    return next(body + digit for digit in "0123456789" if passes_luhn(body + digit))


def _plate(draw: Draw, original: str) -> str:
    return draw.some(_PLATE_PROVINCES, 1) + "I" + draw.digits(max(len(original) - 2, 5))


def _email(draw: Draw, _: str) -> str:
    host = draw.choice(("example.com", "example.org", "example.net"))
    return f"{draw.some(_LETTERS, 6)}{draw.digits(2)}@{host}"


def _url(draw: Draw, _: str) -> str:
    return f"https://{draw.choice(('example.com', 'example.org'))}/{draw.some(_LETTERS, 8)}"


def _ip(draw: Draw, original: str) -> str:
    if ":" in original:
        return f"2001:db8::{draw.number(0xFFFF):x}:{draw.number(0xFFFF):x}"
    return f"{draw.choice(('192.0.2', '198.51.100', '203.0.113'))}.{1 + draw.number(254)}"


def _mac(draw: Draw, _: str) -> str:
    return f"00:00:5E:00:53:{draw.number(256):02X}"


def _ssn(draw: Draw, _: str) -> str:
    return f"666-{1 + draw.number(99):02}-{1 + draw.number(9999):04}"


def _qq(draw: Draw, original: str) -> str:
    return "0" + draw.digits(max(len(original) - 1, 5))


_AS_WRITTEN: Final[Mapping[Kind, Make]] = MappingProxyType(
    {Kind.MOBILE: _mobile, Kind.LANDLINE: _landline, Kind.FAX: _landline, Kind.ID_NUMBER: _id_number}
    | {Kind.BANK_CARD: _card, Kind.IMEI: _imei, Kind.PLATE: _plate, Kind.QQ: _qq}
)
"""Kinds whose surrogates are laid out as the original is, with its separators."""

_WHOLE: Final[Mapping[Kind, Make]] = MappingProxyType(
    {Kind.EMAIL: _email, Kind.URL: _url, Kind.IP_ADDRESS: _ip, Kind.MAC_ADDRESS: _mac, Kind.US_SSN: _ssn}
)


class Surrogate:
    """Leaves a value of the same kind that is nobody's."""

    needs = frozenset(("tokeniser",))

    def __init__(self) -> None:
        self._pseudonym, self._wider, self._shift = Pseudonym(), Generalise(to="city"), ShiftDate()
        self._mark = Redact()

    def replace(self, found: Found, setting: Setting) -> str:
        """Return the surrogate; never the original."""
        if found.kind is Kind.PERSON:
            return surrogate_name(found, setting)
        if found.kind in _AS_WRITTEN:
            return _laid_out(found, setting)
        if found.kind in _WHOLE:
            return _WHOLE[found.kind](_draw(found, setting), found.folded)
        return self._otherwise(found, setting).replace(found, setting)

    def _otherwise(self, found: Found, setting: Setting) -> Operator:
        """Return what is done with a kind that has no range of its own."""
        if found.kind is Kind.DATE:
            return self._shift if setting.shift_days else self._mark
        if found.kind in (Kind.ADDRESS, Kind.PLACE, Kind.AGE):
            return self._wider
        return self._mark if found.kind is Kind.WITHHELD else self._pseudonym


def _draw(found: Found, setting: Setting) -> Draw:
    return Draw(setting.token(f"surrogate {found.kind.value}", found.identity(setting.own)))


def _laid_out(found: Found, setting: Setting) -> str:
    """Return a surrogate with the separators of the original; of a part of a number the same part."""
    identity = found.identity(setting.own)
    made = _AS_WRITTEN[found.kind](_draw(found, setting), identity)
    written = digit_form(found.folded)
    value = number_value(found.value)
    if len(value) < len(identity) and identity.endswith(value):
        made = made[-len(value) :]
    places = [place for place, sign in enumerate(written) if sign.isalnum()]
    if found.kind is Kind.MOBILE and len(places) > len(made):
        places = places[-len(made) :]
    if len(places) != len(made):
        return made
    laid = list(written)
    for place, sign in zip(places, made, strict=True):
        laid[place] = sign
    return "".join(laid)
