"""What names a device, a connection or a place on the map."""

import ipaddress
import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import passes_luhn
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

_IPV4: Final = re.compile(
    rf"(?<![0-9A-Za-z.])(?:{_OCTET}\.){{3}}{_OCTET}(?:/[0-9]{{1,2}}|:[0-9]{{2,5}})?(?![0-9A-Za-z]|\.[0-9])"
)

_IPV6: Final = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]{2,39}(?:%[0-9A-Za-z]{1,16})?(?![0-9A-Za-z:])")

_MAC: Final = re.compile(
    r"(?<![0-9A-Za-z:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Za-z:-])"
)

_UUID: Final = re.compile(
    r"(?<![0-9A-Za-z-])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z-])"
)

_IMEI: Final = re.compile(r"(?<![0-9])(?:[0-9]{15}|[0-9]{2}-[0-9]{6}-[0-9]{6}-[0-9])(?![0-9])")

_OPENID: Final = re.compile(r"(?<![0-9A-Za-z_-])o[A-Za-z0-9_-]{27}(?![0-9A-Za-z_-])")
"""What WeChat calls a user towards one account: o and 27 characters of base64url."""

_DECIMAL: Final = r"[-+]?[0-9]{1,3}\.[0-9]{4,12}"
_DEGREES: Final = rf"[NSEWnsew]? ?{_DECIMAL}°?(?: ?[NSEWnsew])?"
_COORDINATES: Final = re.compile(rf"(?<![0-9.]){_DEGREES}[ ]{{0,2}}[,;/ ][ ]{{0,2}}{_DEGREES}(?![0-9.])")

_IMEI_WORDS: Final = re.compile("imei|meid|串号|机身码|设备号|手机序列")
_MAP_WORDS: Final = re.compile("坐标|定位|经纬|经度|纬度|gps|位置|lat|lng|lon")
_VERSION_WORDS: Final = re.compile(r"(?:版本|version|ver|v)[^0-9a-z\u4e00-\u9fff]{0,3}\Z")
_CHINA: Final = ((3.0, 54.0), (73.0, 136.0))
"""Latitudes and longitudes between which China lies."""


def _judge_ipv4(candidate: Candidate) -> Verdict | None:
    return None if _VERSION_WORDS.search(candidate.before(12)) else Verdict(0.8)


def _judge_ipv6(candidate: Candidate) -> Verdict | None:
    """Times of day have colons, too: an address has a double one, or eight groups."""
    host = candidate.matched.partition("%")[0]
    if "::" not in host and host.count(":") != 7:  # noqa: PLR2004 - of eight groups
        return None
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return None
    return Verdict(0.8) if int(address) > 1 and len(host) > 4 else None  # noqa: PLR2004 - `::1`, `::` and `a::`


def _judge_mac(candidate: Candidate) -> Verdict | None:
    """Six pairs; of digits alone they may be a date and a time, with a dash."""
    return Verdict(0.9) if ":" in candidate.matched or re.search("[A-Fa-f]", candidate.matched) else None


def _judge_device(_: Candidate) -> Verdict | None:
    return Verdict(0.8)


def _judge_imei(candidate: Candidate) -> Verdict | None:
    """Luhn and the words, or Luhn and the prefix under which most are allocated (GSMA TS.06)."""
    if not passes_luhn(candidate.number):
        return Verdict(0.6) if _IMEI_WORDS.search(candidate.before(16)) else None
    if _IMEI_WORDS.search(candidate.before(16)):
        return Verdict(1.0, checked=True)
    is_other = candidate.is_part_of_code or candidate.is_labelled_as_thing
    return Verdict(0.6) if candidate.number.startswith("86") and not is_other else None


def _judge_openid(candidate: Candidate) -> Verdict | None:
    """Random base64url holds digits, capitals and small letters; a long word does not."""
    matched = candidate.matched
    return Verdict(0.8) if all(re.search(some, matched[1:]) for some in ("[0-9]", "[A-Z]", "[a-z]")) else None


def _judge_coordinates(candidate: Candidate) -> Verdict | None:
    """Two numbers that are a place in China, or anywhere where the words speak of a map."""
    first, second = (abs(float(number)) for number in re.findall(_DECIMAL, candidate.matched))
    if _MAP_WORDS.search(candidate.before(16)) and min(first, second) <= 90 and max(first, second) <= 180:  # noqa: PLR2004
        return Verdict(0.9)
    (south, north), (west, east) = _CHINA
    is_there = any(south <= lat <= north and west <= lng <= east for lat, lng in ((first, second), (second, first)))
    return Verdict(0.7) if is_there else None


DEVICES: Final = (
    Identifier("ipv4", Kind.IP_ADDRESS, _IPV4, _judge_ipv4, digits=4, sign="."),
    Identifier("ipv6", Kind.IP_ADDRESS, _IPV6, _judge_ipv6, sign=":"),
    Identifier("mac", Kind.MAC_ADDRESS, _MAC, _judge_mac, digits=1),
    Identifier("uuid", Kind.DEVICE_ID, _UUID, _judge_device, sign="-"),
    Identifier("imei", Kind.IMEI, _IMEI, _judge_imei, digits=15),
    Identifier("openid", Kind.OPENID, _OPENID, _judge_openid, digits=1, sign="o"),
    Identifier("coordinates", Kind.COORDINATES, _COORDINATES, _judge_coordinates, digits=10, sign="."),
)
