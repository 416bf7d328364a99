"""Reading the log; reading is logged too."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field, JsonValue

from audit.events import Act, Outcome
from consentry.acts import Instant
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.read_audit import AuditQuery, read_audit

router = new_router("audit")

_LAST_INDEX = 2**53 - 1


class AuditPage(BaseModel):
    """Entries by their place in the log; a page can be short before the end, where what is sought is rare."""

    entries: list[dict[str, JsonValue]]
    next_after: int | None = Field(description="Give it as `after` for the next page; null at the end.")


class AuditFilter(BaseModel):
    """What to look for; every filter that is given must hold."""

    model_config = {"extra": "forbid", "hide_input_in_errors": True}

    subject_id: Annotated[str | None, Field(pattern=r"^sub_[a-z2-7]{24}$")] = None
    actor: Annotated[str | None, Field(min_length=1, max_length=80)] = None
    act: Act | None = None
    purpose: Annotated[str | None, Field(min_length=1, max_length=40)] = None
    outcome: Outcome | None = None
    level: Annotated[int | None, Field(ge=1, le=5, description="The least level of the fields.")] = None
    request_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    since: Instant | None = None
    until: Instant | None = None
    after: Annotated[int | None, Field(ge=0, le=_LAST_INDEX)] = None
    newest_first: Annotated[bool, Field(description="The newest first; `after` then stands further back.")] = False
    limit: Annotated[int, Field(ge=1, le=500)] = 100


@router.get("/audit/entries", responses=responses(401, 403))
def list_entries(platform: PlatformHere, caller: Caller, wanted: Annotated[AuditFilter, Query()]) -> AuditPage:
    """List entries, oldest first unless asked otherwise; for compliance officers and administrators."""
    check_allowed(platform, caller, "audit.read", persons_only=True)
    query = AuditQuery(
        subject=wanted.subject_id,
        actor=wanted.actor,
        act=wanted.act,
        purpose=wanted.purpose,
        outcome=wanted.outcome,
        level=wanted.level,
        request_id=wanted.request_id,
        since=wanted.since,
        until=wanted.until,
        after_index=wanted.after,
        newest_first=wanted.newest_first,
        limit=wanted.limit,
    )
    entries, next_after = read_audit(platform, caller, query)
    return AuditPage(entries=entries, next_after=next_after)
