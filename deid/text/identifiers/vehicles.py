"""Plates of vehicles and cards of soldiers and the police: what begins with a Chinese character."""

import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_LETTER: Final = "[A-HJ-NP-Za-hj-np-z]"
_SIGN: Final = "[A-HJ-NP-Za-hj-np-z0-9]"

_PLATE: Final = re.compile(
    rf"[{_PROVINCES}]{_LETTER}[-·.• ]{{0,2}}"
    rf"(?:[DFdf]{_SIGN}[0-9]{{4}}|[0-9]{{5}}[DFdf]|{_SIGN}{{4}}(?:{_SIGN}|[挂学警港澳领]))(?![0-9A-Za-z])"
)
"""GA 36-2018: province, letter, five signs; new energy six, D or F first (small cars) or last (large ones)."""

_EMBASSY_PLATE: Final = re.compile("使[0-9]{6}(?![0-9])|[0-9]{6}使")
_POLICE_PLATE: Final = re.compile(r"(?<![A-Za-z])WJ[-· ]?[\u4e00-\u9fff]?[0-9]{4,5}[0-9A-Z]?(?![0-9A-Za-z])")
"""Of the armed police."""

_CARD_OF_FORCES: Final = re.compile("[军参政后装海空北沈兰济南广成武警士文联战火陆]字第? ?[0-9]{6,9}号?(?![0-9])")
"""军官证 and its kin: 南字第01234567号."""

_CAR_WORDS: Final = re.compile("车|牌|plate|停|开")


def _judge_plate(candidate: Candidate) -> Verdict | None:
    """Two digits at least; without a word about cars, capital letters only, and no vitamin after a name of a place."""
    if sum(sign.isdigit() for sign in candidate.matched) < 2:  # noqa: PLR2004
        return None
    if _CAR_WORDS.search(candidate.before(12) + candidate.after(6)):
        return Verdict(0.9)
    return Verdict(0.7) if candidate.matched.upper() == candidate.matched else None


def _judge_special_plate(_: Candidate) -> Verdict | None:
    return Verdict(0.7)


def _judge_forces(_: Candidate) -> Verdict:
    return Verdict(0.8)


VEHICLES: Final = (
    Identifier("plate", Kind.PLATE, _PLATE, _judge_plate),
    Identifier("embassy_plate", Kind.PLATE, _EMBASSY_PLATE, _judge_special_plate, sign="使"),
    Identifier("police_plate", Kind.PLATE, _POLICE_PLATE, _judge_special_plate, sign="WJ"),
)

FORCES: Final = (Identifier("officer_card", Kind.OFFICER_ID, _CARD_OF_FORCES, _judge_forces, sign="字"),)
