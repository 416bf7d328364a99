"""Whoever changes what the gate reads, behind the triggers' back, leaves a difference to the log, on both engines."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from audit.checkpoints import Checkpointer
from audit.events import Act, Event, Outcome
from audit.log import AuditLog
from audit.scanning import ScannedEntry
from audit.sequencer import Sequencer
from audit.signing import create_signing_key
from consent import inspection
from consent.comparing import Names, differing_representative
from consent.deaths import record_death
from consent.guardians import end_guardian, record_agent, record_guardian
from consent.inspection import Findings
from consent.notice_content import SECTIONS as ALL_SECTIONS
from consent.notice_texts import NoticeRef
from consent.reconciling import reconcile_register
from consent.registry import ActorKind, DecisionAct
from consent.standing import Standing, set_standing
from consent.subject_inspection import _Logged
from kernel.ids import SubjectId

CARE = NoticeRef("care", "1", "en")
SECTIONS = {name: f"The {name} of the processing." for name in ALL_SECTIONS}
GUARDED = ("decision", "notice", "standing_change", "notice_change", "assessment", "recipient", "decision_use")


@dataclass
class Books:
    """An office with a signed log, and the hands of somebody who reaches the store."""

    office: object
    log: AuditLog

    def reconcile(self) -> Findings:
        return reconcile_register(self.office.database, self.office.catalogue, self.log.settle())

    def found(self) -> set[tuple[str, str]]:
        """Part and first difference of every mismatch."""
        return {(one.part, one.differs[0]) for one in self.reconcile().mismatches}

    def tamper(self, *statements: str, **values: object) -> None:
        """Change the store as its owner can, with the triggers out of the way."""
        database = self.office.database
        with database.write() as connection:
            if database.is_sqlite:
                names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
                for name in names:
                    connection.execute(text(f"DROP TRIGGER {name}"))
            else:
                for table in GUARDED:
                    connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            for statement in statements:
                connection.execute(text(statement), values)


@pytest.fixture
def books(either_office, tmp_path: Path) -> Books:
    """An office whose log is signed, with the pack loaded."""
    office = either_office
    database = office.database
    signer = create_signing_key(tmp_path / "signing.key", "register.example/log")
    checkpointer = Checkpointer(database, signer, tmp_path / "signer.state")
    log = AuditLog(database, office.journal, Sequencer(database), checkpointer)
    asking = office.asking
    loaded = Event(Act.PACK_LOADED, Outcome.DONE, "system", "administrator", asking.request_id)
    with database.write() as connection:
        log.record(connection, replace(loaded, refs={"hash": office.catalogue.hash}))
    return Books(office, log)


@pytest.fixture
def filled(books: Books) -> SubjectId:
    """A person with decisions on both tracks, a bound on uses and a withdrawal."""
    office = books.office
    subject = office.subject()
    office.grant(subject, "P08", max_uses=3, valid_until=office.clock.now() + timedelta(days=9))
    office.check(subject, "P08", "topic")
    office.grant(subject, "P06", fields=frozenset({"reading"}))
    office.record(subject, DecisionAct.RENEW, "P06")
    office.record(subject, DecisionAct.CONTRACT, "P02", actor_kind=ActorKind.OPERATOR)
    office.grant(subject, "P11", recipient="insurer")
    office.withdraw(subject, "P11")
    return subject


def represent(books: Books) -> None:
    """A guardian who ended, an agent, a restriction and a death, each with its entry."""
    office, parent, ward, dead = books.office, books.office.subject(), books.office.subject(), books.office.subject()
    parts = {"asking": office.asking, "log": office.journal, "clock": office.clock}
    with office.database.write() as connection:
        made = record_guardian(connection, subject=ward, guardian=parent, verification="court_order", **parts)
        end_guardian(connection, made.relation_id, **parts)
        record_guardian(connection, subject=ward, guardian=parent, verification="court_order", **parts)
        until = office.clock.now() + timedelta(days=30)
        record_agent(connection, subject=ward, agent=parent, purposes=["P06"], expires_at=until, **parts)
        record_death(connection, dead, no_kin=False, **parts)
        set_standing(connection, parent, Standing.RESTRICTED, now=office.clock.now())
        event = Event(Act.SUBJECT_RESTRICTED, Outcome.DONE, "prn_test", "officer", office.asking.request_id)
        office.journal.record(connection, replace(event, subject=parent))


def test_untouched_register_agrees_with_its_log(books, filled, monkeypatch):
    """Every kind of row and entry is read, in pages, and nothing differs."""
    represent(books)
    monkeypatch.setattr(inspection, "BATCH", 2)
    found = books.reconcile()
    assert [str(one) for one in found.mismatches] == []
    assert found.is_clean
    assert found.counts["decisions"] >= 7
    assert found.counts["subjects"] == 4
    assert found.counts["representatives"] == 3
    assert found.counts["recipients"] == 4


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("UPDATE consent_current SET act = 'grant' WHERE purpose = 'P11'", "current"),
        ("UPDATE consent_current SET valid_until = NULL WHERE purpose = 'P08'", "current"),
        ("UPDATE consent_current SET uses = 0 WHERE purpose = 'P08'", "current"),
        ("UPDATE consent_current SET fields = NULL WHERE purpose = 'P06'", "current"),
        ("UPDATE consent_current SET act = 'nonsense' WHERE purpose = 'P06'", "current"),
        ("DELETE FROM consent_current WHERE purpose = 'P11'", "current"),
        ("UPDATE decision SET act = 'grant' WHERE act = 'withdraw'", "decision"),
        ("UPDATE decision SET act = 'nonsense' WHERE act = 'withdraw'", "decision"),
        ("UPDATE decision SET fields = NULL WHERE purpose = 'P06'", "decision"),
        ("UPDATE decision SET notice_hash = 'ab' WHERE purpose = 'P06'", "decision"),
        ("UPDATE decision SET max_uses = 99 WHERE purpose = 'P08'", "decision"),
        ("UPDATE decision SET valid_until = NULL WHERE purpose = 'P08'", "decision"),
        ("UPDATE decision SET recipient = 'lab' WHERE recipient = 'insurer'", "decision"),
        ("UPDATE decision SET entry_id = 'ent_none' WHERE purpose = 'P06'", "decision"),
        ("UPDATE decision SET subject_id = :other WHERE purpose = 'P08'", "decision"),
        ("DELETE FROM decision WHERE act = 'withdraw'", "entry"),
        ("DELETE FROM decision_use", "current"),
        ("UPDATE assessment SET expires_at = expires_at + 864000000000", "assessment"),
        ("UPDATE assessment SET outcome = 'rejected'", "assessment"),
        ("DELETE FROM assessment", "entry"),
        ("UPDATE recipient SET kind = 'joint' WHERE code = 'lab'", "recipient"),
        ("DELETE FROM recipient WHERE code = 'lab'", "entry"),
        ("UPDATE notice_head SET edition = 0 WHERE code = 'care'", "notice"),
        ("UPDATE notice SET edition = 7 WHERE code = 'care'", "notice"),
        ("UPDATE subject_standing SET state = 'restricted' WHERE subject_id = :other", "standing"),
        ("UPDATE subject_standing SET age_class = 'unknown' WHERE subject_id = :other", "standing"),
        ("DELETE FROM audit_leaf WHERE act = 'consent.withdrawn'", "log"),
    ],
)
def test_changed_row_is_found(books, filled, statement, part):
    """One row or column that was changed is named by its kind, wherever it was changed (R15, R51)."""
    other = books.office.subject()
    signed = books.log.settle()
    if "audit_" in statement and not books.office.database.is_sqlite:
        books.tamper("ALTER TABLE audit_leaf DISABLE TRIGGER USER")
    books.tamper(statement, **({"other": other} if ":other" in statement else {}))
    found = reconcile_register(books.office.database, books.office.catalogue, signed)
    assert part in {one.part for one in found.mismatches}


def test_decision_without_entry_is_found(books, filled):
    """A forged grant that copies another's entry is told, and what stands by it too."""
    books.log.settle()
    books.tamper(
        "INSERT INTO decision (decision_id, subject_id, purpose, recipient, track, act, notice_code, notice_version, "
        "notice_locale, notice_hash, actor_kind, decided_at, recorded_at, evidence, request_id, entry_id) "
        "SELECT 'dec_forged', subject_id, 'P09', recipient, track, act, notice_code, notice_version, notice_locale, "
        "notice_hash, actor_kind, decided_at, recorded_at, evidence, request_id, entry_id FROM decision "
        "WHERE purpose = 'P06' AND act = 'grant'"
    )
    named = {(one.part, one.name) for one in books.reconcile().mismatches}
    assert ("decision", "dec_forged") in named
    assert ("current", f"{filled} P09 consent") in named


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("UPDATE guardian SET ended_at = NULL", "entry"),
        ("UPDATE guardian SET verification = 'none'", "guardian"),
        ("UPDATE guardian SET ended_at = recorded_at", "guardian"),
        ("DELETE FROM guardian", "entry"),
        ('UPDATE agent SET purposes = \'["P06", "P08"]\'', "agent"),
        ("UPDATE agent SET ended_at = recorded_at", "agent"),
        ("UPDATE subject_standing SET deceased = :no WHERE deceased", "standing"),
        ("UPDATE subject_standing SET state = 'active' WHERE state = 'restricted'", "standing"),
    ],
)
def test_changed_representative_or_standing_is_found(books, statement, part):
    """Nobody becomes a guardian, loses one, or comes alive again without the log (R21, R29)."""
    represent(books)
    books.log.settle()
    books.tamper(statement, **({"no": False} if ":no" in statement else {}))
    assert part in {one.part for one in books.reconcile().mismatches}


