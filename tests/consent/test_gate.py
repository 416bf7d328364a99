"""The gate, rule by rule, on both engines where SQL is involved."""

import dataclasses
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from audit.tables import inbox
from consent.assessments import record_assessment
from consent.gate import MAX_BATCH_SUBJECTS, Permit, Reason, Refusal
from consent.guardians import record_guardian
from consent.register_head import suspend
from consent.registry import ActorKind, DecisionAct
from consent.setwise import insert_rows
from consent.standing import Standing, register_subjects, set_deceased, set_standing
from consent.tables import consent_current
from consent.tasks import TaskKind, open_tasks
from consent.transfers import transfer_counts
from kernel.catalogue import TransferMechanism
from kernel.errors import BadInput, Unavailable
from kernel.ids import SubjectId, new_id
from tests.consent.conftest import assessment_text, open_office

CHILD = date(2014, 5, 20)


def restrict(office, subject, standing):
    with office.database.write() as connection:
        set_standing(connection, subject, standing, now=office.clock.now())


def test_grant_opens_its_fields(either_office):
    """A live grant gives a permit that holds what was asked and the decision it rests on."""
    office = either_office
    subject = office.subject()
    granted = office.grant(subject, "P02")
    permit = office.check(subject, "P02", "diagnosis", "name")
    assert isinstance(permit, Permit)
    assert permit.subjects == {subject}
    assert permit.fields == {"diagnosis", "name"}
    assert permit.basis_of == {subject: granted.decision_id}
    assert permit.expires_at == office.clock.now() + timedelta(seconds=60)


def test_withdrawal_closes_at_once(either_office):
    """The check after a withdrawal is refused."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P06")
    office.withdraw(subject, "P06")
    refusal = office.check(subject, "P06", "reading", "diagnosis")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == {"reading": Reason.WITHDRAWN, "diagnosis": Reason.WITHDRAWN}


def test_refusal_is_a_reason_of_its_own(office):
    """Having said no is told apart from never having been asked."""
    subject = office.subject()
    assert office.reason(subject, "P06", "reading") is Reason.NO_DECISION
    office.record(subject, DecisionAct.REFUSE, "P06")
    assert office.reason(subject, "P06", "reading") is Reason.REFUSED


def test_unknown_subject_passes_nothing(office):
    """A subject without standing has no decision, not even for what is not personal."""
    stranger = SubjectId(new_id("sub"))
    assert office.reason(stranger, "P02", "name") is Reason.NO_DECISION
    assert office.reason(stranger, "P02", "season") is Reason.NO_DECISION
    assert office.reason(stranger, "P02", "no_such_field") is Reason.UNKNOWN_FIELD


def test_unknown_purpose_is_bad_input(office):
    """A purpose outside the catalogue is a mistake of the caller."""
    with pytest.raises(BadInput, match="P99"):
        office.check(office.subject(), "P99", "name")


def test_field_outside_the_catalogue_is_refused(office):
    """What is not declared is refused whatever was granted."""
    subject = office.subject()
    office.grant(subject, "P02")
    assert office.reason(subject, "P02", "shoe_size") is Reason.UNKNOWN_FIELD


def test_field_of_another_purpose_is_refused(office):
    """A grant reaches the fields that the purpose declares."""
    subject = office.subject()
    office.grant(subject, "P06")
    assert office.reason(subject, "P06", "topic") is Reason.PURPOSE_FIELD


def test_purpose_without_assessment_is_inactive(office):
    """No decision can open a purpose whose assessment is missing."""
    assert office.reason(office.subject(), "P10", "diagnosis") is Reason.ASSESSMENT_MISSING


def test_what_is_not_personal_needs_no_decision(office):
    """A field without consent kind passes for a registered subject."""
    subject = office.subject()
    permit = office.check(subject, "P08", "season")
    assert isinstance(permit, Permit)
    assert permit.basis_of == {subject: "none"}


@pytest.mark.parametrize("act", [DecisionAct.CONTRACT, DecisionAct.DUTY])
def test_contract_carries_the_fields_of_the_contract(office, act):
    """A recorded basis opens contract fields for their own purpose, and nothing that asks for consent."""
    subject = office.subject()
    office.record(subject, act, "P02")
    assert office.reason(subject, "P02", "name") is None
    assert office.reason(subject, "P02", "diagnosis") is Reason.NO_DECISION


def test_contract_stands_when_consent_is_withdrawn(office):
    """The two tracks move apart: what the contract carries survives the withdrawal."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P02")
    office.grant(subject, "P02")
    office.withdraw(subject, "P02")
    assert office.reason(subject, "P02", "name") is None
    assert office.reason(subject, "P02", "diagnosis") is Reason.WITHDRAWN


