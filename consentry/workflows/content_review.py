"""The two reviews that every post and campaign text passes: rules first, then a physician and compliance.

A text is checked as it is submitted. What breaks a hard rule is blocked for good: it is not kept, and nobody can let
it pass. The rest waits, its contacts masked, for two people who did not submit it: one says whether it is right as
medicine, the other whether the law lets it be said. One rejection ends it; only both approvals let it pass. A member's
words are sealed under the member's own key, opened for a permit and its receipt, and deleted with the outcome. The log
has rules, counts, verdicts and a keyed hash, never a word of the text.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from audit.events import Act, Event, Outcome
from consent.asking import Asking
from consent.entries import now_in_log
from consent.permits import Permit, Refusal
from consent.standing import get_standing
from consentry.access import can_act
from consentry.content_inspection import differing_content
from consentry.packs import pack_folder
from consentry.parsed_packs import read_content_checker
from consentry.platform import Platform
from consentry.principals import Principal
from consentry.stores.content_reviews import (
    POST_FIELD,
    ContentReview,
    ContentState,
    ContentVerdictWord,
    ReviewPart,
    Said,
    add_content,
    add_said,
    get_content,
    newest_content,
)
from consentry.words_said import check_said
from consentry.workflows.admit import permitted, receipt_of
from consentry.workflows.approvals import is_minor_or_unknown
from consentry.workflows.denials import check_allowed, record_denial
from deid.text.content import Author, ContentKind, ContentVerdict
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed
from kernel.ids import EntryId, PrincipalId, SubjectId, new_id

SUBMIT: Final = "content.submit"
REVIEW: Final[Mapping[ReviewPart, str]] = {
    ReviewPart.MEDICAL: "content.review_medical",
    ReviewPart.COMPLIANCE: "content.review_compliance",
}
_ANY: Final = (*REVIEW.values(), SUBMIT)

MAX_CHARACTERS: Final = 12_000
"""Of one text, so that it fits into sealed details of 64 KiB whatever its characters are."""

_PUBLISHING: Final = "P10"
"""A member's post is kept and read under the member's own decision on publishing (PIPL 25; R09)."""


class OwnContent(Denied):
    """The reviewer has submitted the text, or made the other review."""


class ContentBlocked(Conflict):
    """The text breaks a hard rule, which nobody can overrule."""


class MinorsPost(Denied):
    """A post of somebody under 18, or of unknown age, is not published."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is to appear.

    Attributes:
        subject: whose post it is, of a member; None for what doctors and the operator write.
    """

    text: str = field(repr=False)
    kind: ContentKind
    author: Author
    subject: SubjectId | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A text that was submitted, what the rules found, and the text as it may appear, its contacts masked."""

    review: ContentReview
    verdict: ContentVerdict
    text: str = field(repr=False)


def check_content(platform: Platform, caller: Principal, draft: Draft) -> ContentVerdict:
    """Check a text without submitting it; nothing of it is kept.

    Raises:
        Denied: the role neither submits nor reviews.
        BadInput: nothing to read, or too much.
    """
    check_allowed(platform, caller, _act_of(platform, caller), persons_only=True)
    verdict = _verdict(platform, draft)
    asking = platform.asking(caller)
    event = Event(
        Act.CONTENT_CHECKED, Outcome.DONE, asking.actor, asking.role, asking.request_id, reason=verdict.action.value,
        refs=_refs(draft, verdict), counts=_counts(verdict),
    )  # fmt: skip
    platform.log.write(event)
    return verdict


def submit_content(platform: Platform, caller: Principal, draft: Draft) -> Submitted:
    """Check a text and put it before the two reviewers, unless it breaks a hard rule.

    Raises:
        Denied: the role may not submit.
        MinorsPost: the member is under 18 or of unknown age; the try stays in the log.
        NotPermitted: the member has not agreed to publishing; nothing is kept.
        NotFound: nobody is registered under this id.
        BadInput: nothing to read, too much, or a member's post that says not whose it is.
    """
    check_allowed(platform, caller, SUBMIT, persons_only=True, subject=draft.subject)
    _check_whose(draft)
    _check_grown_up(platform, caller, draft.subject)
    verdict = _verdict(platform, draft)
    text = verdict.masked(draft.text)
    asking = platform.asking(caller)
    if draft.subject is not None:
        platform.passing_words.prepare(draft.subject, POST_FIELD)
    with platform.data.write() as connection:
        said = _ask_gate(platform, connection, asking, draft.subject)
        if not isinstance(said, Refusal):
            made = _added(platform, connection, (asking, said), replace(draft, text=text), verdict)
    platform.log.settle()
    if isinstance(said, Refusal):
        permitted(said)
    return Submitted(made, verdict, text)


