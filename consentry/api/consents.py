"""Capture of consent acts, their renewal and withdrawal, and receipts."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Annotated, Final

from fastapi import Body, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, model_validator

from consent.notices import NoticeRef
from consent.registry import Decision, DecisionAct
from consentry.acts import (
    ConsentAct,
    Evidence,
    Instant,
    NoticeReference,
    OffsetInstant,
    act_content,
    check_same_locale,
)
from consentry.api.dependencies import Caller, DecisionPath, IdempotencyKey, PlatformHere, PrivacySignal
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.answered import Repeatable, answer_once
from consentry.workflows.capture import capture_act, withdraw_decision
from consentry.workflows.denials import check_allowed
from consentry.workflows.interchange import issue_receipt
from consentry.workflows.own_acts import own_act
from consentry.workflows.renew import Renewal, renew_decision
from consentry.workflows.representation import find_own_decision
from consentry.workflows.signals import check_signal
from kernel.encoding import JsonValue

router = new_router("consents", for_pages=True)

EXAMPLES: Final[dict[str, Example]] = {
    "contract": {
        "summary": "A person opens an account",
        "value": {
            "act_id": "app-2026-000016",
            "act": "contract",
            "subject": {
                "source": "app",
                "id": "u-000042",
                "id_number": "11010519491231002X",
                "birth_date": "1949-12-31",
                "sex": "female",
            },
            "purposes": ["P01", "P02"],
            "actor": {"kind": "operator"},
            "evidence": {"mechanism": "contract_concluded", "channel": "app"},
            "at": "2026-11-21T09:58:00+08:00",
        },
    },
    "grant": {
        "summary": "The same person consents to profiling",
        "value": {
            "act_id": "app-2026-000017",
            "act": "grant",
            "subject": {"source": "app", "id": "u-000042"},
            "purposes": ["P07"],
            "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
            "actor": {"kind": "self"},
            "evidence": {"mechanism": "tapped_button", "shown": "full_text", "channel": "app"},
            "at": "2026-11-21T10:00:00+08:00",
        },
    },
}


class RecordedDecision(BaseModel):
    """One decision as it was recorded."""

    decision_id: str
    purpose: str
    act: str


class ActAnswer(BaseModel):
    """What an act led to; the same act sent again gets the same answer."""

    act_id: str
    subject_id: str
    decisions: list[RecordedDecision]
    repeated: bool = Field(description="True when this act had been answered before.")


class Withdrawal(BaseModel):
    """A withdrawal needs no reason."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"at": "2026-11-21T10:00:00+08:00"}]})

    at: OffsetInstant | None = Field(default=None, description="When the person withdrew; now, where it is not given.")


