"""What holds for a purpose apart from the person: assessments, notices' differences, recipients.

A snapshot is read once for each revision of the register and answers in memory, for now and for any instant before.
"""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from consent.notice_content import told_recipients
from consent.reasons import Reason
from consent.register_facts import (
    WHOLE_NOTICE,
    Aspect,
    AssessmentFact,
    ChangeFact,
    NoticeFact,
    RecipientFact,
    RecipientRule,
    judge_recipient,
)
from consent.register_head import has_moved, lock_terms, move_head, read_head, release, suspend
from consent.tables import assessment, notice, notice_change, recipient
from kernel.catalogue import Purpose
from kernel.encoding import JsonValue
from kernel.errors import Unavailable

__all__ = ["PurposeTerms", "Terms", "lock_terms", "move_head", "read_terms", "release", "suspend"]

NEVER_CURRENT: Final = -1
"""Revision of a snapshot that holds what its own transaction changed and may still roll back."""


@dataclass(frozen=True, slots=True)
class PurposeTerms:
    """The terms of one purpose and recipient at one instant.

    Attributes:
        is_active: no assessment is needed, or the one that the pack names is approved and in force (PIPL 55).
        assessment: id and version of that assessment, such as ``PIA-2026-01/1``.
        material: for each notice code the first edition whose grants cover the purpose at all.
        since: for each notice code the fields that only later editions cover, with the first one.
        recipient_since: for each notice code the first edition that told of the asked recipient, where later.
        telling: for each notice code the editions that tell of the asked recipient for the purpose (PIPL 23).
        recipient_reason: why the asked recipient may get nothing, or None.
        recipient_rule: the name of the rule behind it.
        recipient_fields: the scope of the recipient's contract; None for all.
        is_overseas: whether the asked recipient is abroad, so that its transfers are counted.
    """

    is_active: bool
    assessment: str | None
    material: Mapping[str, int]
    since: Mapping[str, Mapping[str, int]]
    recipient_since: Mapping[str, int]
    recipient_reason: Reason | None
    recipient_rule: str
    recipient_fields: frozenset[str] | None
    is_overseas: bool = False
    telling: Mapping[str, frozenset[int]] = field(default_factory=dict)


