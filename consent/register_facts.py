"""What the register says apart from any person, as facts with instants, and the pure rules over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

WHOLE_NOTICE: Final = "*"
"""Stands in a change for every purpose of its notice."""


class Aspect(StrEnum):
    """What of a notice changed, as far as something follows from it.

    ``INFORM``: controller, contact, rights or what happens to the data at the end; people are told, and no grant ends
    by it (PIPL 17, 22).
    """

    PURPOSE = "purpose"
    FIELD = "field"
    RECIPIENT = "recipient"
    INFORM = "inform"


class RecipientRule(StrEnum):
    """The rule behind what the register says of a recipient; for explanations."""

    NONE = ""
    REGISTERED = "registered"
    NOT_REGISTERED = "not_registered"
    ENDED = "ended"
    TERM = "term"
    PURPOSE = "purpose"
    APPROVAL = "approval"
    MECHANISM = "mechanism"


@dataclass(frozen=True, slots=True)
class ChangeFact:
    """One row of ``notice_change``: grants under editions before this one do not cover the item."""

    code: str
    edition: int
    purpose: str
    aspect: Aspect
    item: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NoticeFact:
    """One published text: the recipients that it tells of, by purpose."""

    code: str
    edition: int
    recipients: Mapping[str, frozenset[str]]
    at: datetime


@dataclass(frozen=True, slots=True)
class AssessmentFact:
    """One version of an impact assessment."""

    assessment_id: str
    version: int
    is_approved: bool
    purposes: frozenset[str]
    approved_at: datetime
    expires_at: datetime
    recorded_at: datetime

    def stands_at(self, at: datetime) -> bool:
        """Say whether it is approved and in force (PIPL 55)."""
        return self.is_approved and self.approved_at <= at < self.expires_at


@dataclass(frozen=True, slots=True)
class RecipientFact:
    """One version of a recipient.

    Attributes:
        fields: the contract's scope; None for everything of its purposes.
        begins_at, ends_at: the contract's term, half open; no end: None.
        mechanism_until: the first instant without the document that a transfer abroad rests on; None without one.
        is_approved: whether a sub-processor or a hand-over to an authority is approved; true where none is needed.
    """

    code: str
    version: int
    kind: str
    is_overseas: bool
    purposes: frozenset[str]
    fields: frozenset[str] | None
    begins_at: datetime
    ends_at: datetime | None
    mechanism_until: datetime | None
    is_approved: bool
    engaged_by: str | None
    is_ended: bool
    recorded_at: datetime

    @property
    def instants(self) -> Iterator[datetime]:
        """The instants at which its answer can change."""
        found = (self.recorded_at, self.begins_at, self.ends_at, self.mechanism_until)
        return (instant for instant in found if instant is not None)

    def rule_at(self, purpose: str, at: datetime) -> RecipientRule:
        """Return the first rule that keeps the recipient from the purpose, or ``REGISTERED`` (R08, R10, R12, R38)."""
        abroad = self.is_overseas and (self.mechanism_until is None or at >= self.mechanism_until)
        broken = (
            (self.is_ended, RecipientRule.ENDED),
            (at < self.begins_at or (self.ends_at is not None and at >= self.ends_at), RecipientRule.TERM),
            (purpose not in self.purposes, RecipientRule.PURPOSE),
            (not self.is_approved, RecipientRule.APPROVAL),
            (abroad, RecipientRule.MECHANISM),
        )
        return next((rule for is_broken, rule in broken if is_broken), RecipientRule.REGISTERED)


def judge_recipient(
    known: Mapping[str, RecipientFact], code: str, purpose: str, at: datetime
) -> tuple[RecipientRule, frozenset[str] | None]:
    """Return the rule for one recipient, and the fields of its contract; None for all of the purpose.

    A sub-processor reaches no further than the processors that engage it, up to the first (PIPL 21).
    """
    scope: frozenset[str] | None = None
    asked: str | None = code
    seen: set[str] = set()
    while asked is not None:
        fact = known.get(asked)
        if fact is None or asked in seen:
            return RecipientRule.NOT_REGISTERED, frozenset()
        rule = fact.rule_at(purpose, at)
        if rule is not RecipientRule.REGISTERED:
            return rule, frozenset()
        if fact.fields is not None:
            scope = fact.fields if scope is None else scope & fact.fields
        seen.add(asked)
        asked = fact.engaged_by
    return RecipientRule.REGISTERED, scope
