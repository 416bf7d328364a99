"""One subject: opening its record, and its tags."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.api.dependencies import Caller, PlatformHere, check_caller, check_is_person
from consentry.workflows.read_tags import read_tags
from consentry.workflows.reveal import reveal
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = APIRouter(tags=["subjects"])

SubjectPath = Annotated[str, Path(pattern=r"^sub_[a-z2-7]{24}$")]


class RevealRequest(BaseModel):
    """Who opens says why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"purpose": "P02", "fields": ["diagnosis", "allergy"], "reason": "follow-up consultation 4711"}
            ]
        },
    )

    purpose: Annotated[str, Field(min_length=1, max_length=32)]
    fields: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class RevealedRecord(BaseModel):
    """One opened record."""

    record_id: str
    kind: str
    source: str
    observed_at: str
    values: dict[str, JsonValue]


class Revealed(BaseModel):
    """What was opened, and the log entry that allowed it."""

    records: list[RevealedRecord]
    entry_id: str
    log_index: int
    tree_size: int


class Tags(BaseModel):
    """A subject's tags, as of a day."""

    subject_id: str
    as_of: str | None
    tags: dict[str, JsonValue]


@router.post("/subjects/{subject_id}/reveal")
def reveal_subject(subject_id: SubjectPath, body: RevealRequest, platform: PlatformHere, caller: Caller) -> Revealed:
    """Open fields of one subject; needs a person's token, a purpose that the role has, and the gate's permit."""
    check_is_person(caller)
    found = reveal(
        platform, caller, subject=SubjectId(subject_id), purpose=body.purpose, fields=body.fields, reason=body.reason
    )
    records = [
        RevealedRecord(
            record_id=r.record_id,
            kind=r.kind,
            source=r.source,
            observed_at=format_instant(r.observed_at),
            values=dict(r.values),
        )
        for r in found.records
    ]
    return Revealed(records=records, entry_id=found.entry_id, log_index=found.log_index, tree_size=found.tree_size)


@router.get("/subjects/{subject_id}/tags")
def get_tags(subject_id: SubjectPath, platform: PlatformHere, caller: Caller) -> Tags:
    """Return the tags of the newest run, for a subject whose profiling decision is live now."""
    check_caller(platform, caller, "tags.read")
    check_is_person(caller)
    found = read_tags(platform, caller, subject=SubjectId(subject_id))
    as_of = None if found.as_of is None else found.as_of.isoformat()
    return Tags(subject_id=subject_id, as_of=as_of, tags=dict(found.values))
