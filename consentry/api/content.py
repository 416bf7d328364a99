"""Posts and campaign texts: checked against the content rules, submitted, read and decided by two reviewers."""

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from consentry.acts import Said, SubjectIdText
from consentry.api.dependencies import Caller, PlatformHere
from consentry.api.problems import responses
from consentry.api.routes import new_router
from consentry.stores.content_reviews import ContentReview, ContentState, ContentVerdictWord, ReviewPart
from consentry.workflows.content_review import (
    MAX_CHARACTERS,
    Draft,
    check_content,
    list_content,
    read_content,
    review_content,
    submit_content,
)
from deid.text.content import Action, Author, ContentHit, ContentKind, ContentVerdict, Severity
from kernel.clock import format_instant
from kernel.ids import SubjectId

router = new_router("content")

ContentPath = Annotated[str, Path(pattern=r"^cnt_[a-z2-7]{24}$", examples=["cnt_aaaaaaaaaaaaaaaaaaaaaaaa"])]


class ContentDraft(BaseModel):
    """A text, where it is to appear, and who speaks in it."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"text": "【广告】秋季体检开始预约，地点见公告。", "kind": "campaign", "author": "operator"}]
        },
    )

    text: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    kind: ContentKind
    author: Author = Author.MEMBER

    def draft(self, subject: str | None = None) -> Draft:
        """Return it for the workflow."""
        return Draft(self.text, self.kind, self.author, None if subject is None else SubjectId(subject))


class ContentSubmission(ContentDraft):
    """A text that is put before the reviewers; a member's says whose it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "【广告】秋季体检开始预约，地点见公告。", "kind": "campaign", "author": "operator"},
                {
                    "text": "我得了痛风三年，想问问大家怎么忌口",
                    "kind": "post",
                    "author": "member",
                    "subject_id": "sub_aaaaaaaaaaaaaaaaaaaaaaaa",
                },
            ]
        }
    )

    subject_id: SubjectIdText | None = Field(default=None, description="Of a member's text, and of no other.")


class ContentDecision(BaseModel):
    """What one of the two reviews comes to, and why."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"part": "medical", "verdict": "approved", "reason": "sound advice"}]},
    )

    part: ReviewPart
    verdict: ContentVerdictWord
    reason: Said


class Words(BaseModel):
    """What the author is told."""

    zh: str
    en: str


class RuleHit(BaseModel):
    """A place of the text that breaks a rule, in characters, end-exclusive."""

    rule: str
    start: int
    end: int
    severity: Severity
    action: Action
    law: str
    article: str
    message: Words
    identifier: str | None = Field(description="Kind of the identifier, where one breaks the rule.")
    excuse: str | None = Field(description="The context that makes it none, such as denied; null where it counts.")

    @classmethod
    def of(cls, hit: ContentHit) -> "RuleHit":
        """Return a hit for the answer."""
        return cls(
            rule=hit.rule,
            start=hit.start,
            end=hit.end,
            severity=hit.severity,
            action=hit.action,
            law=hit.law,
            article=hit.article,
            message=Words(zh=hit.message.zh, en=hit.message.en),
            identifier=None if hit.kind is None else hit.kind.value,
            excuse=hit.excuse,
        )


class Checked(BaseModel):
    """What is to be done with a text, and why."""

    action: Action
    hits: list[RuleHit]
    excused: list[RuleHit]
    rules: str = Field(description="Hash of the rules.")

    @classmethod
    def of(cls, verdict: ContentVerdict) -> "Checked":
        """Return a verdict for the answer."""
        return cls(
            action=verdict.action,
            hits=[RuleHit.of(hit) for hit in verdict.hits],
            excused=[RuleHit.of(hit) for hit in verdict.excused],
            rules=verdict.rules_hash,
        )


class ReviewSaid(BaseModel):
    """One of the two reviews."""

    part: ReviewPart
    verdict: ContentVerdictWord
    by: str
    at: str


class ContentTold(BaseModel):
    """A text under review as it stands now, without its words."""

    review_id: str
    state: ContentState
    kind: ContentKind
    author: Author
    subject_id: str | None
    action: Action
    hits: dict[str, int] = Field(description="Counts by rule.")
    submitted_by: str
    submitted_at: str
    reviews: list[ReviewSaid]

    @classmethod
    def of(cls, one: ContentReview) -> "ContentTold":
        """Return a text for the answer."""
        said = [
            ReviewSaid(part=part, verdict=ContentVerdictWord(made.verdict), by=made.by, at=format_instant(made.at))
            for part, made in one.said.items()
        ]
        return cls(
            review_id=one.review_id,
            state=one.state,
            kind=ContentKind(one.kind),
            author=Author(one.author),
            subject_id=one.subject,
            action=Action(one.action),
            hits=dict(one.hits),
            submitted_by=one.submitted_by,
            submitted_at=format_instant(one.submitted_at),
            reviews=said,
        )


class ContentSubmitted(BaseModel):
    """What was submitted, what the rules found in it, and the text as it may appear, its contacts masked."""

    review: ContentTold
    checked: Checked
    text: str


class ContentOpened(BaseModel):
    """A text under review with its words; null where it is blocked, or a post that was decided."""

    review: ContentTold
    text: str | None


class ContentList(BaseModel):
    """Texts under review, the newest first."""

    content: list[ContentTold]


@router.post("/content/check", responses=responses(401, 403, 411, 415))
def check(body: ContentDraft, platform: PlatformHere, caller: Caller) -> Checked:
    """Check a text without submitting it; nothing of it is kept."""
    return Checked.of(check_content(platform, caller, body.draft()))


@router.post("/content", status_code=201, responses=responses(401, 403, 404, 411, 415))
def submit(body: ContentSubmission, platform: PlatformHere, caller: Caller) -> ContentSubmitted:
    """Check a text and put it before the two reviewers, unless it breaks a hard rule."""
    made = submit_content(platform, caller, body.draft(body.subject_id))
    return ContentSubmitted(review=ContentTold.of(made.review), checked=Checked.of(made.verdict), text=made.text)


@router.get("/content", responses=responses(401, 403))
def get_content_list(
    platform: PlatformHere,
    caller: Caller,
    state: Annotated[Literal["waiting"] | None, Query(description="Only those that wait for a review.")] = None,
) -> ContentList:
    """List the newest hundred texts without their words: all to reviewers, to others their own; leaves an entry."""
    found = list_content(platform, caller, waiting_only=state is not None)
    return ContentList(content=[ContentTold.of(one) for one in found])


@router.get("/content/{review_id}", responses=responses(401, 403, 404))
def get_one(review_id: ContentPath, platform: PlatformHere, caller: Caller) -> ContentOpened:
    """Open a text under review; its entry comes first."""
    found, text = read_content(platform, caller, review_id)
    return ContentOpened(review=ContentTold.of(found), text=text)


@router.post("/content/{review_id}/decision", status_code=201, responses=responses(401, 403, 404, 409, 411, 415))
def decide(review_id: ContentPath, body: ContentDecision, platform: PlatformHere, caller: Caller) -> ContentTold:
    """Approve or reject one part of a text that somebody else has submitted."""
    done = review_content(platform, caller, review_id, part=body.part, verdict=body.verdict, reason=body.reason)
    return ContentTold.of(done)
