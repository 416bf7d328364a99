"""Documents of people and organisations: identity numbers, permits, passports, certificates, credit codes."""

import re
from typing import Final

from deid.text.candidates import Candidate
from deid.text.checks import has_id_shape, is_credit_code, is_first_generation_id, is_resident_id
from deid.text.identifiers.base import Identifier, Verdict
from deid.text.kinds import Kind

_ID_PLAIN: Final = re.compile(r"[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx]")
"""No boundaries: region, date and check character leave one chance in a million that other digits pass."""

_ID_SPACED: Final = re.compile(r"(?<![0-9])[1-9](?:[-._ ]{0,2}[0-9]){16}[-._ ]{0,2}[0-9Xx](?![0-9])")

_ID_15: Final = re.compile(r"(?<![0-9])[1-9][0-9]{5}[- ]?[0-9]{6}[- ]?[0-9]{3}(?![0-9])")

_CREDIT_CODE: Final = re.compile(r"(?<![0-9A-Za-z])[159Yy][1-39][0-9]{6}[0-9A-HJ-NP-Ya-hj-np-y]{10}(?![0-9A-Za-z])")

_HOME_RETURN: Final = re.compile(r"(?<![0-9A-Za-z])[HMhm][0-9]{8}(?:[0-9]{2})?(?![0-9A-Za-z])")
"""Permits of residents of Hong Kong and Macao for the mainland: letter, eight digits, two more on older cards."""

_EXIT_PERMIT: Final = re.compile(r"(?<![0-9A-Za-z])[CWLTcwlt](?:[0-9]{8}|[A-HJ-NP-Za-hj-np-z][0-9]{7})(?![0-9A-Za-z])")
"""Permits of residents of the mainland for Hong Kong and Macao (C, W) and for Taiwan (L, T)."""

_TAIWAN_PERMIT: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]{8}(?:[0-9]{2}(?:\([A-Za-z]\)|[A-Za-z])?)?(?![0-9A-Za-z])")

_PASSPORT: Final = re.compile(r"(?<![0-9A-Za-z])(?:[EGeg][0-9]{8}|[Ee][A-HJ-NP-Za-hj-np-z][0-9]{7})(?![0-9A-Za-z])")
"""Ordinary passports of China: G or E and eight digits, from 2017 on E, a letter and seven digits."""

_OTHER_PASSPORT: Final = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{0,2}[0-9]{6,9}[A-Za-z]?(?![0-9A-Za-z])")

_ID_WORDS: Final = re.compile("身份证|证件|公民身份|sfz|id ?card")
_PERMIT_WORDS: Final = re.compile("通行证|回乡证|港澳|来往内地|往来|香港|澳门|证件")
_TAIWAN_WORDS: Final = re.compile("台胞证|台湾|来往大陆|通行证")
_PASSPORT_WORDS: Final = re.compile("护照|passport")
_THING_WORDS: Final = re.compile(
    "准字|批准|批号|批次|批文|注册|编号|型号|货号|订单|单号|规格|标准|产品|版本|icd|编码|代码|款|牌号"
)
_YEAR: Final = re.compile("(?:19|20)[0-9]{2}")


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


def _judge_credit_code(candidate: Candidate) -> Verdict | None:
    return Verdict(1.0, checked=True) if is_credit_code(candidate.matched.upper()) else None


def _judge_home_return(candidate: Candidate) -> Verdict | None:
    """Accept one by its words, and a capital H or M with digits that are no year, where no word speaks of a thing."""
    before = candidate.before(16)
    if _PERMIT_WORDS.search(before) and not candidate.is_labelled_as_thing:
        return Verdict(0.9)
    is_code = _THING_WORDS.search(before) or _YEAR.match(candidate.matched, 1) or candidate.matched[0].islower()
    return None if is_code else Verdict(0.55)


def _judge_exit_permit(candidate: Candidate) -> Verdict | None:
    return Verdict(0.8) if _PERMIT_WORDS.search(candidate.before(16)) else None


def _judge_taiwan_permit(candidate: Candidate) -> Verdict | None:
    return Verdict(0.8) if _TAIWAN_WORDS.search(candidate.before(12)) else None


def _judge_passport(candidate: Candidate) -> Verdict | None:
    before = candidate.before(16)
    if _PASSPORT_WORDS.search(before):
        return Verdict(0.9)
    is_code = _THING_WORDS.search(before) or candidate.matched[0].islower()
    return None if is_code else Verdict(0.6)


def _judge_other_passport(candidate: Candidate) -> Verdict | None:
    return Verdict(0.8) if _PASSPORT_WORDS.search(candidate.before(12)) else None


DOCUMENTS: Final = (
    Identifier("id_number", Kind.ID_NUMBER, _ID_PLAIN, _judge_id, digits=17, run=17),
    Identifier("id_number_spaced", Kind.ID_NUMBER, _ID_SPACED, _judge_id, digits=17),
    Identifier("id_number_15", Kind.ID_NUMBER, _ID_15, _judge_first_generation_id, digits=15, run=6),
    Identifier("credit_code", Kind.USCC, _CREDIT_CODE, _judge_credit_code, digits=7, run=7),
    Identifier(
        "home_return_permit", Kind.HK_MACAU_PERMIT, _HOME_RETURN, _judge_home_return, digits=8, run=8, has_letter=True
    ),
    Identifier("exit_permit", Kind.HK_MACAU_PERMIT, _EXIT_PERMIT, _judge_exit_permit, digits=7, run=7, has_letter=True),
    Identifier("taiwan_permit", Kind.TAIWAN_PERMIT, _TAIWAN_PERMIT, _judge_taiwan_permit, digits=8, run=8),
    Identifier("passport", Kind.PASSPORT, _PASSPORT, _judge_passport, digits=7, run=7, has_letter=True),
    Identifier("passport_by_word", Kind.PASSPORT, _OTHER_PASSPORT, _judge_other_passport, digits=6, run=6),
)
