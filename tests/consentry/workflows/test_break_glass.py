"""Emergencies (R49): at once, within bounds, told to officers, reviewed within a day, or the account is frozen."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from audit.events import Act
from audit.queries import find_entries
from consent.inspection import Findings
from consent.tasks import open_tasks
from consentry.emergency_inspection import inspect_emergencies
from consentry.platform import open_platform
from consentry.principals import Principal, PrincipalKind
from consentry.settings import load_settings
from consentry.stores.tables import emergency_access
from consentry.tending import Tender
from consentry.workflows.break_glass import TooManyEmergencies, break_glass
from consentry.workflows.erase import erase_subject, restrict_subject
from consentry.workflows.freezing import AccountFrozen, know_person, release_account
from consentry.workflows.initialise import initialise
from consentry.workflows.reconcile import reconcile
from consentry.workflows.reveal import NotPermitted, reveal
from consentry.workflows.review_emergency import OwnEmergency, emergency_json, list_emergencies, review_emergency
from consentry.workflows.sign_in import sign_in
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, SubjectId
from tests.consentry.conftest import ADMIN, Captured

DAY = timedelta(hours=24)


@pytest.fixture
def doctor(captured):
    """A clinician, who breaks the glass."""
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def officer(captured):
    """A compliance officer."""
    return captured.person_account("officer", "compliance_officer")[0]


@pytest.fixture
def patient(captured):
    """Somebody with a record, of whom no emergency is known."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    return subject


def broken(platform, caller, subject, **more):
    return break_glass(platform, caller, subject=subject, **{"fields": ["sex"], "reason": "unconscious", **more})


def bounded_to(platform, emergencies):
    """The platform with so many emergencies a day in its pack."""
    rules = replace(platform.catalogue.oversight.reading, emergencies_day=emergencies)
    oversight = replace(platform.catalogue.oversight, reading=rules)
    return replace(platform, catalogue=replace(platform.catalogue, oversight=oversight))


def entries(platform, act, **conditions):
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, act=act, **conditions)]


def test_glass_breaks_at_once_and_leaves_everything_behind(platform, doctor, patient):
    """Basis, permit, reading, the emergency itself, the alarm in the service's log, and the task to tell the person."""
    with capture_logs() as logged:
        made, opened = broken(platform, doctor, patient, ticket="INC-4711")
    assert [record.values for record in opened.records] == [{"sex": "female"}]
    (told,) = entries(platform, Act.BREAK_GLASS_OPENED, subject=patient)
    assert (told["actor"], told["purpose"], told["fields"]) == (doctor.principal_id, "P15", ["sex"])
    assert (told["refs"]["emergency"], told["refs"]["ticket"]) == (made.emergency_id, "INC-4711")
    assert "unconscious" not in str(told)
    (reading,) = entries(platform, Act.REVEAL, subject=patient)
    assert (reading["id"], reading["refs"]["emergency"]) == (made.entry_id, made.emergency_id)
    assert [e["purpose"] for e in entries(platform, Act.BASIS_RECORDED, subject=patient)][-1:] == ["P15"]
    with platform.data.read() as connection:
        assert [task.kind for task in open_tasks(connection, subject=patient)] == ["notify_emergency"]
    assert [one["emergency"] for one in logged if one["event"] == "break_glass.opened"] == [made.emergency_id]


def test_basis_is_recorded_once(platform, doctor, patient):
    """The second emergency rests on what stands."""
    broken(platform, doctor, patient)
    broken(platform, doctor, patient)
    assert len([e for e in entries(platform, Act.BASIS_RECORDED, subject=patient) if e["purpose"] == "P15"]) == 1


def test_reveal_breaks_no_glass(platform, doctor, patient):
    """What an emergency opens is opened by breaking the glass and in no other way."""
    with pytest.raises(Denied, match="breaking the glass"):
        reveal(platform, doctor, subject=patient, purpose="P15", fields=["sex"], reason="unconscious")


BEYOND = [
    ({"reason": "  "}, BadInput),
    ({"purpose": "P02"}, Denied),
    ({"purpose": "P99"}, Denied),
    ({"fields": ["special_disease"]}, NotPermitted),
    ({"fields": ["shoe_size"]}, NotPermitted),
    ({"subject": SubjectId("sub_" + "a" * 24)}, NotPermitted),
]


def test_emergency_is_bounded_by_purpose_and_gate(platform, doctor, patient):
    """No reason, another purpose, a field that the emergency purpose does not have, nobody: nothing is opened."""
    for change, error in BEYOND:
        with pytest.raises(error):
            broken(platform, doctor, **{"subject": patient, **change})
        assert entries(platform, Act.BREAK_GLASS_OPENED) == []
        assert entries(platform, Act.REVEAL) == []


