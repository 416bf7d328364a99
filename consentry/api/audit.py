"""Reading the log; reading is logged too."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field, JsonValue

from audit.events import Act, Outcome
from consentry.acts import Instant, WordsLocale
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.read_audit import AuditQuery, read_audit
from consentry.workflows.show_entry import show_entry

router = new_router("audit")

_LAST_INDEX = 2**53 - 1


class AuditPage(BaseModel):
    """Entries by their place in the log; a page can be short before the end, where what is sought is rare."""

    entries: list[dict[str, JsonValue]]
    next_after: int | None = Field(description="Give it as `after` for the next page; null at the end.")
    pruned: dict[str, JsonValue] | None = Field(description="Before when entries of the period were pruned; or null.")


class AuditEntry(BaseModel):
    """One entry, codes beside words."""

    index: int
    entry: dict[str, JsonValue]
    words: dict[str, JsonValue] = Field(description="Labels of the codes, and the actor's name.")
    details: dict[str, JsonValue] | None = Field(description="What is sealed beside it, for who reviews accesses.")
    sealed: bool = Field(description="The caller may not read what is sealed.")
    pruned: dict[str, JsonValue] | None
    proof: str | None = Field(description="The command that proves it; null once its bytes were pruned.")


class AuditFilter(BaseModel):
    """What to look for; every filter that is given must hold."""

    model_config = {"extra": "forbid", "hide_input_in_errors": True}

    subject_id: Annotated[str | None, Field(pattern=r"^sub_[a-z2-7]{24}$")] = None
    actor: Annotated[str | None, Field(max_length=80, description="Name or id of an account or key.")] = None
    act: Act | None = None
    purpose: Annotated[str | None, Field(max_length=40, description="A purpose of the pack in use.")] = None
    outcome: Outcome | None = None
    level: Annotated[int | None, Field(ge=1, le=5, description="The least level of the fields.")] = None
    request_id: Annotated[str | None, Field(max_length=64)] = None
    since: Instant | None = None
    until: Instant | None = None
    after: Annotated[int | None, Field(ge=0, le=_LAST_INDEX)] = None
    newest_first: Annotated[bool, Field(description="The newest first; `after` then stands further back.")] = False
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    words: Annotated[bool, Field(description="What is sealed beside them too, for who reviews accesses.")] = False


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
    found = read_audit(platform, caller, query, with_words=wanted.words)
    return AuditPage(entries=found.entries, next_after=found.next_after, pruned=found.pruned)


@router.get("/audit/entries/{entry}", responses=responses(401, 403, 404))
def get_entry(
    entry: Annotated[str, Path(pattern=r"^(ent_[a-z2-7]{24}|[0-9]{1,15})$", examples=["0"])],
    platform: PlatformHere,
    caller: Caller,
    locale: Annotated[WordsLocale, Query(description="The language of the words.")] = "zh-CN",
) -> AuditEntry:
    """Show one entry by id or index, in words; what is sealed beside it for who reviews accesses."""
    check_allowed(platform, caller, "audit.read", persons_only=True)
    return AuditEntry.model_validate(show_entry(platform, caller, entry, locale=locale))
