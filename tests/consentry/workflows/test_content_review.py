"""The two reviews of posts and campaign texts: rules, two people, hard rules, the log, erasure."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from audit.events import Act
from audit.queries import find_entries
from audit.tables import detail, inbox, leaf
from consentry.platform import open_platform
from consentry.stores.content_reviews import ContentState, ContentVerdictWord, ReviewPart, get_content
from consentry.stores.tables import content_review
from consentry.workflows.admit import NotPermitted, receipt_of
from consentry.workflows.content_review import (
    MAX_CHARACTERS,
    ContentBlocked,
    Draft,
    MinorsPost,
    OwnContent,
    check_content,
    list_content,
    read_content,
    review_content,
    submit_content,
)
from consentry.workflows.erase import erase_subject
from consentry.workflows.erase_part import erase_part
from consentry.workflows.reconcile import reconcile
from deid.text.content import Action, Author, ContentKind
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed, NotFound
from tests.consentry.conftest import ADMIN, Captured
from vault.envelope import read_key_id
from vault.scopes import Scope, ScopeKind
from vault.tables import data_key

MEDICAL, COMPLIANCE = ReviewPart.MEDICAL, ReviewPart.COMPLIANCE
APPROVED, REJECTED = ContentVerdictWord.APPROVED, ContentVerdictWord.REJECTED
CAMPAIGN = Draft("【广告】秋季体检开始预约，这是最佳体检中心", ContentKind.CAMPAIGN, Author.OPERATOR)
HARD = Draft("【广告】二甲双胍限时特价，点击下单", ContentKind.CAMPAIGN, Author.OPERATOR)
WORDS = "我得了痛风，想问问大家怎么忌口，电话13812345678"


@pytest.fixture
def pg_platform(tmp_path, copied_to, clock):
    """A deployment whose two stores are two PostgreSQL databases."""
    with open_platform(copied_to("postgresql", tmp_path / "pg").settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def operator(captured):
    return captured.person_account("op.wu", "operator")[0]


@pytest.fixture
def physician(captured):
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def officer(captured):
    return captured.person_account("officer", "compliance_officer")[0]


@pytest.fixture
def submitted(platform, operator):
    """A campaign text that waits."""
    return submit_content(platform, operator, CAMPAIGN).review


def says(platform, who, review_id, part, verdict=APPROVED, *, reason="looked into"):
    return review_content(platform, who, review_id, part=part, verdict=verdict, reason=reason)


def entries(platform, act):
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=act)]


def stored(platform, review_id):
    with platform.data.read() as connection:
        return get_content(connection, review_id)


def test_text_passes_with_both_approvals(platform, operator, physician, officer):
    """Submitted with what the rules found, approved by a physician, then by compliance; each is an entry."""
    made = submit_content(platform, operator, CAMPAIGN)
    assert (made.review.state, made.verdict.action) == (ContentState.WAITING, Action.HOLD)
    assert says(platform, physician, made.review.review_id, MEDICAL).state is ContentState.WAITING
    assert says(platform, officer, made.review.review_id, COMPLIANCE).state is ContentState.APPROVED
    (told,) = entries(platform, Act.CONTENT_SUBMITTED)
    assert (told["reason"], told["counts"], told["actor"]) == ("hold", {"superlative": 1}, operator.principal_id)
    reviews = entries(platform, Act.CONTENT_REVIEWED)
    assert {(one["refs"]["part"], one["reason"]) for one in reviews} == {
        ("medical", "approved"),
        ("compliance", "approved"),
    }
    assert {one["refs"]["text"] for one in reviews} == {told["refs"]["text"]} == {made.review.text_mark}


def test_one_rejection_ends_it(platform, physician, officer, submitted):
    """Whichever comes first; nothing can be said afterwards."""
    assert says(platform, officer, submitted.review_id, COMPLIANCE, REJECTED).state is ContentState.REJECTED
    with pytest.raises(Conflict):
        says(platform, physician, submitted.review_id, MEDICAL)


def test_hard_rules_cannot_be_overruled(platform, operator, physician, officer):
    """A blocked text is not kept, and neither reviewer lets it pass."""
    made = submit_content(platform, operator, HARD).review
    assert (made.state, made.sealed) == (ContentState.BLOCKED, None)
    for who, part in ((physician, MEDICAL), (officer, COMPLIANCE)):
        with pytest.raises(ContentBlocked):
            says(platform, who, made.review_id, part)
    assert read_content(platform, physician, made.review_id)[1] is None


def test_two_different_people_who_did_not_submit(platform, captured, physician, officer, submitted):
    """R48: nobody reviews an own text or both parts of one; the try stays in the log."""
    says(platform, physician, submitted.review_id, MEDICAL)
    with pytest.raises(OwnContent):
        says(platform, replace(physician, role="compliance_officer"), submitted.review_id, COMPLIANCE)
    author, _ = captured.person_account("op.li", "operator")
    own = submit_content(platform, author, CAMPAIGN).review
    with pytest.raises(OwnContent):
        says(platform, replace(author, role="clinician"), own.review_id, MEDICAL)
    denied = [one["refs"] for one in entries(platform, Act.ACCESS_DENIED) if one["reason"] == "OWN_CONTENT"]
    assert {one["content"] for one in denied} == {submitted.review_id, own.review_id}


def test_each_review_is_its_roles_alone(platform, operator, physician, officer, submitted):
    """A physician judges medicine, compliance the law, and an operator neither; each part once."""
    for who, part in ((physician, COMPLIANCE), (officer, MEDICAL), (operator, MEDICAL), (operator, COMPLIANCE)):
        with pytest.raises(Denied):
            says(platform, who, submitted.review_id, part)
    says(platform, physician, submitted.review_id, MEDICAL)
    other = replace(physician, principal_id="prn_other")
    with pytest.raises(Conflict, match="medical review was made"):
        says(platform, other, submitted.review_id, MEDICAL)


def test_members_post_is_masked_and_goes_with_its_outcome(platform, captured, operator, physician, officer):
    """The reviewers see no number; after the outcome the words are gone, and the log keeps a keyed hash."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject))
    assert made.verdict.action is Action.MASK
    assert made.text == WORDS.replace("13812345678", "〔手机〕")
    assert read_content(platform, officer, made.review.review_id)[1] == made.text
    says(platform, physician, made.review.review_id, MEDICAL)
    assert stored(platform, made.review.review_id).sealed is not None
    says(platform, officer, made.review.review_id, COMPLIANCE)
    assert stored(platform, made.review.review_id).sealed is None


