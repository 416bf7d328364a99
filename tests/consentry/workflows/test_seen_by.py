"""Who saw a person's data, and to whom it was given, over a real deployment."""

import csv
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from audit.disclosures import Law
from audit.events import Act
from audit.queries import Sought, find_page
from consent.recipients import list_recipients
from consentry.principals import Principal, PrincipalKind, subject_principal
from consentry.workflows.disclosures import account_disclosures
from consentry.workflows.reveal import NotPermitted, reveal
from consentry.workflows.seen_by import Stretch, read_seen_by
from kernel.errors import Denied, NotFound
from kernel.ids import PrincipalId, SubjectId

OFFICER = Principal(PrincipalId("usr_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")


@pytest.fixture
def clinician(captured):
    """A clinician's account."""
    return captured.person_account("dr.wu", "clinician")[0]


@pytest.fixture
def patient(platform, captured, clinician):
    """A patient whose record was opened once, and once in vain."""
    subject = captured.person("u-1", "P02")
    captured.store([captured.posted("u-1", "profile", sex="female")])
    reveal(platform, clinician, subject=subject, purpose="P02", fields=["sex"], reason="consultation")
    with pytest.raises(Denied):
        reveal(platform, clinician, subject=subject, purpose="P02", fields=["id_number"], reason="consultation")
    return subject


def rows(platform, caller, subject, *, locale="en", **asked):
    return read_seen_by(platform, caller, subject, Stretch(**asked), locale=locale).rows


def test_officer_is_told_who_when_what_why_and_on_which_basis(platform, patient, clinician):
    """Codes beside words, in the language asked for."""
    opened = next(row for row in rows(platform, OFFICER, patient) if row["kind"] == "opened")
    assert (opened["actor"], opened["who"], opened["role"]) == (clinician.principal_id, "clinician", "clinician")
    assert (opened["purpose_label"], opened["fields_label"], opened["allowed"]) == ("online care", "sex", True)
    assert "contract" in opened["basis_label"]
    assert opened["kind_label"] == "opened in clear"
    chinese = next(row for row in rows(platform, OFFICER, patient, locale="zh-CN") if row["kind"] == "opened")
    assert (chinese["kind_label"], chinese["who"], chinese["fields_label"]) == ("查看明文", "医生", "性别")


def test_person_is_told_roles_and_never_an_id_of_staff(platform, patient, clinician):
    """The person sees the same accesses, also the denied one with its reason."""
    told = rows(platform, subject_principal(patient), patient)
    assert clinician.principal_id not in str(told)
    assert {row["actor"] for row in told} == {None}
    denied = next(row for row in told if not row["allowed"])
    assert denied["who"] == "clinician"
    assert denied["reason_label"]
    assert "the person" in {row["who"] for row in rows(platform, subject_principal(patient), patient)}


def test_reading_is_logged_before_anything_is_shown(platform, patient):
    """The entry of the reading is the first row of its own answer."""
    newest = rows(platform, OFFICER, patient)[0]
    assert (newest["kind"], newest["actor"]) == ("log_read", OFFICER.principal_id)
    with platform.data.read() as connection:
        (entry,) = find_page(connection, Sought(patient, act=Act.AUDIT_READ)).entries
    assert entry.members["refs"] == {"what": "accesses"}


def test_pages_follow_one_another(platform, patient):
    """Going on gives every access once, the newest first."""
    found, after = [], None
    while True:
        page = read_seen_by(platform, OFFICER, patient, Stretch(limit=2, after=after, until=platform.clock.now()))
        found += page.rows
        if page.next_after is None:
            break
        after = page.next_after
    assert [row["index"] for row in found] == sorted({row["index"] for row in found}, reverse=True)


def test_nobody_else_may_ask_and_strangers_are_unknown(platform, patient, clinician):
    """A clinician has no such act; an id that nobody has is not found."""
    with pytest.raises(Denied):
        rows(platform, clinician, patient)
    with pytest.raises(NotFound):
        rows(platform, OFFICER, SubjectId("sub_" + "a" * 24))


def test_pipl_tells_everything_and_hipaa_what_went_outside(platform, patient):
    """An opening for care inside is a use: PIPL's view has it, HIPAA's does not (R53)."""
    pipl = account_disclosures(platform, OFFICER, patient, Law.PIPL, Stretch(), locale="en")
    hipaa = account_disclosures(platform, OFFICER, patient, Law.HIPAA, Stretch(), locale="en")
    assert {"opened", "attempted", "collected"} <= {row["kind"] for row in pipl.rows}
    assert hipaa.rows == []
    assert hipaa.as_json()["view"] == "hipaa"
    assert hipaa.since == platform.clock.now().replace(year=2020)


def test_hand_over_names_recipient_and_address(platform, captured):
    """A permit for a registered recipient is a disclosure with name and contact; HIPAA leaves authorised ones out."""
    captured.person("u-1", "P02")
    subject = captured.person("u-1")
    captured.grant("u-1", "P11", recipient="insurer")
    with platform.data.write() as connection:
        platform.gate.check(
            connection, asking=platform.asking(OFFICER), purpose="P11", subject=subject, fields=["diagnosis"],
            recipient="insurer",
        )  # fmt: skip
        contacts = {one.code: one.text.contact for one in list_recipients(connection)}
    pipl = account_disclosures(platform, OFFICER, subject, Law.PIPL, Stretch(), locale="en")
    row = next(one for one in pipl.rows if one["kind"] == "disclosed")
    assert row["recipient_label"] == "Example Health Insurance Co., Ltd. (insurer)"
    assert row["address"] == contacts["insurer"]
    assert row["basis_label"].startswith("granted")
    hipaa = account_disclosures(platform, OFFICER, subject, Law.HIPAA, Stretch(), locale="en")
    assert [(left["why"], left["number"]) for left in hipaa.left_out] == [("authorised", 1)]


def test_accounting_is_a_table_that_no_spreadsheet_computes(platform, patient):
    """CSV has the headings of its language; a cell that begins like a formula is text."""
    told = account_disclosures(platform, OFFICER, patient, Law.PIPL, Stretch(), locale="zh-CN")
    header, *cells = csv.reader(io.StringIO(told.as_csv()))
    assert header[0] == "时间"
    assert len(cells) == len(told.rows)
    assert {line[8] for line in cells} == {"是", "否"}
    sly = replace(told, rows=[{**told.rows[0], "who": "=1+1"}])
    assert next(csv.DictReader(io.StringIO(sly.as_csv())))["由谁"] == "'=1+1"


def test_accounting_is_bounded_by_its_period(platform, patient, clock):
    """What was before the period is not told."""
    clock.advance(timedelta(hours=1))
    late = account_disclosures(platform, OFFICER, patient, Law.PIPL, Stretch(since=clock.now()), locale="en")
    assert {row["kind"] for row in late.rows} == {"log_read"}


def test_refusal_of_the_gate_is_told_with_its_reason(platform, captured, clinician):
    """Somebody who never decided is told why the access failed."""
    subject = captured.person("u-2")
    with pytest.raises(NotPermitted):
        reveal(platform, clinician, subject=subject, purpose="P02", fields=["diagnosis"], reason="consultation")
    denied = next(row for row in rows(platform, OFFICER, subject) if row["kind"] == "attempted")
    assert (denied["reason"], denied["reason_label"]) == ("NO_DECISION", "no decision")
    assert denied["basis_label"] is None
