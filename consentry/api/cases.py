"""Case grants for the most sensitive fields: asked for by one person, given by another, revoked by either."""

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from consentry.acts import Code, Name, Said, SubjectIdText
from consentry.api.approvals import RevocationRequest
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.stores.cases import Case, CaseState
from consentry.workflows import cases
from kernel.catalogue import Compartment
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = new_router("cases")

CasePath = Annotated[str, Path(pattern=r"^cas_[a-z2-7]{24}$", examples=["cas_aaaaaaaaaaaaaaaaaaaaaaaa"])]


class CaseRequest(BaseModel):
    """Whose most sensitive fields, for which purpose, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "purpose": "P02",
                    "fields": ["special_disease"],
                    "reason": "co-infection suspected",
                    "hours": 8,
                    "ticket": "INC-4711",
                }
            ]
        },
    )

    subject_id: SubjectIdText
    purpose: Code
    fields: Annotated[list[Code], Field(max_length=100)] = []
    compartment: Compartment | None = Field(default=None, description="All of its fields that a case can open.")
    reason: Said
    hours: Annotated[int, Field(ge=1, le=720, description="From the decision on; the pack says how many at most.")] = (
        cases.DEFAULT_HOURS
    )
    ticket: Name | None = Field(default=None, description="The occasion's number elsewhere; it stands in the log.")


class CaseDecision(BaseModel):
    """A yes or a no, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"verdict": "granted", "reason": "treating physician"}]},
    )

    verdict: Literal["granted", "refused"]
    reason: Said


class CaseTold(BaseModel):
    """A case as it stands now."""

    case_id: str
    state: CaseState
    subject_id: str
    purpose: str
    fields: list[str]
    role: str
    asked_by: str
    asked_at: str
    hours: int
    ticket: str | None
    decided_by: str | None
    expires_at: str | None


class Cases(BaseModel):
    """Cases, the newest first."""

    cases: list[CaseTold]


@router.post("/cases", status_code=201, responses=responses(401, 403, 404, 411, 415))
def ask(body: CaseRequest, platform: PlatformHere, caller: Caller) -> CaseTold:
    """Ask for a case grant; it opens nothing until somebody else gives it."""
    made = cases.request_case(
        platform,
        caller,
        subject=SubjectId(body.subject_id),
        purpose=body.purpose,
        fields=body.fields,
        compartment=body.compartment,
        reason=body.reason,
        hours=body.hours,
        ticket=body.ticket,
    )
    return told(made, CaseState.ASKED)


@router.get("/cases", responses=responses(401, 403))
def get_cases(
    platform: PlatformHere,
    caller: Caller,
    undecided: Annotated[bool, Query(description="Only those that nobody has decided.")] = False,  # noqa: FBT002 - a query parameter
) -> Cases:
    """List the newest hundred cases: all to who gives them, to others their own; reading leaves an entry."""
    return Cases(
        cases=[told(one, state) for one, state in cases.list_cases(platform, caller, undecided_only=undecided)]
    )


@router.post("/cases/{case_id}/decision", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def decide(case_id: CasePath, body: CaseDecision, platform: PlatformHere, caller: Caller) -> CaseTold:
    """Give or refuse a case that somebody else has asked for."""
    conclude = cases.grant_case if body.verdict == "granted" else cases.refuse_case
    return told(conclude(platform, caller, case_id, reason=body.reason), CaseState(body.verdict))


@router.post("/cases/{case_id}/revocation", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def revoke(case_id: CasePath, body: RevocationRequest, platform: PlatformHere, caller: Caller) -> CaseTold:
    """End a case early: by who gives cases, or by who has asked for it."""
    return told(cases.revoke_case(platform, caller, case_id, reason=body.reason), CaseState.REVOKED)


def told(case: Case, state: CaseState) -> CaseTold:
    """Return a case for the answer."""
    return CaseTold(
        case_id=case.case_id,
        state=state,
        subject_id=case.subject,
        purpose=case.purpose,
        fields=sorted(case.fields),
        role=case.role,
        asked_by=case.asked_by,
        asked_at=format_instant(case.asked_at),
        hours=case.hours,
        ticket=case.ticket,
        decided_by=case.decided_by,
        expires_at=None if case.expires_at is None else format_instant(case.expires_at),
    )
