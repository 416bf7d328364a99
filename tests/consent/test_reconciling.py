"""Whoever changes what the gate reads, behind the triggers' back, leaves a difference to the log, on both engines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from audit.checkpoints import Checkpointer
from audit.entries import decode_entry
from audit.events import Act, Event, Outcome
from audit.log import AuditLog
from audit.scanning import ScannedEntry
from audit.sequencer import Sequencer
from audit.signer import TreeSigner
from audit.signing import create_signing_key
from audit.tables import leaf
from audit.verifier import Checkpoint
from consent import inspection
from consent.ages import AgeClass
from consent.comparing import Names, differing_assessment, differing_representative
from consent.deaths import record_death
from consent.entries import age_refs, aged_event
from consent.guardians import end_guardian, record_agent, record_guardian
from consent.inspection import Findings
from consent.notice_content import SECTIONS as ALL_SECTIONS
from consent.notice_texts import NoticeRef
from consent.reconciling import reconcile_register
from consent.registry import ActorKind, DecisionAct
from consent.standing import Standing, register_subjects, set_standing
from consent.standing_inspection import Tale, differing_history, differing_standing
from consent.tasks import NewTask, TaskKind, create_tasks, done_task
from consent.terms import release, suspend
from kernel.encoding import JsonValue
from kernel.ids import SubjectId, new_id
from tests.consent.conftest import GROWN_UP

CARE = NoticeRef("care", "1", "en")
SECTIONS = {name: f"The {name} of the processing." for name in ALL_SECTIONS}
GUARDED = ("decision", "notice", "notice_change", "assessment", "recipient", "decision_use",
           "standing_change", "audit_leaf", "audit_head")  # fmt: skip


@dataclass
class Books:
    """An office with a signed log, and the hands of somebody who reaches the store."""

    office: object
    log: AuditLog

    def subject(self, birth_date: date | None = GROWN_UP) -> SubjectId:
        """Somebody who is registered, with the entry."""
        subject = SubjectId(new_id("sub"))
        return self.register(subject, birth_date)

    def register(self, subject: SubjectId, birth_date: date | None, *, told: bool = True) -> SubjectId:
        """Register somebody, or refine an age, as the capture does; without entries where nothing is told."""
        office = self.office
        event = Event(Act.SUBJECT_REGISTERED, Outcome.DONE, "prn_test", "capture", office.asking.request_id)
        with office.database.write() as connection:
            made = register_subjects(connection, {subject: birth_date}, clock=office.clock)
            events = [aged_event(office.asking, refined, made.at) for refined in made.refined]
            events += [replace(event, subject=new.subject, refs=age_refs(new, made.at)) for new in made.fresh.values()]
            office.journal.record_many(connection, events if told else [])
        return subject

    def reconcile(self) -> Findings:
        return self.compared(self.log.settle())

    def compared(self, signed: Checkpoint) -> Findings:
        office = self.office
        return reconcile_register(office.database, office.catalogue, signed, sealer=office.journal.sealer)

    def found(self) -> set[tuple[str, str]]:
        """Part and first difference of every mismatch."""
        return {(one.part, one.differs[0]) for one in self.reconcile().mismatches}

    def all_found(self) -> set[tuple[str, str]]:
        """Part and every difference of each mismatch."""
        return {(one.part, name) for one in self.reconcile().mismatches for name in one.differs}

    def entries(self) -> list[Mapping[str, JsonValue]]:
        """Every entry of the log, in order."""
        with self.office.database.read() as connection:
            return [decode_entry(body) for body in connection.scalars(select(leaf.c.body).order_by(leaf.c.leaf_index))]

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
    checkpointer = Checkpointer(database, TreeSigner(signer, tmp_path / "signer.state"))
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
    subject = books.subject()
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
    office, parent, ward, dead = books.office, books.subject(), books.subject(), books.subject()
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
    other = books.subject()
    signed = books.log.settle()
    if "audit_" in statement and not books.office.database.is_sqlite:
        books.tamper("ALTER TABLE audit_leaf DISABLE TRIGGER USER")
    books.tamper(statement, **({"other": other} if ":other" in statement else {}))
    found = books.compared(signed)
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
    found = reconcile_register(books.office.database, changed, books.log.settle(), sealer=books.office.journal.sealer)
    assert [(one.part, one.differs) for one in found.mismatches] == [("pack", ("hash",))]


def test_act_in_the_moment_between_signing_and_reading_is_no_difference(books, filled):
    """What was recorded after the checkpoint waits for the log, and is looked up where it waits."""
    signed = books.log.settle()
    books.office.withdraw(filled, "P08")
    represent(books)
    assert books.compared(signed).is_clean


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
    kept, dropped = books.subject(), books.subject(date(2014, 5, 20))
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
        ends_on=date(2030, 1, 1), recorded_at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip
    members = {
        "act": "guardian.recorded",
        "at": "2026-11-21T00:10:00.000000Z",
        "refs": {"relation": "grd_1", "verification": "v"},
    }
    entry = ScannedEntry("ent_1", members)
    assert differing_representative(row, entry, names, representative="guardian") == []
    said = ScannedEntry("ent_1", members | {"refs": {**members["refs"], "ends_on": "none"}})
    assert differing_representative(row, said, names, representative="guardian") == ["ends_on"]
    death = ScannedEntry("ent_2", {"act": "subject.deceased", "refs": {}})
    assert Tale().after(death, names).no_kin is None


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("UPDATE decision SET track = 'basis' WHERE purpose = 'P06'", ("decision", "track")),
        ("UPDATE decision SET fields = '[]' WHERE purpose = 'P08'", ("decision", "no field")),
        ("UPDATE decision SET request_id = 'req_other' WHERE purpose = 'P08'", ("decision", "request")),
        ("UPDATE decision SET recorded_at = recorded_at - 1000000", ("decision", "recorded_at")),
        (
            "UPDATE decision SET position = position + 1000 WHERE act = 'grant' AND purpose = 'P11'",
            ("decision", "position"),
        ),
        ("UPDATE assessment SET recorded_at = recorded_at + 864000000000", ("assessment", "recorded_at")),
        ("UPDATE assessment SET keep_until = recorded_at", ("assessment", "keep_until")),
        ("UPDATE assessment SET approved_by = 'nobody'", ("assessment", "approved_by")),
        ("UPDATE assessment SET approved_at = approved_at - 1000000", ("assessment", "approved_at")),
        ("UPDATE assessment SET expires_at = expires_at + 1000000", ("assessment", "expires_at")),
        ("UPDATE recipient SET recorded_at = recorded_at + 864000000000", ("recipient", "recorded_at")),
        ("UPDATE notice SET published_at = published_at + 1000000", ("notice", "published_at")),
        ("UPDATE notice SET material = NOT material", ("notice", "material")),
        ("UPDATE register_head SET suspended = 'tired'", ("head", "suspended")),
        ("UPDATE register_head SET revision = revision + 100", ("head", "revision")),
        ("UPDATE register_head SET revision = revision - 1", ("head", "revision")),
        ("UPDATE audit_head SET at = at + 864000000000", ("log", "at")),
        ("UPDATE audit_leaf SET act = 'consent.read' WHERE act = 'consent.granted'", ("entry", "index act")),
        ("UPDATE audit_leaf SET alias = 'als_other' WHERE act = 'consent.withdrawn'", ("entry", "index alias")),
        ("UPDATE audit_leaf SET at = at - 1 WHERE act = 'consent.withdrawn'", ("entry", "index at")),
        (
            "UPDATE audit_leaf SET entry_id = 'ent_' || leaf_index WHERE act = 'consent.withdrawn'",
            ("entry", "index entry_id"),
        ),
        ("UPDATE decision_use SET used_at = used_at - 864000000000", ("permit", "used_at")),
        ("UPDATE subject_standing SET registered_at = registered_at - 864000000000", ("standing", "registered_at")),
        ("UPDATE standing_change SET changed_at = changed_at - 864000000000", ("standing", "history")),
        ("DELETE FROM standing_change", ("standing", "history")),
    ],
)
def test_column_that_the_gate_or_its_look_back_reads_is_compared(books, filled, statement, part):
    """R15, R51: an instant, an order, a look-up column or a head that was changed is named."""
    books.log.settle()
    books.tamper(statement)
    assert part in books.all_found()


@pytest.mark.parametrize("column", ["recorded_at", "ended_at"])
def test_changed_instant_of_a_guardian_is_found(books, column):
    """R21: when a guardianship was recorded and ended is in the log."""
    represent(books)
    assert books.reconcile().is_clean
    books.tamper(f"UPDATE guardian SET {column} = {column} - 864000000000 WHERE ended_at IS NOT NULL")
    assert ("guardian", column) in books.all_found()


def test_use_that_was_taken_back_in_both_tables_is_found(books, filled):
    """R15: the permit's entry says which decisions it took a use of; nobody gets one back."""
    books.log.settle()
    books.tamper("DELETE FROM decision_use", "UPDATE consent_current SET uses = 0")
    assert ("permit", "used") in books.found()


