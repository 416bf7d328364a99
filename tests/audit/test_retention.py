"""What was kept long enough goes, what is relied on stays, and every proof still verifies."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from audit import retention
from audit.aliases import aliases_of
from audit.events import Act, Event, Outcome
from audit.origins import FIRST
from audit.pruned import KEPT_ACTS, KeptDigest, is_kept
from audit.retention import (
    FLOOR_DAYS,
    check_retention,
    destroy_subjects,
    finish_pruning,
    mark_pruned,
    plan_pruning,
    recorded_retention,
)
from audit.scanning import scan_entries
from audit.tables import alias, cohort, cohort_member, detail, leaf
from audit.tree import StoredTree
from audit.verifier import check_inclusion, leaf_hash
from kernel.errors import ConfigurationError, Conflict, IntegrityFailed
from kernel.ids import RequestId, SubjectId, new_id

YEARS = timedelta(days=2200)


def event(act, **members):
    """An entry of the system's own."""
    return Event(act, Outcome.DONE, "prn_a", "administrator", RequestId("req_1"), **members)


def prune(desk, *, days=2192, finish=True):
    """Plan, record and empty, as the workflow does."""
    plan = plan_pruning(desk.database, desk.log.settle(), now=desk.clock.now(), retention_days=days)
    with desk.database.write() as connection:
        told = event(Act.LOG_PRUNED, counts=plan.counts(), refs={"kept": plan.kept_digest})
        mark_pruned(connection, plan, entry_id=desk.log.record(connection, told), at=desk.clock.now())
    desk.log.settle()
    if finish:
        finish_pruning(desk.database)
    return plan


def bodies(desk):
    """Whether each entry has its bytes, in order."""
    return [bool(length) for (length,) in desk.rows("SELECT length(body) FROM audit_leaf ORDER BY leaf_index")]


def scanned(desk):
    """Every entry of a whole pass over the log."""
    signed = desk.log.settle()
    return [entry for batch in scan_entries(desk.database, signed) for entry in batch]


@pytest.fixture
def old(any_desk, subject):
    """A log with a grant and three accesses of six years ago and an access of today."""
    any_desk.record(
        event(Act.CONSENT_GRANTED, subject=subject),
        any_desk.permit(subject, details={"reason": "follow-up"}),
        any_desk.permit(cohort=(subject, SubjectId(new_id("sub")))),
        any_desk.permit(SubjectId(new_id("sub"))),
    )
    any_desk.log.settle()
    any_desk.clock.advance(YEARS)
    any_desk.record(any_desk.permit(subject))
    any_desk.log.settle()
    return any_desk


def test_old_accesses_lose_their_bytes_and_what_lies_beside_them(old, subject):
    """The grant stays, and so does what is young; details, cohorts and names that nobody mentions go."""
    plan = prune(old)
    assert (plan.entries, plan.kept, plan.below) == (3, 1, 4)
    assert bodies(old) == [True, False, False, False, True, True]
    with old.database.read() as connection:
        for table in (detail, cohort, cohort_member):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
        columns = "act, outcome, actor, role, request_id, purpose, alias, level"
        left = connection.execute(text(f"SELECT {columns} FROM audit_leaf WHERE leaf_index = 1")).one()
        assert set(left) == {"", None}
        assert set(connection.scalars(select(alias.c.subject_id))) == {subject}
        assert len(aliases_of(connection, subject)) == 2


def test_a_pruned_log_still_verifies(old):
    """A proof that was handed out before verifies after, and a pass over the log agrees with the checkpoint."""
    before = old.log.settle()
    with old.database.read() as connection:
        body = connection.scalar(select(leaf.c.body).where(leaf.c.leaf_index == 1))
        proof = StoredTree(connection, FIRST).inclusion_proof(1, before.size)
    prune(old)
    after = old.log.settle()
    check_inclusion(1, before.size, leaf_hash(body), proof, before.root)
    with old.database.read() as connection:
        tree = StoredTree(connection, FIRST)
        assert tree.root(before.size) == before.root
        check_inclusion(1, after.size, leaf_hash(body), tree.inclusion_proof(1, after.size), after.root)
    assert [entry.index for entry in scanned(old)] == [0, 4, 5]
    assert not any(entry.differing for entry in scanned(old))


def test_pruning_twice_does_nothing_more(old):
    """What was pruned stays so, and the digest of what is kept goes on."""
    prune(old)
    old.clock.advance(YEARS)
    plan = prune(old)
    assert (plan.before, plan.bound, plan.entries, plan.kept) == (4, 6, 1, 2)
    assert bodies(old) == [True, False, False, False, False, True, True]
    assert len(scanned(old)) == 3
    assert finish_pruning(old.database) == 0


