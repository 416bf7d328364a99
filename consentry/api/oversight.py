"""What officers look at over HTTP: the wake of a subject's closing acts, the gate's reasons, figures without ids."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field, JsonValue

from consentry.acts import Code, Instant, Locale, Name
from consentry.api.dependencies import Caller, PlatformHere, SubjectPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.explain_consent import explain_consent, explanation_json
from consentry.workflows.follow_wake import show_wake
from consentry.workflows.statistics import read_statistics
from kernel.ids import SubjectId

router = new_router("oversight")

WantedLocale = Annotated[Locale, Query(description="The language of labels and words.")]


class FollowedItem(BaseModel):
    """One thing that follows from one closing act; ids, names and counts only."""

    item: str
    cause: str = Field(
        description="`withdraw`, `refuse`, `expire`, `end`, `restrict`, `erase`, `deceased` or `revise`."
    )
    purpose: str | None = Field(description="Null for every purpose.")
    recipient: str | None
    handler: str
    target: str | None
    state: str = Field(description="`open`, `sending`, `done` or `dead`.")
    attempts: int
    planned: str
    next: str | None = Field(description="When an open item is tried next.")
    finished: str | None
    problem: str | None
    outcome: JsonValue
    closing_entry: str
    entry: str | None


class Followed(BaseModel):
    """What a subject's closing acts have set in motion, in the order of planning."""

    subject_id: str
    unfinished: int = Field(description="Items that are neither done nor dead.")
    items: list[FollowedItem]


class ExplainedField(BaseModel):
    """The answer for one field, and each rule on the way."""

    reason: str | None = Field(description="Null where the gate allows.")
    words: str
    steps: list[dict[str, JsonValue]]


class Explained(BaseModel):
    """Why the gate allows or refuses; nothing is opened."""

    subject_id: str
    purpose: str
    recipient: str | None
    at: str
    fields: dict[str, ExplainedField]


class Statistics(BaseModel):
    """Figures for each period and purpose; for officers and not for publication."""

    rows: list[dict[str, JsonValue]]


@router.get("/subjects/{subject_id}/wake", responses=responses(401, 403, 404))
def get_wake(subject_id: SubjectPath, platform: PlatformHere, caller: Caller) -> Followed:
    """Tell what is done, open or dead of what a subject's closing acts have set in motion; reading leaves an entry."""
    subject = SubjectId(subject_id)
    check_allowed(platform, caller, "consent.read", persons_only=True, subject=subject)
    items = [FollowedItem.model_validate(item) for item in show_wake(platform, caller, subject)]
    unfinished = sum(item.state in ("open", "sending") for item in items)
    return Followed(subject_id=subject_id, unfinished=unfinished, items=items)


@router.get("/subjects/{subject_id}/explain", responses=responses(401, 403, 404))
def explain(
    subject_id: SubjectPath,
    platform: PlatformHere,
    caller: Caller,
    purpose: Annotated[Code, Query()],
    fields: Annotated[Sequence[Code], Query(min_length=1, max_length=200, description="Repeat it for each field.")],
    *,
    recipient: Annotated[Name | None, Query(description="Who outside would receive the data.")] = None,
    as_of: Annotated[Instant | None, Query(description="What the register knew then; now where not given.")] = None,
    locale: WantedLocale = "zh-CN",
) -> Explained:
    """Tell rule by rule why the gate would allow or refuse each field; opens nothing, and leaves an entry."""
    subject = SubjectId(subject_id)
    check_allowed(platform, caller, "consent.read", persons_only=True, subject=subject)
    found = explain_consent(platform, caller, subject, purpose, fields, recipient=recipient, as_of=as_of)
    told = explanation_json(found, locale)
    return Explained.model_validate({**told, "subject_id": told["subject"]})


@router.get("/consents/statistics", responses=responses(401, 403))
def get_statistics(
    platform: PlatformHere,
    caller: Caller,
    start: Annotated[Instant | None, Query(alias="from", description="The first instant that counts.")] = None,
    until: Annotated[Instant | None, Query(description="The first that does not count; now where not given.")] = None,
    by: Annotated[Literal["month"] | None, Query(description="A row for each calendar month and purpose.")] = None,
    *,
    locale: WantedLocale = "zh-CN",
) -> Statistics:
    """Count how people decided, per purpose and period, without anybody's id."""
    check_allowed(platform, caller, "audit.read", persons_only=True)
    rows = read_statistics(platform, caller, start=start, end=until, by_month=by is not None, locale=locale)
    return Statistics.model_validate({"rows": rows})
