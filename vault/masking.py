"""Masked values: what a role sees that may know that a value is there, and recognise it, and no more.

A mask never keeps more than its share of a value, whatever stands there: what is too short to hide enough of, is not of
the expected form, or is no text becomes ``***`` altogether. Widths are folded first (NFKC), so that full-width digits
are digits. The text never tells how long the hidden part is, but where the form itself has one length.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kernel.catalogue import Catalogue, Mask
from kernel.encoding import JsonValue
from vault._history import FieldVersion
from vault._opening import OpenedRecord

HIDDEN: Final = "***"

_MOBILE: Final = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9])[0-9]{4}([0-9]{4})")
"""11 digits (工信部 numbering plan), with or without the code of the country."""

_ID_NUMBER: Final = re.compile(r"([0-9]{3})([0-9]{11}|[0-9]{8})([0-9]{3}[0-9Xx])")
"""GB 11643: 18 characters, or the 15 of before 1999."""

_EMAIL: Final = re.compile(r"([^@\s])[^@\s]+@([^@\s]+)")
_CARD: Final = re.compile(r"[0-9]{8,15}([0-9]{4})")
_YEAR: Final = re.compile(r"([0-9]{4})-[0-9]{2}(?:-[0-9]{2}.*)?", re.DOTALL)

_PROVINCES: Final = (
    "(?:北京|天津|上海|重庆)市?|(?:河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾)省?"
    "|内蒙古(?:自治区)?|广西(?:壮族自治区)?|西藏(?:自治区)?|宁夏(?:回族自治区)?|新疆(?:维吾尔自治区)?|(?:香港|澳门)(?:特别行政区)?"
)
"""GB/T 2260; an address that does not begin with one of them shows nothing: its beginning may be anything."""

_PLACE: Final = re.compile(
    f"(?:{_PROVINCES})"
    "(?:[\\u4e00-\\u9fff]{1,7}?(?:市|自治州|地区|盟))?"
    "(?:[\\u4e00-\\u9fff]{1,5}?(?:(?<![小社校园院厂景库城新开地])区|(?<=新)区|县|旗))?"
)
"""Province, city and district; a 小区 or 园区 is none."""

_SEPARATORS: Final = re.compile(r"[\s\u2010-\u2015\-.()]")
_COMPOUND: Final = re.compile(
    "欧阳|太史|上官|司马|东方|独孤|南宫|万俟|闻人|夏侯|诸葛|尉迟|公羊|赫连|澹台|皇甫|宗政|濮阳|公冶|太叔|申屠|公孙|慕容|仲孙|钟离"
    "|长孙|宇文|司徒|鲜于|司空|令狐|百里|东郭|呼延|端木|西门|第五"
)
"""Surnames of two characters that are still in use."""


def mask_records(records: Sequence[OpenedRecord], catalogue: Catalogue, masked: Collection[str]) -> list[OpenedRecord]:
    """Return opened records with the values of some fields masked, each as the pack says."""
    if not masked:
        return list(records)
    return [replace(record, values=mask_values(record.values, catalogue, masked)) for record in records]


def mask_version(version: FieldVersion, catalogue: Catalogue, masked: Collection[str]) -> FieldVersion:
    """Return a version with its value masked, and the reason of a correction, which may repeat it, hidden."""
    if version.field not in masked:
        return version
    value = mask_values({version.field: version.value}, catalogue, masked)[version.field]
    return replace(version, value=value, reason=None if version.reason is None else HIDDEN)


def mask_values(values: Mapping[str, JsonValue], catalogue: Catalogue, masked: Collection[str]) -> dict[str, JsonValue]:
    """Return the values of one record with those of some fields masked, each as the pack says."""
    return {
        code: mask_value(value, catalogue.get_field(code).shown_masked) if code in masked else value
        for code, value in values.items()
    }


def mask_value(value: JsonValue, mask: Mask) -> JsonValue:
    """Return a value masked; each item of a list by itself."""
    if isinstance(value, list):
        return [mask_value(item, mask) for item in value]
    if not isinstance(value, str):
        return HIDDEN
    return _MASKS[mask](unicodedata.normalize("NFKC", value).strip())


def _name(text: str) -> str:
    """张* — the surname; of a name in letters nothing but its first letter."""
    if len(text) < 2 or not text[0].isalpha():  # noqa: PLR2004 - a surname, and something to hide
        return HIDDEN
    is_compound = len(text) > 2 and _COMPOUND.match(text)  # noqa: PLR2004 - something is left to hide
    return (text[:2] if is_compound else text[0]) + "*"


def _mobile(text: str) -> str:
    """138****5678."""
    return _kept(_MOBILE, _SEPARATORS.sub("", text), lambda parts: f"{parts[0]}****{parts[1]}")


def _id_number(text: str) -> str:
    """110***********1234."""
    return _kept(_ID_NUMBER, _SEPARATORS.sub("", text), lambda parts: parts[0] + "*" * len(parts[1]) + parts[2])


def _email(text: str) -> str:
    """a***@x.cn."""
    return _kept(_EMAIL, text, lambda parts: f"{parts[0]}{HIDDEN}@{parts[1]}")


def _card(text: str) -> str:
    """The last four digits."""
    return _kept(_CARD, _SEPARATORS.sub("", text), lambda parts: f"{HIDDEN}{parts[0]}")


def _address(text: str) -> str:
    """Province, city and district, where the address names them."""
    place = _PLACE.match(text)
    named = "" if place is None else place.group()
    return named + HIDDEN if len(named) < len(text) else HIDDEN


def _year(text: str) -> str:
    """The year of an ISO 8601 date or instant."""
    return _kept(_YEAR, text, lambda parts: parts[0])


def _hidden(_text: str) -> str:
    return HIDDEN


def _kept(form: re.Pattern[str], text: str, show: Callable[[list[str]], str]) -> str:
    """Return what is shown of a text that has the whole form; ``***`` of any other."""
    found = form.fullmatch(text)
    return HIDDEN if found is None else show([part for part in found.groups() if part is not None])


_MASKS: Final[Mapping[Mask, Callable[[str], str]]] = {
    Mask.NAME: _name,
    Mask.MOBILE: _mobile,
    Mask.ID_NUMBER: _id_number,
    Mask.EMAIL: _email,
    Mask.ADDRESS: _address,
    Mask.CARD: _card,
    Mask.YEAR: _year,
    Mask.HIDDEN: _hidden,
}