def mark(desk, plan):
    """Record a planned pruning, as the workflow does."""
    told = event(Act.LOG_PRUNED, counts=plan.counts(), refs={"kept": plan.kept_digest})
    with desk.database.write() as connection:
        mark_pruned(connection, plan, entry_id=desk.log.record(connection, told), at=desk.clock.now())


def test_pruning_that_another_overtook_is_refused(old):
    """Two plans of one moment: the second is told, and the log says of one alone."""
    plan = plan_pruning(old.database, old.log.settle(), now=old.clock.now(), retention_days=2192)
    mark(old, plan)
    with pytest.raises(Conflict, match="pruned since"):
        mark(old, plan)
    old.log.settle()
    assert old.rows("SELECT count(*) FROM audit_leaf WHERE act = 'log.pruned'") == [(1,)]


def test_prunings_that_are_marked_at_once_are_one(open_desk, pg_url):
    """On PostgreSQL neither sees the other before it commits: the later one is told as well."""
    desk = open_desk(pg_url)
    desk.fill(2)
    desk.log.settle()
    desk.clock.advance(YEARS)
    plan = plan_pruning(desk.database, desk.log.settle(), now=desk.clock.now(), retention_days=2192)
    with ThreadPoolExecutor(1) as pool:
        with desk.database.write() as connection:
            mark_pruned(connection, plan, entry_id=new_id("ent"), at=desk.clock.now())
            second = pool.submit(mark, desk, plan)
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not second.done() and not connection.scalar(waits):
                time.sleep(0.01)
        with pytest.raises(Conflict, match="pruned since"):
            second.result(30)


def test_names_are_looked_for_some_at_a_time(desk, monkeypatch):
    """Those that a kept entry mentions as a reference stay, in whichever pass they come."""
    monkeypatch.setattr(retention, "_NAMES", 2)
    people = [SubjectId(new_id("sub")) for _ in range(7)]
    kept = set(people[::3])
    desk.record(*(event(Act.SUBJECT_REGISTERED, refs={"guardian": one}) for one in kept))
    desk.record(*(event(Act.CONSENT_READ, refs={"guardian": one}) for one in people if one not in kept))
    desk.log.settle()
    desk.clock.advance(YEARS)
    desk.fill(1)
    prune(desk)
    assert {row[0] for row in desk.rows("SELECT subject_id FROM audit_alias")} == kept


def test_an_interrupted_pruning_is_finished_by_the_next(old):
    """After the crash the log agrees with itself, and what is left is taken by the next run."""
    prune(old, finish=False)
    assert all(bodies(old))
    assert not any(entry.differing for entry in scanned(old))
    assert finish_pruning(old.database) == 3


@pytest.mark.parametrize("days", [1, FLOOR_DAYS])
def test_nothing_younger_than_six_months_is_pruned(desk, days):
    """Whatever is asked for, the floor of the law holds."""
    desk.fill(2)
    desk.log.settle()
    desk.clock.advance(timedelta(days=FLOOR_DAYS))
    plan = plan_pruning(desk.database, desk.log.settle(), now=desk.clock.now(), retention_days=days)
    assert plan.bound == 0
    later = desk.clock.now() + timedelta(seconds=1)
    assert plan_pruning(desk.database, desk.log.settle(), now=later, retention_days=days).bound == 2


def test_a_recorded_retention_counts_where_it_is_longer(desk):
    """Nobody prunes early by another setting."""
    desk.record(event(Act.LOG_CONFIGURED, counts={"retention_days": 3000}))
    desk.fill(1)
    desk.log.settle()
    desk.clock.advance(YEARS)
    assert plan_pruning(desk.database, desk.log.settle(), now=desk.clock.now(), retention_days=2192).bound == 0


def test_retention_is_never_shortened(desk):
    """Less than the floor or than was recorded is refused; more is not; what waits for the log counts too."""
    with desk.database.read() as connection:
        assert recorded_retention(connection) is None
        check_retention(connection, FLOOR_DAYS)
        with pytest.raises(ConfigurationError, match="kept for 183 days; 182"):
            check_retention(connection, FLOOR_DAYS - 1)
    desk.record(event(Act.LOG_CONFIGURED, counts={"retention_days": 2192}), event(Act.LOG_CONFIGURED, refs={"a": "b"}))
    with desk.database.read() as connection:
        check_retention(connection, 2192)
        check_retention(connection, 4000)
        with pytest.raises(ConfigurationError, match="kept for 2192 days; 2191"):
            check_retention(connection, 2191)