def test_history_of_standings_rewritten_with_it_still_differs_from_the_log(books):
    """Both tables changed alike: the log tells what they were."""
    represent(books)
    books.log.settle()
    books.tamper("UPDATE subject_standing SET state = 'active'", "UPDATE standing_change SET state = 'active'")
    assert ("standing", "logged state") in books.found()


def test_deleted_change_of_a_notice_is_found(books):
    """A row of notice_change less would let older grants cover a changed purpose (R06)."""
    books.office.publish(version="2", sections={**SECTIONS, "method": "Another method."})
    assert books.reconcile().is_clean
    books.tamper("DELETE FROM notice_change")
    assert ("notice", "changes") in books.found()


def test_another_pack_than_the_loaded_one_is_found(books, filled):
    """Fields, purposes and roles are in the pack's hash; who swaps the pack is told."""
    changed = replace(books.office.catalogue, hash="cd" * 32)
    found = reconcile_register(books.office.database, changed, books.log.settle())
    assert [(one.part, one.differs) for one in found.mismatches] == [("pack", ("hash",))]


def test_act_in_the_moment_between_signing_and_reading_is_no_difference(books, filled):
    """What was recorded after the checkpoint waits for the log, and is looked up where it waits."""
    signed = books.log.settle()
    books.office.withdraw(filled, "P08")
    represent(books)
    assert reconcile_register(books.office.database, books.office.catalogue, signed).is_clean