OTHERS = ["health_manager", "compliance_officer", "administrator"]


def test_only_roles_that_may_break_the_glass(platform, patient):
    """And never a machine."""
    for role in OTHERS:
        kinds = [PrincipalKind.PERSON, PrincipalKind.KEY]
        for kind, named in zip(kinds, [role, "clinician"], strict=True):
            with pytest.raises(Denied):
                broken(platform, Principal(PrincipalId("usr_other"), "other", kind, named), patient)


def test_masked_fields_stay_masked_in_an_emergency(platform, doctor, patient):
    """A role that sees a field masked only does not see it by breaking the glass."""
    role = replace(platform.catalogue.roles["clinician"], masked_fields=frozenset({"sex"}))
    catalogue = replace(platform.catalogue, roles={**platform.catalogue.roles, "clinician": role})
    with pytest.raises(Denied, match="masked only"):
        broken(replace(platform, catalogue=catalogue), doctor, patient)


def test_restricted_person_stays_closed(platform, doctor, patient):
    """The gate is asked as ever; no basis is recorded for who is restricted."""
    restrict_subject(platform, ADMIN, subject=patient, reason="request")
    with pytest.raises(NotPermitted, match="RESTRICTED"):
        broken(platform, doctor, patient)


def test_glass_is_broken_so_many_times_a_day(platform, doctor, patient, clock):
    """Then it is refused and logged, until the first is a day ago."""
    bounded = bounded_to(platform, 2)
    for _ in range(2):
        broken(bounded, doctor, patient)
        clock.advance(timedelta(minutes=10))
    with pytest.raises(TooManyEmergencies):
        broken(bounded, doctor, patient)
    assert [e["reason"] for e in entries(platform, Act.ACCESS_DENIED, subject=patient)] == ["RATE"]
    clock.advance(DAY - timedelta(minutes=20))
    with pytest.raises(AccountFrozen):
        broken(bounded, doctor, patient)


def test_emergencies_at_one_moment_are_counted_one_after_the_other(copied_to, tmp_path, clock):
    """On PostgreSQL, where writers do not wait by themselves: the last one that is left is had once."""
    with open_platform(copied_to("postgresql", tmp_path / "home").settings, clock=clock) as platform:
        captured = Captured(platform)
        doctor, _ = captured.person_account("dr.wu", "clinician")
        subject = captured.person("u-1", "P02")
        captured.store([captured.posted("u-1", "profile", sex="female")])
        bounded = bounded_to(platform, 1)
        with ThreadPoolExecutor() as threads:
            tries = [threads.submit(broken, bounded, doctor, subject) for _ in range(4)]
        refused = [one.exception() for one in tries]
        assert sorted(type(err).__name__ for err in refused) == ["NoneType", *["TooManyEmergencies"] * 3]


def test_unreviewed_emergency_freezes_the_account_by_itself(deployment, platform, captured, doctor, *, patient, clock):
    """R49: by the log's time at each call and sign-in, whether or not anybody tends; a clock set back thaws nothing."""
    dr_lin = platform.tokens.verify(
        sign_in(platform, name="dr.lin", password=deployment.password("dr.lin"))
    )  # fmt: skip
    assert dr_lin
    broken(platform, doctor, patient)
    clock.advance(DAY - timedelta(seconds=1))
    token = platform.tokens.issue(doctor.principal_id)
    assert know_person(platform, token) == doctor
    clock.advance(timedelta(seconds=1))
    for attempt in (
        lambda: know_person(platform, platform.tokens.issue(doctor.principal_id)),
        lambda: reveal(platform, doctor, subject=patient, purpose="P02", fields=["sex"], reason="visit"),
    ):
        with pytest.raises(AccountFrozen):
            attempt()
    denied = entries(platform, Act.ACCESS_DENIED, actor=doctor.principal_id)
    assert [e["reason"] for e in denied] == ["FROZEN", "FROZEN"]
    clock.advance(-timedelta(hours=3))
    with pytest.raises(AccountFrozen):
        know_person(platform, platform.tokens.issue(doctor.principal_id))


def test_frozen_person_cannot_sign_in(platform, captured, patient, clock):
    """The right password gives no token."""
    doctor, password = captured.person_account("dr.li", "clinician")
    broken(platform, doctor, patient)
    clock.advance(DAY)
    with pytest.raises(AccountFrozen):
        sign_in(platform, name="dr.li", password=password)


