"""Who saw me, and to whom was it given: for the person, its guardian, and officers."""

from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, Field, JsonValue

from audit.disclosures import Law
from consentry.acts import Instant, WordsLocale
from consentry.api.dependencies import Caller, PlatformHere, WhomPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.workflows.denials import check_allowed
from consentry.workflows.disclosures import account_disclosures
from consentry.workflows.representation import acting_for, subject_named
from consentry.workflows.seen_by import READ, Stretch, read_seen_by
from kernel.ids import SubjectId

router = new_router("accesses", for_pages=True)

_LAST_INDEX: Final = 2**53 - 1
_MAX_ROWS: Final = 500

WantedLocale = Annotated[WordsLocale, Query(description="The language of the words.")]
WithWords = Annotated[bool, Query(description="The stated reasons too, for who reviews accesses; logged apart.")]
Since = Annotated[Instant | None, Query(description="The first moment that counts.")]
Until = Annotated[Instant | None, Query(description="The first moment that does not.")]


_PRUNED: Final = "Before when accesses of the period were pruned, when, and the entry that says so; or null."


class Accesses(BaseModel):
    """Accesses to one person's data, the newest first; denied ones too, codes beside words."""

    subject_id: str
    accesses: list[dict[str, JsonValue]]
    next_after: int | None = Field(description="Give it as `after` for the next page; null at the end.")
    pruned: dict[str, JsonValue] | None = Field(description=_PRUNED)


class Disclosures(BaseModel):
    """An accounting of disclosures, oldest first."""

    subject_id: str
    view: str
    since: str | None
    until: str | None
    rows: list[dict[str, JsonValue]]
    left_out: list[dict[str, JsonValue]] = Field(description="How many the rule leaves out, by why.")
    pruned: dict[str, JsonValue] | None = Field(description=_PRUNED)


@router.get("/subjects/{subject_id}/accesses", responses=responses(401, 403, 404, 429))
def list_accesses(
    subject_id: WhomPath,
    platform: PlatformHere,
    caller: Caller,
    since: Since = None,
    until: Until = None,
    *,
    after: Annotated[int | None, Query(ge=0, le=_LAST_INDEX)] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_ROWS)] = 100,
    words: WithWords = False,
    locale: WantedLocale = "zh-CN",
) -> Accesses:
    """Tell who saw a person's data, when, why and on which basis; persons are told roles of staff, officers names.

    Not for agents. A guardian is told while it is the guardian.
    """
    subject = _allowed(platform, caller, subject_id)
    asked = Stretch(since=since, until=until, after=after, limit=limit)
    found = read_seen_by(platform, caller, subject, asked, locale=locale, with_words=words)
    return Accesses(subject_id=subject, accesses=found.rows, next_after=found.next_after, pruned=found.pruned)


@router.get("/subjects/{subject_id}/disclosures", responses=responses(401, 403, 404, 429))
def list_disclosures(
    subject_id: WhomPath,
    platform: PlatformHere,
    caller: Caller,
    view: Annotated[Law, Query(description="`hipaa` leaves out what 45 CFR 164.528 does; `pipl` nothing.")] = Law.PIPL,
    *,
    since: Since = None,
    until: Until = None,
    words: WithWords = False,
    locale: WantedLocale = "zh-CN",
) -> Disclosures:
    """Account for what was disclosed of a person: date, recipient and address, what, purpose; not for agents."""
    subject = _allowed(platform, caller, subject_id)
    asked = Stretch(since=since, until=until)
    told = account_disclosures(platform, caller, subject, view, asked, locale=locale, with_words=words)
    return Disclosures.model_validate({**told.as_json(), "subject_id": subject})


def _allowed(platform: Platform, caller: Principal, named: str) -> SubjectId:
    """Return whom the path names; refuses whoever may not read about that person, agents among them."""
    check_allowed(platform, caller, READ, for_subjects=True)
    acting = acting_for(platform, caller, subject_named(caller, named))
    if acting.purposes is not None:
        acting = acting_for(platform, caller, None)
    return acting.subject
