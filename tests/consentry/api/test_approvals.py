"""An under-18's record over HTTP: staff opens it under an approval by somebody else, and not without (R22)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from audit.events import Act, Event, Outcome
from consentry.stores.approvals import ReadApproval, add_approval, find_approval
from consentry.workflows.approvals import ApprovalNeeded, approve_read, check_approved
from consentry.workflows.reconcile import reconcile
from kernel.ids import RequestId
from tests.consentry.conftest import ADMIN

REVEAL = {"purpose": "P02", "fields": ["sex"], "reason": "consultation 4711"}


@pytest.fixture
def minor(captured):
    """A person of sixteen, with a stored profile."""
    subject = captured.person("teen", "P02", birth_date="2010-05-05")
    captured.store([captured.posted("teen", "profile", sex="female")])
    return subject


@pytest.fixture
def doctor(call, captured):
    """A clinician with a token."""
    return call(captured.token("clinician"))


@pytest.fixture
def approve(call, captured):
    """Approves, as a compliance officer, and returns the approval's id."""
    officer = call(captured.token("compliance_officer"))

    def ask(subject, **change):
        body = {"subject_id": subject, "purpose": "P02", "role": "clinician", "reason": "consultation 4711"} | change
        said = officer.post("/approvals", body)
        assert said.status_code == 201, said.text
        return said.json()["approval_id"]

    return ask


def entries(call, captured, subject, act):
    said = call(captured.token("compliance_officer")).get("/audit/entries", act=act, subject_id=subject)
    return said.json()["entries"]


def test_minors_record_stays_closed_without_an_approval(doctor, minor, call, captured, refused):
    """R22: refused and logged, with role and grant in place."""
    refused(doctor.post(f"/subjects/{minor}/reveal", REVEAL), 403, "ApprovalNeeded")
    denied = entries(call, captured, minor, "access.denied")
    assert [(e["outcome"], e["reason"], e["purpose"]) for e in denied] == [("denied", "APPROVAL", "P02")]
    assert entries(call, captured, minor, "vault.reveal") == []


def test_approval_by_somebody_else_opens(doctor, minor, approve, call, captured):
    """R22: with it the record opens, and the entry names it."""
    approval = approve(minor)
    said = doctor.post(f"/subjects/{minor}/reveal", REVEAL | {"approval": approval})
    assert said.status_code == 200, said.text
    assert said.json()["records"][0]["values"] == {"sex": "female"}
    assert [e["refs"]["approval"] for e in entries(call, captured, minor, "vault.reveal")] == [approval]
    given = entries(call, captured, minor, "read.approved")
    assert [(e["refs"]["approval"], e["refs"]["for_role"], e["counts"]["hours"]) for e in given] == [
        (approval, "clinician", 24)
    ]
    assert "4711" not in str(given)


@pytest.mark.parametrize(
    "change", [{"purpose": "P15"}, {"role": "health_manager", "purpose": "P06"}, {"subject": "other"}]
)
def test_approval_is_for_its_subject_purpose_and_role(doctor, minor, approve, captured, *, refused, change):
    """Nothing else opens under it; nor does one that was made up."""
    other = captured.person("other-teen", birth_date="2010-05-05")
    subject = other if change.pop("subject", None) else minor
    approval = approve(subject, **change)
    for given in (approval, "apr_" + "a" * 24):
        refused(doctor.post(f"/subjects/{minor}/reveal", REVEAL | {"approval": given}), 403, "ApprovalNeeded")


def test_approval_ends_with_its_hours(minor, approve, captured, call, clock, *, refused):
    """Half open: the last second counts, the next does not."""
    approval = approve(minor, hours=2)
    clock.advance(timedelta(hours=2) - timedelta(seconds=1))
    body = REVEAL | {"approval": approval}
    assert call(captured.token("clinician")).post(f"/subjects/{minor}/reveal", body).status_code == 200
    clock.advance(timedelta(seconds=1))
    refused(call(captured.token("clinician")).post(f"/subjects/{minor}/reveal", body), 403, "ApprovalNeeded")


