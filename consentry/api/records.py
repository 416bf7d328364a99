"""Ingestion of cleaned records over HTTP; the same gate and batch rules as for files."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, SecretStr

from consentry.api.dependencies import Caller, PlatformHere, check_caller
from consentry.workflows.ingest import IngestReport
from consentry.workflows.ingest_http import ingest_posted

router = APIRouter(tags=["records"])

Text = Annotated[str, Field(min_length=1, max_length=200)]


class PostedIdentity(BaseModel):
    """What identifies the person; used in memory, never stored from here."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    id_number: SecretStr | None = None
    birth_date: date | None = None
    sex: Literal["female", "male", "other", "unknown"] | None = None
    mobile: SecretStr | None = None


class PostedRecord(BaseModel):
    """One record: catalogue fields of one subject at one time."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    source_subject: Text
    kind: Text
    source_record: Text
    observed_at: AwareDatetime
    values: Annotated[dict[str, JsonValue], Field(min_length=1, max_length=200)]
    identity: PostedIdentity | None = None


class PostedBatch(BaseModel):
    """One batch: all of it becomes visible, or nothing."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "source": "his",
                    "records": [
                        {
                            "source_subject": "pat-000042",
                            "kind": "condition",
                            "source_record": "con-1",
                            "observed_at": "2026-11-20T09:30:00+08:00",
                            "values": {"diagnosis": ["icd10:I10"]},
                        }
                    ],
                }
            ]
        },
    )

    source: Text
    records: Annotated[list[PostedRecord], Field(min_length=1, max_length=1000)]


class BatchAnswer(BaseModel):
    """What became of the batch, field values counted by reason; no value is repeated."""

    batch_id: str
    repeated: bool
    stored_records: int
    stored_fields: int
    duplicates: int
    refused: dict[str, dict[str, int]]
    quarantined: list[dict[str, str | None]]


@router.post("/records", status_code=201)
def post_records(body: PostedBatch, platform: PlatformHere, caller: Caller) -> BatchAnswer:
    """Pass a batch through the gate and seal what is covered."""
    check_caller(platform, caller, "records.ingest")
    report = ingest_posted(platform, caller, body.source, [record.model_dump() for record in body.records])
    return BatchAnswer(
        batch_id=report.batch_id,
        repeated=report.repeated,
        stored_records=report.stored_records,
        stored_fields=report.stored_fields,
        duplicates=report.duplicates,
        refused=_by_field(report),
        quarantined=[{"locator": b.locator, "reason": b.reason, "field": b.field} for b in report.bad_rows],
    )


def _by_field(report: IngestReport) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (code, why), count in report.refused.items():
        found.setdefault(code, {})[why] = count
    return found