def test_uses_of_batches_and_of_nobody_are_compared(books, filled):
    """R15: a batch names its uses by a digest; a use without any permit behind it is counted out."""
    office, other = books.office, books.subject()
    office.grant(other, "P08", max_uses=2)
    with office.database.write() as connection:
        office.gate.check_many(connection, asking=office.asking, purpose="P08", subjects=[filled, other],
                               fields=["topic"])  # fmt: skip
    assert books.reconcile().is_clean
    made = (
        "INSERT INTO decision_use (decision_id, permit_id, used_at) SELECT decision_id, {}, used_at FROM decision_use"
    )
    books.tamper(made.format("'pmt_forged'") + " LIMIT 1")
    assert books.found() & {("use", "permit"), ("permit", "used")} == {("use", "permit")}
    books.tamper("DELETE FROM decision_use WHERE decision_id IN (SELECT decision_id FROM decision WHERE "
                 "subject_id = :other)", other=other)  # fmt: skip
    assert ("permit", "used") in books.found()


def test_uses_taken_after_the_checkpoint_are_no_difference(books, filled):
    """A permit between signing and reading is looked up where it waits."""
    signed = books.log.settle()
    books.office.check(filled, "P08", "topic")
    assert books.compared(signed).is_clean


def test_age_that_was_changed_with_its_history_is_found(books):
    """R21, R23: nobody grows up by hand; age class and month stand in the entry of the registration."""
    child = books.subject(date(2015, 1, 1))
    assert books.reconcile().is_clean
    books.tamper(
        "INSERT INTO standing_change (subject_id, state, deceased, age_class, age_class_until, changed_at) "
        "SELECT subject_id, state, deceased, 'adult', NULL, changed_at FROM standing_change WHERE subject_id = :s",
        "UPDATE subject_standing SET age_class = 'adult', age_class_until = NULL WHERE subject_id = :s",
        s=child,
    )
    assert {("standing", "logged age"), ("standing", "history")} <= books.all_found()


