"""Capture of consent acts, and their withdrawal."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Body, Path, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from consentry.acts import ConsentAct, Instant, act_content
from consentry.api.dependencies import Caller, IdempotencyKey, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.answered import Repeatable, answer_once
from consentry.workflows.capture import capture_act, withdraw_decision
from consentry.workflows.denials import check_allowed
from kernel.encoding import JsonValue

router = new_router("consents")

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

    at: Instant | None = Field(default=None, description="When the person withdrew; now, where it is not given.")


@router.post("/consents", status_code=201, responses=responses(401, 403, 404, 409, 411, 415, 429))
def record_act(
    act: Annotated[ConsentAct, Body(openapi_examples=EXAMPLES)],
    platform: PlatformHere,
    caller: Caller,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ActAnswer:
    """Record one act; 201 for a new one, 200 for one that was answered before.

    The act's own id already makes it repeatable; an `Idempotency-Key` names the request as well.
    """
    check_allowed(platform, caller, "consent.capture")
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
    decision_id: Annotated[str, Path(pattern=r"^dec_[a-z2-7]{24}$", examples=["dec_aaaaaaaaaaaaaaaaaaaaaaaa"])],
    platform: PlatformHere,
    caller: Caller,
    body: Withdrawal | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RecordedDecision:
    """Withdraw what the decision granted; effective when this call returns.

    Without an `Idempotency-Key` every call records a withdrawal of its own, so that it also ends what was granted anew.
    """
    check_allowed(platform, caller, "consent.capture")
    at = None if body is None else body.at

    def record() -> Mapping[str, JsonValue]:
        made = withdraw_decision(platform, caller, decision_id, at=at)
        return {"decision_id": made.decision_id, "purpose": made.purpose, "act": made.act.value}

    request = _named("withdraw", idempotency_key, f"{decision_id}\0{at}".encode())
    return RecordedDecision.model_validate(answer_once(platform, caller, request, record)[0])


def _named(route: str, key: str | None, content: bytes) -> Repeatable | None:
    return None if key is None else Repeatable(route, key, content)