def test_permit_names_both_decisions(office):
    """A permit that rests on contract and consent names both."""
    subject = office.subject()
    contract = office.record(subject, DecisionAct.CONTRACT, "P02")[0]
    granted = office.grant(subject, "P02")
    permit = office.check(subject, "P02", "name", "diagnosis")
    assert permit.basis_of[subject] == f"{contract.decision_id}/{granted.decision_id}"
    assert office.check(subject, "P02", "diagnosis").basis_of[subject] == granted.decision_id


def test_further_use_needs_its_own_decision(office):
    """A contract for care does not open a contract field for profiling."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P02")
    assert office.reason(subject, "P07", "sex") is Reason.NO_DECISION
    office.grant(subject, "P07")
    assert office.reason(subject, "P07", "sex") is None


def test_duty_carries_further_use_that_cannot_be_withdrawn(office):
    """Statutory storage of a field rests on the recorded duty alone."""
    subject = office.subject()
    assert office.reason(subject, "P05", "diagnosis") is Reason.NO_DECISION
    office.record(subject, DecisionAct.DUTY, "P05")
    assert office.reason(subject, "P05", "diagnosis") is None


def test_separate_consent_is_asked_for_even_under_contract(office):
    """The photo of an identity card never passes by the account contract (PIPL 29)."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P01")
    assert office.reason(subject, "P01", "mobile") is None
    assert office.reason(subject, "P01", "id_photo") is Reason.NO_DECISION
    office.grant(subject, "P01")
    assert office.reason(subject, "P01", "id_photo") is None


def test_validity_is_half_open(office):
    """A grant counts up to its end and not at it."""
    subject = office.subject()
    until = office.clock.now() + timedelta(days=30)
    office.grant(subject, "P06", valid_until=until)
    office.clock.advance(until - office.clock.now() - timedelta(microseconds=1))
    assert office.reason(subject, "P06", "reading") is None
    office.clock.advance(timedelta(microseconds=1))
    assert office.reason(subject, "P06", "reading") is Reason.EXPIRED


def test_expired_contract_closes(office):
    """A basis has an end like a grant."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P02", valid_until=office.clock.now() + timedelta(days=1))
    office.clock.advance(timedelta(days=1))
    assert office.reason(subject, "P02", "name") is Reason.EXPIRED


def test_clock_set_back_revives_nothing(office):
    """Time for the gate is never before the latest entry's."""
    subject = office.subject()
    office.grant(subject, "P06", valid_until=office.clock.now() + timedelta(hours=1))
    office.clock.advance(timedelta(hours=2))
    assert isinstance(office.check(subject, "P06", "reading"), Refusal)
    office.clock.advance(timedelta(hours=-2))
    assert office.reason(subject, "P06", "reading") is Reason.EXPIRED


