"""Attachments: a file is sent as the body itself, listed without opening it, and opened piece by piece."""

import threading
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

from anyio import fail_after, from_thread
from fastapi import Header, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from consentry.acts import Code, Name, Said
from consentry.api.dependencies import Caller, PlatformHere, SubjectPath
from consentry.api.problems import responses
from consentry.api.routes import FileRoute, new_router
from consentry.api.subjects import ApprovalId, CaseId
from consentry.workflows import attach
from consentry.workflows.denials import check_allowed
from kernel.errors import Unavailable
from kernel.ids import SubjectId

router = new_router("attachments")

UPLOAD: Final = ("POST", "/v1/attachments")
"""The route whose body may be as large as an attachment."""

AttachmentPath = Annotated[str, Path(pattern=r"^att_[a-z2-7]{24}$", examples=["att_aaaaaaaaaaaaaaaaaaaaaaaa"])]

_AT_ONCE: Final = 4
_coming: Final = threading.BoundedSemaphore(_AT_ONCE)
"""A file keeps one of the server's threads busy for as long as its sender takes; others shall have some left."""

_SILENT_SECONDS: Final = 60.0
"""How long a sender may say nothing."""

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file as it is, with its own media type.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}


class AttachmentTold(BaseModel):
    """What is told of a file without opening it; its name and media type are sealed."""

    attachment: str
    subject: str
    field: str
    source: str
    size_bytes: int
    observed_at: str
    stored_at: str
    expires_at: str | None = Field(description="End of keeping; null for the life of the account.")


class AttachmentStored(AttachmentTold):
    """A stored file."""

    repeated: bool = Field(description="True when the same file of the same record was there already.")


class AttachmentList(BaseModel):
    """The files of a person, oldest first."""

    attachments: list[AttachmentTold]


class OpeningRequest(BaseModel):
    """Who opens says why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"purpose": "P02", "reason": "follow-up consultation 4711"}]},
    )

    purpose: Code
    reason: Said
    approval: ApprovalId | None = None
    case: CaseId | None = None
    ticket: Name | None = None


def post_attachment(  # noqa: PLR0917 - headers of one request
    request: Request,
    platform: PlatformHere,
    caller: Caller,
    attachment_source: Annotated[Name, Header(description="The sending system.")],
    attachment_field: Annotated[Code, Header(description="A field of type attachment.")],
    attachment_subject: Annotated[
        str, Header(min_length=1, max_length=1024, description="The person's id at the source, percent-encoded UTF-8.")
    ],
    attachment_record: Annotated[
        str, Header(min_length=1, max_length=1024, description="The file's id at the source, percent-encoded UTF-8.")
    ],
    attachment_observed_at: Annotated[AwareDatetime, Header(description="When it was made, RFC 3339.")],
    attachment_name: Annotated[
        str, Header(min_length=1, max_length=2048, description="The file's own name, percent-encoded UTF-8.")
    ],
) -> AttachmentStored:
    """Seal a file as it comes; 201 once it is whole and the gate was asked a second time.

    The body is the file, with its own `Content-Type`. What describes it comes in headers, so that no address holds a
    person's id. The same file of the same record again changes nothing.
    """
    sent = attach.SentFile(
        source=attachment_source,
        source_subject=unquote(attachment_subject),
        source_record=unquote(attachment_record),
        field=attachment_field,
        observed_at=attachment_observed_at,
        name=unquote(attachment_name),
        media_type=request.headers.get("content-type", ""),
    )
    if not _coming.acquire(blocking=False):
        raise Unavailable("Too many files come at once", hint="Send it again in a while.")
    try:
        stored = attach.store_attachment(platform, caller, sent, _pieces(request))
    finally:
        _coming.release()
    return AttachmentStored.model_validate({**attach.attachment_json(stored), "repeated": stored.is_repeated})


router.add_api_route(
    "/attachments",
    post_attachment,
    methods=["POST"],
    status_code=201,
    responses=responses(401, 403, 404, 409, 411, 415, 429),
    route_class_override=FileRoute,
    openapi_extra=_BODY,
)


@router.get("/subjects/{subject_id}/attachments", responses=responses(401, 403))
def get_attachments(subject_id: SubjectPath, platform: PlatformHere, caller: Caller) -> AttachmentList:
    """List a person's files; nothing is opened, and the reading stays in the log."""
    found = attach.list_attachments(platform, caller, SubjectId(subject_id))
    return AttachmentList.model_validate({"attachments": [attach.attachment_json(one) for one in found]})


@router.post(
    "/attachments/{attachment_id}/open",
    response_class=StreamingResponse,
    responses={
        **responses(401, 403, 404, 411, 415, 429),
        200: {
            "description": "The file, as an attachment that no browser renders.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
def post_open(
    attachment_id: AttachmentPath, body: OpeningRequest, platform: PlatformHere, caller: Caller
) -> StreamingResponse:
    """Open one file, as any field is opened; the answer is the file, in pieces that were verified one by one.

    An answer that ends before its `Content-Length` was cut off: a piece did not verify, the file was erased meanwhile,
    or ten minutes were over.
    """
    check_allowed(platform, caller, "vault.reveal", persons_only=True)
    opened = attach.open_attachment(
        platform,
        caller,
        attachment_id,
        purpose=body.purpose,
        reason=body.reason,
        approval=body.approval,
        case=body.case,
        ticket=body.ticket,
    )
    return _answer(opened)


def _answer(opened: attach.OpenedFile) -> StreamingResponse:
    """Return the file; the first piece is opened before anything is said, so that its failure is a problem document."""
    file = opened.attachment
    first = next(file.pieces)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",  # RFC 6266, RFC 8187
        "Content-Length": str(file.size_bytes),
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "Audit-Entry": opened.entry_id,
    }
    return StreamingResponse(chain([first], file.pieces), media_type=_as_sent(file.media_type), headers=headers)


def _as_sent(media_type: str) -> str:
    """Return the media type; text keeps its bytes, whose encoding nobody has stated."""
    return "application/octet-stream" if media_type.startswith("text/") else media_type


def _pieces(request: Request) -> Iterator[bytes]:
    """Yield the body as it comes, in a worker's thread; it is never whole in memory.

    Raises:
        Unavailable: the sender went away, or said nothing for a minute.
    """
    stream = request.stream()
    while (piece := from_thread.run(_next, stream)) is not None:
        yield piece


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        with fail_after(_SILENT_SECONDS):
            return await anext(stream, None)
    except ClientDisconnect:
        raise Unavailable("The sender went away before the file had come whole") from None
    except TimeoutError:
        raise Unavailable("The sender stopped sending", hint="Send the file again.") from None