def review_content(
    platform: Platform, caller: Principal, review_id: str, *, part: ReviewPart, verdict: ContentVerdictWord, reason: str
) -> ContentReview:
    """Say what one of the two reviews comes to.

    Args:
        platform: every part.
        caller: a person whose role makes this review.
        review_id: of the text. part: which of the two.
        verdict: approved or rejected.
        reason: the caller's own words, sealed beside the entry.

    Raises:
        Denied: the role may not.
        OwnContent: the caller has submitted it, or made the other review; the try stays in the log.
        ContentBlocked: it breaks a hard rule, or does so by the rules that stand now.
        Conflict: it was decided, or this review was made before.
        NotPermitted: the member has withdrawn meanwhile.
        NotFound: there is no such text. BadInput: no reason.
        IntegrityFailed: what is stored is not what the log tells of.
    """
    act = REVIEW[part]
    check_allowed(platform, caller, act, persons_only=True)
    said = check_said(reason, what="A review")
    with platform.data.read() as connection:
        found = get_content(connection, review_id)
    if _is_own(found, caller):
        record_denial(
            platform, caller, reason="OWN_CONTENT", subject=found.subject, refs={"act": act, "content": review_id}
        )
        raise OwnContent("Nobody reviews an own text, or both parts of one", hint="Ask another reviewer.")
    _check_waits(found, part)
    asking = platform.asking(caller, reason=said)
    if verdict is ContentVerdictWord.APPROVED:
        _check_still_passes(platform, asking, found)
    with platform.data.write() as connection:
        found = get_content(connection, review_id, change=True)
        _check_waits(found, part)
        _check_logged(connection, found)
        if _is_own(found, caller):
            raise Conflict("The other review was made by the same person meanwhile", hint="Ask another reviewer.")
        may = _ask_gate(platform, connection, asking, found.subject)
        if not isinstance(may, Refusal):
            _say(platform, connection, asking, (found, part), verdict)
            found = get_content(connection, review_id)
    platform.log.settle()
    if isinstance(may, Refusal):
        permitted(may)
    return found


def read_content(platform: Platform, caller: Principal, review_id: str) -> tuple[ContentReview, str | None]:
    """Return a text under review, opened once its entry is signed for; None where it is not kept.

    Raises:
        Denied: the role neither submits nor reviews, or submits only and it is another's.
        NotPermitted: the member has withdrawn meanwhile.
        NotFound: there is no such text.
        IntegrityFailed: what is stored is not what the log tells of.
    """
    check_allowed(platform, caller, _act_of(platform, caller), persons_only=True)
    with platform.data.read() as connection:
        found = get_content(connection, review_id)
    if not _reviews(platform, caller) and found.submitted_by != caller.principal_id:
        check_allowed(platform, caller, REVIEW[ReviewPart.MEDICAL], persons_only=True, subject=found.subject)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = get_content(connection, review_id)
        _check_logged(connection, found)
        may = _ask_gate(platform, connection, asking, found.subject)
        if not isinstance(may, Refusal):
            event = Event(
                Act.CONTENT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id, subject=found.subject,
                refs={"content": review_id}, counts={"texts": int(found.sealed is not None)},
            )  # fmt: skip
            platform.log.record(connection, event)
    platform.log.settle()
    return found, _opened(platform, found, permitted(may) if may is not None else None)


