"""The closed list of reasons for which the gate refuses."""

from enum import StrEnum


class Reason(StrEnum):
    """Why one field of one subject may not be used for one purpose."""

    NO_DECISION = "NO_DECISION"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    RECONSENT = "RECONSENT"
    SCOPE = "SCOPE"
    RECIPIENT = "RECIPIENT"
    GUARDIAN = "GUARDIAN"
    RESTRICTED = "RESTRICTED"
    ERASED = "ERASED"
    ASSESSMENT_MISSING = "ASSESSMENT_MISSING"
    PURPOSE_FIELD = "PURPOSE_FIELD"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
