"""A person's history: complete, in order, in both languages, as of any moment, with the exact words that were shown."""

import hashlib
import html
import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from audit.queries import find_entries
from consent.guardians import end_guardian
from consentry.acts import ConsentAct
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.erase import restrict_subject
from consentry.workflows.history import history_json, read_history
from consentry.workflows.history_page import history_page, told_in_words
from consentry.workflows.represent import release_subject
from kernel.errors import Denied, IntegrityFailed, NotFound
from kernel.ids import PrincipalId, SubjectId

CLINICIAN = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def told(platform, captured, clock):
    """A person who granted and withdrew profiling, was restricted and released; with the instants between."""
    subject = captured.person()
    clock.advance(MINUTE)
    captured.grant("u-1", "P07")
    granted = clock.now()
    clock.advance(MINUTE)
    captured.record(captured.act("withdraw", captured.known("u-1"), "P07"))
    clock.advance(MINUTE)
    restrict_subject(platform, captured.caller, subject=subject, reason="request 1")
    clock.advance(MINUTE)
    release_subject(platform, captured.caller, subject=subject, reason="request 1 is settled")
    return subject, granted


def test_history_tells_everything_in_order_in_both_languages(platform, captured, told):
    """Registration, contracts, grant, withdrawal, restriction and release, each one sentence (R15)."""
    subject, _ = told
    zh = history_json(platform, captured.caller, subject)
    en = history_json(platform, captured.caller, subject, locale="en")
    assert [event["kind"] for event in zh["events"]] == ["standing", *["decision"] * 5, "standing", "standing"]
    assert [event["act"] for event in zh["events"] if event["kind"] == "decision"][3:] == ["grant", "withdraw"]
    label = platform.catalogue.purposes["P07"].label
    assert zh["events"][4]["words"] == f"本人同意“P07 {label.zh}”。"
    assert en["events"][4]["words"] == f"The person consented to “P07 {label.en}”."
    assert en["events"][5]["words"] == f"The person withdrew the consent to “P07 {label.en}”."
    assert [event["words"] for event in en["events"][6:]] == [
        "Processing was restricted.",
        "The restriction of processing was lifted.",
    ]
    assert zh["standing"] == {"state": "active", "deceased": False, "words": "正常"}
    assert {row["act"] for row in en["now"] if row["purpose"] == "P07"} == {"withdraw"}


def test_history_as_of_a_moment_knows_nothing_that_came_later(platform, captured, told):
    """Between grant and withdrawal the grant stood, and nobody was restricted (R15)."""
    subject, granted = told
    then = history_json(platform, captured.caller, subject, as_of=granted)
    assert [row["act"] for row in then["now"] if row["purpose"] == "P07"] == ["grant"]
    assert len(then["events"]) == 5
    assert history_json(platform, captured.caller, subject, as_of=granted - timedelta(days=1))["events"] == []


def test_exact_text_can_be_fetched_with_the_hash_that_the_decision_names(platform, captured, told):
    """The stored bytes of the notice hash to what the grant recorded (R04)."""
    subject, _ = told
    found = history_json(platform, captured.caller, subject)
    grant = next(event for event in found["events"] if event.get("act") == "grant")
    notice = next(one for one in found["notices"] if one["notice"] == grant["notice"])
    assert hashlib.sha256(notice["text"].encode()).hexdigest() == notice["hash"] == grant["notice_hash"]
    published = next(n for n in platform.catalogue.notices if n.code == notice["code"] and n.locale == notice["locale"])
    assert json.loads(notice["text"])["sections"] == dict(published.sections)


def test_text_that_was_changed_behind_the_triggers_is_never_shown_as_the_one_that_was_shown(platform, captured, told):
    """The page refuses, instead of showing other words under an old decision (R04)."""
    subject, _ = told
    with platform.data.write() as connection:
        connection.execute(text("DROP TRIGGER notice_no_update"))
        connection.execute(text("UPDATE notice SET content = content || ' ' WHERE code = 'profiling'"))
    with pytest.raises(IntegrityFailed, match="not the one that was shown"):
        read_history(platform, captured.caller, subject)


