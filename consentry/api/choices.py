"""What one person is asked, has decided, and wishes in general; for subject tokens, capture keys and staff."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, Field, JsonValue

from consentry.acts import Code, Instant, Locale, Name
from consentry.api.consents import RecordedDecision
from consentry.api.dependencies import Caller, PlatformHere, PrivacySignal, WhomPath
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.workflows.denials import check_allowed
from consentry.workflows.due import find_due
from consentry.workflows.history import history_json
from consentry.workflows.representation import acting_for, subject_named
from consentry.workflows.show_consents import show_consents
from consentry.workflows.signals import record_signal
from kernel.clock import format_instant
from kernel.encoding import JsonValue as PlainValue

router = new_router("choices", for_pages=True)

SIGNALLED: Final = "1"
"""The one value of `Sec-GPC` that means something (Global Privacy Control, section 3.1)."""

WantedLocale = Annotated[Locale, Query(description="The language of texts and labels.")]
AsOf = Annotated[Instant | None, Query(description="What the register knew then; now, where it is not given.")]


class NoticeShown(BaseModel):
    """Names the exact text; `GET /v1/notices/{code}/{version}/{locale}` has it."""

    code: str
    version: str
    locale: str


class DueNotice(BaseModel):
    """One notice to show, for one decision."""

    kind: str = Field(description="`ask`, `ask_again`, or `inform` of a change that ends no grant.")
    purpose: str
    label: str
    recipient: str | None
    optional: bool = Field(description="Whether the service works without it.")
    notice: NoticeShown
    notice_hash: str
    title: str
    decided_by: str = Field(description="`self`, or `guardian` for a child.")
    renewable: bool
    renews: str | None = Field(description="The decision to renew by `POST /v1/consents/{decision_id}/renew`.")
    until: str | None = Field(description="When what stands now ends.")


class DueAnswer(BaseModel):
    """What to show now, in this order."""

    subject_id: str
    items: list[DueNotice]
    omitted: list[str] = Field(
        description="Optional purposes that are not asked for because of Global Privacy Control."
    )


class StandingConsents(BaseModel):
    """The decisions that stand, for each purpose, recipient and track."""

    subject_id: str
    as_of: str | None
    decisions: list[dict[str, JsonValue]]


class SignalAnswer(BaseModel):
    """What the signal closed, and what stays open because the person granted it after an earlier signal."""

    subject_id: str
    closed: list[RecordedDecision]
    left: list[Code]


@router.get("/subjects/{subject_id}/due", responses=responses(401, 403, 404, 429))
def list_due(
    subject_id: WhomPath,
    platform: PlatformHere,
    caller: Caller,
    channel: Annotated[Name, Query(description="Where it will be shown, such as `app`; stands in the log.")],
    *,
    locale: WantedLocale = "zh-CN",
    sec_gpc: PrivacySignal = None,
) -> DueAnswer:
    """List the notices that are due; optional ones are left out where the browser sends Global Privacy Control."""
    check_allowed(platform, caller, "consent.capture", for_subjects=True)
    acting = acting_for(platform, caller, subject_named(caller, subject_id))
    found = find_due(platform, caller, acting, channel=channel, locale=locale, has_signal=sec_gpc == SIGNALLED)
    items = [DueNotice.model_validate(item.as_json()) for item in found.items]
    return DueAnswer(subject_id=found.subject, items=items, omitted=list(found.omitted))


@router.get("/subjects/{subject_id}/consents", responses=responses(401, 403, 404, 429))
def list_consents(
    subject_id: WhomPath, platform: PlatformHere, caller: Caller, as_of: AsOf = None, locale: WantedLocale = "zh-CN"
) -> StandingConsents:
    """List the decisions that stand, now or as of an instant; an agent sees those of its own purposes."""
    check_allowed(platform, caller, "consent.read", for_subjects=True)
    acting = acting_for(platform, caller, subject_named(caller, subject_id))
    found = show_consents(platform, caller, acting.subject, as_of=as_of, locale=locale).rows
    return StandingConsents(
        subject_id=acting.subject,
        as_of=None if as_of is None else format_instant(as_of),
        decisions=[row for row in found if acting.covers(str(row["purpose"]))],
    )


@router.get(
    "/subjects/{subject_id}/consents/history",
    response_model=dict[str, JsonValue],
    responses=responses(401, 403, 404, 429),
)
def get_history(
    subject_id: WhomPath, platform: PlatformHere, caller: Caller, as_of: AsOf = None, locale: WantedLocale = "zh-CN"
) -> Mapping[str, PlainValue]:
    """Return the whole history in words, with the exact texts that were shown; not for agents."""
    check_allowed(platform, caller, "consent.read", for_subjects=True)
    acting = acting_for(platform, caller, subject_named(caller, subject_id))
    if acting.purposes is not None:
        acting = acting_for(platform, caller, None)
    return history_json(platform, caller, acting.subject, as_of=as_of, locale=locale)


@router.post("/subjects/{subject_id}/signals/gpc", responses=responses(401, 403, 404, 429))
def signal_privacy_control(subject_id: WhomPath, platform: PlatformHere, caller: Caller) -> SignalAnswer:
    """Refuse or withdraw every optional purpose, as the person's browser asks; once for each purpose."""
    check_allowed(platform, caller, "consent.capture", for_subjects=True)
    said = record_signal(platform, caller, acting_for(platform, caller, subject_named(caller, subject_id)))
    closed = [RecordedDecision(decision_id=d.decision_id, purpose=d.purpose, act=d.act.value) for d in said.closed]
    return SignalAnswer(subject_id=said.subject, closed=closed, left=list(said.left))
