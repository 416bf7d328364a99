"""Posts and campaign texts under review: what the rules found, the sealed text, and what two people said of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from consentry.stores.readable import read_each
from consentry.stores.tables import content_review
from kernel.errors import NotFound
from kernel.ids import EntryId, PrincipalId, SubjectId

POST_FIELD: Final = "post_text"
"""The catalogue's code of what members write."""

BLOCKED: Final = "block"
"""The action of a text that nobody may let pass."""


class ReviewPart(StrEnum):
    """The two reviews: of what is said of medicine, and of what the law says of saying it."""

    MEDICAL = "medical"
    COMPLIANCE = "compliance"


class ContentVerdictWord(StrEnum):
    """What a reviewer says."""

    APPROVED = "approved"
    REJECTED = "rejected"


class ContentState(StrEnum):
    """Where a text stands."""

    BLOCKED = "blocked"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Said:
    """One of the two reviews.

    Attributes:
        verdict: approved or rejected.
        by: somebody else than who submitted, and than who reviewed the other part.
        entry_id: that tells of it; the reason is sealed beside.
    """

    verdict: str
    by: PrincipalId
    at: datetime
    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class ContentReview:
    """One text under review.

    Attributes:
        subject: whose post; None where nobody is named.
        text_mark: keyed hash of the text that may appear, 64 hexadecimal digits.
        sealed: the text; None where it is blocked, and of a post that was decided.
        rules_hash: of the rules that it was checked by.
        action: the severest of the rules'. hits: counts by rule.
        said: the reviews that were made, by part.
    """

    review_id: str
    kind: str
    author: str
    subject: SubjectId | None
    text_mark: str
    sealed: bytes | None = field(repr=False)
    rules_hash: str
    action: str
    hits: Mapping[str, int]
    submitted_by: PrincipalId
    submitted_at: datetime
    submit_entry: EntryId
    said: Mapping[ReviewPart, Said] = field(default_factory=dict)

    @property
    def state(self) -> ContentState:
        """Where it stands: one rejection ends it, and only both approvals let it pass."""
        verdicts = [one.verdict for one in self.said.values()]
        if self.action == BLOCKED:
            return ContentState.BLOCKED
        if ContentVerdictWord.REJECTED in verdicts:
            return ContentState.REJECTED
        return ContentState.APPROVED if len(verdicts) == len(ReviewPart) else ContentState.WAITING


def add_content(connection: Connection, made: ContentReview) -> None:
    """Keep a text that was submitted."""
    row = {
        "review_id": made.review_id,
        "kind": made.kind,
        "author": made.author,
        "subject_id": made.subject,
        "text_mark": made.text_mark,
        "sealed": made.sealed,
        "rules_hash": made.rules_hash,
        "action": made.action,
        "hits": json.dumps(dict(sorted(made.hits.items()))),
        "submitted_by": made.submitted_by,
        "submitted_at": made.submitted_at,
        "submit_entry": made.submit_entry,
    }
    connection.execute(insert(content_review), row)


def add_said(connection: Connection, review_id: str, part: ReviewPart, said: Said, *, drop_text: bool) -> None:
    """Keep one of the two reviews.

    Args:
        connection: in a write.
        review_id: of the text. part: which review.
        said: what was said.
        drop_text: whether the sealed text goes.
    """
    values: dict[str, object] = {
        f"{part}_verdict": said.verdict,
        f"{part}_by": said.by,
        f"{part}_at": said.at,
        f"{part}_entry": said.entry_id,
    }
    if drop_text:
        values["sealed"] = None
    connection.execute(update(content_review).where(content_review.c.review_id == review_id).values(values))


def get_content(connection: Connection, review_id: str, *, change: bool = False) -> ContentReview:
    """Return one, locked where it is about to be changed.

    Raises:
        NotFound: there is none.
    """
    query = select(content_review).where(content_review.c.review_id == review_id)
    row = connection.execute(query.with_for_update() if change else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no content review {review_id}", hint="`GET /v1/content` names them.")
    return to_content(row)


def newest_content(
    connection: Connection, *, submitted_by: PrincipalId | None = None, waiting_only: bool = False, limit: int = 100
) -> list[ContentReview]:
    """Return texts under review, the newest first.

    Args:
        connection: any.
        submitted_by: only theirs. waiting_only: only those that a review is missing of.
        limit: at most so many.
    """
    table = content_review.c
    query = select(content_review).order_by(table.submitted_at.desc(), table.review_id).limit(limit)
    if submitted_by is not None:
        query = query.where(table.submitted_by == submitted_by)
    if waiting_only:
        rejected = ContentVerdictWord.REJECTED.value
        query = query.where(
            table.action != BLOCKED,
            or_(table.medical_verdict.is_(None), table.compliance_verdict.is_(None)),
            table.medical_verdict.is_distinct_from(rejected),
            table.compliance_verdict.is_distinct_from(rejected),
        )
    return [to_content(row) for row in connection.execute(query)]


def all_content(connection: Connection) -> Iterator[tuple[str, ContentReview | None]]:
    """Yield every one by id; None for one whose row cannot be read."""
    return read_each(connection, content_review.c.review_id, to_content)


def forget_content(connection: Connection, subject: SubjectId) -> None:
    """Delete every post of a subject that was under review; the log keeps that there was one."""
    connection.execute(delete(content_review).where(content_review.c.subject_id == subject))


def to_content(row: Row[Any]) -> ContentReview:
    """Return what a row says; raises ``ValueError`` or ``TypeError`` where it says nothing that can be."""
    said = {}
    for part in ReviewPart:
        verdict = getattr(row, f"{part}_verdict")
        if verdict is not None:
            by, at, entry_id = (getattr(row, f"{part}_{name}") for name in ("by", "at", "entry"))
            said[part] = Said(ContentVerdictWord(verdict).value, PrincipalId(by), at, EntryId(entry_id))
    return ContentReview(
        review_id=row.review_id,
        kind=row.kind,
        author=row.author,
        subject=None if row.subject_id is None else SubjectId(row.subject_id),
        text_mark=row.text_mark,
        sealed=row.sealed,
        rules_hash=row.rules_hash,
        action=row.action,
        hits={str(rule): int(count) for rule, count in json.loads(row.hits).items()},
        submitted_by=PrincipalId(row.submitted_by),
        submitted_at=row.submitted_at,
        submit_entry=EntryId(row.submit_entry),
        said=said,
    )