def list_content(platform: Platform, caller: Principal, *, waiting_only: bool = False) -> list[ContentReview]:
    """Return the newest hundred texts without their words: all to reviewers, to others their own; leaves an entry."""
    check_allowed(platform, caller, _act_of(platform, caller), persons_only=True)
    submitted_by = None if _reviews(platform, caller) else PrincipalId(caller.principal_id)
    asking = platform.asking(caller)
    with platform.data.write() as connection:
        found = newest_content(connection, submitted_by=submitted_by, waiting_only=waiting_only)
        event = Event(
            Act.CONTENT_READ, Outcome.ALLOWED, asking.actor, asking.role, asking.request_id,
            cohort=tuple(dict.fromkeys(one.subject for one in found if one.subject is not None)),
            refs={"what": "list"}, counts={"listed": len(found)},
        )  # fmt: skip
        platform.log.record(connection, event)
    platform.log.settle()
    return found


def _verdict(platform: Platform, draft: Draft) -> ContentVerdict:
    check_said(draft.text, what="A text")
    if len(draft.text) > MAX_CHARACTERS:
        raise BadInput(f"A text has at most {MAX_CHARACTERS} characters", hint="Submit it in parts.")
    return read_content_checker(pack_folder(platform.settings.pack)).check(draft.text, draft.kind, draft.author)


def _check_whose(draft: Draft) -> None:
    """Raise unless a member's post says whose it is, and nothing else does."""
    if (draft.author is Author.MEMBER) != (draft.subject is not None):
        raise BadInput(
            "A member's text names its member, and no other text names anybody",
            hint="Give subject_id with the author member, and leave it out otherwise.",
        )


def _check_grown_up(platform: Platform, caller: Principal, subject: SubjectId | None) -> None:
    """Raise where a post is a minor's: what they write is theirs to show to nobody (R21, R22)."""
    if subject is None:
        return
    with platform.data.read() as connection:
        standing = get_standing(connection, subject)
        is_minor = is_minor_or_unknown(standing, now_in_log(connection, platform.log, platform.clock))
    if is_minor:
        record_denial(platform, caller, reason="MINOR", subject=subject, refs={"act": SUBMIT})
        raise MinorsPost("A minor's post is not published", hint="Leave it unpublished.")


def _ask_gate(
    platform: Platform, connection: Connection, asking: Asking, subject: SubjectId | None
) -> Permit | Refusal | None:
    """Ask the gate whether a member's post may be kept and read; None of a text that is no member's."""
    if subject is None:
        return None
    return platform.gate.check(connection, asking=asking, purpose=_PUBLISHING, subject=subject, fields=[POST_FIELD])


def _added(
    platform: Platform,
    connection: Connection,
    who: tuple[Asking, Permit | None],
    draft: Draft,
    verdict: ContentVerdict,
) -> ContentReview:
    """Keep a text, sealed unless it is blocked, and leave its entry.

    The mark is over the text and a name that is sealed with it: once both are gone it confirms no guess.
    """
    asking, permit = who
    review_id = new_id("cnt")
    words = f"{new_id('txt')}\n{draft.text}"
    mark = _mark(platform, words)
    entry_id = platform.log.record(
        connection,
        Event(
            Act.CONTENT_SUBMITTED, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=draft.subject,
            reason=verdict.action.value, refs={"content": review_id, "text": mark, **_refs(draft, verdict)},
            counts=_counts(verdict),
        ),
    )  # fmt: skip
    made = ContentReview(
        review_id=review_id,
        kind=draft.kind.value,
        author=draft.author.value,
        subject=draft.subject,
        text_mark=mark,
        sealed=None if verdict.is_blocked else _sealed(platform, words, (draft.subject, permit), review_id),
        rules_hash=verdict.rules_hash,
        action=verdict.action.value,
        hits=_counts(verdict),
        submitted_by=PrincipalId(asking.actor),
        submitted_at=now_in_log(connection, platform.log, platform.clock),
        submit_entry=entry_id,
    )
    add_content(connection, made)
    return made


def _say(
    platform: Platform,
    connection: Connection,
    asking: Asking,
    what: tuple[ContentReview, ReviewPart],
    verdict: ContentVerdictWord,
) -> None:
    """Leave the entry of a review and keep it; the words of a post go with its outcome."""
    found, part = what
    event = Event(
        Act.CONTENT_REVIEWED, Outcome.DONE, asking.actor, asking.role, asking.request_id, subject=found.subject,
        reason=verdict.value, refs={"content": found.review_id, "part": part.value, "text": found.text_mark},
        details={"reason": asking.reason},
    )  # fmt: skip
    entry_id: EntryId = platform.log.record(connection, event)
    now = now_in_log(connection, platform.log, platform.clock)
    said = Said(verdict.value, PrincipalId(asking.actor), now, entry_id)
    concluded = replace(found, said={**found.said, part: said}).state is not ContentState.WAITING
    is_post = found.kind == ContentKind.POST.value
    add_said(connection, found.review_id, part, said, drop_text=concluded and is_post)


