"""Ingestion of records over HTTP; the same cleaning, gate and batch rules as for files."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from consentry.acts import Name, Text
from consentry.api.dependencies import Caller, IdempotencyKey, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.ingest_http import ingest_posted

router = new_router("records")

_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True)


class PostedIdentity(BaseModel):
    """What identifies the person; used in memory, never stored from here."""

    model_config = _STRICT

    id_number: SecretStr | None = None
    birth_date: SecretStr | None = None
    sex: SecretStr | None = None
    mobile: SecretStr | None = None


class PostedRecord(BaseModel):
    """One record: catalogue fields of one subject at one time.

    What is wrong in a record puts that record into quarantine; only a body of another shape is refused as a whole.
    """

    model_config = _STRICT

    source_subject: Annotated[Text, Field(repr=False, description="The source's own id of the person.")]
    kind: Annotated[Text, Field(description="Kind of record, such as `condition`, `observation` or `event`.")]
    source_record: Annotated[Text, Field(repr=False, description="The source's own id of the record.")]
    observed_at: Annotated[Text, Field(description="RFC 3339; a time without offset is of the pack's time zone.")]
    values: Annotated[
        dict[str, JsonValue],
        Field(min_length=1, max_length=200, repr=False, description="Field code → value, quantity, or a list of them."),
    ]
    identity: PostedIdentity | None = None

    def as_posted(self) -> Mapping[str, JsonValue]:
        """Return the record as plain JSON, with its identity opened; plaintext."""
        stated = {} if self.identity is None else dict(self.identity)
        opened = {name: secret.get_secret_value() for name, secret in stated.items() if secret is not None}
        return {**self.model_dump(exclude={"identity"}), "identity": opened}


class PostedBatch(BaseModel):
    """One batch: all of it becomes visible, or nothing."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "source": "app",
                    "records": [
                        {
                            "source_subject": "u-000042",
                            "kind": "profile",
                            "source_record": "u-000042",
                            "observed_at": "2026-11-21T09:58:00+08:00",
                            "values": {"sex": "female", "birth_date": "1949-12-31", "district": "110105"},
                        },
                        {
                            "source_subject": "u-000042",
                            "kind": "event",
                            "source_record": "e-1",
                            "observed_at": "2026-11-21T10:02:00+08:00",
                            "values": {"event_type": "article_read", "article": "a-7", "page_stay": 41},
                        },
                    ],
                }
            ]
        },
    )

    source: Name
    records: Annotated[list[PostedRecord], Field(min_length=1, max_length=1000)]


class QuarantinedRecord(BaseModel):
    """One record that was not used: where, why, and in which field."""

    locator: str
    reason: str
    field: str | None


class BatchAnswer(BaseModel):
    """What became of the batch; no value is repeated."""

    batch_id: str
    repeated: bool = Field(description="True when this request had been answered before.")
    stored_records: int
    stored_fields: int
    duplicates: int = Field(description="Records that were there already, or stand twice in the batch.")
    refused: dict[str, dict[str, int]] = Field(description="Field values by field and the gate's reason.")
    unmapped: dict[str, int] = Field(description="Codes that were kept without a mapping.")
    quarantined: list[QuarantinedRecord]


@router.post("/records", status_code=201, responses=responses(401, 403, 409, 411, 415, 429))
def post_records(
    body: PostedBatch,
    platform: PlatformHere,
    caller: Caller,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> BatchAnswer:
    """Pass a batch through the gate and seal what is covered; 200 for a batch that was answered before.

    The same records under a new `Idempotency-Key` pass the gate once more: decisions may have been made since.
    """
    check_allowed(platform, caller, "records.ingest")
    posted = [record.as_posted() for record in body.records]
    answer, was_given = ingest_posted(platform, caller, body.source, posted, key=idempotency_key)
    if was_given:
        response.status_code = 200
    return BatchAnswer.model_validate({**answer, "repeated": was_given})
