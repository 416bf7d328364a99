"""Emergencies: breaking the glass, its review, and the release of an account that was frozen because of it."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Code, Name, Said, SubjectIdText
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.reviews import ReviewRequest
from consentry.api.routes import new_router
from consentry.api.subjects import Revealed, revealed
from consentry.workflows.break_glass import BREAK, break_glass
from consentry.workflows.denials import Tried, check_allowed
from consentry.workflows.freezing import release_account
from consentry.workflows.review_emergency import emergency_json, list_emergencies, review_emergency
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = new_router("emergencies")

EmergencyPath = Annotated[str, Path(pattern=r"^emg_[a-z2-7]{24}$", examples=["emg_aaaaaaaaaaaaaaaaaaaaaaaa"])]


class EmergencyRequest(BaseModel):
    """Whose record has to be opened at once, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "fields": ["name", "diagnosis", "allergy"],
                    "reason": "unconscious, brought in by ambulance",
                }
            ]
        },
    )

    subject_id: SubjectIdText
    fields: Annotated[list[Code], Field(min_length=1, max_length=100)]
    reason: Said
    purpose: Code | None = Field(default=None, description="The role's only emergency purpose when left out.")
    ticket: Name | None = Field(default=None, description="The occasion's number elsewhere; it stands in the log.")


class EmergencyOpened(Revealed):
    """What was opened, and until when somebody else has to review it."""

    emergency_id: str
    review_due_at: str


class Emergencies(BaseModel):
    """Emergency accesses, the newest first."""

    emergencies: list[dict[str, JsonValue]]


class EmergencyReviewed(BaseModel):
    """An emergency with the verdict that stands now."""

    emergency: dict[str, JsonValue]


class ReleaseRequest(BaseModel):
    """Whose account, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"account": "dr.lin", "reason": "reviewed, all justified"}]},
    )

    account: Annotated[str, Field(min_length=1, max_length=80)]
    reason: Said


class AccountReleased(BaseModel):
    """Of which emergencies the account is free."""

    account: str
    emergencies: list[str]


@router.post("/emergencies", status_code=201, responses=responses(401, 403, 404, 411, 415))
def open_in_emergency(body: EmergencyRequest, platform: PlatformHere, caller: Caller) -> EmergencyOpened:
    """Open fields at once, without case or approval; officers are told, and an unreviewed one freezes the account."""
    subject = SubjectId(body.subject_id)
    tried = Tried(body.purpose or "", body.fields) if body.purpose else None
    check_allowed(platform, caller, BREAK, persons_only=True, subject=subject, tried=tried)
    made, opened = break_glass(
        platform,
        caller,
        subject=subject,
        fields=body.fields,
        reason=body.reason,
        purpose=body.purpose,
        ticket=body.ticket,
    )
    due_at = format_instant(made.due_at)
    answer = revealed(opened).model_dump() | {"emergency_id": made.emergency_id, "review_due_at": due_at}
    return EmergencyOpened.model_validate(answer)


@router.get("/emergencies", responses=responses(401, 403))
def get_emergencies(
    platform: PlatformHere,
    caller: Caller,
    unreviewed: Annotated[bool, Query(description="Only those that nobody has reviewed.")] = False,  # noqa: FBT002 - a query parameter
) -> Emergencies:
    """List the newest hundred emergency accesses; reading leaves an entry."""
    found = list_emergencies(platform, caller, unreviewed_only=unreviewed)
    return Emergencies.model_validate({"emergencies": [emergency_json(platform, one) for one in found]})


@router.post("/emergencies/releases", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def release(body: ReleaseRequest, platform: PlatformHere, caller: Caller) -> AccountReleased:
    """Let an account act again that an emergency has frozen; every one of them must have been reviewed."""
    found = release_account(platform, caller, body.account, reason=body.reason)
    return AccountReleased(account=body.account, emergencies=[one.emergency_id for one in found])


@router.post("/emergencies/{emergency_id}/review", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def review(
    emergency_id: EmergencyPath, body: ReviewRequest, platform: PlatformHere, caller: Caller
) -> EmergencyReviewed:
    """Record a verdict on an emergency access; nobody reviews an own one."""
    done = review_emergency(platform, caller, emergency_id, verdict=body.verdict.value, note=body.note)
    return EmergencyReviewed.model_validate({"emergency": emergency_json(platform, done)})