def test_mismatches_beyond_the_bound_are_counted(monkeypatch):
    """Memory stays flat when everything differs."""
    monkeypatch.setattr(inspection, "MAX_KEPT", 2)
    found = Findings()
    for number in range(5):
        found.add("decision", str(number), ["act"])
    found.add("decision", "6", [])
    assert (found.total, len(found.mismatches)) == (5, 2)
    assert str(found.mismatches[0]) == "decision 0: act"


def test_merge_agrees_with_the_log_and_without_its_mark_does_not(books, filled):
    """R15: restrictions, copied decisions and mark of a merge are explained by entries; a changed mark is not."""
    office = books.office
    kept, dropped = office.subject(), office.subject(date(2014, 5, 20))
    office.grant(kept, "P08")
    office.record(filled, DecisionAct.REFUSE, "P08", notice=CARE)
    with office.database.write() as connection:
        set_standing(connection, dropped, Standing.RESTRICTED, now=office.clock.now())
        event = Event(Act.SUBJECT_RESTRICTED, Outcome.DONE, "prn_test", "officer", office.asking.request_id)
        office.journal.record(connection, replace(event, subject=dropped))
        office.registry.merge(connection, kept=kept, dropped=filled, asking=office.asking)
        office.registry.merge(connection, kept=kept, dropped=dropped, asking=office.asking)
    assert [str(one) for one in books.reconcile().mismatches] == []
    books.tamper("UPDATE subject_standing SET merged_into = NULL WHERE merged_into IS NOT NULL")
    assert ("standing", "logged merge") in books.found()


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("UPDATE guardian SET ends_on = '2099-01-01'", ("guardian", "ends_on")),
        ("UPDATE agent SET expires_at = expires_at + 864000000000", ("agent", "expires_at")),
        ("UPDATE subject_standing SET no_kin = :yes WHERE deceased", ("standing", "logged directive")),
    ],
)
def test_changed_end_or_directive_is_found(books, statement, part):
    """R21, R29: nobody decides for longer than was recorded, and a directive about kin is not turned round."""
    represent(books)
    books.log.settle()
    books.tamper(statement, **({"yes": True} if ":yes" in statement else {}))
    assert part in books.found()


def test_entries_older_than_the_words_are_no_difference():
    """What earlier entries did not say is not compared."""
    names = Names({})
    row = SimpleNamespace(
        relation_id="grd_1", subject_id=None, guardian=None, verification="v", capacity="guardian",
        ends_on=date(2030, 1, 1), recorded_at=None,
    )  # fmt: skip
    members = {"act": "guardian.recorded", "refs": {"relation": "grd_1", "verification": "v"}}
    entry = ScannedEntry("ent_1", members)
    assert differing_representative(row, entry, names, representative="guardian") == []
    said = ScannedEntry("ent_1", members | {"refs": {**members["refs"], "ends_on": "none"}})
    assert differing_representative(row, said, names, representative="guardian") == ["ends_on"]
    death = ScannedEntry("ent_2", {"act": "subject.deceased", "refs": {}})
    assert _Logged().after(death, names).no_kin is None