def test_post_needs_the_members_decision_on_publishing(platform, captured, operator, physician):
    """R09: without P10 nothing is kept, and after its withdrawal nothing is read or said."""
    closed, open_ = captured.person("u-1"), captured.person("u-2", "P10")
    with pytest.raises(NotPermitted):
        submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, closed))
    with platform.data.read() as connection:
        assert connection.execute(select(content_review)).all() == []
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, open_)).review
    captured.record(captured.act("withdraw", captured.known("u-2"), "P10"))
    with pytest.raises(NotPermitted):
        read_content(platform, physician, made.review_id)
    with pytest.raises(NotPermitted):
        says(platform, physician, made.review_id, MEDICAL)
    assert not stored(platform, made.review_id).said


def test_minors_post_stops(platform, captured, operator):
    """R21, R22: nobody of staff gets to read it; the try stays in the log."""
    child = captured.person("u-1", "P02", birth_date="2012-01-01")
    with pytest.raises(MinorsPost):
        submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, child))
    assert [one["reason"] for one in entries(platform, Act.ACCESS_DENIED)] == ["MINOR"]


@pytest.mark.parametrize(
    "draft",
    [
        replace(CAMPAIGN, text=" \n"),
        replace(CAMPAIGN, text="好" * (MAX_CHARACTERS + 1)),
        Draft(WORDS, ContentKind.POST, Author.MEMBER),
        replace(CAMPAIGN, subject="sub_" + "a" * 24),
    ],
    ids=["blank", "long", "nobody", "somebody"],
)
def test_unsound_submission_is_refused(platform, operator, draft):
    """Nothing is kept of it."""
    with pytest.raises(BadInput):
        submit_content(platform, operator, draft)


def test_longest_text_is_kept_whatever_its_characters(platform, operator, physician):
    """Four bytes each still fit beside the entry."""
    text = "【广告】" + "😀" * (MAX_CHARACTERS - 4)
    made = submit_content(platform, operator, replace(CAMPAIGN, text=text)).review
    assert read_content(platform, physician, made.review_id)[1] == text