def _check_waits(found: ContentReview, part: ReviewPart) -> None:
    if found.state is ContentState.BLOCKED:
        raise ContentBlocked("The text breaks a hard rule", hint="Nobody can let it pass; have it written anew.")
    if found.state is not ContentState.WAITING:
        raise Conflict(f"The text is {found.state}", hint="Submit it anew.")
    if part in found.said:
        raise Conflict(f"The {part} review was made: {found.said[part].verdict}", hint="Ask for the other one.")


def _check_still_passes(platform: Platform, asking: Asking, found: ContentReview) -> None:
    """Raise unless the text is there to be read, and passes the hard rules as they stand now."""
    with platform.data.write() as connection:
        may = _ask_gate(platform, connection, asking, found.subject)
    text = _opened(platform, found, permitted(may) if may is not None else None)
    if text is None:
        raise IntegrityFailed(
            f"The text of {found.review_id} waits and is not kept", hint="Reject it, and have it submitted anew."
        )
    draft = Draft(text, ContentKind(found.kind), Author(found.author), found.subject)
    if _verdict(platform, draft).is_blocked:
        raise ContentBlocked("The text breaks a hard rule of today's", hint="Reject it, and have it written anew.")


def _check_logged(connection: Connection, found: ContentReview) -> None:
    if differs := differing_content(connection, found):
        raise IntegrityFailed(
            f"Content review {found.review_id} is not the one that the log tells of: {', '.join(differs)} differ",
            hint="Run `consentry audit reconcile`.",
        )


def _sealed(platform: Platform, words: str, whose: tuple[SubjectId | None, Permit | None], review_id: str) -> bytes:
    """Seal a member's words under the member's own key, others under the year's key of details."""
    subject, permit = whose
    if subject is None or permit is None:
        return platform.sealer.seal_details({"text": words}, context=review_id)
    return platform.passing_words.seal(words, permit, subject=subject, field=POST_FIELD, place=review_id)


def _opened(platform: Platform, found: ContentReview, permit: Permit | None) -> str | None:
    """Return the kept text, for a permit where it is a member's; None where it is not kept.

    Raises:
        NotFound: the member's key was destroyed. IntegrityFailed: it is not the text that was submitted.
    """
    if found.sealed is None:
        return None
    if found.subject is None or permit is None:
        words = str(platform.sealer.open_details(found.sealed, context=found.review_id).get("text"))
    else:
        receipt = receipt_of(platform, permit)
        words = platform.passing_words.open(
            found.sealed, permit, receipt, subject=found.subject, field=POST_FIELD, place=found.review_id
        )
    if _mark(platform, words) != found.text_mark:
        raise IntegrityFailed(f"The text of {found.review_id} is not the one that was submitted")
    return words.partition("\n")[2]


def _mark(platform: Platform, words: str) -> str:
    return platform.sealer.mark_texts([f"content {words}"])[0].hex()


def _is_own(found: ContentReview, caller: Principal) -> bool:
    return caller.principal_id in {found.submitted_by, *(one.by for one in found.said.values())}


def _act_of(platform: Platform, caller: Principal) -> str:
    """Return an act of reviewing or submitting that the caller's role has, or the first where it has none."""
    return next((act for act in _ANY if can_act(platform.catalogue, caller, act)), _ANY[0])


def _reviews(platform: Platform, caller: Principal) -> bool:
    return any(can_act(platform.catalogue, caller, act) for act in REVIEW.values())


def _refs(draft: Draft, verdict: ContentVerdict) -> dict[str, str]:
    return {"kind": draft.kind.value, "author": draft.author.value, "rules": verdict.rules_hash}


def _counts(verdict: ContentVerdict) -> dict[str, int]:
    return dict(sorted(Counter(hit.rule for hit in verdict.hits).items()))