def test_review_in_time_keeps_the_account_open(platform, doctor, officer, patient, *, clock):
    """By somebody else with the right to, in an entry; the note is sealed."""
    made, _ = broken(platform, doctor, patient)
    done = review_emergency(platform, officer, made.emergency_id, verdict="justified", note="seen by the ward")
    assert (done.verdict, done.reviewed_by) == ("justified", officer.principal_id)
    (told,) = entries(platform, Act.BREAK_GLASS_REVIEWED)
    assert (told["reason"], told["refs"]["emergency"]) == ("justified", made.emergency_id)
    assert "ward" not in str(told)
    clock.advance(3 * DAY)
    assert know_person(platform, platform.tokens.issue(doctor.principal_id)) == doctor
    assert reconcile(platform, ADMIN).mismatches == []


def test_nobody_reviews_an_own_emergency(platform, doctor, patient):
    """Whatever role the person has by now; and no role without the right."""
    made, _ = broken(platform, doctor, patient)
    with pytest.raises(OwnEmergency):
        review_emergency(
            platform, replace(doctor, role="compliance_officer"), made.emergency_id, verdict="justified", note="me"
        )
    with pytest.raises(Denied):
        review_emergency(platform, ADMIN, made.emergency_id, verdict="justified", note="x")


def test_late_review_releases_nothing(platform, doctor, officer, patient, *, clock):
    """The account stays frozen until an officer releases it, and that needs every review."""
    made, _ = broken(platform, doctor, patient)
    clock.advance(DAY)
    with pytest.raises(Conflict, match="not been reviewed"):
        release_account(platform, officer, "dr.wu", reason="sorry")
    review_emergency(platform, officer, made.emergency_id, verdict="justified", note="late")
    with pytest.raises(AccountFrozen):
        know_person(platform, platform.tokens.issue(doctor.principal_id))
    with pytest.raises(Denied, match="own account"):
        release_account(platform, replace(doctor, role="compliance_officer"), "dr.wu", reason="me")
    with pytest.raises(Denied):
        release_account(platform, ADMIN, "dr.wu", reason="x")
    with pytest.raises(NotFound):
        release_account(platform, officer, "nobody", reason="x")
    assert [one.emergency_id for one in release_account(platform, officer, "dr.wu", reason="justified")] == [
        made.emergency_id
    ]
    assert know_person(platform, platform.tokens.issue(doctor.principal_id)) == doctor
    with pytest.raises(Conflict, match="not frozen"):
        release_account(platform, officer, "dr.wu", reason="again")
    assert len(entries(platform, Act.ACCOUNT_RELEASED)) == 1
    assert reconcile(platform, ADMIN).mismatches == []


def test_incident_freezes_at_once(platform, doctor, officer, patient):
    """A verdict only grows graver, and tells of the freeze."""
    made, _ = broken(platform, doctor, patient)
    review_emergency(platform, officer, made.emergency_id, verdict="justified", note="at first")
    done = review_emergency(platform, officer, made.emergency_id, verdict="incident", note="curiosity")
    assert emergency_json(platform, done)["frozen"] is True
    with pytest.raises(AccountFrozen):
        know_person(platform, platform.tokens.issue(doctor.principal_id))
    with pytest.raises(Conflict):
        review_emergency(platform, officer, made.emergency_id, verdict="justified", note="no")
    assert [e["reason"] for e in entries(platform, Act.ACCOUNT_FROZEN)] == ["INCIDENT"]
    assert reconcile(platform, ADMIN).mismatches == []


def test_tender_tells_of_a_freeze_once(platform, doctor, patient, clock):
    """An entry and an alarm, whoever notices first; the account was frozen without it."""
    made, _ = broken(platform, doctor, patient)
    clock.advance(DAY)
    with capture_logs() as logged:
        Tender(platform).work()
        Tender(platform).work()
    (told,) = entries(platform, Act.ACCOUNT_FROZEN)
    assert told["refs"] == {"principal": doctor.principal_id, "emergency": made.emergency_id}
    assert len([one for one in logged if one["event"] == "account.frozen"]) == 1


def test_list_tells_what_is_open_and_what_is_frozen(platform, doctor, officer, patient, *, clock):
    """The newest first; the reading leaves an entry, and a clinician reads none."""
    first, _ = broken(platform, doctor, patient)
    review_emergency(platform, officer, first.emergency_id, verdict="justified", note="seen")
    clock.advance(timedelta(hours=1))
    second, _ = broken(platform, doctor, patient)
    assert [one.emergency_id for one in list_emergencies(platform, officer)] == [
        second.emergency_id,
        first.emergency_id,
    ]
    (left,) = list_emergencies(platform, officer, unreviewed_only=True)
    assert emergency_json(platform, left)["frozen"] is False
    with pytest.raises(Denied):
        list_emergencies(platform, doctor)