class Terms:
    """A snapshot of the register; immutable but for what it remembers of its own answers.

    Attributes:
        revision: of the head; ``NEVER_CURRENT`` for what the reading transaction itself has changed.
        suspended: why the gate refuses everything, or None.
    """

    def __init__(
        self,
        revision: int,
        suspended: str | None = None,
        *,
        changes: Iterable[ChangeFact] = (),
        assessments: Iterable[AssessmentFact] = (),
        recipients: Iterable[RecipientFact] = (),
        notices: Iterable[NoticeFact] = (),
    ) -> None:
        self.revision = revision
        self.suspended = suspended
        self._changes = tuple(changes)
        self._assessments = tuple(assessments)
        self._recipients = tuple(recipients)
        self._notices = tuple(notices)
        self._codes = frozenset(fact.code for fact in self._recipients)
        published = {fact.at for fact in self._notices}
        self._turns = sorted({*_turns(self._changes, self._assessments, self._recipients), *published})
        self._answers: dict[tuple[str, str | None, int, bool], tuple[Purpose, PurposeTerms]] = {}

    def check_open(self) -> None:
        """Raise ``Unavailable`` while the gate is suspended."""
        if self.suspended is not None:
            raise Unavailable(
                f"The gate is suspended: {self.suspended}",
                hint="Have the compliance officer look at it and release it.",
            )

    def for_purpose(
        self, purpose: Purpose, recipient: str | None, at: datetime, *, by_then: bool = False
    ) -> PurposeTerms:
        """Return what holds at an instant; between two turns nothing changes, so that an answer is made once for each.

        Args:
            purpose: of the catalogue.
            recipient: None for nobody outside.
            at: the instant at which periods are looked at.
            by_then: look back: what was recorded or published after the instant does not count. For the present
                everything recorded counts, whatever instant its row holds.
        """
        asked = recipient if recipient is None or recipient in self._codes else ""
        key = (purpose.code, asked, bisect_right(self._turns, at), by_then)
        found = self._answers.get(key)
        if found is None or found[0] is not purpose:
            found = self._answers[key] = purpose, self._made(purpose, asked, at, at if by_then else None)
        return found[1]

    @property
    def informs(self) -> Mapping[str, int]:
        """For each notice code the newest edition that changed what people have to be told of (PIPL 17, 22)."""
        return _newest(fact for fact in self._changes if fact.aspect is Aspect.INFORM)

    def _made(self, purpose: Purpose, recipient: str | None, at: datetime, known_by: datetime | None) -> PurposeTerms:
        changes = [fact for fact in self._changes if _is_known(fact.at, known_by)]
        told = [fact for fact in changes if fact.purpose in (purpose.code, WHOLE_NOTICE)]
        material = _newest(fact for fact in told if fact.aspect is Aspect.PURPOSE)
        later = [fact for fact in told if fact.edition > material.get(fact.code, 0)]
        rule, scope, is_overseas = self._judge_recipient(purpose, recipient, at, known_by)
        is_active, standing = self._assessment(purpose, at, known_by)
        refused = rule not in (RecipientRule.NONE, RecipientRule.REGISTERED)
        return PurposeTerms(
            is_active=is_active,
            assessment=standing,
            material=material,
            since=_by_code(fact for fact in later if fact.aspect is Aspect.FIELD),
            recipient_since=_newest(f for f in later if f.aspect is Aspect.RECIPIENT and f.item == recipient),
            recipient_reason=Reason.RECIPIENT if refused else None,
            recipient_rule=rule,
            recipient_fields=scope,
            is_overseas=is_overseas,
            telling=self._telling(purpose, recipient, known_by),
        )

    def _telling(
        self, purpose: Purpose, recipient: str | None, known_by: datetime | None
    ) -> Mapping[str, frozenset[int]]:
        """Return the editions whose every translation tells of the recipient: a row does not say which was shown."""
        told: dict[str, set[int]] = {}
        silent: dict[str, set[int]] = {}
        for text in self._notices:
            if recipient is not None and _is_known(text.at, known_by):
                tells = recipient in text.recipients.get(purpose.code, ())
                (told if tells else silent).setdefault(text.code, set()).add(text.edition)
        return MappingProxyType(
            {code: frozenset(editions - silent.get(code, set())) for code, editions in told.items()}
        )

    def _assessment(self, purpose: Purpose, at: datetime, known_by: datetime | None) -> tuple[bool, str | None]:
        if not purpose.needs_assessment:
            return True, None
        named = [
            fact
            for fact in self._assessments
            if fact.assessment_id == purpose.assessment and _is_known(fact.recorded_at, known_by)
        ]
        newest = max(named, key=lambda fact: fact.version, default=None)
        if newest is None or purpose.code not in newest.purposes or not newest.stands_at(at):
            return False, None
        return True, f"{newest.assessment_id}/{newest.version}"

    def _judge_recipient(
        self, purpose: Purpose, recipient: str | None, at: datetime, known_by: datetime | None
    ) -> tuple[RecipientRule, frozenset[str] | None, bool]:
        if recipient is None:
            return RecipientRule.NONE, None, False
        known: dict[str, RecipientFact] = {}
        for fact in self._recipients:  # in the order of their versions
            if _is_known(fact.recorded_at, known_by):
                known[fact.code] = fact
        rule, scope = judge_recipient(known, recipient, purpose.code, at)
        return rule, scope, recipient in known and known[recipient].is_overseas


