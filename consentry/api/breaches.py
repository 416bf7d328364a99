"""Breach cases for officers."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from consentry.acts import WordsLocale
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.breach_acts import BreachNotice, BreachReport, BreachWaiver, Words
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows import breach as workflow

router = new_router("breaches")

CasePath = Annotated[str, Path(pattern=r"^brc_[a-z2-7]{24}$", examples=["brc_aaaaaaaaaaaaaaaaaaaaaaaa"])]
WantedLocale = Annotated[WordsLocale, Query(description="The language of the labels.")]

_ACTING = responses(401, 403, 404, 409, 411, 415)


class Closing(BaseModel):
    """What came of a case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"reason": "everybody was told"}]},
    )

    reason: Words = Field(repr=False, description="Sealed beside the entry.")


class BreachDuty(BaseModel):
    """Somebody whom the law wants told."""

    duty: str
    label: str
    due_at: str
    done_at: str | None
    state: str = Field(description="`open`, `overdue`, `on_time`, `late` or `waived`.")
    waived_by: list[str] = Field(description="Who said that it need not be done; it counts from two people on.")


class BreachState(BaseModel):
    """A case without its words."""

    case: str
    state: str = Field(description="`open` or `closed`.")
    grade: str = Field(description="`particularly_serious`, `serious`, `larger` or `ordinary`.")
    grade_label: str
    aware_at: str
    opened_at: str
    closed_at: str | None
    people: int
    minors: int
    sensitive: int
    estimate: bool
    critical: bool
    profiles: list[str]
    overdue: list[str]
    duties: list[BreachDuty]
    notifications: list[dict[str, JsonValue]]
    accesses: dict[str, JsonValue] | None = Field(description="How many entries belong to it, and their digest.")
    entries: list[str]


class BreachDetail(BreachState):
    """A case with what proves it."""

    words: dict[str, JsonValue] | None = Field(
        description="For who manages cases and asks for the case; null elsewhere."
    )
    guardian_tasks: int = Field(description="Guardians of named minors who are still to be told.")
    checkpoint: dict[str, JsonValue] = Field(description="Origin, size and root of the log above its entries.")


class BreachList(BaseModel):
    """Every case, the oldest first."""

    cases: list[BreachState]


@router.post("/breaches", status_code=201, responses=responses(401, 403, 411, 415))
def open_case(
    body: BreachReport, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Open a case; all six words and the number of people are wanted."""
    return _told(platform, caller, workflow.open_breach(platform, caller, body).case_id, locale)


@router.get("/breaches", responses=responses(401, 403))
def list_cases(platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN") -> BreachList:
    """List every case with its timers; for compliance officers and administrators."""
    return BreachList.model_validate({"cases": workflow.list_breaches(platform, caller, locale=locale)})


@router.get("/breaches/{case_id}", responses=responses(401, 403, 404))
def show_case(
    case_id: CasePath, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Show one case; reading its words leaves an entry."""
    return BreachDetail.model_validate(workflow.show_breach(platform, caller, case_id, locale=locale))


@router.post("/breaches/{case_id}/changes", responses=_ACTING)
def change_case(
    case_id: CasePath, body: BreachReport, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Record what turned out later."""
    return _told(platform, caller, workflow.change_breach(platform, caller, case_id, body).case_id, locale)


@router.post("/breaches/{case_id}/notifications", responses=_ACTING)
def notify_case(
    case_id: CasePath, body: BreachNotice, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Record that somebody was told."""
    return _told(platform, caller, workflow.notify_breach(platform, caller, case_id, body).case_id, locale)


@router.post("/breaches/{case_id}/waivers", responses=_ACTING)
def waive_duty(
    case_id: CasePath, body: BreachWaiver, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Say that a duty need not be done; a second person has to say so too."""
    return _told(platform, caller, workflow.waive_breach(platform, caller, case_id, body).case_id, locale)


@router.post("/breaches/{case_id}/closing", responses=_ACTING)
def close_case(
    case_id: CasePath, body: Closing, platform: PlatformHere, caller: Caller, locale: WantedLocale = "zh-CN"
) -> BreachDetail:
    """Close a case in which nobody is left to be told."""
    return _told(platform, caller, workflow.close_breach(platform, caller, case_id, reason=body.reason).case_id, locale)


def _told(platform: Platform, caller: Principal, case_id: str, locale: str) -> BreachDetail:
    return BreachDetail.model_validate(workflow.show_breach(platform, caller, case_id, locale=locale, with_words=False))