def test_refined_age_has_an_entry_of_its_own(books):
    """R21: a birth date that makes somebody a minor for longer is told, by class and month; without, it is found."""
    someone = books.subject(None)
    books.register(someone, date(2015, 1, 31))
    assert books.reconcile().is_clean
    told = [entry for entry in books.entries() if entry["act"] == "subject.aged"]
    assert [(entry["refs"]["age_class"], entry["refs"]["age_until"]) for entry in told] == [("under_14", "2029-02")]
    books.register(someone, date(2016, 1, 31), told=False)
    assert ("standing", "logged age") in books.found()


def test_subject_without_a_registration_is_found(books):
    """A row that nobody's registration explains."""
    books.register(SubjectId(new_id("sub")), GROWN_UP, told=False)
    assert ("standing", "logged registration") in books.found()


def test_merge_that_keeps_the_younger_age_tells_it(books):
    """R21: the age that the kept subject takes over stands in an entry."""
    office, kept, dropped = books.office, books.subject(), books.subject(date(2014, 5, 20))
    with office.database.write() as connection:
        office.registry.merge(connection, kept=kept, dropped=dropped, asking=office.asking)
    assert [str(one) for one in books.reconcile().mismatches] == []
    books.tamper(
        "UPDATE subject_standing SET age_class = 'adult', age_class_until = NULL WHERE subject_id = :s", s=kept
    )
    assert ("standing", "logged age") in books.all_found()


def test_suspension_that_was_lifted_by_hand_is_found(books, filled):
    """R51: only an entry opens a suspended gate."""
    office = books.office
    with office.database.write() as connection:
        suspend(connection, "test", asking=office.asking, log=office.journal)
    assert books.reconcile().is_clean
    books.tamper("UPDATE register_head SET suspended = NULL")
    assert ("head", "suspended") in books.found()
    books.tamper("UPDATE register_head SET suspended = 'test'")
    with office.database.write() as connection:
        release(connection, asking=office.asking, log=office.journal)
    assert books.reconcile().is_clean


def test_difference_of_a_notice_that_no_text_explains_is_found(books, filled):
    """R06: a row too many would end grants, and one published in the future would not end them yet."""
    books.office.publish(version="2", sections={**SECTIONS, "method": "Another method."})
    assert books.reconcile().is_clean
    books.tamper("UPDATE notice_change SET published_at = published_at + 864000000000")
    assert ("notice", "published_at") in books.found()
    books.tamper(
        "UPDATE notice_change SET published_at = published_at - 864000000000",
        "INSERT INTO notice_change (code, edition, purpose, aspect, item, published_at) "
        "SELECT code, edition, 'P08', 'field', 'topic', published_at FROM notice_change",
    )
    assert ("notice", "unexplained changes") in books.found()


def _standing(**changes):
    told = {"state": "active", "deceased": False, "age_class": "under_14", "age_class_until": date(2029, 2, 1),
            "no_kin": False, "merged_into": None, "registered_at": datetime(2026, 11, 21, tzinfo=UTC)}  # fmt: skip
    return SimpleNamespace(**(told | changes))


