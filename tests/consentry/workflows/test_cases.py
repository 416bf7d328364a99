"""Case grants for the most sensitive fields (R49): asked for by one, given by another, bounded, revocable, logged."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from audit.events import Act
from audit.queries import find_entries
from consentry.case_inspection import differing_case
from consentry.principals import Principal, PrincipalKind
from consentry.stores.cases import CaseState, get_case
from consentry.stores.tables import case_grant
from consentry.workflows.cases import (
    CaseNeeded,
    OwnCase,
    grant_case,
    list_cases,
    refuse_case,
    request_case,
    revoke_case,
)
from consentry.workflows.reconcile import reconcile
from consentry.workflows.reveal import reveal
from kernel.catalogue import Compartment
from kernel.errors import BadInput, Conflict, Denied, NotFound
from kernel.ids import PrincipalId, SubjectId
from tests.consentry.conftest import ADMIN

SICK = {"purpose": "P02", "fields": ["special_disease"], "reason": "co-infection suspected"}


@pytest.fixture
def doctor(captured):
    """A clinician."""
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def officer(captured):
    """A compliance officer."""
    return captured.person_account("officer", "compliance_officer")[0]


@pytest.fixture
def patient(captured):
    """Somebody with a special disease on record."""
    subject = captured.person("u-1", "P02")
    stored = captured.store([captured.posted("u-1", "condition", special_disease="icd10:B20", diagnosis="icd10:I10")])
    assert stored["stored_fields"] == 2
    return subject


@pytest.fixture
def granted(platform, doctor, officer, patient):
    """A case that was asked for and given."""
    asked = request_case(platform, doctor, subject=patient, **SICK, hours=4)
    return grant_case(platform, officer, asked.case_id, reason="treating physician")


def entries(platform, subject, act):
    platform.log.settle()
    with platform.data.read() as connection:
        return [view.members for view in find_entries(connection, subject=subject, act=act)]


def opened(platform, doctor, patient, **more):
    return reveal(platform, doctor, subject=patient, **{**SICK, **more})


def test_level_five_stays_closed_without_a_case(platform, doctor, patient):
    """R49, R52: refused and logged under its own rule, with role and grant in place; what is below opens as ever."""
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient)
    (denied,) = entries(platform, patient, Act.ACCESS_DENIED)
    assert (denied["reason"], denied["fields"], denied["level"]) == ("CASE", ["special_disease"], 5)
    assert opened(platform, doctor, patient, fields=["diagnosis"]).records


def test_case_opens_to_who_asked_and_the_entry_names_it(platform, doctor, patient, granted):
    """Found by itself, or named; each state stands in the log, the words beside it."""
    (record,) = opened(platform, doctor, patient).records
    assert record.values == {"special_disease": ["icd10:B20"]}
    opened(platform, doctor, patient, case=granted.case_id)
    assert {e["refs"]["case"] for e in entries(platform, patient, Act.REVEAL)} == {granted.case_id}
    asked, given = entries(platform, patient, Act.CASE_REQUESTED), entries(platform, patient, Act.CASE_GRANTED)
    assert [(e["actor"], e["level"], e["counts"]) for e in asked] == [(doctor.principal_id, 5, {"hours": 4})]
    assert given[0]["actor"] == granted.decided_by
    assert "physician" not in str(given)


def test_case_that_is_asked_for_opens_nothing_yet(platform, doctor, patient, officer):
    """Nor does one that was refused."""
    asked = request_case(platform, doctor, subject=patient, **SICK)
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient)
    refused = refuse_case(platform, officer, asked.case_id, reason="not the treating physician")
    assert refused.verdict == "refused"
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient, case=asked.case_id)
    with pytest.raises(Conflict):
        grant_case(platform, officer, asked.case_id, reason="after all")
    assert len(entries(platform, patient, Act.CASE_REFUSED)) == 1


def test_case_is_for_its_person_fields_purpose_and_asker(platform, captured, doctor, patient, granted):
    """Nothing else opens under it, and nobody else opens by it."""
    other = captured.person("u-2", "P02")
    colleague, _ = captured.person_account("dr.li", "clinician")
    for caller, subject, fields in (
        (doctor, other, ["special_disease"]),
        (doctor, patient, ["special_disease", "genetic"]),
        (colleague, patient, ["special_disease"]),
    ):
        with pytest.raises(CaseNeeded):
            reveal(platform, caller, subject=subject, **SICK | {"fields": fields, "case": granted.case_id})


def test_case_ends_with_its_hours(platform, doctor, patient, granted, clock):
    """Half open, by the log's clock: a clock that is set back revives nothing."""
    clock.advance(timedelta(hours=4) - timedelta(seconds=1))
    assert opened(platform, doctor, patient).records
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient)
    clock.advance(-timedelta(hours=2))
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient)
    assert [state for _, state in list_cases(platform, doctor)] == [CaseState.EXPIRED]