def test_kept_entry_that_is_emptied_is_found(old):
    """The log commits to which entries below the bound keep their bytes: emptying a grant is no pruning."""
    prune(old)
    with old.database.write() as connection:
        connection.execute(
            text(
                "UPDATE audit_leaf SET body = :none, act = '', outcome = '', actor = '', role = '', request_id = '', "
                "alias = NULL, purpose = NULL, level = NULL WHERE leaf_index = 0"
            ),
            {"none": b""},
        )
    with pytest.raises(IntegrityFailed, match="was pruned"):
        scanned(old)


def test_a_bound_without_its_entry_is_found(old):
    """A row of audit_prune alone lets nothing pass as pruned, and nothing more is pruned either."""
    with old.database.write() as connection:
        connection.execute(text("INSERT INTO audit_prune (below, entry_id, at) VALUES (3, 'ent_none', 0)"))
    with pytest.raises(IntegrityFailed, match="was pruned"):
        scanned(old)
    assert finish_pruning(old.database) == 0
    with old.database.write() as connection:
        connection.execute(text("UPDATE audit_leaf SET body = :none WHERE leaf_index = 1"), {"none": b""})
    with pytest.raises(IntegrityFailed, match="not those that are stored"):
        scanned(old)


def test_columns_that_outlive_a_pruned_entry_are_found(old):
    """A look-up column beside no bytes says what nobody signed."""
    prune(old)
    with old.database.write() as connection:
        connection.execute(text("UPDATE audit_leaf SET act = 'vault.reveal' WHERE leaf_index = 1"))
    assert [entry.differing for entry in scanned(old) if entry.index == 1] == [("act",)]


def test_a_changed_log_is_not_pruned(desk):
    """Evidence does not go with what is old."""
    desk.fill(2)
    desk.log.settle()
    desk.clock.advance(YEARS)
    desk.unguarded("UPDATE audit_leaf SET actor = 'prn_other' WHERE leaf_index = 0")
    with pytest.raises(IntegrityFailed, match="not as it was logged"):
        plan_pruning(desk.database, desk.log.settle(), now=desk.clock.now(), retention_days=2192)


def test_names_and_details_of_the_erased_go_and_proofs_stay(any_desk, subject):
    """Who stood behind the name is lost for the officer too; the entries and their root are the same."""
    other = SubjectId(new_id("sub"))
    any_desk.record(
        any_desk.permit(subject, details={"reason": "a"}),
        any_desk.permit(other, details={"reason": "b"}),
        Event(
            Act.CONSENT_READ, Outcome.DONE, subject, "subject", RequestId("req_1"), subject=other, details={"c": "c"}
        ),
    )
    before = any_desk.log.settle()
    with any_desk.database.write() as connection:
        (name,) = aliases_of(connection, subject)
        counts = destroy_subjects(connection, [subject], any_desk.journal.sealer)
    assert counts == {"subjects": 1, "aliases": 1, "details": 2}
    with any_desk.database.read() as connection:
        assert any_desk.journal.find_subject(connection, name) is None
        assert aliases_of(connection, subject) == ()
        assert len(aliases_of(connection, other)) == 1
        assert connection.scalar(select(func.count()).select_from(detail)) == 1
    assert any_desk.log.settle().root == before.root
    assert len(scanned(any_desk)) == 3


def test_destroyed_details_leave_no_byte_in_the_file(desk, subject):
    """The store overwrites what it deletes."""
    desk.record(desk.permit(subject, details={"reason": "seven-green-bottles"}))
    desk.log.settle()
    file = desk.folder / "data.db"
    assert b"seven-green-bottles" in file.read_bytes()
    with desk.database.write() as connection:
        destroy_subjects(connection, [subject], desk.journal.sealer)
    assert b"seven-green-bottles" not in file.read_bytes()


def test_only_a_permit_that_took_a_use_is_kept():
    """Counted uses are compared with their permits for good; other accesses are not."""
    none, some = KeptDigest(), KeptDigest()
    some.add(3)
    assert none.hexdigest() != some.hexdigest()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert not is_kept({"act": "gate.permit", "refs": {"used": empty}})
    assert not is_kept({"act": "gate.permit", "refs": {"permit": "per_x"}})
    assert not is_kept({"act": "gate.permit"})
    assert is_kept({"act": "gate.permit", "refs": {"used": "00"}})
    assert not is_kept({"act": "vault.reveal"})
    assert not is_kept({})
    assert all(is_kept({"act": act.value}) for act in KEPT_ACTS)
