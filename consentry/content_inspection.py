"""Texts under review, compared with the log: before one is said to be approved, and by every reconciliation."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Outcome
from audit.scanning import ScannedEntry, find_scanned
from consent.inspection import Findings
from consentry.stores.content_reviews import ContentReview, ReviewPart, all_content

_PART: Final = "content"


def differing_content(connection: Connection, one: ContentReview) -> list[str]:
    """Return the names of what the log says otherwise of a text under review; empty where it says the same.

    What was pruned, long after its outcome, is not compared.
    """
    entries = find_scanned(connection, [one.submit_entry, *(said.entry_id for said in one.said.values())])
    submitted = entries.get(one.submit_entry)
    differs = ["entry"] if submitted is None else _differing_submission(one, submitted)
    for part in one.said:
        differs += [f"{part}.{name}" for name in _differing_review(one, part, entries)]
    return differs


def inspect_content(connection: Connection, found: Findings) -> None:
    """Compare every text under review with its entries; hold one snapshot."""
    found.read("content_reviews", 0)
    for review_id, one in all_content(connection):
        found.read("content_reviews", 1)
        found.add(_PART, review_id, ["unreadable"] if one is None else differing_content(connection, one))


def _differing_submission(one: ContentReview, entry: ScannedEntry) -> list[str]:
    if not entry.members:
        return []
    members, refs = entry.members, entry.refs
    said: Mapping[str, tuple[object, object]] = {
        "kind": ((members.get("act"), members.get("outcome")), (Act.CONTENT_SUBMITTED.value, Outcome.DONE.value)),
        "content": (refs.get("content"), one.review_id),
        "where": (refs.get("kind"), one.kind),
        "author": (refs.get("author"), one.author),
        "text": (refs.get("text"), one.text_mark),
        "rules": (refs.get("rules"), one.rules_hash),
        "action": (members.get("reason"), one.action),
        "submitted_by": (members.get("actor"), one.submitted_by),
    }
    return [name for name, (logged, stored) in said.items() if logged != stored]


def _differing_review(one: ContentReview, part: ReviewPart, entries: Mapping[str, ScannedEntry]) -> list[str]:
    review = one.said[part]
    entry = entries.get(review.entry_id)
    if entry is None:
        return ["entry"]
    if not entry.members:
        return []
    members, refs = entry.members, entry.refs
    said: Mapping[str, tuple[object, object]] = {
        "kind": ((members.get("act"), members.get("outcome")), (Act.CONTENT_REVIEWED.value, Outcome.DONE.value)),
        "content": (refs.get("content"), one.review_id),
        "part": (refs.get("part"), part.value),
        "text": (refs.get("text"), one.text_mark),
        "verdict": (members.get("reason"), review.verdict),
        "by": (members.get("actor"), review.by),
    }
    return [name for name, (logged, stored) in said.items() if logged != stored]
