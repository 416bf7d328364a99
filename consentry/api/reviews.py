"""What officers review over HTTP: findings of unusual access, and the law's counters."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import Said, WordsLocale
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.counters import read_counters
from consentry.workflows.denials import check_allowed
from consentry.workflows.review_access import ReviewVerdict, review_finding
from consentry.workflows.seen_by import read_pruned_stretch
from consentry.workflows.unusual_access import finding_json, list_findings
from consentry.workflows.watch_lists import REVIEW

router = new_router("reviews")

WantedLocale = Annotated[WordsLocale, Query(description="The language of the words.")]
FindingPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]


class Findings(BaseModel):
    """Unusual accesses that were flagged, the newest first."""

    findings: list[dict[str, JsonValue]]
    pruned: dict[str, JsonValue] | None = Field(description="Before when accesses were pruned; null where none was.")


class ReviewRequest(BaseModel):
    """A verdict and what was found out."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"verdict": "justified", "note": "covered the ward that night"}]},
    )

    verdict: ReviewVerdict
    note: Said


class Reviewed(BaseModel):
    """A finding with the verdict that stands now."""

    finding: dict[str, JsonValue]


class Counted(BaseModel):
    """Every duty that begins with a number of people, as it stands today."""

    today: str
    duties: list[dict[str, JsonValue]]
    exemptions: list[dict[str, JsonValue]]


@router.get("/audit/findings", responses=responses(401, 403))
def get_findings(
    platform: PlatformHere,
    caller: Caller,
    only_open: Annotated[bool, Query(description="Only those that nobody has reviewed.")] = False,  # noqa: FBT002 - a query parameter
    locale: WantedLocale = "zh-CN",
) -> Findings:
    """List unusual accesses with rule, numbers, evidence and verdict; reading leaves an entry."""
    check_allowed(platform, caller, "audit.read", persons_only=True)
    found = list_findings(platform, caller, only_open=only_open)
    return Findings(findings=[finding_json(one, locale) for one in found], pruned=read_pruned_stretch(platform))


@router.post("/audit/findings/{finding_id}/review", responses=responses(401, 403, 404, 409, 411, 415))
def post_review(
    finding_id: FindingPath,
    body: ReviewRequest,
    platform: PlatformHere,
    caller: Caller,
    locale: WantedLocale = "zh-CN",
) -> Reviewed:
    """Record a verdict on a finding; nobody reviews an own access."""
    check_allowed(platform, caller, REVIEW, persons_only=True)
    done = review_finding(platform, caller, finding_id, verdict=body.verdict, note=body.note)
    return Reviewed.model_validate({"finding": finding_json(done, locale)})


@router.get("/audit/counters", responses=responses(401, 403))
def get_counters(platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN") -> Counted:
    """Tell how many people are held, are minors and went abroad, what follows from it, and what was filed."""
    check_allowed(platform, caller, "audit.read", persons_only=True)
    return Counted.model_validate(read_counters(platform, caller).as_json(locale))