@pytest.mark.parametrize("by", ["doctor", "officer"])
def test_revoked_case_opens_nothing_more(request, platform, doctor, patient, granted, *, by):
    """By who gives cases, or by who asked for it; nobody revokes twice."""
    caller = request.getfixturevalue(by)
    ended = revoke_case(platform, caller, granted.case_id, reason="the visit is over")
    assert ended.revoked_by == caller.principal_id
    with pytest.raises(CaseNeeded):
        opened(platform, doctor, patient)
    with pytest.raises(Conflict):
        revoke_case(platform, caller, granted.case_id, reason="again")
    assert len(entries(platform, patient, Act.CASE_REVOKED)) == 1
    assert reconcile(platform, ADMIN).mismatches == []


def test_nobody_gives_an_own_case(platform, doctor, patient):
    """Two people, whatever role the asker has by now; the try stays in the log."""
    asked = request_case(platform, doctor, subject=patient, **SICK)
    with pytest.raises(OwnCase):
        grant_case(platform, replace(doctor, role="compliance_officer"), asked.case_id, reason="me")
    assert [e["reason"] for e in entries(platform, patient, Act.ACCESS_DENIED)] == ["OWN_CASE"]


def test_who_records_consents_gives_no_cases(platform, doctor, patient):
    """Not even where a pack lists both acts for one role."""
    asked = request_case(platform, doctor, subject=patient, **SICK)
    role = platform.catalogue.roles["administrator"]
    both = replace(role, acts=role.acts | {"case.grant"})
    catalogue = replace(platform.catalogue, roles={**platform.catalogue.roles, "administrator": both})
    with pytest.raises(Denied, match="records consents"):
        grant_case(replace(platform, catalogue=catalogue), ADMIN, asked.case_id, reason="me")


OTHERS = ["clinician", "administrator", "capture"]


def test_only_who_may_give_does(platform, captured, doctor, patient):
    """Not another clinician, no administrator, and no machine."""
    for role in OTHERS:
        asked = request_case(platform, doctor, subject=patient, **SICK)
        kind = PrincipalKind.KEY if role == "capture" else PrincipalKind.PERSON
        caller = Principal(PrincipalId("usr_other"), "other", kind, role)
        for act in (grant_case, refuse_case, revoke_case):
            with pytest.raises(Denied):
                act(platform, caller, asked.case_id, reason="x")


UNSOUND = [
    ({"fields": []}, BadInput),
    ({"fields": ["diagnosis"]}, BadInput),
    ({"fields": ["shoe_size"]}, BadInput),
    ({"purpose": "P09"}, Denied),
    ({"purpose": "P99"}, Denied),
    ({"hours": 0}, BadInput),
    ({"hours": 73}, BadInput),
    ({"reason": " "}, BadInput),
    ({"ticket": "13812345678"}, BadInput),
    ({"subject": SubjectId("sub_" + "a" * 24)}, NotFound),
]


def test_unsound_case_is_not_taken(platform, doctor, patient):
    """No field that needs one, another purpose, too many hours, no reason, a ticket like a number, nobody."""
    for change, error in UNSOUND:
        with pytest.raises(error):
            request_case(platform, doctor, **{"subject": patient, **SICK, **change})


