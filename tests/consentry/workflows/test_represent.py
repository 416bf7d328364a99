"""What officers record about a subject's standing and those who stand in for it; what time does to the register."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from audit.events import Act
from audit.queries import find_entries
from consent.decisions import ActorNotEntitled
from consent.standing import Standing, get_standing
from consentry.principals import Principal, PrincipalKind
from consentry.stores.tables import read_approval
from consentry.workflows.approvals import approve_read
from consentry.workflows.capture import withdraw_purpose
from consentry.workflows.decide import decide
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.history import history_json
from consentry.workflows.represent import (
    add_kin,
    end_agency,
    end_guardianship,
    merge_subjects,
    record_deceased,
    release_subject,
)
from consentry.workflows.split_subject import split_subject
from consentry.workflows.tend import end_basis, finish_task, list_tasks, task_json, tend
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId
from tests.consentry.conftest import ADMIN, SECOND
from vault.moving import Selection

CLINICIAN = Principal(PrincipalId("prn_doc"), "doc", PrincipalKind.PERSON, "clinician")
DAY = timedelta(days=1)


@pytest.fixture
def refused(platform, captured):
    """Why a diagnosis may not be used for profiling by somebody, or nothing where it may."""
    return lambda subject: dict(
        decide(platform, captured.caller, subject=subject, purpose="P07", fields=["diagnosis"]).refused
    )


def test_released_subject_is_used_as_its_decisions_say(platform, captured, refused):
    """A restriction blocks and is lifted; the decisions that stood count again, and the log tells of both."""
    subject = captured.person("u-1", "P07")
    restrict_subject(platform, captured.caller, subject=subject, reason="request 1")
    assert set(refused(subject).values()) == {"RESTRICTED"}
    release_subject(platform, captured.caller, subject=subject, reason="settled")
    assert refused(subject) == {}
    with platform.data.read() as connection:
        assert len(find_entries(connection, subject=subject, act=Act.SUBJECT_RELEASED)) == 1


def test_only_a_restriction_can_be_lifted_and_never_without_a_reason(platform, captured):
    """Nothing to lift, no reason, no role: nothing happens."""
    subject = captured.person()
    with pytest.raises(Conflict, match="not restricted"):
        release_subject(platform, captured.caller, subject=subject, reason="x")
    with pytest.raises(BadInput, match="reason"):
        release_subject(platform, captured.caller, subject=subject, reason=" ")
    with pytest.raises(Denied):
        release_subject(platform, CLINICIAN, subject=subject, reason="x")


def test_erasure_under_a_legal_hold_is_not_lifted(platform, captured, clock):
    """Whoever asked to be erased does not come back because the law keeps a record (R16)."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted(diagnosis=["icd10:I10"])])
    assert erase_subject(platform, captured.caller, subject=subject, reason="r").as_json()["state"] == "restricted"
    with pytest.raises(Conflict, match="asked for erasure"):
        release_subject(platform, captured.caller, subject=subject, reason="x")
    with platform.data.read() as connection:
        assert get_standing(connection, subject).state == "restricted"


def test_kin_of_the_dead_closes_and_nobody_opens(platform, captured, refused):
    """A death blocks every use; verified kin is recorded, unless the dead directed otherwise (R29)."""
    subject, kin = captured.person("u-1", "P07"), captured.person("u-2")
    with pytest.raises(ActorNotEntitled):
        add_kin(platform, captured.caller, subject=subject, kin=kin, verification="household_register")
    assert record_deceased(platform, captured.caller, subject=subject, no_kin=False)
    assert not record_deceased(platform, captured.caller, subject=subject, no_kin=False)
    assert refused(subject)
    made = add_kin(platform, captured.caller, subject=subject, kin=kin, verification="household_register")
    told = history_json(platform, captured.caller, subject, locale="en")
    assert [event["words"] for event in told["events"][-2:]] == [
        "The person was recorded as deceased.",
        f"{kin} was recorded as verified next of kin.",
    ]
    assert told["standing"]["deceased"] is True
    end_guardianship(platform, captured.caller, made.relation_id)
    ended = history_json(platform, captured.caller, subject, locale="en")["events"][-1]
    assert (ended["kind"], ended["words"]) == ("kin_ended", f"The record of {kin} as next of kin ended.")


