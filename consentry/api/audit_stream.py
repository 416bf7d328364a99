"""Entries of the log for other systems, as one streamed answer; this reading is logged too."""

from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from audit.events import Act
from consentry.acts import Instant
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.interchange.audit_csv import Heading
from consentry.workflows.denials import check_allowed
from consentry.workflows.stream_audit import Format, StreamQuery, stream_audit

router = new_router("audit")

_LAST_INDEX: Final = 2**53 - 1
_MAX_ACTS: Final = 100

MEDIA_TYPES: Final = {
    Format.FHIR: "application/fhir+ndjson",
    Format.OCSF: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8",
}
"""FHIR's is the one of its Bulk Data Access guide."""

_ENDINGS: Final = {Format.FHIR: "fhir.ndjson", Format.OCSF: "ocsf.ndjson", Format.CSV: "csv"}
_CONTENT: Final = {media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()}
_STREAMED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Entries, one a line, under one signed checkpoint.", "content": _CONTENT}
}


class StreamFilter(BaseModel):
    """What to stream, and how it is written."""

    model_config = {"extra": "forbid", "hide_input_in_errors": True}

    format: Format = Format.FHIR
    from_index: Annotated[int, Field(ge=0, le=_LAST_INDEX)] = 0
    to_index: Annotated[int | None, Field(ge=0, le=_LAST_INDEX, description="The first one not wanted.")] = None
    act: Annotated[list[Act], Field(max_length=_MAX_ACTS)] = []
    since: Instant | None = None
    until: Instant | None = None
    header: Annotated[Heading, Field(description="First line of a CSV.")] = Heading.EN
    bom: Annotated[bool, Field(description="Begin a CSV as Excel wants it.")] = False


@router.get("/audit/stream", response_class=StreamingResponse, responses=_STREAMED | responses(401, 403))
def stream_entries(
    platform: PlatformHere, caller: Caller, wanted: Annotated[StreamFilter, Query()]
) -> StreamingResponse:
    """Stream entries, oldest first; for compliance officers and administrators.

    `X-Log-Entries` says how many come, `X-Log-Checkpoint-Size` and `X-Log-Origin` name the signed head over them. An
    answer that breaks off has not all of them.
    """
    check_allowed(platform, caller, "audit.export", persons_only=True)
    query = StreamQuery(
        wanted.format, wanted.from_index, wanted.to_index, tuple(wanted.act), wanted.since, wanted.until,
        wanted.header, wanted.bom,
    )  # fmt: skip
    streamed = stream_audit(platform, caller, query)
    told = {
        "X-Log-Entries": str(streamed.entries),
        "X-Log-Checkpoint-Size": str(streamed.checkpoint.size),
        "X-Log-Origin": streamed.checkpoint.origin,
        "Content-Disposition": f'attachment; filename="audit.{_ENDINGS[wanted.format]}"',
    }
    return StreamingResponse(streamed.chunks, media_type=MEDIA_TYPES[wanted.format], headers=told)