def read_terms(connection: Connection, known: Terms | None) -> Terms:
    """Return the register as it is now: ``known`` itself while no revision has passed.

    Args:
        connection: any transaction of the data store; hold ``lock_terms`` where the answer has to last.
        known: what was read before from the same store.
    """
    revision, suspended = read_head(connection)
    if has_moved(connection):
        revision = NEVER_CURRENT
    elif known is not None and known.revision == revision:
        return known
    return Terms(
        revision,
        suspended,
        changes=[_change(row) for row in connection.execute(select(notice_change)).all()],
        assessments=[_assessment(row) for row in connection.execute(_ASSESSMENTS).all()],
        recipients=[recipient_fact(row) for row in connection.execute(_RECIPIENTS).all()],
        notices=[_notice(row) for row in connection.execute(_NOTICES).all()],
    )


def recipient_fact(row: Row[*tuple[Any, ...]]) -> RecipientFact:
    """Return a row of ``recipient`` as a fact."""
    content = json.loads(row.content)
    return RecipientFact(
        code=row.code,
        version=row.version,
        kind=row.kind,
        is_overseas=content["overseas"],
        purposes=frozenset(content["purposes"]),
        fields=None if content["fields"] is None else frozenset(content["fields"]),
        begins_at=datetime.fromisoformat(content["begins_at"]),
        ends_at=_instant(content["ends_at"]),
        mechanism_until=_instant(content["mechanism"] and content["mechanism"]["ends_at"]),
        is_approved=content["approved_by"] is not None or not content["needs_approval"],
        engaged_by=content["engaged_by"],
        is_ended=row.ended,
        recorded_at=row.recorded_at,
    )


def _is_known(recorded_at: datetime, known_by: datetime | None) -> bool:
    return known_by is None or recorded_at <= known_by


def _turns(
    changes: Sequence[ChangeFact], assessments: Sequence[AssessmentFact], recipients: Sequence[RecipientFact]
) -> Collection[datetime]:
    """Return every instant at which an answer can change."""
    found = {fact.at for fact in changes}
    for assessed in assessments:
        found |= {assessed.recorded_at, assessed.approved_at, assessed.expires_at}
    for named in recipients:
        found.update(named.instants)
    return found


def _newest(facts: Iterable[ChangeFact]) -> Mapping[str, int]:
    editions: dict[str, int] = {}
    for fact in facts:
        editions[fact.code] = max(fact.edition, editions.get(fact.code, 0))
    return MappingProxyType(editions)


def _by_code(facts: Iterable[ChangeFact]) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for fact in facts:
        items = found.setdefault(fact.code, {})
        items[fact.item] = max(fact.edition, items.get(fact.item, 0))
    return MappingProxyType({code: MappingProxyType(items) for code, items in found.items()})


def _change(row: Row[*tuple[Any, ...]]) -> ChangeFact:
    return ChangeFact(row.code, row.edition, row.purpose, Aspect(row.aspect), row.item, row.published_at)


def _notice(row: Row[*tuple[Any, ...]]) -> NoticeFact:
    return NoticeFact(row.code, row.edition, told_recipients(row.content), row.published_at)


def _assessment(row: Row[*tuple[Any, ...]]) -> AssessmentFact:
    return AssessmentFact(
        row.assessment_id,
        row.version,
        row.outcome == "approved",
        frozenset(json.loads(row.purposes)),
        row.approved_at,
        row.expires_at,
        row.recorded_at,
    )


def _instant(text: JsonValue) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


_ASSESSMENTS: Final = select(
    assessment.c.assessment_id,
    assessment.c.version,
    assessment.c.outcome,
    assessment.c.purposes,
    assessment.c.approved_at,
    assessment.c.expires_at,
    assessment.c.recorded_at,
)
_NOTICES: Final = select(notice.c.code, notice.c.edition, notice.c.content, notice.c.published_at)
_RECIPIENTS: Final = select(recipient).order_by(recipient.c.code, recipient.c.version)