def test_adults_record_needs_none(doctor, captured):
    """Eighteen and older: role and gate decide."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    assert doctor.post(f"/subjects/{subject}/reveal", REVEAL).status_code == 200


def test_emergency_opens_without_and_leaves_the_task(doctor, minor, platform):
    """An emergency does not wait for an approval; the person is told afterwards (R20)."""
    from consent.tasks import open_tasks

    said = doctor.post("/emergencies", {"subject_id": minor, "fields": ["sex"], "reason": "unconscious"})
    assert said.status_code == 201, said.text
    with platform.data.read() as connection:
        assert [t.kind for t in open_tasks(connection, subject=minor)] == ["notify_emergency"]


TAGS = {"purpose": "P07", "role": "analyst"}


@pytest.fixture
def tagged(captured, minor):
    """The same person, who consents to profiling."""
    captured.grant("teen", "P07")
    return minor


def test_minors_tags_are_read_under_an_approval_only(tagged, approve, call, captured, *, refused):
    """R22: one person's tags are its record: refused and logged without an approval, which the entry names with it."""
    analyst = call(captured.token("analyst"))
    refused(analyst.get(f"/subjects/{tagged}/tags"), 403, "ApprovalNeeded")
    denied = entries(call, captured, tagged, "access.denied")
    assert [(e["reason"], e["purpose"], e["fields"]) for e in denied] == [("APPROVAL", "P07", ["tags"])]
    assert entries(call, captured, tagged, "tags.read") == []
    approval = approve(tagged, **TAGS)
    said = analyst.get(f"/subjects/{tagged}/tags", approval=approval)
    assert said.status_code == 200, said.text
    assert [e["refs"]["approval"] for e in entries(call, captured, tagged, "tags.read")] == [approval]


@pytest.mark.parametrize(
    "change", [{"purpose": "P02", "role": "clinician"}, {"role": "operator"}, {"subject": "other"}]
)
def test_tags_need_an_approval_that_fits(tagged, approve, call, captured, *, refused, change):
    """R22: one for the opening of the record, for another role or for another person is none."""
    change = TAGS | change
    subject = captured.person("other-teen", birth_date="2010-05-05") if change.pop("subject", None) else tagged
    approval = approve(subject, **change)
    analyst = call(captured.token("analyst"))
    refused(analyst.get(f"/subjects/{tagged}/tags", approval=approval), 403, "ApprovalNeeded")
    refused(analyst.get(f"/subjects/{tagged}/tags", approval="apr_x"), 422, "InvalidRequest")


def test_adults_tags_need_no_approval(captured, call):
    """Eighteen and older: role and gate decide."""
    subject = captured.person("u-1", "P07")
    assert call(captured.token("analyst")).get(f"/subjects/{subject}/tags").status_code == 200


def test_nobody_reads_under_an_own_approval(platform, captured, minor):
    """R22: whoever approved and holds the reader's role by now is still one person, not two."""
    officer, _ = captured.person_account("officer", "compliance_officer")
    made = approve_read(platform, officer, subject=minor, purpose="P02", role="clinician", reason="visit")
    asked = {"subject": minor, "purpose": "P02", "approval": made.approval_id}
    other, _ = captured.person_account("doctor", "clinician")
    with platform.data.read() as connection:
        assert check_approved(platform, connection, other, **asked) == made.approval_id
        with pytest.raises(ApprovalNeeded):
            check_approved(platform, connection, replace(officer, role="clinician"), **asked)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("expires_at = expires_at + 1", "details"),
        ("role = 'operator'", "role, details"),
        ("purpose = 'P01'", "purpose, details"),
        ("approved_by = 'usr_somebody'", "approved_by, details"),
        (
            "subject_id = (SELECT subject_id FROM subject_standing WHERE subject_id <> read_approval.subject_id)",
            "subject, details",
        ),
        ("entry_id = 'ent_aaaaaaaaaaaaaaaaaaaaaaaa'", "entry"),
        ("entry_id = (SELECT entry_id FROM audit_leaf WHERE leaf_index = 0)", "kind, approval, role"),
        ("approval_id = 'apr_aaaaaaaaaaaaaaaaaaaaaaaa'", "approval, details"),
    ],
)
def test_approval_that_was_changed_by_hand_opens_nothing(platform, captured, minor, change, found):
    """A row grants what its entry says, in words that the store's owner cannot seal; else the comparison tells."""
    captured.person("other-teen", birth_date="2010-05-05")
    officer, _ = captured.person_account("officer", "compliance_officer")
    approve_read(platform, officer, subject=minor, purpose="P02", role="clinician", reason="visit")
    platform.log.settle()
    assert reconcile(platform, ADMIN).mismatches == []
    with platform.data.write() as connection:
        connection.execute(text(f"UPDATE read_approval SET {change}"))
        row = find_approval(connection, connection.scalar(text("SELECT approval_id FROM read_approval")))
    doctor, _ = captured.person_account("doctor", row.role)
    asked = {"subject": row.subject, "purpose": row.purpose, "approval": row.approval_id}
    with platform.data.read() as connection, pytest.raises(ApprovalNeeded, match=f"log tells of: {found}"):
        check_approved(platform, connection, doctor, **asked)
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert mismatch.part == "approval"
    assert ", ".join(mismatch.differs).startswith(found)


