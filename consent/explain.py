"""Why the gate decides as it does: every rule on the way of one field, with the decision and the notice behind it.

The walk is that of ``consent.rules``; the reason is taken from there, and the last step that does not hold names it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, select

from consent.notices import NoticeRef
from consent.reasons import Reason
from consent.rules import (
    Current,
    Question,
    Situation,
    Track,
    covering,
    covers_purpose,
    is_permissive,
    judge,
    may_decide,
    rests_on,
    strand,
    uncovered_fields,
    why_blocked,
)
from consent.tables import decision
from kernel.catalogue import Catalogue, ConsentKind, Label
from kernel.ids import DecisionId, SubjectId


class Rule(StrEnum):
    """The rules of the gate by name, in the order in which they are asked."""

    STANDING = "standing"
    FIELD_DECLARED = "field_declared"
    FIELD_OF_PURPOSE = "field_of_purpose"
    ASSESSMENT = "assessment"
    RECIPIENT_TERMS = "recipient_terms"
    RECIPIENT_SCOPE = "recipient_scope"
    REGISTERED = "registered"
    NOT_PERSONAL = "not_personal"
    RECIPIENT_NAMED = "recipient_named"
    DECIDED = "decided"
    OPEN = "open"
    BEGUN = "begun"
    NOT_OVER = "not_over"
    USES_LEFT = "uses_left"
    NOTICE_COVERS = "notice_covers"
    GUARDIAN = "guardian"
    FIELDS = "fields"
    NOTICE_COVERS_FIELD = "notice_covers_field"


WORDS: Final[Mapping[Rule, Label]] = {
    Rule.STANDING: Label("该个人的数据未被限制或删除", "the person's data are neither restricted nor erased"),
    Rule.FIELD_DECLARED: Label("目录声明了该字段", "the catalogue declares the field"),
    Rule.FIELD_OF_PURPOSE: Label("该目的可以使用该字段", "the purpose may use the field"),
    Rule.ASSESSMENT: Label("该目的无需影响评估，或评估已批准且有效", "no assessment is needed, or it is in force"),
    Rule.RECIPIENT_TERMS: Label("接收方已登记且条件有效", "the recipient is registered and its terms are in force"),
    Rule.RECIPIENT_SCOPE: Label("字段在接收方合同范围内", "the field is within the recipient's contract"),
    Rule.REGISTERED: Label("该个人已登记", "the person is registered"),
    Rule.NOT_PERSONAL: Label("该字段不是个人信息", "the field is not personal"),
    Rule.RECIPIENT_NAMED: Label("决定指明了接收方", "a decision names the recipient"),
    Rule.DECIDED: Label("有相应的决定或依据", "there is a decision or a basis"),
    Rule.OPEN: Label("该决定为同意或依据仍然成立", "the decision opens, and was not withdrawn or ended"),
    Rule.BEGUN: Label("有效期已经开始", "its validity has begun"),
    Rule.NOT_OVER: Label("有效期尚未结束", "its validity is not over"),
    Rule.USES_LEFT: Label("尚有可用次数", "a use is left"),
    Rule.NOTICE_COVERS: Label("当时的告知仍涵盖该目的与接收方", "the notice covers purpose and recipient"),
    Rule.GUARDIAN: Label("由有权决定的人作出", "it was made by somebody who may decide"),
    Rule.FIELDS: Label("该决定包含该字段", "the decision includes the field"),
    Rule.NOTICE_COVERS_FIELD: Label("当时的告知涵盖该字段", "the notice that was shown told of the field"),
}  # fmt: skip
"""What each rule asks, for people."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was asked.

    Attributes:
        holds: False where it is why the field, or this track of it, does not pass.
        track: whose decision was looked at; None before any.
        decision_id, notice: of that decision.
        cites: what else was looked at: assessment with version, the recipient or its rule, the decision's act; empty
            for nothing.
    """

    rule: Rule
    holds: bool
    track: Track | None = None
    decision_id: DecisionId | None = None
    notice: NoticeRef | None = None
    cites: str = ""


@dataclass(frozen=True, slots=True)
class FieldExplanation:
    """The reason for one field, None where it passes, and the steps to it."""

    reason: Reason | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The gate's answer for one subject with its way.

    Attributes:
        at: the instant by which it was decided.
        fields: by code.
    """

    subject: SubjectId
    purpose: str
    recipient: str | None
    at: datetime
    fields: Mapping[str, FieldExplanation]


