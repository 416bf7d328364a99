"""Who saw a person's data, and to whom it was given, over a real deployment."""

import csv
import io
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from audit import bundles
from audit.disclosures import Law
from audit.entries import cohort_digest
from audit.events import Act, Event, Outcome
from audit.queries import Sought, find_page
from audit.verifier import VerifierKey
from audit.verifier.proofs import verify_proof
from consent.recipients import list_recipients
from consentry.principals import Principal, PrincipalKind, subject_principal
from consentry.workflows.bundle_seen import bundle_seen
from consentry.workflows.disclosures import account_disclosures
from consentry.workflows.prove_entry import EntryPruned, prove
from consentry.workflows.prune_log import prune_log
from consentry.workflows.read_audit import AuditQuery, read_audit
from consentry.workflows.reveal import NotPermitted, reveal
from consentry.workflows.seen_by import Stretch, read_seen_by
from consentry.workflows.show_entry import flat, show_entry
from kernel.database import open_database
from kernel.errors import BadInput, Conflict, Denied, NotFound, Unavailable
from kernel.ids import PrincipalId, RequestId, SubjectId

OFFICER = Principal(PrincipalId("usr_officer"), "officer", PrincipalKind.PERSON, "compliance_officer")
ADMIN = Principal(PrincipalId("local:test"), "test", PrincipalKind.PERSON, "administrator")


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


def test_officer_opens_the_stated_reasons_and_the_opening_is_counted(platform, patient):
    """The reason stands beside the opening and the denial; the entry of the reading says how many were opened."""
    found = read_seen_by(platform, OFFICER, patient, Stretch(), locale="en", with_words=True)
    assert {row["words"] for row in found.rows if row["role"] == "clinician"} == {"consultation"}
    with platform.data.read() as connection:
        reading = find_page(connection, Sought(patient, act=Act.AUDIT_READ)).entries[-1].members
    assert reading["refs"] == {"what": "words"}
    assert reading["counts"]["entries"] == len({index for row in found.rows for index in row["entries"]})
    told = account_disclosures(platform, OFFICER, patient, Law.PIPL, Stretch(), locale="en", with_words=True)
    assert told.header[-1] == "stated reason"
    assert "consultation" in {line[-1] for line in told.table()}


def test_words_are_neither_for_the_person_nor_for_an_administrator(platform, patient):
    """They may name others; asking for them is refused and stays in the log."""
    for caller in (subject_principal(patient), ADMIN):
        with pytest.raises(Denied):
            read_seen_by(platform, caller, patient, Stretch(), with_words=True)
    denied = [row for row in rows(platform, OFFICER, patient) if row["kind"] == "attempted"]
    assert len(denied) == 3
    assert all("words" not in row for row in rows(platform, OFFICER, patient))


def test_officer_is_told_names_and_the_person_none(platform, patient):
    """A name stands beside the id; an account that is gone has none."""
    names = {row["actor_name"] for row in rows(platform, OFFICER, patient)}
    assert {"dr.wu", None} <= names
    assert {row["actor_name"] for row in rows(platform, subject_principal(patient), patient)} == {None}


def test_basis_of_a_batch_is_the_one_of_the_register_as_of_then(platform, captured, clock):
    """The entry of a batch has a digest alone; what stood then is told, also after it was withdrawn."""
    subject = captured.person("u-9")
    captured.grant("u-9", "P02")
    captured.store([captured.posted("u-9", "condition", diagnosis="icd10:E11.900")])
    clock.advance(timedelta(hours=1))
    collected = next(row for row in rows(platform, OFFICER, subject) if row["kind"] == "collected")
    assert (collected["basis_from"], collected["basis"][:4]) == ("register", "dec_")
    assert "by the register as of then" in collected["basis_label"]
    captured.record(captured.act("withdraw", captured.known("u-9"), "P02"))
    again = next(row for row in rows(platform, OFFICER, subject) if row["kind"] == "collected")
    assert again["basis"] == collected["basis"]


