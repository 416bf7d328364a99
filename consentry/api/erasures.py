"""Erasures: of a whole subject or a part of it, and what became of them."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Code, Said
from consentry.api.dependencies import Caller, PlatformHere, SubjectPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.erase import erase_subject
from consentry.workflows.erase_part import erase_part, part_scope
from consentry.workflows.show_erasure import erasure_json, find_erasures, show_erasure
from kernel.ids import SubjectId

router = new_router("erasures")

ErasurePath = Annotated[str, Path(pattern=r"^era_[a-z2-7]{24}$", examples=["era_aaaaaaaaaaaaaaaaaaaaaaaa"])]
_PAGE = 100


class ErasureRequest(BaseModel):
    """What is erased, all of the subject where no part is named, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"reason": "request 4711", "compartment": "behaviour"}]},
    )

    reason: Said
    compartment: Code | None = None
    purpose: Code | None = Field(default=None, description="Of collection.")
    fields: Annotated[list[Code], Field(max_length=100)] = []


class Erasure(BaseModel):
    """One erasure; ``final_at`` is when it is final at the latest, ``final`` whether the log says that it is."""

    erasure: str
    subject: str
    state: str
    scope: dict[str, JsonValue]
    why: str | None
    fields: list[str]
    started_at: str
    finished_at: str | None
    held_until: str | None
    final_at: str | None
    final: bool
    final_entry: str | None
    counts: dict[str, int]
    certificate: str | None


class Erasures(BaseModel):
    """Erasures by their ids; ``next`` asks for those after them."""

    erasures: list[Erasure]
    next: str | None


class ErasureMade(BaseModel):
    """What became of a request; ``erasure`` is null where nothing of it was stored."""

    erasure: Erasure | None
    held_until: str | None


@router.post("/subjects/{subject_id}/erasures", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def erase(subject_id: SubjectPath, body: ErasureRequest, platform: PlatformHere, caller: Caller) -> ErasureMade:
    """Erase a subject, a compartment of it, what was collected for a purpose, or fields."""
    subject = SubjectId(subject_id)
    check_allowed(platform, caller, "subject.erase", persons_only=True, subject=subject)
    scope = part_scope(
        platform.catalogue, compartment=body.compartment, purpose=body.purpose, fields=tuple(body.fields)
    )
    if scope is None:
        done = erase_subject(platform, caller, subject=subject, reason=body.reason).as_json()
    else:
        done = erase_part(platform, caller, subject=subject, scope=scope, reason=body.reason).as_json()
    held = done.get("restricted_until") or done.get("held_until")
    made = None if done["erasure"] is None else _erasure(platform, caller, str(done["erasure"]))
    return ErasureMade(erasure=made, held_until=None if held is None else str(held))


@router.get("/erasures/{erasure_id}", responses=responses(401, 403, 404))
def get_erasure(erasure_id: ErasurePath, platform: PlatformHere, caller: Caller) -> Erasure:
    """Return one erasure with its certificate."""
    check_allowed(platform, caller, "access.read", persons_only=True)
    return _erasure(platform, caller, erasure_id)


@router.get("/subjects/{subject_id}/erasures", responses=responses(401, 403))
def list_erasures(
    subject_id: SubjectPath,
    platform: PlatformHere,
    caller: Caller,
    after: Annotated[str, Query(pattern=r"^(era_[a-z2-7]{24})?$")] = "",
) -> Erasures:
    """Return the erasures of a subject."""
    subject = SubjectId(subject_id)
    check_allowed(platform, caller, "access.read", persons_only=True, subject=subject)
    found = find_erasures(platform, caller, subject=subject, after=after, limit=_PAGE)
    following = found[-1].erasure_id if len(found) == _PAGE else None
    return Erasures(erasures=[Erasure.model_validate(erasure_json(one)) for one in found], next=following)


def _erasure(platform: PlatformHere, caller: Caller, erasure_id: str) -> Erasure:
    return Erasure.model_validate(erasure_json(show_erasure(platform, caller, erasure_id)))
