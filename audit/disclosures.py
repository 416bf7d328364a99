"""Accounting of disclosures: which accesses a person is told of, under HIPAA and under PIPL.

Source: 45 CFR 164.528 (six years; what is left out); PIPL 44, 45 and 51: everything, with its basis.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from audit.accesses import Access, AccessKind
from kernel.catalogue import Label, LawfulBasis

HIPAA_YEARS: Final = 6
"""45 CFR 164.528(a)(1): the six years before the request."""

_LEAP_DAY: Final = (2, 29)


class Law(StrEnum):
    """Whose view of the log is asked for."""

    HIPAA = "hipaa"
    PIPL = "pipl"


class LeftOut(StrEnum):
    """Why a disclosure is not accounted for under HIPAA: 45 CFR 164.528(a)(1)."""

    TREATMENT = "treatment"
    PAYMENT = "payment"
    OPERATIONS = "operations"
    INDIVIDUAL = "individual"
    AUTHORISED = "authorised"
    LIMITED_DATA_SET = "limited_data_set"


LEFT_OUT: Final[Mapping[LeftOut, Label]] = {
    LeftOut.TREATMENT: Label("治疗", "treatment"),
    LeftOut.PAYMENT: Label("支付", "payment"),
    LeftOut.OPERATIONS: Label("医疗运营", "health care operations"),
    LeftOut.INDIVIDUAL: Label("提供给本人", "to the person"),
    LeftOut.AUTHORISED: Label("本人授权", "authorised by the person"),
    LeftOut.LIMITED_DATA_SET: Label("有限数据集", "a limited data set"),
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the log alone does not know.

    Attributes:
        care_purposes: purposes that are treatment, payment or operations, each with which.
        direct_fields: codes of fields that name a person by themselves.
        own: the aliases of the person.
        bases_of: the lawful bases that an access rests on; empty where they cannot be told.
    """

    care_purposes: Mapping[str, str]
    direct_fields: Collection[str]
    own: Collection[str]
    bases_of: Callable[[Access], Collection[str]]


@dataclass(frozen=True, slots=True)
class Accounting:
    """What a person is told of, in the log's order, and how much is left out by why."""

    law: Law
    accesses: Sequence[Access]
    left_out: Mapping[LeftOut, int]


def account(law: Law, accesses: Iterable[Access], circumstances: Circumstances) -> Accounting:
    """Return the accounting of one person's accesses.

    Under PIPL these are all, denied ones too. Under HIPAA they are the disclosures to somebody outside, without those
    that the rule leaves out; what rests on an unknown basis is told.
    """
    if law is Law.PIPL:
        return Accounting(law, list(accesses), {})
    told, left_out = [], Counter[LeftOut]()
    for access in accesses:
        if access.kind is not AccessKind.DISCLOSED or not access.allowed:
            continue
        why = find_exception(access, circumstances)
        if why is None:
            told.append(access)
        else:
            left_out[why] += 1
    return Accounting(law, told, dict(left_out))


def find_exception(access: Access, circumstances: Circumstances) -> LeftOut | None:
    """Return why a disclosure is left out of the accounting under HIPAA, or None where it is told."""
    if access.purpose is not None and access.purpose in circumstances.care_purposes:
        return LeftOut(circumstances.care_purposes[access.purpose])
    if access.recipient in circumstances.own or access.actor in circumstances.own:
        return LeftOut.INDIVIDUAL
    if set(circumstances.bases_of(access)) == {LawfulBasis.CONSENT.value}:
        return LeftOut.AUTHORISED
    if access.released and not set(access.fields) & set(circumstances.direct_fields):
        return LeftOut.LIMITED_DATA_SET
    return None


def hipaa_since(now: datetime) -> datetime:
    """Return the first instant that an accounting covers; a leap day counts as the day before."""
    if (now.month, now.day) == _LEAP_DAY:
        now = now.replace(day=now.day - 1)
    return now.replace(year=now.year - HIPAA_YEARS)