def test_reading_leaves_an_entry_and_the_evidence_one_of_its_own(platform, captured, told):
    """Who read somebody's history stands in the log, and who opened the evidence too."""
    subject, _ = told
    found = read_history(platform, captured.caller, subject, with_evidence=True)
    assert {one["mechanism"] for one in found.evidence.values()} == {"tapped_button"}
    assert len(found.evidence) == 5
    with platform.data.read() as connection:
        acts = [entry.members["act"] for entry in find_entries(connection, subject=subject)][-2:]
    assert acts == ["consent.read", "consent.evidence_read"]
    assert read_history(platform, captured.caller, subject).evidence == {}


def test_evidence_is_for_officers(platform, captured, told):
    """A clinician reads the history, and not how each act was made."""
    subject, _ = told
    assert read_history(platform, CLINICIAN, subject).happenings
    with pytest.raises(Denied):
        read_history(platform, CLINICIAN, subject, with_evidence=True)


def test_nobody_has_no_history(platform, captured):
    """An unknown id is told, and not shown as somebody without decisions."""
    with pytest.raises(NotFound):
        read_history(platform, captured.caller, SubjectId(f"sub_{'a' * 24}"))


def test_guardian_is_told_with_verification_and_end(platform, captured, clock):
    """A child's history names the guardian, how it was verified, what it decided, and the end of it (R21)."""
    parent = captured.person("u-2", birth_date="1985-01-01")
    child = captured.person("u-1", birth_date="2018-03-03")
    made = captured.record(
        captured.act(
            "guardian", captured.known("u-1"), actor={"kind": "guardian", "subject": {"subject_id": parent}},
            evidence={"mechanism": "document", "document": "household_register"},
        )
    )  # fmt: skip
    clock.advance(MINUTE)
    with platform.data.write() as connection:
        end_guardian(
            connection, made.decisions[0][0], asking=platform.asking(captured.caller), log=platform.log, clock=clock
        )
    found = history_json(platform, captured.caller, child, locale="en")
    told = [event for event in found["events"] if event["kind"].startswith("guardian")]
    assert [event["kind"] for event in told] == ["guardian_recorded", "guardian_ended"]
    assert told[0]["words"] == f"{parent} was recorded as a verified guardian."
    assert told[0]["facts"]["verified by"] == "household_register"
    assert told[1]["words"] == f"The guardianship of {parent} ended."


def test_words_show_the_offset_that_the_source_wrote(platform, captured):
    """A decision at 09:00-05:00 is told at 09:00-05:00, while the recording is told in the pack's zone."""
    subject = captured.person()
    act = captured.act("grant", captured.known("u-1"), "P07", at="2026-11-20T20:30:00-05:00")
    captured.record(act)
    lines = told_in_words(platform, read_history(platform, captured.caller, subject), "en")
    assert any("decided: 2026-11-20 20:30:00 -05:00" in line for line in lines)
    assert any("2026-11-21 10:00:00 +08:00" in line for line in lines)


def test_page_is_escaped_and_whole(platform, captured, told):
    """Both languages, the annex with every section, and no markup of anybody's."""
    subject, _ = told
    page = history_page(platform, read_history(platform, captured.caller, subject), "en")
    assert "The person consented to" in page
    assert "本人同意" in page
    shown = [n for n in platform.catalogue.notices if n.code == "profiling" and n.locale in page]
    assert any(all(section in html.unescape(page) for section in notice.sections.values()) for notice in shown)
    assert "<script" not in page
    assert 'http-equiv="Content-Security-Policy"' in page


def test_page_escapes_what_came_from_outside(platform, captured):
    """A recipient's code or a document's name cannot become markup."""
    act = captured.act("grant", captured.known("u-1"), "P07", evidence={"mechanism": "tapped_button", "note": "<b>x"})
    subject = captured.person()
    captured.record(ConsentAct.model_validate(act).model_dump(mode="json") | {"at": act["at"]})
    page = history_page(platform, read_history(platform, captured.caller, subject, with_evidence=True), "zh-CN")
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
