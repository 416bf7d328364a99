"""Versions of one subject's record: the history of a field, the values that count, corrections and conflicts."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Code, Said
from consentry.api.dependencies import Caller, PlatformHere, SubjectPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.api.subjects import RevealRequest
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.readings import Reading
from consentry.workflows.admit import begin_reading
from consentry.workflows.correct_record import Wrong, correct_record
from consentry.workflows.denials import Tried, check_allowed
from consentry.workflows.list_conflicts import conflict_json, list_conflicts
from consentry.workflows.read_versions import current_json, open_history, open_profile, version_json
from kernel.clock import format_instant
from kernel.ids import RecordId, SubjectId

router = new_router("corrections")

RecordIdText = Annotated[str, Field(pattern=r"^rec_[a-z2-7]{24}$")]
SubjectIdText = Annotated[str, Query(pattern=r"^sub_[a-z2-7]{24}$", description="Only this subject's.")]
AfterText = Annotated[str, Query(pattern=r"^(sub_[a-z2-7]{24})?$", description="Of the page before: `after`.")]


class Correction(BaseModel):
    """What a version that corrects another says of itself."""

    at: str
    reason: str | None = Field(repr=False, description="Hidden where the value is masked.")


class Version(BaseModel):
    """One version of one field."""

    field: str
    value: JsonValue = Field(repr=False)
    stands: bool = Field(description="Whether it is the version of its source record that counts.")
    record: str
    source_record: str = Field(description="What the versions of one source record have in common.")
    kind: str
    source: str
    observed_at: str
    stored_at: str | None = Field(description="Since when it is visible.")
    stored_by: str
    batch: str
    permit: str
    correction: Correction | None


class History(BaseModel):
    """Every kept version of some fields, and the log entry that allowed it."""

    versions: list[Version]
    masked: list[str]
    entry_id: str
    log_index: int
    tree_size: int


class CurrentField(BaseModel):
    """The value of a profile field that counts."""

    field: str
    value: JsonValue = Field(repr=False)
    record: str
    source: str
    observed_at: str
    trust_rank: int = Field(description="How far the pack trusts the source for this field; 0 is most.")
    corrected: bool


class Profile(BaseModel):
    """The values that count, and the log entry that allowed it."""

    fields: list[CurrentField]
    masked: list[str]
    entry_id: str
    log_index: int
    tree_size: int


class CorrectionRequest(BaseModel):
    """What is wrong in one record, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "record": "rec_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "values": {"birth_date": "1980-05-21"},
                    "reason": "ID card seen at the desk, request 4711",
                }
            ]
        },
    )

    record: RecordIdText
    values: Annotated[dict[Code, JsonValue], Field(min_length=1, max_length=50, repr=False)]
    reason: Said


class Corrected(BaseModel):
    """Where the correction lies: the id of each new version by field."""

    records: dict[str, str]
    batch: str
    entry_id: str
    corrected_at: str


class Conflict(BaseModel):
    """A field on which somebody has to decide; no value."""

    subject: str
    field: str
    why: str = Field(description="`sources`: equally trusted ones disagree; `correction_overtaken`: see the history.")
    sources: list[str]
    records: list[str]


class ConflictPage(BaseModel):
    """One page; `after` is null on the last."""

    conflicts: list[Conflict]
    compared: int
    after: str | None


@router.post("/subjects/{subject_id}/history", responses=responses(401, 403, 411, 415, 429))
def read_history(subject_id: SubjectPath, body: RevealRequest, platform: PlatformHere, caller: Caller) -> History:
    """Open every kept version of some fields: who said what, when, and why it was corrected; as a reveal."""
    found = open_history(platform, _begun(platform, caller, subject_id, body), approval=body.approval, case=body.case)
    versions = [Version.model_validate(version_json(one)) for one in found.versions]
    where = found.where
    return History(
        versions=versions, masked=sorted(where.masked), entry_id=where.entry_id,
        log_index=where.log_index, tree_size=where.tree_size,
    )  # fmt: skip


@router.post("/subjects/{subject_id}/profile", responses=responses(401, 403, 411, 415, 429))
def read_profile(subject_id: SubjectPath, body: RevealRequest, platform: PlatformHere, caller: Caller) -> Profile:
    """Open the one value of each profile field that counts, with its source; as a reveal."""
    found = open_profile(platform, _begun(platform, caller, subject_id, body), approval=body.approval, case=body.case)
    fields = [CurrentField.model_validate(current_json(one)) for one in found.values.values()]
    where = found.where
    return Profile(
        fields=fields, masked=sorted(where.masked), entry_id=where.entry_id,
        log_index=where.log_index, tree_size=where.tree_size,
    )  # fmt: skip


@router.post(
    "/subjects/{subject_id}/corrections", status_code=201, responses=responses(401, 403, 404, 409, 411, 415, 429)
)
def post_correction(
    subject_id: SubjectPath, body: CorrectionRequest, platform: PlatformHere, caller: Caller
) -> Corrected:
    """Give values of one record a newer, right version; the old one stays in its history."""
    wrong = Wrong(SubjectId(subject_id), RecordId(body.record), body.values, body.reason)
    made = correct_record(platform, caller, wrong)
    return Corrected(
        records=dict(made.records), batch=made.batch_id, entry_id=made.entry_id, corrected_at=format_instant(made.at)
    )


@router.get("/records/conflicts", responses=responses(401, 403, 404, 429))
def get_conflicts(
    platform: PlatformHere,
    caller: Caller,
    subject_id: SubjectIdText | None = None,
    after: AfterText = "",
) -> ConflictPage:
    """List fields on which sources of one rank disagree, and corrections that a source has overtaken; no value."""
    asked = None if subject_id is None else SubjectId(subject_id)
    page = list_conflicts(platform, caller, subject=asked, after=after)
    found = [Conflict.model_validate(conflict_json(one)) for one in page.found]
    return ConflictPage(conflicts=found, compared=page.compared, after=page.after)


def _begun(platform: Platform, caller: Principal, subject_id: str, body: RevealRequest) -> Reading:
    subject = SubjectId(subject_id)
    tried = Tried(body.purpose, body.fields)
    check_allowed(platform, caller, "vault.reveal", persons_only=True, subject=subject, tried=tried)
    return begin_reading(
        platform, caller, subject=subject, purpose=body.purpose, fields=body.fields, reason=body.reason,
        ticket=body.ticket,
    )  # fmt: skip