def test_nothing_of_a_text_stands_in_log_or_table(platform, captured, operator, physician):
    """Not in the entries, not unsealed beside them, not in the row; the reason neither."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    says(platform, physician, made.review_id, MEDICAL, reason="gout diet is sound")
    platform.log.settle()
    with platform.data.read() as connection:
        tables = (leaf, inbox, detail, content_review)
        kept = b"".join(str(row).encode() for table in tables for row in connection.execute(select(table)))
    for value in ("13812345678", "痛风", "gout"):
        assert value.encode() not in kept
        assert repr(value.encode()).encode() not in kept
    assert "痛风" not in repr(made)


def test_checking_keeps_nothing(platform, operator):
    """A check answers and leaves an entry with counts."""
    assert check_content(platform, operator, HARD).is_blocked
    (told,) = entries(platform, Act.CONTENT_CHECKED)
    assert (told["reason"], told["counts"]["prescription_drug_promotion"]) == ("block", 1)
    with platform.data.read() as connection:
        assert connection.execute(select(content_review)).all() == []


def test_lists_and_texts_are_for_reviewers_and_who_submitted(platform, captured, operator, officer, submitted):
    """Another operator sees neither; every reading is an entry."""
    other, _ = captured.person_account("op.li", "operator")
    assert [one.review_id for one in list_content(platform, operator)] == [submitted.review_id]
    assert list_content(platform, other) == []
    assert len(list_content(platform, officer, waiting_only=True)) == 1
    assert read_content(platform, operator, submitted.review_id)[1] == CAMPAIGN.text
    with pytest.raises(Denied):
        read_content(platform, other, submitted.review_id)
    says(platform, officer, submitted.review_id, COMPLIANCE, REJECTED)
    assert list_content(platform, officer, waiting_only=True) == []
    assert len(entries(platform, Act.CONTENT_READ)) == 5


def test_words_go_with_their_persons_key(platform, captured, operator, physician):
    """Erased is erased: a copy of the row beside today's key store opens nothing."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    assert read_content(platform, physician, made.review_id)[1] is not None
    erase_subject(platform, ADMIN, subject=subject, reason="request")
    with platform.keystore.database.read() as connection:
        held = {bytes(row.key_id) for row in connection.execute(select(data_key.c.key_id))}
    assert read_key_id(made.sealed) not in held


def test_words_need_a_permit_and_its_receipt(platform, captured, operator):
    """A permit for something else, or a receipt that was used, opens nothing."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    asked = {"asking": platform.asking(ADMIN), "subject": subject}
    with platform.data.write() as connection:
        other = platform.gate.check(connection, purpose="P02", fields=["sex"], **asked)
        permit = platform.gate.check(connection, purpose="P10", fields=["post_text"], **asked)
    place = {"subject": subject, "field": "post_text", "place": made.review_id}
    with pytest.raises(Denied):
        platform.passing_words.open(made.sealed, other, receipt_of(platform, other), **place)
    receipt = receipt_of(platform, permit)
    with pytest.raises(Denied):
        platform.passing_words.open(made.sealed, permit, receipt_of(platform, other), **place)
    opened = platform.passing_words.open(made.sealed, permit, receipt, **place)
    assert opened.endswith(WORDS.replace("13812345678", "〔手机〕"))
    with pytest.raises(Denied):
        platform.passing_words.open(made.sealed, permit, receipt, **place)
    with pytest.raises(IntegrityFailed):
        platform.passing_words.open(
            made.sealed, permit, receipt_of(platform, permit), **{**place, "place": "cnt_other"}
        )


def test_erasure_takes_a_persons_posts(platform, captured, operator, physician):
    """Erased is erased: the row goes, the entries stay."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    erase_subject(platform, ADMIN, subject=subject, reason="request")
    with pytest.raises(NotFound):
        read_content(platform, physician, made.review_id)
    assert entries(platform, Act.CONTENT_SUBMITTED)
    assert reconcile(platform, ADMIN).is_clean


