"""Unusual access over a real deployment: flagged once, reviewed by somebody else, folded from the log."""

from datetime import timedelta

import pytest

from audit.vigilance import Rule
from consentry.principals import Principal, PrincipalKind
from consentry.workflows.break_glass import break_glass
from consentry.workflows.reveal import reveal
from consentry.workflows.review_access import OwnAccess, ReviewVerdict, review_finding
from consentry.workflows.unusual_access import finding_json, flag_unusual, list_findings, mark_unusual, read_findings
from consentry.workflows.watch_lists import (
    link_staff,
    protect,
    show_lists,
    unlink_staff,
    unprotect,
)
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, SubjectId

OFFICER = Principal(PrincipalId("usr_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")


@pytest.fixture
def clinician(captured):
    """A clinician's account."""
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def patient(captured):
    """A patient with a record, under emergency care as well."""
    subject = captured.person("u-1", "P02")
    captured.record(captured.act("duty", captured.known("u-1"), "P15"))
    captured.store([captured.posted("u-1", "profile", sex="female")])
    return subject


@pytest.fixture
def opened(platform, clinician):
    """Opens a record."""

    def open_record(subject, purpose="P02"):
        if purpose == "P15":
            break_glass(platform, clinician, subject=subject, fields=["sex"], reason="unconscious")
            return
        reveal(platform, clinician, subject=subject, purpose=purpose, fields=["sex"], reason="consultation")

    return open_record


def rules(platform):
    return [one.rule for one in mark_unusual(platform, ADMIN)]


def test_protected_person_is_flagged_once_with_its_evidence(platform, patient, opened, clinician):
    """The same look, looked at again, is no second finding."""
    protect(platform, OFFICER, patient, reason="in the news")
    opened(patient)
    (found,) = mark_unusual(platform, ADMIN)
    assert (found.rule, found.actor) == (Rule.VIP_LOOKUP, clinician.principal_id)
    assert rules(platform) == []
    (flagged,) = list_findings(platform, OFFICER)
    told = finding_json(flagged, "en")
    assert told["evidence"] == list(found.evidence)
    assert told["words"].startswith(f"{clinician.principal_id} looked at the record of a specially protected person")
    assert told["verdict"] is None


def test_who_is_on_the_list_stands_in_no_entry(platform, patient):
    """The change has its entry, the person only in sealed details."""
    protect(platform, OFFICER, patient, reason="in the news")
    platform.log.settle()
    with platform.data.read() as connection:
        alias = platform.log.alias(connection, patient)
        bodies = [
            row.body for row in connection.exec_driver_sql("SELECT body FROM audit_leaf WHERE act = 'log.configured'")
        ]
    assert bodies
    assert not any(str(alias).encode() in body or patient.encode() in body for body in bodies)


def test_lists_change_by_officers_only_and_say_when_nothing_changes(platform, patient, clinician):
    """Administrators may neither read nor change them; the same change again is a conflict."""
    with pytest.raises(Denied):
        protect(platform, ADMIN, patient, reason="x")
    with pytest.raises(Denied):
        show_lists(platform, ADMIN)
    with pytest.raises(BadInput):
        protect(platform, OFFICER, patient, reason=" ")
    with pytest.raises(NotFound):
        protect(platform, OFFICER, SubjectId("sub_" + "a" * 24), reason="x")
    protect(platform, OFFICER, patient, reason="x")
    with pytest.raises(Conflict):
        protect(platform, OFFICER, patient, reason="x")
    link_staff(platform, OFFICER, "dr.wu", patient, reason="x")
    lists = show_lists(platform, OFFICER)
    assert (lists.protected, lists.staff) == ({patient}, {clinician.principal_id: patient})
    unprotect(platform, OFFICER, patient, reason="x")
    unlink_staff(platform, OFFICER, "dr.wu", reason="x")
    assert show_lists(platform, OFFICER).protected == show_lists(platform, OFFICER).staff.keys() == frozenset()
    for change in (
        lambda: unprotect(platform, OFFICER, patient, reason="x"),
        lambda: unlink_staff(platform, OFFICER, "dr.wu", reason="x"),
    ):
        with pytest.raises(Conflict):
            change()
    with pytest.raises(NotFound):
        link_staff(platform, OFFICER, "nobody", patient, reason="x")


def test_look_at_oneself_and_at_a_child_is_flagged(platform, captured, patient, opened):
    """Who the clinician is an officer has said; whose guardian it is the register knows."""
    me = captured.person("u-9", "P02", birth_date="1980-01-01")
    captured.store([captured.posted("u-9", "profile", sex="female")])
    guardian = {"kind": "guardian", "subject": captured.known("u-9")}
    child = captured.person("u-8", birth_date="2016-05-20")
    captured.record(captured.act("guardian", captured.known("u-8"), actor=guardian))
    captured.record(captured.act("duty", captured.known("u-8"), "P15"))
    link_staff(platform, OFFICER, "dr.wu", me, reason="told by the person")
    opened(me)
    opened(child, "P15")
    opened(patient)
    assert set(rules(platform)) == {Rule.SELF_LOOKUP, Rule.FAMILY_LOOKUP, Rule.BREAK_GLASS}


def test_emergency_is_overdue_after_a_day_without_a_review(platform, patient, opened, clock):
    """Flagged at once and again when it is late; a review in time prevents that (R49)."""
    opened(patient, "P15")
    (first,) = mark_unusual(platform, ADMIN)
    assert first.rule is Rule.BREAK_GLASS
    review_finding(platform, OFFICER, first.finding_id, verdict=ReviewVerdict.JUSTIFIED, note="unconscious patient")
    clock.advance(timedelta(hours=2))
    opened(patient, "P15")
    assert rules(platform) == [Rule.BREAK_GLASS]
    clock.advance(timedelta(hours=25))
    assert rules(platform) == [Rule.BREAK_GLASS_OVERDUE]
    assert rules(platform) == []
    assert len(list_findings(platform, OFFICER, only_open=True)) == 2


def test_late_review_does_not_hide_that_it_was_late(platform, patient, opened, clock):
    """Reviewed after the time, the emergency is still told as overdue."""
    opened(patient, "P15")
    (first,) = mark_unusual(platform, ADMIN)
    clock.advance(timedelta(hours=25))
    review_finding(platform, OFFICER, first.finding_id, verdict=ReviewVerdict.JUSTIFIED, note="unconscious patient")
    assert rules(platform) == [Rule.BREAK_GLASS_OVERDUE]


def test_nobody_reviews_an_own_access(platform, patient, opened, clinician):
    """Even a person whose role reviews; the try stays in the log."""
    opened(patient, "P15")
    (found,) = mark_unusual(platform, ADMIN)
    same = Principal(clinician.principal_id, "dr.wu", PrincipalKind.PERSON, "compliance_officer")
    with pytest.raises(OwnAccess):
        review_finding(platform, same, found.finding_id, verdict=ReviewVerdict.JUSTIFIED, note="mine")
    platform.log.settle()
    with platform.data.read() as connection:
        assert read_findings(platform, connection)[found.finding_id].verdict is None
        denied = connection.exec_driver_sql("SELECT body FROM audit_leaf WHERE act = 'access.denied'").all()
    assert any(b"OWN_ACCESS" in row.body for row in denied)


def test_verdict_only_grows_graver(platform, patient, opened):
    """Justified can become an incident, and an incident stays one; an unknown finding, no note and other roles fail."""
    opened(patient, "P15")
    (found,) = mark_unusual(platform, ADMIN)

    def say(verdict, caller=OFFICER, note="looked into", name=found.finding_id):
        return review_finding(platform, caller, name, verdict=verdict, note=note)

    assert say(ReviewVerdict.JUSTIFIED).verdict == "justified"
    with pytest.raises(Conflict):
        say(ReviewVerdict.JUSTIFIED)
    assert say(ReviewVerdict.INCIDENT).verdict == "incident"
    with pytest.raises(Conflict):
        say(ReviewVerdict.JUSTIFIED)
    with pytest.raises(BadInput):
        say(ReviewVerdict.INCIDENT, note=" ")
    with pytest.raises(NotFound):
        say(ReviewVerdict.INCIDENT, name="0" * 32)
    with pytest.raises(Denied):
        say(ReviewVerdict.INCIDENT, caller=ADMIN)


def test_denials_in_a_row_are_flagged_with_the_actor(platform, patient, clinician, opened):
    """Five tries at what the role may not open."""
    for _ in range(5):
        with pytest.raises(Denied):
            reveal(platform, clinician, subject=patient, purpose="P02", fields=["special_disease"], reason="curious")
    assert rules(platform) == [Rule.DENIAL_STREAK]


def test_tender_flags_under_its_own_name_and_needs_a_period(platform, patient, opened, clock):
    """``flag_unusual`` takes who asks; a period without length is refused."""
    opened(patient, "P15")
    assert len(flag_unusual(platform, platform.asking(ADMIN))) == 1
    with pytest.raises(BadInput):
        flag_unusual(platform, platform.asking(ADMIN), since=clock.now(), until=clock.now())