def test_material_change_asks_again(either_office):
    """After a material new version the old grant does not cover; a grant on the new one does (R06)."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P06")
    ref = office.publish(
        version="2", collected=({"field": "diagnosis", "why": "care"}, {"field": "genome", "why": "risk"})
    )
    assert office.reason(subject, "P06", "reading") is Reason.RECONSENT
    office.grant(subject, "P06", notice=ref)
    assert office.reason(subject, "P06", "reading") is None


def test_editorial_change_does_not_ask_again(office):
    """A new version that changes no purpose, method or category keeps old grants."""
    subject = office.subject()
    office.grant(subject, "P06")
    office.publish(version="2", title="Care, with a better title")
    assert office.reason(subject, "P06", "reading") is None


def test_narrowed_grant_covers_its_fields_only(office):
    """A grant for one field leaves the others out of scope."""
    subject = office.subject()
    office.grant(subject, "P07", fields=frozenset({"sex"}))
    assert office.reason(subject, "P07", "sex") is None
    assert office.reason(subject, "P07", "diagnosis") is Reason.SCOPE


def test_narrowed_contract_gives_scope(office):
    """A contract for one field leaves another contract field out of scope."""
    subject = office.subject()
    office.record(subject, DecisionAct.CONTRACT, "P02", fields=frozenset({"name"}))
    assert office.reason(subject, "P02", "name") is None
    assert office.reason(subject, "P02", "sex") is Reason.SCOPE


def test_sharing_needs_the_recipient_that_was_named(either_office):
    """A purpose per recipient opens for the named one only (R08)."""
    office = either_office
    subject = office.subject()
    assert office.reason(subject, "P11", "diagnosis", "insurer_a") is Reason.NO_DECISION
    office.grant(subject, "P11", recipient="insurer_a")
    assert office.reason(subject, "P11", "diagnosis", "insurer_a") is None
    assert office.reason(subject, "P11", "diagnosis", "insurer_b") is Reason.RECIPIENT
    assert office.reason(subject, "P11", "diagnosis") is Reason.RECIPIENT


def test_general_withdrawal_reaches_every_recipient(office):
    """Withdrawing without a recipient takes no more steps than granting did (R14)."""
    subject = office.subject()
    office.grant(subject, "P11", recipient="insurer_a")
    office.grant(subject, "P11", recipient="insurer_b")
    assert {made.recipient for made in office.withdraw(subject, "P11")} == {None, "insurer_a", "insurer_b"}
    for recipient in ("insurer_a", "insurer_b", "insurer"):
        assert office.reason(subject, "P11", "diagnosis", recipient) is Reason.WITHDRAWN


def test_general_refusal_speaks_for_every_recipient(office):
    """Who refuses sharing as a whole has refused each recipient, and can still name one later."""
    subject = office.subject()
    office.record(subject, DecisionAct.REFUSE, "P11")
    assert office.reason(subject, "P11", "diagnosis", "insurer_a") is Reason.REFUSED
    own_wish = {"mechanism": "checkbox", "occasion": "own"}
    office.grant(subject, "P11", recipient="insurer_a", evidence=own_wish)
    assert office.reason(subject, "P11", "diagnosis", "insurer_a") is None


def test_grant_without_recipient_stays_with_the_controller(office):
    """A grant that names nobody covers the recipients that the pack declares, and no other."""
    subject = office.subject()
    office.grant(subject, "P12")
    assert office.reason(subject, "P12", "sex") is None
    assert office.reason(subject, "P12", "sex", "lab") is None
    assert office.reason(subject, "P12", "sex", "insurer_a") is Reason.RECIPIENT
    office.withdraw(subject, "P12", recipient="lab")
    assert office.reason(subject, "P12", "sex", "lab") is Reason.WITHDRAWN
    assert office.reason(subject, "P12", "sex") is None


def learn_age(office, subject):
    """What a subject of unknown age granted stands when its age becomes known."""
    with office.database.write() as connection:
        register_subjects(connection, {subject: CHILD}, clock=office.clock)


def test_childs_own_grant_does_not_count(either_office):
    """Under fourteen only the verified guardian's grant opens; the child's refusal counts (R21)."""
    office = either_office
    child, parent = office.subject(None), office.subject()
    office.grant(child, "P06")
    learn_age(office, child)
    assert office.reason(child, "P06", "reading") is Reason.GUARDIAN
    with office.database.write() as connection:
        record_guardian(
            connection,
            subject=child,
            guardian=parent,
            verification="household_register",
            asking=office.asking,
            log=office.journal,
            clock=office.clock,
        )
    office.grant(child, "P06", actor_kind=ActorKind.GUARDIAN, actor_subject=parent)
    assert office.reason(child, "P06", "reading") is None
    office.record(child, DecisionAct.REFUSE, "P06")
    assert office.reason(child, "P06", "reading") is Reason.REFUSED


def test_grant_of_a_child_does_not_ripen(office):
    """A grant made under fourteen by the child alone stays void after the birthday; a new one counts."""
    child = office.subject(None)
    office.grant(child, "P06")
    learn_age(office, child)
    office.clock.advance(date(2028, 6, 1) - office.clock.now().date())
    assert office.reason(child, "P06", "reading") is Reason.GUARDIAN
    office.grant(child, "P06")
    assert office.reason(child, "P06", "reading") is None


def test_restriction_leaves_storage_and_security(either_office):
    """A restricted subject's data may be stored by law and secured, and nothing else (R16)."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P02")
    for duty in ("P05", "P13"):
        office.record(subject, DecisionAct.DUTY, duty)
    restrict(office, subject, Standing.RESTRICTED)
    assert office.reason(subject, "P02", "diagnosis") is Reason.RESTRICTED
    assert office.reason(subject, "P08", "season") is Reason.RESTRICTED
    assert office.reason(subject, "P05", "diagnosis") is None
    assert office.reason(subject, "P13", "device_id") is None


