"""The parts of FHIR Consent that are read and refused: faults, code systems, coded values, instants."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from consent.rules import DecisionAct
from consentry.interchange.fhir_consent import (
    CONSENT_DOCUMENT,
    INFORMATION_RECIPIENT,
    LOINC,
    PARTICIPATION,
    PRIVACY,
    SCOPE,
)
from consentry.interchange.releases import Release

Element: TypeAlias = Mapping[str, Any]


class Fault(StrEnum):
    """Why a consent cannot be taken over; the closed list stands in docs/reference/interchange.md."""

    NOT_A_CONSENT = "not_a_consent"
    UNREAD_ELEMENT = "unread_element"
    NESTED_PROVISION = "nested_provision"
    BASE_RULE = "base_rule"
    LABEL = "label"
    STATUS = "status"
    SCOPE = "scope"
    CATEGORY = "category"
    PERSON = "person"
    ACTOR = "actor"
    INSTANT = "instant"
    PERIOD = "period"
    NOTICE = "notice"
    NOTICE_HASH = "notice_hash"
    PROOF = "proof"
    RULE = "rule"
    PURPOSE = "purpose"
    FIELD = "field"
    RECIPIENT = "recipient"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Refused:
    """One reason against a resource: the rule, and the element that it is about; never a value."""

    fault: Fault
    element: str


def is_coded(concept: Element | None, known: frozenset[tuple[str, str]]) -> bool:
    """Say whether a concept has codings, and every one of them is among the known (system, code) pairs."""
    codings = (concept or {}).get("coding", ())
    return bool(codings) and all((one.get("system"), one.get("code")) in known for one in codings)


def own_code(concept: Element, system: str) -> str | None:
    """Return the code of a concept whose one coding is of this system, or None."""
    codings = concept.get("coding", ())
    is_ours = len(codings) == 1 and codings[0].get("system") == system
    return str(codings[0].get("code")) if is_ours else None


def covered(written: object, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Return what a FHIR date or dateTime covers, from its first instant to the first after it.

    A day is one of the pack's time zone, a second lasts a second (FHIR, Period). None for another form: a year or a
    month alone says too little about when somebody decided.
    """
    found = _MOMENT.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        return None
    try:
        begins = datetime.fromisoformat(str(written))
        if found["time"] is None:
            begins = begins.replace(tzinfo=zone)
            return begins, begins + timedelta(days=1)
        return begins, begins + timedelta(microseconds=10 ** (6 - len(found["fraction"] or "")))
    except (ValueError, OverflowError):
        return None


_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?P<time>T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.(?P<fraction>[0-9]{1,6}))?(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
)
NOTICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}/[A-Za-z0-9.-]{1,32}/[a-z]{2,3}(?:-[A-Z]{2})?")
PATIENT: Final = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})")
ELEMENT: Final = re.compile(r"[a-z][A-Za-z]{1,39}")
SCOPES: Final = frozenset({(SCOPE, PRIVACY)})
ROLES: Final = frozenset({(PARTICIPATION, INFORMATION_RECIPIENT)})
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CATEGORIES: Final = frozenset(
    {
        (LOINC, CONSENT_DOCUMENT),
        (LOINC, "57016-8"),
        (LOINC, "64292-6"),
        *((_ACT_CODE, c) for c in ("INFA", "IDSCL", "ICOL")),
    }
)
"""Categories of consent to the handling of data; an advance directive or a consent to treatment is none."""

REPRESENTATIVES: Final = frozenset({"guardian", "agent", "kin"})
DESCRIBES: Final = frozenset({"resourceType", "id", "meta", "text", "language", "identifier"})
READ: Final[Mapping[Release, frozenset[str]]] = {
    Release.R4: DESCRIBES
    | {"extension", "modifierExtension", "status", "scope", "category", "patient", "dateTime", "performer"}
    | {"organization", "sourceAttachment", "sourceReference", "policy", "verification", "provision"},
    Release.R5: DESCRIBES
    | {"extension", "modifierExtension", "status", "category", "subject", "date", "_date", "period", "grantor"}
    | {"grantee", "controller", "sourceAttachment", "sourceReference", "policyBasis", "verification"}
    | {"decision", "provision"},
}
PROVISION_FAULTS: Final = {"provision": Fault.NESTED_PROVISION, "securityLabel": Fault.LABEL}

_Acts: TypeAlias = Mapping[tuple[str, str], DecisionAct]
ACTS: Final[Mapping[Release, _Acts]] = {
    Release.R4: {
        ("active", "permit"): DecisionAct.GRANT,
        ("active", "deny"): DecisionAct.REFUSE,
        ("rejected", ""): DecisionAct.REFUSE,
        ("inactive", ""): DecisionAct.WITHDRAW,
    },
    Release.R5: {
        ("active", "permit"): DecisionAct.GRANT,
        ("active", "deny"): DecisionAct.REFUSE,
        ("inactive", ""): DecisionAct.WITHDRAW,
    },
}
"""What status and rule mean without our extension; an empty rule stands for any."""

AGREES: Final = {
    DecisionAct.GRANT: frozenset({"grant", "renew"}),
    DecisionAct.REFUSE: frozenset({"refuse"}),
    DecisionAct.WITHDRAW: frozenset({"withdraw", "expire"}),
}