CHANGED = {
    "due_at = due_at + 1": "due_at",
    "verdict = 'justified', reviewed_by = 'usr_x', reviewed_at = opened_at": "verdict",
    "released_at = due_at, release_entry = entry_id": "released",
    "principal_id = 'usr_somebody'": "principal",
}
"""How somebody with the store's own means could thaw an account, and what of it the comparison names."""


def test_emergency_that_was_changed_by_hand_is_found(platform, doctor, patient):
    """The row says what the entries say, or the comparison names what differs."""
    made, _ = broken(platform, doctor, patient)
    for change, named in CHANGED.items():
        with platform.data.write() as connection:
            before = dict(connection.execute(select(emergency_access)).one()._mapping)
            connection.execute(text(f"UPDATE emergency_access SET {change}"))
            found = Findings()
            inspect_emergencies(connection, found)
            connection.execute(update(emergency_access).values(before))
        (mismatch,) = found.mismatches
        assert (mismatch.part, mismatch.name) == ("emergency", made.emergency_id)
        assert named in mismatch.differs, change
    assert reconcile(platform, ADMIN).mismatches == []


def test_emergency_that_was_removed_by_hand_is_found(platform, doctor, patient):
    """And one that the log does not tell of, too."""
    broken(platform, doctor, patient)
    with platform.data.write() as connection:
        connection.execute(text("DELETE FROM emergency_access"))
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert mismatch.differs == ("no row",)


def test_erased_person_is_forgotten_and_the_account_stays_frozen(platform, doctor, patient, clock):
    """Whom the emergency was about is gone; that it was not reviewed is not."""
    broken(platform, doctor, patient)
    erase_subject(platform, ADMIN, subject=patient, reason="request")
    with platform.data.read() as connection:
        kept = connection.execute(text("SELECT subject_id FROM emergency_access")).scalars().all()
        assert connection.scalar(text("SELECT count(*) FROM reading_subject")) in (0, 1)
    assert kept in ([None], [patient]), "a legal floor restricts instead of erasing"
    clock.advance(DAY)
    with pytest.raises(AccountFrozen):
        know_person(platform, platform.tokens.issue(doctor.principal_id))


def test_the_same_on_postgresql(pg_database, tmp_path, clock, capturing):
    """From the glass to the release, on the other engine."""
    stores = {"data_store": pg_database(), "key_store": pg_database()}
    settings = load_settings(home=tmp_path / "clinic", **stores)
    made = initialise(settings, admin="admin", person="dr.lin", person_role="clinician", clock=clock)
    ready = load_settings(**{**settings.model_dump(), "deployment": made.deployment})
    with open_platform(ready, clock=clock) as platform:
        captured = capturing(platform)
        subject = captured.person("u-1", "P02")
        captured.store([captured.posted("u-1", "profile", sex="female")])
        doctor, _ = captured.person_account("dr.wu", "clinician")
        officer, _ = captured.person_account("officer", "compliance_officer")
        emergency, opened = broken(platform, doctor, subject)
        assert opened.records[0].values == {"sex": "female"}
        clock.advance(DAY)
        with pytest.raises(AccountFrozen):
            know_person(platform, platform.tokens.issue(doctor.principal_id))
        Tender(platform).work()
        review_emergency(platform, officer, emergency.emergency_id, verdict="justified", note="late")
        release_account(platform, officer, "dr.wu", reason="justified")
        reveal(platform, doctor, subject=subject, purpose="P02", fields=["sex"], reason="visit")
        assert reconcile(platform, ADMIN).mismatches == []


@pytest.mark.parametrize("column", ["opened_at", "due_at", "reviewed_at", "released_at"])
@pytest.mark.parametrize("written", ["'soon'", "9223372036854775807"])
def test_an_emergency_that_cannot_be_read_is_a_mismatch(platform, doctor, patient, column, written):
    """Words, or an instant beyond the calendar, written by hand: named, and no defect."""
    made, _ = broken(platform, doctor, patient)
    with platform.data.write() as connection:
        connection.execute(text(f"UPDATE emergency_access SET {column} = {written}"))
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert (mismatch.part, mismatch.name, mismatch.differs) == ("emergency", made.emergency_id, ("unreadable",))