@pytest.mark.parametrize("steps", [(Standing.ERASING,), (Standing.ERASING, Standing.ERASED)])
def test_erasure_closes_everything(office, steps):
    """From the moment an erasure begins nothing passes, not even by duty."""
    subject = office.subject()
    office.record(subject, DecisionAct.DUTY, "P05")
    for standing in steps:
        restrict(office, subject, standing)
    assert office.reason(subject, "P05", "diagnosis") is Reason.ERASED
    assert office.reason(subject, "P08", "season") is Reason.ERASED


def test_batch_gives_what_passes_and_why_the_rest_does_not(either_office):
    """A cohort's permit narrows by subject; refusals are told field by field."""
    office = either_office
    whole, narrow, none = office.subject(), office.subject(), office.subject()
    office.grant(whole, "P07")
    office.grant(narrow, "P07", fields=frozenset({"sex"}))
    with office.database.write() as connection:
        verdict = office.gate.check_many(
            connection,
            asking=office.asking,
            purpose="P07",
            subjects=[whole, narrow, none, whole],
            fields=["sex", "diagnosis"],
        )
    permit = verdict.permit
    assert permit.subjects == {whole, narrow}
    assert permit.fields == {"sex", "diagnosis"}
    assert permit.narrowed == {narrow: {"sex"}}
    assert permit.allows(whole, "diagnosis")
    assert not permit.allows(narrow, "diagnosis")
    assert not permit.allows(none, "sex")
    assert verdict.refused == {
        narrow: {"diagnosis": Reason.SCOPE},
        none: {"diagnosis": Reason.NO_DECISION, "sex": Reason.NO_DECISION},
    }


def test_subjects_in_different_situations_are_judged_apart(office):
    """In one batch every subject has the scope of its own contract."""
    by_name, by_sex = office.subject(), office.subject()
    office.record(by_name, DecisionAct.CONTRACT, "P02", fields=frozenset({"name"}))
    office.record(by_sex, DecisionAct.CONTRACT, "P02", fields=frozenset({"sex"}))
    with office.database.read() as connection:
        found = office.gate.preview_many(
            connection, asking=office.asking, purpose="P02", subjects=[by_name, by_sex], fields=["name", "sex"]
        )
    assert found == {by_name: {"name": None, "sex": Reason.SCOPE}, by_sex: {"name": Reason.SCOPE, "sex": None}}


def test_batch_with_nobody_gives_no_permit(office):
    """Where nothing passes there is no permit, and where nobody is asked about no entry either."""
    subject = office.subject()
    before = len(office.entries())
    with office.database.write() as connection:
        nobody = office.gate.check_many(connection, asking=office.asking, purpose="P07", subjects=[], fields=["sex"])
        assert connection.scalar(select(func.count()).select_from(inbox)) == before
        refused = office.gate.check_many(
            connection, asking=office.asking, purpose="P07", subjects=[subject], fields=["sex"]
        )
    assert (nobody.permit, nobody.refused) == (None, {})
    assert (refused.permit, refused.refused) == (None, {subject: {"sex": Reason.NO_DECISION}})


def test_batch_is_bounded(office):
    """More subjects than one receipt may reach are refused before anything is read."""
    subjects = [SubjectId(new_id("sub"))] * (MAX_BATCH_SUBJECTS + 1)
    with office.database.write() as connection, pytest.raises(BadInput, match="5001"):
        office.gate.check_many(connection, asking=office.asking, purpose="P07", subjects=subjects, fields=["sex"])


def test_check_names_its_fields(office):
    """A check for no field is a mistake, not a permit for nothing."""
    with pytest.raises(BadInput, match="without fields"):
        office.check(office.subject(), "P07")


def test_permit_entry_says_who_what_and_why(either_office):
    """The entry of a permit holds actor, purpose, fields, level, decision and no subject id."""
    office = either_office
    subject = office.subject()
    granted = office.grant(subject, "P11", recipient="insurer_a")
    permit = office.check(subject, "P11", "diagnosis", "reading", recipient="insurer_a")
    entry = office.entries()[-1]
    assert entry["id"] == permit.entry_id
    assert (entry["act"], entry["outcome"]) == ("gate.permit", "allowed")
    assert (entry["actor"], entry["role"], entry["request_id"]) == ("prn_test", "capture", "req_test")
    assert (entry["purpose"], entry["recipient"], entry["level"]) == ("P11", "insurer_a", 3)
    assert entry["fields"] == ["diagnosis", "reading"]
    assert entry["basis"] == granted.decision_id
    assert subject not in str(entry)