def test_ticket_of_an_opening_stands_in_its_entry(platform, patient, clinician):
    """R52: the occasion is named in the log; a number of a person is no ticket."""
    reveal(platform, clinician, subject=patient, purpose="P02", fields=["sex"], reason="复诊", ticket="INC-4711")
    assert "INC-4711" in {row["ticket"] for row in rows(platform, OFFICER, patient)}
    assert {row["ticket"] for row in rows(platform, subject_principal(patient), patient)} == {None}
    with pytest.raises(BadInput):
        reveal(platform, clinician, subject=patient, purpose="P02", fields=["sex"], reason="x", ticket="13912345678")


def test_denial_has_its_level_and_counts_what_the_pack_does_not_know(platform, patient, clinician):
    """An unknown purpose or field may be anything: its number stands in the entry, its name is sealed beside it."""
    with pytest.raises(Denied):
        reveal(platform, clinician, subject=patient, purpose="P99", fields=["sex", "shoe"], reason="consultation")
    platform.log.settle()
    with platform.data.read() as connection:
        (unknown,) = find_page(connection, Sought(patient, act=Act.ACCESS_DENIED)).entries
        details = platform.log.read_details(connection, unknown.entry_id)
    assert unknown.members["level"] == platform.catalogue.fields["sex"].level
    assert (unknown.members["counts"], unknown.members["fields"]) == ({"unknown": 2}, ["sex"])
    assert details == {"reason": "consultation", "unknown": ["P99", "shoe"]}


@pytest.mark.parametrize("blank", ["", " ", "\u3000", "\u200b"])
def test_reason_of_which_nothing_can_be_seen_is_none(platform, patient, clinician, blank):
    """Two characters of Chinese are a reason, a space is not."""
    with pytest.raises(BadInput, match="reason in words"):
        reveal(platform, clinician, subject=patient, purpose="P02", fields=["sex"], reason=blank)
    assert reveal(platform, clinician, subject=patient, purpose="P02", fields=["sex"], reason="复诊").entry_id


def test_entry_is_shown_in_words_with_what_is_sealed_beside_it(platform, patient):
    """For the officer; an administrator is told that there is more."""
    platform.log.settle()
    with platform.data.read() as connection:
        (opening,) = find_page(connection, Sought(patient, act=Act.REVEAL)).entries
    told = show_entry(platform, OFFICER, str(opening.index), locale="en")
    assert (told["entry"]["id"], told["details"]) == (opening.entry_id, {"reason": "consultation"})
    assert (told["words"]["actor"], told["words"]["purpose"]) == ("dr.wu", "online care")
    assert opening.entry_id in told["proof"]
    assert flat(told)["sealed reason"] == "consultation"
    less = show_entry(platform, ADMIN, opening.entry_id)
    assert (less["details"], less["sealed"]) == (None, True)
    with pytest.raises(NotFound):
        show_entry(platform, OFFICER, "9" * 30)


def test_pruned_past_is_told_with_its_end(platform, patient, clock):
    """An empty table about years that were pruned is no statement that nobody looked."""
    clock.advance(timedelta(days=366 * 7))
    assert read_seen_by(platform, OFFICER, patient, Stretch()).pruned is None
    people = [Principal(PrincipalId(f"usr_{one}"), one, PrincipalKind.PERSON, "compliance_officer") for one in "ab"]
    prune_log(platform, ADMIN, accepted_by=people, reason="kept long enough")
    page = read_seen_by(platform, OFFICER, patient, Stretch())
    assert "opened" not in {row["kind"] for row in page.rows}
    assert page.pruned["on"].startswith("2033-")
    assert read_seen_by(platform, OFFICER, patient, Stretch(since=clock.now())).pruned is None
    told = account_disclosures(platform, OFFICER, patient, Law.PIPL, Stretch())
    assert told.as_json()["pruned"] == page.pruned
    gone = next(entry for entry in read_audit(platform, ADMIN, AuditQuery()).entries if "pruned" in entry)
    with pytest.raises(EntryPruned, match="was pruned on 2033-"):
        prove(platform, ADMIN, gone["id"])
    assert show_entry(platform, OFFICER, gone["id"])["pruned"]["before"] == page.pruned["before"]