def test_compartment_stands_for_what_a_case_can_open_of_it(platform, doctor, patient):
    """Every field of level 5 in it that the purpose covers."""
    made = request_case(
        platform, doctor, subject=patient, purpose="P02", compartment=Compartment.SPECIAL, reason="review"
    )  # fmt: skip
    assert made.fields == {"special_disease", "sensitive_lab", "reproductive_history", "genetic"}


def test_asker_lists_own_cases_and_the_officer_all(platform, captured, doctor, *, officer, patient, granted):
    """The reading leaves an entry that counts them."""
    colleague, _ = captured.person_account("dr.li", "clinician")
    request_case(platform, colleague, subject=patient, **SICK)
    assert [one.case_id for one, _ in list_cases(platform, doctor)] == [granted.case_id]
    assert [state for _, state in list_cases(platform, officer)].count(CaseState.ASKED) == 1
    assert len(list_cases(platform, officer, undecided_only=True)) == 1
    assert entries(platform, patient, Act.AUDIT_READ)


CHANGED = {
    "expires_at = expires_at + 3600000000": "details",
    'fields = \'["genetic", "special_disease"]\'': "details",
    "asked_by = 'usr_somebody'": "details",
    "decided_by = 'usr_somebody'": "decided_by",
    "purpose = 'P15'": "purpose",
    "decided_entry = 'ent_aaaaaaaaaaaaaaaaaaaaaaaa'": "entry",
    "decided_entry = asked_entry": "kind",
}
"""What somebody with the store's own means may try, and what of it the comparison names."""


def test_case_that_was_changed_by_hand_opens_nothing(platform, doctor, patient, granted):
    """A row grants what its entry says, in words that the store's owner cannot seal; the comparison tells."""
    for change, found in CHANGED.items():
        with platform.data.write() as connection:
            before = dict(connection.execute(select(case_grant)).one()._mapping)
            connection.execute(text(f"UPDATE case_grant SET {change}"))
        with pytest.raises(CaseNeeded):
            opened(platform, doctor, patient)
        with platform.data.read() as connection:
            differs = differing_case(connection, platform.log, get_case(connection, granted.case_id))
        assert found in differs, change
        with platform.data.write() as connection:
            connection.execute(update(case_grant).values(before))
    assert opened(platform, doctor, patient).records
    with platform.data.write() as connection:
        connection.execute(text("UPDATE case_grant SET expires_at = expires_at + 1"))
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert (mismatch.part, mismatch.name, mismatch.differs) == ("case", granted.case_id, ("details",))


def test_revocation_that_was_undone_by_hand_is_found(platform, doctor, officer, patient, granted):
    """The log tells that the case is over, whatever the row says."""
    revoke_case(platform, officer, granted.case_id, reason="the visit is over")
    with platform.data.write() as connection:
        connection.execute(text("UPDATE case_grant SET revoked_at = NULL, revoked_by = NULL, revoked_entry = NULL"))
        later = granted.expires_at - timedelta(minutes=1)
        connection.execute(update(case_grant).values(asked_at=later, decided_at=later))  # behind the revocation
    with pytest.raises(CaseNeeded, match="revoked"):
        opened(platform, doctor, patient)
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert mismatch.differs == ("revoked",)


@pytest.mark.parametrize("column", ["asked_at", "decided_at", "expires_at", "fields"])
@pytest.mark.parametrize("written", ["'soon'", "9223372036854775807"])
def test_a_case_that_cannot_be_read_is_a_mismatch(platform, granted, column, written):
    """Words, or an instant beyond the calendar, written by hand: named, and nothing else is hidden by it."""
    with platform.data.write() as connection:
        connection.execute(text(f"UPDATE case_grant SET {column} = {written}"))
    (mismatch,) = reconcile(platform, ADMIN).mismatches
    assert (mismatch.part, mismatch.name, mismatch.differs) == ("case", granted.case_id, ("unreadable",))


def test_a_case_without_fields_says_what_it_lacks(platform, doctor, patient):
    """Not that nothing needs a case."""
    with pytest.raises(BadInput, match="A case names fields"):
        request_case(platform, doctor, subject=patient, **{**SICK, "fields": []})