CHANGES = [
    {"action": "allow"},
    {"text_mark": "0" * 64},
    {"rules_hash": "0" * 64},
    {"submitted_by": "prn_nobody"},
    {"kind": "post"},
    {"compliance_verdict": "approved", "compliance_by": "prn_x", "compliance_at": 0, "compliance_entry": "ent_x"},
    {"hits": "no json"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_row_that_was_changed_by_hand_is_found(platform, physician, submitted, change):
    """By reconciliation, and before anything is said or shown of it."""
    assert reconcile(platform, ADMIN).is_clean
    with platform.data.write() as connection:
        connection.exec_driver_sql(
            "UPDATE content_review SET " + ", ".join(f"{name} = ?" for name in change), tuple(change.values())
        )
    assert [one.part for one in reconcile(platform, ADMIN).mismatches] == ["content"]
    if "hits" not in change:
        with pytest.raises(IntegrityFailed):
            says(platform, physician, submitted.review_id, MEDICAL)


def test_text_that_was_exchanged_is_not_shown(platform, operator, physician, submitted):
    """Another text's sealed bytes do not open in its place."""
    other = submit_content(platform, operator, replace(CAMPAIGN, text="【广告】另一段文字")).review
    with platform.data.write() as connection:
        exchanged = update(content_review).where(content_review.c.review_id == submitted.review_id)
        connection.execute(exchanged.values(sealed=other.sealed))
    with pytest.raises(IntegrityFailed):
        read_content(platform, physician, submitted.review_id)


def test_text_that_was_taken_away_is_approved_by_nobody(platform, physician, submitted):
    """Nobody approves unread, and unchecked by today's rules, what a hand has removed; it can be rejected."""
    with platform.data.write() as connection:
        connection.execute(update(content_review).values(sealed=None))
    with pytest.raises(IntegrityFailed):
        says(platform, physician, submitted.review_id, MEDICAL)
    assert says(platform, physician, submitted.review_id, MEDICAL, REJECTED).state is ContentState.REJECTED


def test_text_is_checked_again_by_todays_rules(platform, physician, submitted, monkeypatch, rules_of_tomorrow):
    """What was let in yesterday and is hard today is approved by nobody; it can be rejected."""
    monkeypatch.setattr("consentry.workflows.content_review.read_content_checker", lambda _: rules_of_tomorrow)
    with pytest.raises(ContentBlocked):
        says(platform, physician, submitted.review_id, MEDICAL)
    assert says(platform, physician, submitted.review_id, MEDICAL, REJECTED).state is ContentState.REJECTED


@pytest.fixture
def rules_of_tomorrow(tmp_path):
    """Rules that block the word 体检."""
    from deid.text.content import ContentChecker, load_content_rules

    path = tmp_path / "content_rules.yaml"
    path.write_text(
        """
version: "2"
rules:
  unjudged:
    {severity: soft, action: hold, law: 法, article: 一, message: {zh: 长, en: long}, identifiers: [WITHHELD]}
  check_up: {severity: hard, action: block, law: 法, article: 一, message: {zh: 体检, en: check-up}, find: [体检]}
""",
        encoding="utf-8",
    )
    return ContentChecker(load_content_rules(path))


def test_deleted_row_is_of_no_use(platform, physician, submitted):
    """Nothing passes without its row."""
    with platform.data.write() as connection:
        connection.execute(delete(content_review))
    with pytest.raises(NotFound):
        says(platform, physician, submitted.review_id, MEDICAL)


def test_both_reviews_on_postgresql(pg_platform):
    """A post goes its whole way, is listed while it waits, and agrees with the log."""
    captured = Captured(pg_platform)
    operator, physician, officer = (
        captured.person_account(role, role)[0] for role in ("operator", "clinician", "compliance_officer")
    )
    subject = captured.person("u-1", "P10")
    made = submit_content(pg_platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    blocked = submit_content(pg_platform, operator, HARD).review
    assert [one.review_id for one in list_content(pg_platform, officer, waiting_only=True)] == [made.review_id]
    assert {one.review_id for one in list_content(pg_platform, officer)} == {made.review_id, blocked.review_id}
    assert "〔手机〕" in read_content(pg_platform, physician, made.review_id)[1]
    says(pg_platform, physician, made.review_id, MEDICAL)
    assert says(pg_platform, officer, made.review_id, COMPLIANCE).state is ContentState.APPROVED
    assert reconcile(pg_platform, ADMIN).is_clean


@pytest.mark.parametrize(
    ("scope", "goes"),
    [
        (Scope(ScopeKind.COMPARTMENT, ("social",)), True),
        (Scope(ScopeKind.PURPOSE, ("P10",)), True),
        (Scope(ScopeKind.FIELDS, ("post_text",)), True),
        (Scope(ScopeKind.COMPARTMENT, ("clinical",)), False),
    ],
    ids=["compartment", "purpose", "field", "another"],
)
def test_posts_go_with_an_erasure_of_their_part(platform, captured, operator, scope, goes):
    """What still waits is a part of what was collected."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    erase_part(platform, ADMIN, subject=subject, scope=scope, reason="request")
    assert [one.review_id for one in list_content(platform, operator)] == ([] if goes else [made.review_id])


def test_words_whose_key_is_gone_are_sent_again(platform, captured, operator, physician):
    """They are never resealed: they cannot be read, pass by nobody's word, and can be rejected."""
    subject = captured.person("u-1", "P10")
    made = submit_content(platform, operator, Draft(WORDS, ContentKind.POST, Author.MEMBER, subject)).review
    with platform.keystore.database.write() as connection:
        connection.execute(delete(data_key).where(data_key.c.key_id == read_key_id(made.sealed)))
    with pytest.raises(NotFound):
        read_content(platform, physician, made.review_id)
    with pytest.raises(NotFound):
        says(platform, physician, made.review_id, MEDICAL)
    assert says(platform, physician, made.review_id, MEDICAL, REJECTED).state is ContentState.REJECTED