def test_refusal_entry_counts_reasons_and_hides_unknown_names(office):
    """A field name from outside may be anything, so that the log counts it and does not repeat it."""
    subject = office.subject()
    refusal = office.check(subject, "P07", "sex", "张三的手机")
    entry = office.entries()[-1]
    assert entry["id"] == refusal.entry_id
    assert (entry["act"], entry["outcome"]) == ("gate.refusal", "denied")
    assert entry["fields"] == ["sex"]
    assert entry["counts"] == {"NO_DECISION": 1, "UNKNOWN_FIELD": 1}
    assert "张三" not in str(entry)


def test_cohort_leaves_one_entry_for_each_outcome(office):
    """However large the batch, one entry permits and one refuses."""
    subjects = [office.subject() for _ in range(5)]
    for subject in subjects[:3]:
        office.grant(subject, "P07")
    before = len(office.entries())
    with office.database.write() as connection:
        verdict = office.gate.check_many(
            connection, asking=office.asking, purpose="P07", subjects=subjects, fields=["sex", "topic"]
        )
    refused, permitted = office.entries()[before:]
    assert (refused["act"], refused["cohort"]["size"], refused["counts"]) == ("gate.refusal", 2, {"NO_DECISION": 4})
    assert (permitted["act"], permitted["cohort"]["size"]) == ("gate.permit", 3)
    assert permitted["id"] == verdict.permit.entry_id


def test_preview_leaves_no_trace(either_office):
    """A preview reads in a transaction that cannot write."""
    office = either_office
    subject = office.subject()
    before = len(office.entries())
    assert office.reason(subject, "P07", "sex") is Reason.NO_DECISION
    assert len(office.entries()) == before


