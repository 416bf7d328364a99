"""Approvals to read a minor's record."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from consentry.acts import Code, Said, SubjectIdText
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.approvals import DEFAULT_HOURS, MAX_HOURS, approve_read, revoke_approval
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = new_router("approvals")

ApprovalPath = Annotated[str, Path(pattern=r"^apr_[a-z2-7]{24}$", examples=["apr_aaaaaaaaaaaaaaaaaaaaaaaa"])]


class ApprovalRequest(BaseModel):
    """Whose record people of a role may read, for which purpose, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "purpose": "P02",
                    "role": "clinician",
                    "reason": "consultation 4711",
                    "hours": 4,
                }
            ]
        },
    )

    subject_id: SubjectIdText
    purpose: Code
    role: Code
    reason: Said
    hours: Annotated[int, Field(ge=1, le=MAX_HOURS)] = DEFAULT_HOURS


class ApprovalGiven(BaseModel):
    """The id to read under, by somebody else."""

    approval_id: str
    expires_at: str


class RevocationRequest(BaseModel):
    """Why."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"reason": "the visit is over"}]}
    )

    reason: Said


class ApprovalRevoked(BaseModel):
    """An approval that nobody reads under any more."""

    approval_id: str
    revoked_at: str


@router.post("/approvals", status_code=201, responses=responses(401, 403, 404, 411, 415))
def approve(body: ApprovalRequest, platform: PlatformHere, caller: Caller) -> ApprovalGiven:
    """Approve that staff read an under-18's record; whoever approves does not read under it."""
    made = approve_read(
        platform,
        caller,
        subject=SubjectId(body.subject_id),
        purpose=body.purpose,
        role=body.role,
        reason=body.reason,
        hours=body.hours,
    )
    return ApprovalGiven(approval_id=made.approval_id, expires_at=format_instant(made.expires_at))


@router.post("/approvals/{approval_id}/revocation", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def revoke(
    approval_id: ApprovalPath, body: RevocationRequest, platform: PlatformHere, caller: Caller
) -> ApprovalRevoked:
    """End an approval before its hours are over."""
    ended = revoke_approval(platform, caller, approval_id, reason=body.reason)
    return ApprovalRevoked(approval_id=approval_id, revoked_at=format_instant(ended.revoked_at or ended.expires_at))
