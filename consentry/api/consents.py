"""Capture of consent acts."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from consentry.acts import ConsentAct
from consentry.api.dependencies import Caller, PlatformHere, check_caller
from consentry.workflows.capture import capture_act, withdraw_decision

router = APIRouter(tags=["consents"])

EXAMPLE = {
    "act_id": "app-2026-000017",
    "act": "grant",
    "subject": {"source": "app", "id": "u-000042"},
    "purposes": ["P07"],
    "notice": {"code": "profiling", "version": "1", "locale": "zh-CN"},
    "actor": {"kind": "self"},
    "evidence": {"mechanism": "tapped_button", "shown": "full_text", "channel": "app"},
    "at": "2026-11-21T10:00:00+08:00",
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

    at: AwareDatetime | None = None


@router.post(
    "/consents", status_code=201, openapi_extra={"requestBody": {"content": {"application/json": {"example": EXAMPLE}}}}
)
def record_act(
    act: ConsentAct,
    platform: PlatformHere,
    caller: Caller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> ActAnswer:
    """Record one act; 201 for a new one, 200 for one that was answered before."""
    check_caller(platform, caller, "consent.capture")
    if idempotency_key is not None:
        act = act.model_copy(update={"act_id": idempotency_key})
    answer = capture_act(platform, caller, act)
    if answer.repeated:
        response.status_code = 200
    return ActAnswer(
        act_id=answer.act_id,
        subject_id=answer.subject,
        decisions=[RecordedDecision(decision_id=i, purpose=p, act=a) for i, p, a in answer.decisions],
        repeated=answer.repeated,
    )


@router.post("/consents/{decision_id}/withdraw")
def withdraw(
    decision_id: Annotated[str, Path(pattern=r"^[a-z]{2,8}_[a-z2-7]{24}$")],
    platform: PlatformHere,
    caller: Caller,
    body: Withdrawal | None = None,
) -> RecordedDecision:
    """Withdraw the decision; effective when this call returns."""
    check_caller(platform, caller, "consent.capture")
    made = withdraw_decision(platform, caller, decision_id, at=None if body is None else body.at)
    return RecordedDecision(decision_id=made.decision_id, purpose=made.purpose, act=made.act)