def test_rolled_back_check_leaves_no_entry(office):
    """The entry stands or falls with the caller's transaction."""
    subject = office.subject()
    before = len(office.entries())

    def check_and_fail():
        with office.database.write() as connection:
            office.gate.check(connection, asking=office.asking, purpose="P07", subject=subject, fields=["sex"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_and_fail()
    assert len(office.entries()) == before


def test_public_disclosure_without_a_grant_is_denied(office):
    """With its assessment in force publishing still needs a grant of its own (R09, R35)."""
    subject = office.subject()
    refusal = office.check(subject, "P10", "diagnosis")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == {"diagnosis": Reason.ASSESSMENT_MISSING}
    known = office.catalogue.purposes
    assessed = dataclasses.replace(known["P10"], assessment="PIA-10")
    catalogue = dataclasses.replace(office.catalogue, purposes={**known, "P10": assessed})
    office = open_office(office.database, office.clock, catalogue)
    with office.database.write() as connection:
        text = assessment_text(assessment_id="PIA-10", purposes=("P10",))
        record_assessment(connection, text, catalogue, asking=office.asking, log=office.journal)
    refusal = office.check(subject, "P10", "diagnosis")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == {"diagnosis": Reason.NO_DECISION}
    office.grant(subject, "P10")
    assert isinstance(office.check(subject, "P10", "diagnosis"), Permit)


def test_push_switched_off_blocks_the_next_check(either_office):
    """Who switches personalised push off is not sent the very next one (R13, R14)."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P09")
    assert isinstance(office.check(subject, "P09", "mobile"), Permit)
    office.withdraw(subject, "P09")
    refusal = office.check(subject, "P09", "mobile")
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == {"mobile": Reason.WITHDRAWN}


def test_core_service_works_when_everything_optional_is_refused(office):
    """All purposes that rest on consent alone refused: the consultation still passes under its contract (R17)."""
    subject = office.subject()
    for code, purpose in office.catalogue.purposes.items():
        if purpose.is_optional and code != "P10":
            office.record(subject, DecisionAct.REFUSE, code)
    office.record(subject, DecisionAct.CONTRACT, "P02")
    assert isinstance(office.check(subject, "P02", "name", "sex"), Permit)


def test_death_leaves_storage_and_security(either_office):
    """After a death the person's data are kept by law and secured, and nothing else is done with them (R29)."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P07")
    office.record(subject, DecisionAct.DUTY, "P05")
    with office.database.write() as connection:
        set_deceased(connection, subject, no_kin=False, now=office.clock.now())
    assert office.reason(subject, "P07", "sex") is Reason.RESTRICTED
    assert office.reason(subject, "P05", "diagnosis") is None


def test_validity_begins_where_it_says(office):
    """A grant for later is out of scope until then, and counts from that instant on."""
    subject = office.subject()
    begins = office.clock.now() + timedelta(days=1)
    office.grant(subject, "P06", valid_from=begins)
    assert office.reason(subject, "P06", "reading") is Reason.SCOPE
    office.clock.advance(begins - office.clock.now())
    assert office.reason(subject, "P06", "reading") is None


def test_suspended_gate_answers_nothing_now(office):
    """While the register is suspended checks and looks fail; a look back does not."""
    subject = office.subject()
    office.grant(subject, "P06")
    with office.database.write() as connection:
        suspend(connection, "decisions differ", asking=office.asking, log=office.journal)
    with pytest.raises(Unavailable, match="decisions differ"):
        office.check(subject, "P06", "reading")
    with pytest.raises(Unavailable, match="decisions differ"):
        office.reason(subject, "P06", "reading")
    with office.database.read() as connection:
        said = office.gate.preview_many(
            connection, asking=office.asking, purpose="P06", subjects=[subject], fields=["reading"],
            as_of=office.clock.now(),
        )  # fmt: skip
    assert said == {subject: {"reading": None}}


def emergency(office, subject):
    """What stands for emergency care of a person; no act of the register records it."""
    row = {
        "subject_id": subject, "purpose": "P15", "recipient": "", "track": "basis", "act": "duty",
        "decision_id": new_id("dec"), "by_guardian": False, "decided_at": office.clock.now(), "uses": 0,
    }  # fmt: skip
    with office.database.write() as connection:
        insert_rows(connection, consent_current, [row])


def test_emergency_access_leaves_the_task_to_tell(either_office):
    """A permit for an emergency creates, in its own transaction, the task to notify the person (R20)."""
    office = either_office
    subject = office.subject()
    emergency(office, subject)
    permit = office.check(subject, "P15", "name")
    assert isinstance(permit, Permit)
    with office.database.read() as connection:
        (task,) = open_tasks(connection, kind=TaskKind.NOTIFY_EMERGENCY, subject=subject)
    assert (task.cause, task.purpose) == (permit.permit_id, "P15")
    assert office.entries()[-1]["act"] == "task.created"


def test_transfer_abroad_needs_its_document_and_is_counted(either_office):
    """Abroad nothing goes without a mechanism document; with one each person is counted once a year (R10, R11)."""
    office = either_office
    subject = office.subject()
    abroad = {"country": "SG", "kind": "controller"}
    document = TransferMechanism("standard_contract", "SC-1", date(2027, 1, 1))
    with office.database.write() as connection:
        office.recipient_in(connection, "lab_sg", mechanism=document, **abroad)
    office.grant(subject, "P11", recipient="lab_sg", notice=office.tell_of("lab_sg"))
    for _ in range(2):
        assert isinstance(office.check(subject, "P11", "diagnosis", recipient="lab_sg"), Permit)
    with office.database.read() as connection:
        assert transfer_counts(connection, 2026)["lab_sg"].subjects == 1
    office.clock.advance(timedelta(days=60))
    assert office.reason(subject, "P11", "diagnosis", "lab_sg") is Reason.RECIPIENT


def test_field_outside_the_recipients_contract_is_out_of_scope(office):
    """What a recipient's contract does not name it does not get, whatever the person granted."""
    subject = office.subject()
    with office.database.write() as connection:
        office.recipient_in(connection, "narrow", fields=frozenset({"reading"}))
    office.grant(subject, "P11", recipient="narrow", notice=office.tell_of("narrow"))
    assert office.reason(subject, "P11", "reading", "narrow") is None
    assert office.reason(subject, "P11", "diagnosis", "narrow") is Reason.SCOPE


def test_terms_are_read_again_when_the_register_moves(either_office):
    """A gate that has answered before knows of a change with its commit, and keeps nothing of one rolled back."""
    office = either_office
    subject = office.subject()
    office.grant(subject, "P07")
    assert office.reason(subject, "P07", "sex") is None
    with pytest.raises(ZeroDivisionError), office.database.write() as connection:
        office.publish_in(connection, version="2", collected=({"field": "x", "why": "y"},))
        ask = {"asking": office.asking, "purpose": "P07", "subject": subject, "fields": ["sex"]}
        assert isinstance(office.gate.check(connection, **ask), Refusal)
        raise ZeroDivisionError
    assert office.reason(subject, "P07", "sex") is None
    office.publish(version="2", collected=({"field": "x", "why": "y"},))
    assert office.reason(subject, "P07", "sex") is Reason.RECONSENT