def test_registration_older_than_the_words_allows_a_shorter_history():
    """Where no age was told it may only have become stricter or known; states are compared from where they begin."""
    at = {"at": "2026-11-21T00:00:00.000000Z"}
    tale = Tale().after(ScannedEntry("ent_1", at | {"act": "subject.registered"}), Names({}))
    tale = tale.after(ScannedEntry("ent_2", at | {"act": "subject.restricted"}), Names({}))
    child = _standing(state="restricted")
    unknown = _standing(state="restricted", age_class="unknown", age_class_until=None)
    grown = _standing(state="restricted", age_class=AgeClass.ADULT, age_class_until=None)
    assert differing_standing(child, tale) == []
    assert differing_history(child, [unknown, child], tale) == []
    assert differing_history(child, [], tale) == []
    assert differing_history(grown, [child, grown], tale) == ["history"]
    assert differing_history(child, [_standing(deceased=True), child], tale) == ["history"]
    assert "registered_at" in differing_standing(child, replace(tale, steps=(replace(tale.steps[0],
                                                 entry=ScannedEntry("ent_3", {})),)))  # fmt: skip


@pytest.mark.parametrize("table", ["notice", "assessment", "recipient", "guardian"])
def test_row_whose_entry_is_nowhere_is_found(books, table):
    """A row that names an entry which the log does not hold has nothing behind it."""
    represent(books)
    books.log.settle()
    books.tamper(f"UPDATE {table} SET entry_id = 'ent_none'")
    assert (table, "entry") in books.found()


def test_text_that_cannot_be_read_is_a_difference(books):
    """Whatever stands in a column of JSON, the comparison goes on and names it; so for an entry without its time."""
    represent(books)
    books.log.settle()
    books.tamper("UPDATE agent SET purposes = 'nonsense'")
    assert ("agent", "purposes") in books.found()
    row = SimpleNamespace(
        assessment_id="PIA-1", version=1, outcome="approved", purposes="[]", content=b"nonsense", hash="ab",
        approved_by="board", approved_at=None, expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        keep_until=datetime(2027, 1, 1, tzinfo=UTC), recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    found = differing_assessment(row, ScannedEntry("ent_1", {}), books.office.catalogue)
    assert {"text", "approved_by", "expires_at", "recorded_at"} <= set(found)


@pytest.fixture
def tasks(books: Books) -> list[str]:
    """One task that is open and one that is done."""
    office, subject = books.office, books.subject()
    due_at = office.clock.now() + timedelta(days=3)
    wanted = [NewTask(TaskKind.ASK_AGAIN, subject, "P06", cause, due_at) for cause in ("dec_1", "dec_2")]
    with office.database.write() as connection:
        who = {"asking": office.asking, "log": office.journal, "now": office.clock.now()}
        made = create_tasks(connection, wanted, **who)
        refs = {"task": made[1].task_id, "kind": made[1].kind.value}
        event = Event(Act.TASK_DONE, Outcome.DONE, "prn_test", "operator", office.asking.request_id)
        entry_id = office.journal.record(connection, replace(event, subject=subject, refs=refs))
        done_task(connection, made[1].task_id, entry_id=entry_id, at=office.clock.now())
    assert books.reconcile().is_clean
    return [one.task_id for one in made]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM task", "no task {open}"),
        ("UPDATE task SET kind = 'inform' WHERE task_id = '{open}'", "kind"),
        ("UPDATE task SET purpose = 'P08' WHERE task_id = '{open}'", "purpose"),
        ("UPDATE task SET cause = 'dec_3' WHERE task_id = '{open}'", "cause"),
        ("UPDATE task SET due_at = due_at + 1 WHERE task_id = '{open}'", "due_at"),
        ("UPDATE task SET subject_id = '{other}' WHERE task_id = '{open}'", "subject"),
        ("UPDATE task SET done_at = due_at, done_entry = 'ent_1' WHERE task_id = '{open}'", "done_entry"),
        (
            "UPDATE task SET done_at = due_at, done_entry = (SELECT max(done_entry) FROM task) WHERE done_at IS NULL",
            "done_entry",
        ),
        ("UPDATE task SET done_at = NULL, done_entry = NULL WHERE task_id = '{done}'", "done_at"),
        ("UPDATE task SET done_at = due_at WHERE task_id = '{done}'", "done_at"),
    ],
)
def test_task_that_was_changed_or_taken_away_is_found(books, tasks, statement, found):
    """A duty that is hidden, postponed or said to be done is told."""
    words = {"open": tasks[0], "done": tasks[1], "other": books.subject()}
    books.tamper(statement.format(**words))
    assert found.format(**words) in {name for _, name in books.all_found()}