def test_directive_of_the_dead_keeps_kin_away(platform, captured):
    """Who directed so while alive is obeyed (R29)."""
    subject, kin = captured.person("u-1"), captured.person("u-2")
    record_deceased(platform, captured.caller, subject=subject, no_kin=True)
    with pytest.raises(ActorNotEntitled, match="directed"):
        add_kin(platform, captured.caller, subject=subject, kin=kin, verification="household_register")


def test_agent_is_told_and_ends(platform, captured, clock):
    """With purposes and end; ended once."""
    subject, agent = captured.person("u-1"), captured.person("u-2")
    until = (clock.now() + 9 * DAY).isoformat()
    made = captured.record(
        captured.act(
            "agent", captured.known("u-1"), "P07", actor={"kind": "agent", "subject": {"subject_id": agent}},
            valid_until=until,
        )
    )  # fmt: skip
    relation = made.decisions[0][0]
    end_agency(platform, captured.caller, relation)
    with pytest.raises(NotFound):
        end_agency(platform, captured.caller, relation)
    told = [e for e in history_json(platform, captured.caller, subject)["events"] if e["kind"].startswith("agent")]
    assert [event["words"] for event in told] == [f"登记受托代办人 {agent}。", f"受托代办人 {agent} 的授权终止。"]
    assert told[0]["facts"]["截止"] == "2026-11-30 10:00:00 +08:00"
    assert "P07" in told[0]["facts"]["授权目的"]


def test_tending_records_what_is_over_once(platform, captured, clock, refused):
    """A grant with an end expires in the register too, and stands in history and figures."""
    subject = captured.person()
    captured.grant("u-1", "P07", valid_until=(clock.now() + DAY).isoformat())
    assert tend(platform, captured.caller).expired == 0
    clock.advance(2 * DAY)
    assert set(refused(subject).values()) == {"EXPIRED"}
    assert tend(platform, captured.caller).expired == 1
    assert tend(platform, captured.caller).as_json() == {"expired": 0, "asked_again": 0, "open_tasks": 0}
    assert history_json(platform, captured.caller, subject, locale="en")["events"][-1]["act"] == "expire"


def test_ended_contract_carries_nothing_any_more(platform, captured):
    """The operator says that the contract is over; a second time there is nothing to end."""
    subject = captured.person()
    made = end_basis(platform, captured.caller, subject, "P04")
    assert [one.act.value for one in made] == ["end"]
    refused = decide(platform, captured.caller, subject=subject, purpose="P04", fields=["address"]).refused
    assert refused
    with pytest.raises(Conflict):
        end_basis(platform, captured.caller, subject, "P04")


def test_child_of_age_becomes_a_task_that_is_done_once(platform, captured, clock):
    """A guardian's grant stays valid at fourteen, and a task asks for the person's own word (R21, R23)."""
    parent = captured.person("u-2", birth_date="1985-01-01")
    child = captured.person("u-1", birth_date="2012-12-15")
    guardian = {"kind": "guardian", "subject": {"subject_id": parent}}
    document = {"mechanism": "document", "document": "household_register"}
    captured.record(captured.act("guardian", captured.known("u-1"), actor=guardian, evidence=document))
    notice = next(n for n in platform.catalogue.notices if n.audience == "child" and "P02" in n.purposes)
    shown = {"code": notice.code, "version": notice.version, "locale": notice.locale}
    captured.record(captured.act("grant", captured.known("u-1"), "P02", actor=guardian, notice=shown))
    assert tend(platform, captured.caller).asked_again == 0
    clock.advance(60 * DAY)
    done = tend(platform, captured.caller)
    assert (done.asked_again, [(one.kind, one.subject) for one in done.open_tasks]) == (1, [("ask_again", child)])
    task = done.open_tasks[0]
    assert task_json(task, "en")["words"] == "has come of age: ask the person again"
    assert list_tasks(platform, captured.caller, due_by=clock.now()) == []
    finish_task(platform, captured.caller, task.task_id, note="called")
    with pytest.raises(Conflict):
        finish_task(platform, captured.caller, task.task_id)
    assert list_tasks(platform, captured.caller) == []
    with pytest.raises(Denied):
        tend(platform, CLINICIAN)


