"""What holds for a purpose apart from the person: assessments, notices' differences, recipients."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent.reasons import Reason


@dataclass(frozen=True, slots=True)
class PurposeTerms:
    """The terms of one purpose and recipient at one instant.

    Attributes:
        is_active: no assessment is needed, or the one that the pack names is approved and in force (PIPL 55).
        assessment: id and version of that assessment.
        material: for each notice code the first edition whose grants cover the purpose at all.
        since: for each notice code the fields that only later editions cover, with the first one.
        recipient_since: for each notice code the first edition that told of the asked recipient, where later.
        recipient_reason: why the asked recipient may get nothing, or None.
        recipient_rule: the name of the rule behind it.
        recipient_fields: the scope of the recipient's contract; None for all.
    """

    is_active: bool
    assessment: str | None
    material: Mapping[str, int]
    since: Mapping[str, Mapping[str, int]]
    recipient_since: Mapping[str, int]
    recipient_reason: Reason | None
    recipient_rule: str
    recipient_fields: frozenset[str] | None
