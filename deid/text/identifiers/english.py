"""Numbers of the United States by which a person is known: social security, providers, Medicare, vehicles."""

import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import passes_luhn
from deid.text.identifiers.abroad import ABROAD
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_SSN: Final = re.compile(
    r"(?<![0-9A-Za-z-])(?:(?!000|666|9)[0-9]{3}([- ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}"
    r"|9[0-9]{2}-(?:5[0-9]|6[0-5]|[78][0-9]|9[0-24-9])-[0-9]{4}|[0-9]{9})(?![0-9A-Za-z-])"
)
"""Area, group, serial: none all zeros, no area 666 or from 900 on (SSA, POMS RM 10201.035); ITINs begin with 9."""

_NPI: Final = re.compile(r"(?<![0-9A-Za-z-])[12][0-9]{9}(?![0-9A-Za-z-])")

_MBI_LETTER: Final = "[AC-HJKMNPQRT-Yac-hjkmnpqrt-y]"
_MBI_SIGN: Final = "[0-9AC-HJKMNPQRT-Yac-hjkmnpqrt-y]"
_MBI: Final = re.compile(
    rf"(?<![0-9A-Za-z-])[1-9]{_MBI_LETTER}{_MBI_SIGN}[0-9]([- ]?){_MBI_LETTER}{_MBI_SIGN}[0-9]\1"
    rf"{_MBI_LETTER}{{2}}[0-9]{{2}}(?![0-9A-Za-z-])"
)
"""Eleven signs, each place a digit, a letter or either; without S, L, O, I, B and Z (CMS, MBI format, 2018)."""

_DEA: Final = re.compile(r"(?<![0-9A-Za-z])[A-HJ-NPR-UXa-hj-npr-ux][A-Za-z9][0-9]{7}(?![0-9A-Za-z])")

_VIN: Final = re.compile(r"(?<![0-9A-Za-z])[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?![0-9A-Za-z])")
_VIN_VALUES: Final = {
    **{digit: int(digit) for digit in "0123456789"},
    **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)),
}
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
"""Letters as numbers and the weight of each place (49 CFR 565.15)."""

_SSN_WORDS: Final = re.compile(r"(?<![a-z])(?:ssn?|social(?:[ -]security)?|soc\.? ?sec|i?tin|tax ?(?:payer)?)(?![a-z])")
_PROVIDER_WORDS: Final = re.compile(r"(?<![a-z])(?:npi|provider|physician|prescriber|referring|attending)(?![a-z])")
_DEA_WORDS: Final = re.compile(r"(?<![a-z])dea(?![a-z])")
_VIN_WORDS: Final = re.compile(r"(?<![a-z])(?:vin|vehicle|chassis|car)(?![a-z])|车架|识别代")


def _judge_ssn(candidate: Candidate) -> Verdict | None:
    """Dashes speak for themselves; spaces and nine digits in a row need the words."""
    if _SSN_WORDS.search(candidate.before(40)):
        return Verdict(0.9)
    return Verdict(0.75) if "-" in candidate.matched and not candidate.is_labelled_as_thing else None


def _judge_npi(candidate: Candidate) -> Verdict | None:
    """Luhn over the number with the prefix of health in the United States (CMS, NPI check digit)."""
    is_named = _PROVIDER_WORDS.search(candidate.before(32))
    return Verdict(1.0, checked=True) if is_named and passes_luhn(f"80840{candidate.matched}") else None


def _judge_mbi(candidate: Candidate) -> Verdict | None:
    """The form is rare enough by itself; behind the word it is surer than any member's number."""
    if "medicare" in candidate.before(40):
        return Verdict(0.9)
    return Verdict(0.8) if candidate.matched.isupper() else None


def _judge_dea(candidate: Candidate) -> Verdict | None:
    """The sum of the odd places and twice that of the even ones ends in the last digit (21 CFR 1301; DEA form 224)."""
    digits = [int(sign) for sign in candidate.matched[2:]]
    is_valid = (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]
    if not _DEA_WORDS.search(candidate.before(24)):
        return None
    return Verdict(1.0, checked=True) if is_valid else Verdict(0.6)


def _judge_vin(candidate: Candidate) -> Verdict | None:
    """Letters and digits with the check character of North America, or the words."""
    vin = candidate.matched.upper()
    if not 1 <= sum(sign.isdigit() for sign in vin) < len(vin):
        return None
    total = sum(weight * _VIN_VALUES[sign] for weight, sign in zip(_VIN_WEIGHTS, vin, strict=True))
    if vin[8] == "0123456789X"[total % 11] and candidate.matched.isupper():
        return Verdict(1.0, checked=True)
    return Verdict(0.7) if _VIN_WORDS.search(candidate.before(32)) else None


ENGLISH: Final = (
    Identifier("us_ssn", Kind.US_SSN, _SSN, _judge_ssn, digits=9),
    Identifier("us_npi", Kind.US_NPI, _NPI, _judge_npi, digits=10, run=10),
    Identifier("us_mbi", Kind.US_MBI, _MBI, _judge_mbi, digits=5, has_letter=True),
    Identifier("us_dea", Kind.US_NPI, _DEA, _judge_dea, digits=7, run=7, has_letter=True),
    Identifier("vin", Kind.PLATE, _VIN, _judge_vin, digits=1, has_letter=True),
    *ABROAD,
)
"""And what is written alike in most countries."""