def test_approval_with_an_entry_of_its_own_making_opens_nothing(platform, captured, minor):
    """Who can have an entry signed through the inbox has no sealed words beside it."""
    officer, _ = captured.person_account("officer", "compliance_officer")
    forged = ReadApproval(
        "apr_" + "a" * 24, minor, "P02", "clinician", officer.principal_id, platform.clock.now(),
        platform.clock.now() + timedelta(hours=1),
    )  # fmt: skip
    event = Event(
        Act.READ_APPROVED, Outcome.DONE, officer.principal_id, officer.role, RequestId("req_forged"), purpose="P02",
        subject=minor, refs={"approval": forged.approval_id, "for_role": "clinician"}, counts={"hours": 1},
    )  # fmt: skip
    with platform.data.write() as connection:
        add_approval(connection, forged, platform.log.record(connection, event))
    doctor, _ = captured.person_account("doctor", "clinician")
    asked = {"subject": minor, "purpose": "P02", "approval": forged.approval_id}
    with platform.data.read() as connection, pytest.raises(ApprovalNeeded, match="log tells of: details differ"):
        check_approved(platform, connection, doctor, **asked)


def test_clock_that_is_set_back_revives_no_approval(minor, approve, captured, call, clock, *, refused):
    """R22: what was over when the log went on stays over."""
    approval = approve(minor, hours=2)
    clock.advance(timedelta(hours=3))
    captured.person("u-1")
    clock.advance(-timedelta(hours=3))
    doctor = call(captured.token("clinician"))
    refused(doctor.post(f"/subjects/{minor}/reveal", REVEAL | {"approval": approval}), 403, "ApprovalNeeded")


@pytest.mark.parametrize("role", ["clinician", "administrator", "capture"])
def test_only_who_may_approve_does(call, captured, minor, refused, role):
    """Not the reader's own role, and no machine."""
    caller = call(captured.machine_key(role) if role == "capture" else captured.token(role))
    body = {"subject_id": minor, "purpose": "P02", "role": "clinician", "reason": "consultation 4711"}
    refused(caller.post("/approvals", body), 403, "Denied")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"purpose": "P99"}, 422, "BadInput"),
        ({"purpose": "P09"}, 422, "BadInput"),
        ({"role": "capture"}, 422, "BadInput"),
        ({"role": "nobody"}, 422, "BadInput"),
        ({"reason": "   "}, 422, "BadInput"),
        ({"hours": 169}, 422, "InvalidRequest"),
        ({"subject_id": "sub_" + "a" * 24}, 404, "NotFound"),
    ],
)
def test_unsound_approval_is_refused(call, captured, minor, *, refused, change, status, error):
    """A purpose that the role does not have, no reason, too many hours, nobody."""
    body = {"subject_id": minor, "purpose": "P02", "role": "clinician", "reason": "consultation 4711"} | change
    refused(call(captured.token("compliance_officer")).post("/approvals", body), status, error)
