"""Reading the log; reading is logged too."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, JsonValue

from consentry.api.dependencies import Caller, PlatformHere, check_caller, check_is_person
from consentry.workflows.read_audit import AuditQuery, read_audit

router = APIRouter(tags=["audit"])


class AuditPage(BaseModel):
    """Entries by their place in the log; pass ``next_after`` as ``after`` for the next page."""

    entries: list[dict[str, JsonValue]]
    next_after: int | None


@router.get("/audit/entries")
def list_entries(  # noqa: PLR0917 - query parameters
    platform: PlatformHere,
    caller: Caller,
    subject_id: Annotated[str | None, Query(pattern=r"^sub_[a-z2-7]{24}$")] = None,
    actor: Annotated[str | None, Query(max_length=80)] = None,
    act: Annotated[str | None, Query(max_length=64)] = None,
    purpose: Annotated[str | None, Query(max_length=32)] = None,
    outcome: Annotated[str | None, Query(max_length=16)] = None,
    request_id: Annotated[str | None, Query(max_length=64)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    after: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AuditPage:
    """List entries, oldest first; for compliance officers."""
    check_is_person(caller)
    check_caller(platform, caller, "audit.read")
    query = AuditQuery(
        subject=subject_id, actor=actor, act=act, purpose=purpose, outcome=outcome, request_id=request_id,
        since=since, until=until, after_index=after, limit=limit,
    )  # fmt: skip
    entries, next_after = read_audit(platform, caller, query)
    return AuditPage(entries=entries, next_after=next_after)