def explain(
    connection: Connection, catalogue: Catalogue, question: Question, subject: SubjectId, situation: Situation | None
) -> Explanation:
    """Return the trace of each asked field.

    Args:
        connection: any transaction; the notices of the decisions are looked up in it.
        catalogue: the pack.
        question: see ``consent.rules``.
        subject: whose situation it is.
        situation: None for a subject that is not registered.
    """
    rows = [] if situation is None else situation.current
    childhood_until = None if situation is None else situation.childhood_until
    basis, consent = (strand(question, rows, track, childhood_until) for track in (Track.BASIS, Track.CONSENT))
    reasons = judge(catalogue, question, None if situation is None else situation.state, basis, consent)
    walk = _Walk(catalogue, question, situation, _notices(connection, rows))
    fields = {code: FieldExplanation(reason, tuple(walk.steps(code))) for code, reason in reasons.items()}
    return Explanation(subject, question.purpose.code, question.recipient, question.now, fields)


@dataclass(frozen=True, slots=True)
class _Walk:
    """The rules in order; a rule is asked only where all before it hold."""

    catalogue: Catalogue
    question: Question
    situation: Situation | None
    notices: Mapping[DecisionId, NoticeRef]

    def steps(self, code: str) -> Iterator[Step]:
        for step in self._before_decisions(code):
            yield step
            if not step.holds:
                return
        field = self.catalogue.fields[code]
        if field.consent is ConsentKind.NONE:
            yield Step(Rule.NOT_PERSONAL, holds=True)
        needed = rests_on(self.question.purpose, field)
        for track in (Track.CONSENT, Track.BASIS):
            if track in needed:
                yield from _until_one_fails(self._on_track(track, code))

    def _before_decisions(self, code: str) -> Iterator[Step]:
        terms, purpose = self.question.terms, self.question.purpose
        if self.situation is not None:
            state = "deceased" if self.situation.deceased else self.situation.state.value
            yield Step(Rule.STANDING, why_blocked(purpose, self.situation.state) is None, cites=state)
        yield Step(Rule.FIELD_DECLARED, code in self.catalogue.fields)
        yield Step(Rule.FIELD_OF_PURPOSE, purpose.code in self.catalogue.fields[code].purposes)
        yield Step(Rule.ASSESSMENT, terms.is_active, cites=terms.assessment or "")
        if self.question.recipient is not None:
            yield Step(Rule.RECIPIENT_TERMS, terms.recipient_reason is None, cites=terms.recipient_rule)
        if terms.recipient_fields is not None:
            yield Step(Rule.RECIPIENT_SCOPE, code in terms.recipient_fields, cites=self.question.recipient or "")
        yield Step(Rule.REGISTERED, self.situation is not None)

    def _on_track(self, track: Track, code: str) -> Iterator[Step]:
        purpose, own = self.question.purpose, [row for row in self._rows() if row.track is track]
        if purpose.per_recipient and self.question.recipient is None:
            yield Step(Rule.RECIPIENT_NAMED, holds=False, track=track)
        row = covering(self.question, own)
        if row is None:
            elsewhere = any(is_permissive(other.act) for other in own)
            yield Step(Rule.RECIPIENT_NAMED if elsewhere else Rule.DECIDED, holds=False, track=track)
            return
        for rule, holds in self._asked_of(row, code):
            cites = row.act.value if rule is Rule.OPEN else ""
            yield Step(rule, holds, track, row.decision_id, self.notices.get(row.decision_id), cites)

    def _rows(self) -> list[Current]:
        return [] if self.situation is None else self.situation.current

    def _asked_of(self, row: Current, code: str) -> Iterator[tuple[Rule, bool]]:
        question, now = self.question, self.question.now
        yield Rule.DECIDED, True
        yield Rule.OPEN, is_permissive(row.act)
        yield Rule.BEGUN, row.valid_from is None or now >= row.valid_from
        yield Rule.NOT_OVER, row.valid_until is None or now < row.valid_until
        if row.max_uses is not None and question.counting_uses:
            yield Rule.USES_LEFT, row.uses < row.max_uses
        if row.track is Track.CONSENT:
            yield Rule.NOTICE_COVERS, covers_purpose(question, row)
            yield Rule.GUARDIAN, may_decide(row, None if self.situation is None else self.situation.childhood_until)
        yield Rule.FIELDS, row.fields is None or code in row.fields
        if row.track is Track.CONSENT:
            yield Rule.NOTICE_COVERS_FIELD, code not in uncovered_fields(question.terms, row)


def _until_one_fails(steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if not step.holds:
            return


def _notices(connection: Connection, rows: Sequence[Current]) -> dict[DecisionId, NoticeRef]:
    made = decision.c
    statement = select(made.decision_id, made.notice_code, made.notice_version, made.notice_locale).where(
        made.decision_id.in_([row.decision_id for row in rows]), made.notice_code.is_not(None)
    )
    return {DecisionId(found): NoticeRef(*ref) for found, *ref in connection.execute(statement)}
