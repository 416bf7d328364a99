"""Codes made coarse: diagnoses, medicines, allergies and places."""

import re
from typing import Final

from deid.cells import Cell, Drop, Params, Raw, Setting

PROVINCES: Final = frozenset(
    str(code)
    for span in (range(11, 16), range(21, 24), range(31, 38), range(41, 47), range(50, 55), range(61, 66), (71, 81, 82))
    for code in span
)
"""First two digits of the division codes of GB/T 2260; the first one alone is the region."""

_ADCODE: Final = re.compile(r"[0-9]{6}")
_DIAGNOSIS: Final = re.compile(r"([A-Z][0-9][0-9A-Z])(\.?[0-9A-Zx]*)[+*†]?")
"""Category and sub-category, the Chinese extensions (``E11.900x001``) and the dagger or asterisk of a pair."""

_MEDICINE: Final = re.compile(r"([A-Z][0-9]{2}[A-Z])([A-Z]([0-9]{2})?)?")
"""An ATC code of level 3, 4 or 5 (WHO Collaborating Centre for Drug Statistics Methodology)."""


def icd10_group(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return the three characters of an ``icd10:`` code; a special disease never passes."""
    code = _code(raw, "icd10")
    if isinstance(code, Drop):
        return code
    match = _DIAGNOSIS.fullmatch(code)
    if match is None:
        return Drop.MALFORMED
    if setting.special.holds_diagnosis((match[1] + match[2]).replace(".", "").upper()):
        return Drop.SPECIAL
    return match[1]


def atc_level3(raw: Raw, _params: Params, setting: Setting) -> Cell | Drop:
    """Return level 3 of an ``atc:`` code (``C09A``); what gives a special disease away never passes."""
    code = _code(raw, "atc")
    if isinstance(code, Drop):
        return code
    match = _MEDICINE.fullmatch(code)
    if match is None:
        return Drop.MALFORMED
    return Drop.SPECIAL if setting.special.holds_medicine(code) else match[1]


def code_group(raw: Raw, params: Params, _setting: Setting) -> Cell | Drop:
    """Return the group whose listed beginning of the code is the longest."""
    if not isinstance(raw, str) or ":" not in raw:
        return Drop.MALFORMED
    for length in range(len(raw), 0, -1):
        if (found := params.groups.get(raw[:length])) is not None and _ends_there(raw, length):
            return found
    return Drop.UNMAPPED


def province(raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Return the province's division code (``110000``) of a six-digit one."""
    if not isinstance(raw, str) or not _ADCODE.fullmatch(raw):
        return Drop.MALFORMED
    return f"{raw[:2]}0000" if raw[:2] in PROVINCES else Drop.UNMAPPED


def region(raw: Raw, params: Params, setting: Setting) -> Cell | Drop:
    """Return the region, the first digit of a division code."""
    found = province(raw, params, setting)
    return found if isinstance(found, Drop) else str(found)[0]


def _code(raw: Raw, system: str) -> str | Drop:
    if not isinstance(raw, str) or ":" not in raw:
        return Drop.MALFORMED
    found, _, code = raw.partition(":")
    return code if found == system else Drop.UNMAPPED


def _ends_there(code: str, length: int) -> bool:
    """ATC is hierarchical, a beginning counts; everywhere else 9193 is not the beginning of 91936005."""
    return length == len(code) or code.startswith("atc:")
