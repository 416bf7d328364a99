"""Holds: an officer keeps a person's data from erasure and expiry, and lets it go again."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from consentry.acts import Code, Name, Said, SubjectIdText
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.holds import hold_json, list_holds, release_hold, set_hold
from kernel.catalogue import Compartment
from kernel.ids import SubjectId

router = new_router("holds")

HoldPath = Annotated[str, Path(pattern=r"^hld_[a-z2-7]{24}$", examples=["hld_aaaaaaaaaaaaaaaaaaaaaaaa"])]


class HoldRequest(BaseModel):
    """Whose data, how much of it, until when, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "reference": "case-2026-17",
                    "reason": "court order of 3 November",
                    "compartment": "clinical",
                }
            ]
        },
    )

    subject_id: SubjectIdText
    reference: Name = Field(description="The matter's number where it is kept; it stands in the log.")
    reason: Said
    compartment: Compartment | None = Field(default=None, description="Only this one; all when left out.")
    field: Code | None = Field(default=None, description="Only this one; not together with a compartment.")
    ends_at: AwareDatetime | None = Field(default=None, description="Until it is released when left out.")


class HoldRelease(BaseModel):
    """Why it is let go."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"reason": "settled"}]}
    )

    reason: Said


class HoldTold(BaseModel):
    """A hold as it stands now; why it was set is read with its entry."""

    hold: str
    subject: str
    compartment: str | None
    field: str | None
    reference: str
    is_live: bool
    set_by: str
    set_at: str
    ends_at: str | None
    released_by: str | None
    released_at: str | None
    entry: str


class HoldList(BaseModel):
    """Holds by their ids; `next` asks for those after them."""

    holds: list[HoldTold]
    next: str | None


@router.post("/holds", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def post_hold(body: HoldRequest, platform: PlatformHere, caller: Caller) -> HoldTold:
    """Keep a person's data, or a part of it, from erasure and expiry."""
    made = set_hold(
        platform,
        caller,
        subject=SubjectId(body.subject_id),
        reference=body.reference,
        reason=body.reason,
        compartment=body.compartment,
        field=body.field,
        ends_at=body.ends_at,
    )
    return HoldTold.model_validate(hold_json(made, platform.clock.now()))


@router.post("/holds/{hold_id}/release", responses=responses(401, 403, 404, 409, 411, 415))
def post_release(hold_id: HoldPath, body: HoldRelease, platform: PlatformHere, caller: Caller) -> HoldTold:
    """Let go of what was held; an erasure that waited for it goes on."""
    released = release_hold(platform, caller, hold_id, reason=body.reason)
    return HoldTold.model_validate(hold_json(released, platform.clock.now()))


@router.get("/holds", responses=responses(401, 403))
def get_holds(
    platform: PlatformHere,
    caller: Caller,
    subject_id: Annotated[SubjectIdText | None, Query(description="Only this person's.")] = None,
    after: Annotated[str, Query(max_length=40, description="The last id of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> HoldList:
    """List holds, also those that are over; the reading stays in the log."""
    subject = None if subject_id is None else SubjectId(subject_id)
    found = list_holds(platform, caller, subject=subject, after=after, limit=limit)
    told = [hold_json(one, platform.clock.now()) for one in found]
    return HoldList.model_validate({"holds": told, "next": found[-1].hold_id if len(found) == limit else None})