def test_bundle_is_checked_with_a_public_key_alone(platform, patient, tmp_path):
    """Each entry verifies, names an alias of the list, or has a cohort digest that is made again from the folder."""
    done = bundle_seen(platform, ADMIN, patient, Stretch(), tmp_path / "bundle")
    told = json.loads((done.folder / "list.json").read_text())
    key = VerifierKey.parse(done.key)
    assert {one["shown_by"] for one in told["entries"]} == {"alias", "cohort"}
    for one in told["entries"]:
        body, proof = ((done.folder / one[name]).read_bytes() for name in ("entry", "proof"))
        assert verify_proof(proof, body, [key]).index == one["index"]
        members = json.loads(body)
        if one["shown_by"] == "alias":
            assert members["subject"] in told["aliases"]
            continue
        cohort = json.loads((done.folder / one["cohort"]).read_text())
        assert set(cohort["aliases"]) & set(told["aliases"])
        digest = cohort_digest(bytes.fromhex(cohort["salt"]), cohort["aliases"])
        assert members["cohort"] == {"size": len(cohort["aliases"]), "digest": digest}
    newest = rows(platform, OFFICER, patient)[1]
    assert (newest["kind"], newest["actor"]) == ("log_read", ADMIN.principal_id)
    assert newest["index"] in {one["index"] for one in told["entries"]}
    with pytest.raises(BadInput):
        bundle_seen(platform, ADMIN, patient, Stretch(), tmp_path / "bundle")
    with pytest.raises(Denied):
        bundle_seen(platform, subject_principal(patient), patient, Stretch(), tmp_path / "other")


def test_bundle_is_its_owners_alone_and_keeps_no_writer_waiting(platform, patient, tmp_path, monkeypatch):
    """It names the person; accesses go on while it is written, and no transaction is open between two files."""
    monkeypatch.setattr(bundles, "_PAGE", 1)
    writing, fsync = open_database(platform.data.engine.url, label="data store", busy_timeout_ms=500), os.fsync
    written = []

    def flush(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if tmp_path / "bundle" in path.parents and path.is_file():
            written.append(path)
            with writing.write() as connection:
                platform.log.record(
                    connection, Event(Act.VIEW_READ, Outcome.DONE, "prn_1", "operator", RequestId("req_1"))
                )
        fsync(descriptor)

    mask = os.umask(0o022)
    monkeypatch.setattr(os, "fsync", flush)
    try:
        folder = bundle_seen(platform, ADMIN, patient, Stretch(), tmp_path / "bundle").folder
    finally:
        os.umask(mask)
        writing.dispose()
    told = json.loads((folder / "list.json").read_text())["entries"]
    assert [one["index"] for one in told] == sorted({one["index"] for one in told})
    assert len(told) > 3
    assert written[-1] == folder / "list.json"
    modes = {path: oct(path.stat().st_mode & 0o777) for path in [folder, *folder.rglob("*")]}
    assert set(modes.values()) == {"0o700", "0o600"}


def test_bundle_of_a_log_that_is_pruned_meanwhile_has_no_list(platform, patient, tmp_path, monkeypatch):
    """Entries that lost their bytes while it was written would be left out without a word."""
    fsync = os.fsync

    def prune(descriptor):
        monkeypatch.setattr(os, "fsync", fsync)
        with platform.data.write() as connection:
            connection.execute(text("INSERT INTO audit_prune (below, entry_id, at) VALUES (1, 'ent_x', 0)"))
        fsync(descriptor)

    def prune_in_the_bundle(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        (prune if tmp_path / "bundle" in path.parents else fsync)(descriptor)

    monkeypatch.setattr(os, "fsync", prune_in_the_bundle)
    with pytest.raises(Conflict, match="pruned while it was read"):
        bundle_seen(platform, ADMIN, patient, Stretch(), tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "list.json").exists()


def test_bundle_that_cannot_be_written_says_so(platform, patient):
    """In one line, as for the export of the log."""
    with pytest.raises(Unavailable, match="cannot be written"):
        bundle_seen(platform, ADMIN, patient, Stretch(), Path("/proc/bundle"))
