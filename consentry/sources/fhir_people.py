"""Reads a FHIR Patient into the fields of a profile; what the catalogue does not know is not collected."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from consentry.sources.cleaning import parse_mobile
from consentry.sources.context import SourceContext
from consentry.sources.fhir_paths import Element, day, has_code, parts, text, texts
from consentry.sources.fhir_references import person_name
from consentry.sources.records import RowRefused, Tally
from consentry.sources.values import Cleaned, Cleaner

_RESIDENT_ID: Final = frozenset({"urn:oid:2.16.156.10011.1.3", "http://www.mps.gov.cn/id-number"})
_ID_SHAPE: Final = re.compile(r"[0-9]{15}|[0-9]{17}[0-9Xx]")
_MARITAL: Final = {
    "M": "married",
    "S": "single",
    "D": "divorced",
    "W": "widowed",
    "L": "separated",
    "T": "partner",
}
"""HL7 v3 MaritalStatus."""

_CHINA: Final = frozenset({None, "CN", "CHN", "中国", "中华人民共和国", "China"})


def read_patient(patient: Element, context: SourceContext, cleaner: Cleaner, tally: Tally) -> Cleaned:
    """Return the profile of a patient.

    Social security, passport and licence numbers, photographs and contacts have no field and stay unread. A telephone
    number is taken where it is a mobile.

    Raises:
        RowRefused: a value that cannot be true, such as an ID number with a wrong check digit.
    """
    cleaned = Cleaned()

    def put(field: str, raw: str | None) -> None:
        if raw is not None:
            cleaner.put(cleaned, field, raw)

    put("name", person_name(patient))
    put("sex", text(patient, "gender"))
    _put_birth_date(patient, put, tally)
    _put_identifiers(patient, put)
    _put_telecoms(patient, put, tally)
    _put_address(patient, context, put, tally)
    put("marital", next((_MARITAL[code] for code in _marital_codes(patient) if code in _MARITAL), None))
    return cleaned


_Put = Callable[[str, str | None], None]


def _put_birth_date(patient: Element, put: _Put, tally: Tally) -> None:
    written = text(patient, "birthDate")
    if written is not None and day(written) is None:
        tally.left_out["partial:birth_date"] += 1
        return
    put("birth_date", written)


def _put_identifiers(patient: Element, put: _Put) -> None:
    wanted = {"id_number": _is_resident_id, "record_number": _is_a("MR"), "insurance_number": _is_a("HC")}
    for field, is_it in wanted.items():
        found = (identifier for identifier in parts(patient, "identifier") if is_it(identifier))
        put(field, next((text(identifier, "value") for identifier in found), None))


def _is_resident_id(identifier: Element) -> bool:
    if text(identifier, "system") in _RESIDENT_ID or _is_a("NNCHN")(identifier):
        return True
    return _is_a("NI")(identifier) and _ID_SHAPE.fullmatch(text(identifier, "value") or "") is not None


def _is_a(code: str) -> Callable[[Element], bool]:
    """Return a test for an identifier's type (HL7 v2 table 0203)."""
    return lambda identifier: has_code(parts(identifier, "type"), frozenset({code}))


def _put_telecoms(patient: Element, put: _Put, tally: Tally) -> None:
    mobiles = [value for value, use in _telecoms(patient, "phone") if use == "mobile" or _is_mobile(value)]
    readable = next((value for value in mobiles if _is_mobile(value)), None)
    if mobiles and readable is None:
        tally.left_out["mobile:unreadable"] += 1
    put("mobile", readable)
    put("email", next((value for value, _ in _telecoms(patient, "email")), None))


def _telecoms(patient: Element, system: str) -> Iterator[tuple[str, str | None]]:
    """Yield value and use of the contact points of one system."""
    for telecom in parts(patient, "telecom"):
        value = text(telecom, "value")
        if text(telecom, "system") == system and value is not None:
            yield value, text(telecom, "use")


def _is_mobile(value: str) -> bool:
    try:
        parse_mobile(value)
    except RowRefused:
        return False
    return True


def _put_address(patient: Element, context: SourceContext, put: _Put, tally: Tally) -> None:
    address = next(parts(patient, "address"), None)
    if address is None:
        return
    lines = texts(address, "line")
    put("street_address", " ".join(lines) or None)
    place = "".join(text(address, name) or "" for name in ("state", "city", "district")) or text(address, "text")
    if place is None:
        return
    try:
        put("district", context.divisions.find(place))
    except RowRefused:
        tally.left_out["place:abroad" if text(address, "country") not in _CHINA else "place:unknown"] += 1


def _marital_codes(patient: Element) -> Iterator[str]:
    for status in parts(patient, "maritalStatus"):
        for coding in parts(status, "coding"):
            code = text(coding, "code")
            if code is not None:
                yield code