def test_merged_away_subject_stays_restricted_and_its_acts_are_the_kept_ones(platform, captured, refused, clock):
    """R15, R16: a withdrawal under the former id reaches the kept one, and the dropped one is not released."""
    kept, dropped = captured.person("u-1", "P07"), captured.person("u-2", "P07")
    with pytest.raises(Denied):
        merge_subjects(platform, CLINICIAN, kept=kept, dropped=dropped, reason="x", accepted_by=SECOND)
    with pytest.raises(BadInput, match="reason"):
        merge_subjects(platform, captured.caller, kept=kept, dropped=dropped, reason=" ", accepted_by=SECOND)
    merge_subjects(platform, captured.caller, kept=kept, dropped=dropped, reason="two accounts", accepted_by=SECOND)
    with platform.data.read() as connection:
        planned = {item.closing.cause for item in platform.wake.of_subject(connection, dropped)}
    assert planned <= {"restrict"}
    assert set(refused(dropped).values()) == {"RESTRICTED"}
    with pytest.raises(Conflict, match="merged into"):
        release_subject(platform, captured.caller, subject=dropped, reason="x")
    assert refused(kept) == {}
    clock.advance(timedelta(minutes=1))
    said = captured.record(captured.act("withdraw", captured.known("u-2"), "P07"))
    assert said.subject == kept
    assert set(refused(kept).values()) == {"WITHDRAWN"}
    clock.advance(timedelta(minutes=1))
    assert withdraw_purpose(platform, captured.caller, dropped, "P09", recipient=None).subject == kept


@pytest.mark.parametrize(
    ("second", "error", "said"),
    [
        (None, BadInput, "second person"),
        (ADMIN, BadInput, "second person"),
        (CLINICIAN, Denied, "prn_doc may not accept"),
        (replace(SECOND, kind=PrincipalKind.KEY), Denied, "Only people"),
    ],
    ids=["nobody", "the same", "another role", "a machine"],
)
def test_merge_and_split_need_a_second_person_who_may(platform, captured, second, error, said):
    """Whoever says alone who is who mixes two people's records; nothing is changed then."""
    kept, dropped = captured.person("u-1", "P07"), captured.person("u-2", "P07")
    selection = Selection(sources=frozenset({"app"}))
    with pytest.raises(error, match=said):
        merge_subjects(platform, ADMIN, kept=kept, dropped=dropped, reason="x", accepted_by=second)
    with pytest.raises(error, match=said):
        split_subject(platform, ADMIN, origin=kept, selection=selection, reason="x", accepted_by=second)
    with platform.data.read() as connection:
        assert {get_standing(connection, one).state for one in (kept, dropped)} == {Standing.ACTIVE}


def test_entries_of_merge_and_split_name_the_second_person(platform, captured):
    """Beside the actor, in the entry that says what was done."""
    kept, dropped = captured.person("u-1", "P07"), captured.person("u-2", "P07")
    captured.store([captured.posted("u-2", "profile", "r-2", sex="female")])
    merge_subjects(platform, ADMIN, kept=kept, dropped=dropped, reason="x", accepted_by=SECOND)
    selection = Selection(sources=frozenset({"app"}))
    split_subject(platform, ADMIN, origin=kept, selection=selection, reason="x", accepted_by=SECOND)
    platform.log.settle()
    with platform.data.read() as connection:
        (merged,) = find_entries(connection, act=Act.SUBJECT_RESTRICTED)
        (split,) = find_entries(connection, act=Act.SUBJECT_SPLIT)
    for entry in (merged, split):
        assert (entry.members["actor"], entry.members["refs"]["accepted_by"]) == (ADMIN.principal_id, "prn_second")


def test_erasure_forgets_approvals(platform, captured):
    """R22: who was allowed to read a minor's record is not kept beside the log once the minor is erased."""
    teen, other = (captured.person(name, birth_date="2010-05-05") for name in ("u-1", "u-2"))
    officer, _ = captured.person_account("officer", "compliance_officer")
    for subject in (teen, other):
        approve_read(platform, officer, subject=subject, purpose="P02", role="clinician", reason="consultation")
    erase_subject(platform, captured.caller, subject=teen, reason="asked")
    with platform.data.read() as connection:
        left = connection.scalars(select(read_approval.c.subject_id)).all()
    assert left == [other]
