"""One subject: opening its record, and its tags."""

from datetime import date
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Code, Name, Said
from consentry.api.dependencies import Caller, PlatformHere, SubjectPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import Tried, check_allowed
from consentry.workflows.read_tags import read_tags
from consentry.workflows.reveal import Opened, reveal
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = new_router("subjects")


ApprovalId = Annotated[str, Field(pattern=r"^apr_[a-z2-7]{24}$")]

CaseId = Annotated[str, Field(pattern=r"^cas_[a-z2-7]{24}$")]

_APPROVAL: Final = "Of `POST /v1/approvals`; a minor's record needs one by somebody else."


class RevealRequest(BaseModel):
    """Who opens says why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"purpose": "P02", "fields": ["sex", "birth_date"], "reason": "follow-up consultation 4711"}]
        },
    )

    purpose: Code
    fields: Annotated[list[Code], Field(min_length=1, max_length=100)]
    reason: Said
    approval: ApprovalId | None = Field(default=None, description=_APPROVAL)
    case: CaseId | None = Field(
        default=None, description="Of `POST /v1/cases`, for the most sensitive fields; found by itself when left out."
    )
    ticket: Name | None = Field(default=None, description="The occasion's number elsewhere; it stands in the log.")


class RevealedRecord(BaseModel):
    """One opened record."""

    record_id: str
    kind: str
    source: str
    observed_at: str
    values: dict[str, JsonValue] = Field(repr=False)


class Revealed(BaseModel):
    """What was opened, and the log entry that allowed it."""

    records: list[RevealedRecord]
    masked: list[str] = Field(description="Fields of which the records hold only what the masks leave.")
    entry_id: str
    log_index: int
    tree_size: int


class Tags(BaseModel):
    """A subject's tags; ``as_of`` is null for a subject that was in no run."""

    subject_id: str
    as_of: date | None
    tags: dict[str, JsonValue]


@router.post("/subjects/{subject_id}/reveal", responses=responses(401, 403, 411, 415, 429))
def reveal_subject(subject_id: SubjectPath, body: RevealRequest, platform: PlatformHere, caller: Caller) -> Revealed:
    """Open fields of one subject; needs a person's token, a purpose that the role has, and the gate's permit."""
    subject = SubjectId(subject_id)
    tried = Tried(body.purpose, body.fields)
    check_allowed(platform, caller, "vault.reveal", persons_only=True, subject=subject, tried=tried)
    found = reveal(
        platform,
        caller,
        subject=subject,
        purpose=body.purpose,
        fields=body.fields,
        reason=body.reason,
        approval=body.approval,
        case=body.case,
        ticket=body.ticket,
    )
    return revealed(found)


def revealed(found: Opened) -> Revealed:
    """Return what was opened, for the answer."""
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
    return Revealed(
        records=records,
        masked=sorted(found.masked),
        entry_id=found.entry_id,
        log_index=found.log_index,
        tree_size=found.tree_size,
    )


@router.get("/subjects/{subject_id}/tags", responses=responses(401, 403, 429))
def get_tags(
    subject_id: SubjectPath,
    platform: PlatformHere,
    caller: Caller,
    approval: Annotated[ApprovalId | None, Query(description=_APPROVAL)] = None,
) -> Tags:
    """Return the tags of the newest run, for a subject whose profiling decision is live now."""
    subject = SubjectId(subject_id)
    check_allowed(platform, caller, "tags.read", persons_only=True, subject=subject)
    found = read_tags(platform, caller, subject=subject, approval=approval)
    return Tags(subject_id=subject_id, as_of=found.as_of, tags=dict(found.values))