class RenewalRequest(BaseModel):
    """The notice that was shown again, and how the person answered."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "notice": {"code": "profiling", "version": "2026-11", "locale": "zh-CN"},
                    "evidence": {"mechanism": "tapped_button", "shown": "full_text", "channel": "app"},
                    "at": "2026-11-21T10:00:00+08:00",
                }
            ]
        },
    )

    notice: NoticeReference
    evidence: Evidence
    at: OffsetInstant | None = Field(default=None, description="When the person renewed; now, where it is not given.")
    valid_until: Instant | None = None
    max_uses: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _was_shown(self) -> "RenewalRequest":
        check_same_locale(self.notice, self.evidence)
        return self


class Receipt(BaseModel):
    """A signed receipt: a JWS over a consent receipt of ISO/IEC TS 27560."""

    decision_id: str
    receipt_id: str
    receipt: str = Field(description="Compact serialisation; the issuer's public key verifies it.")


@router.post("/consents", status_code=201, responses=responses(401, 403, 404, 409, 411, 415, 429))
def record_act(
    act: Annotated[ConsentAct, Body(openapi_examples=EXAMPLES)],
    platform: PlatformHere,
    caller: Caller,
    response: Response,
    *,
    idempotency_key: IdempotencyKey = None,
    sec_gpc: PrivacySignal = None,
) -> ActAnswer:
    """Record one act; 201 for a new one, 200 for one that was answered before.

    The act's own id already makes it repeatable; an `Idempotency-Key` names the request as well. With a subject token
    the act is the person's own: who acted is taken from the token.
    """
    check_allowed(platform, caller, "consent.capture", for_subjects=True)
    act = own_act(platform, caller, act)
    check_signal(platform, act.act, act.purposes, act.evidence, has_signal=sec_gpc == "1")
    content = f"{act.act_id}\0".encode() + act_content(act)

    def record() -> Mapping[str, JsonValue]:
        said = capture_act(platform, caller, act)
        decisions = [{"decision_id": i, "purpose": p, "act": a} for i, p, a in said.decisions]
        return {"subject_id": said.subject, "decisions": decisions, "repeated": said.repeated}

    answer, was_given = answer_once(platform, caller, _named("consents", idempotency_key, content), record)
    found = ActAnswer.model_validate({"act_id": act.act_id, **answer})
    if was_given or found.repeated:
        response.status_code = 200
    return found.model_copy(update={"repeated": was_given or found.repeated})


@router.post("/consents/{decision_id}/withdraw", responses=responses(401, 403, 404, 409, 411, 415, 429))
def withdraw(
    decision_id: DecisionPath,
    platform: PlatformHere,
    caller: Caller,
    body: Withdrawal | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RecordedDecision:
    """Withdraw what the decision granted; effective when this call returns.

    Without an `Idempotency-Key` every call records a withdrawal of its own, so that it also ends what was granted anew.
    """
    check_allowed(platform, caller, "consent.capture", for_subjects=True)
    at = None if body is None else body.at
    instant = None if at is None else at.astimezone(UTC)
    request = _named("withdraw", idempotency_key, f"{decision_id}\0{instant}".encode())
    return _answered(platform, caller, request, lambda: withdraw_decision(platform, caller, decision_id, at=at))


@router.post("/consents/{decision_id}/renew", responses=responses(401, 403, 404, 409, 411, 415, 429))
def renew(
    decision_id: DecisionPath,
    body: RenewalRequest,
    platform: PlatformHere,
    caller: Caller,
    *,
    idempotency_key: IdempotencyKey = None,
    sec_gpc: PrivacySignal = None,
) -> RecordedDecision:
    """Renew what the decision granted, under the notice of today, for the person itself or a token's representative.

    A capture key names a guardian or agent by `POST /v1/consents` with the act `renew`.
    """
    check_allowed(platform, caller, "consent.capture", for_subjects=True)
    granted, _ = find_own_decision(platform, caller, decision_id)
    check_signal(platform, DecisionAct.RENEW, [granted.purpose], body.evidence, has_signal=sec_gpc == "1")
    shown = NoticeRef(body.notice.code, body.notice.version, body.notice.locale)
    renewal = Renewal(shown, body.evidence, body.at, body.valid_until, body.max_uses)
    instant = None if body.at is None else body.at.astimezone(UTC)
    said = f"{decision_id}\0{instant}\0{body.model_dump_json(exclude={'at'})}"
    request = _named("renew", idempotency_key, said.encode())
    return _answered(platform, caller, request, lambda: renew_decision(platform, caller, decision_id, renewal))


@router.get("/consents/{decision_id}/receipt", responses=responses(401, 403, 404, 429))
def get_receipt(decision_id: DecisionPath, platform: PlatformHere, caller: Caller) -> Receipt:
    """Return a signed receipt of a decision, to be kept by the person; its issue leaves an entry."""
    check_allowed(platform, caller, "consent.read", for_subjects=True)
    made, _ = find_own_decision(platform, caller, decision_id)
    issued = issue_receipt(platform, caller, made.decision_id)
    return Receipt(decision_id=issued.decision_id, receipt_id=issued.receipt_id, receipt=issued.token)


def _answered(
    platform: Platform, caller: Principal, request: Repeatable | None, act: Callable[[], Decision]
) -> RecordedDecision:
    def record() -> Mapping[str, JsonValue]:
        made = act()
        return {"decision_id": made.decision_id, "purpose": made.purpose, "act": made.act.value}

    return RecordedDecision.model_validate(answer_once(platform, caller, request, record)[0])


def _named(route: str, key: str | None, content: bytes) -> Repeatable | None:
    return None if key is None else Repeatable(route, key, content)
