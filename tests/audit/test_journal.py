"""Writing entries in the caller's transaction."""

import hashlib
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from audit.aliases import aliases_of, ensure_aliases, mark_names, read_names, recall_forgotten
from audit.entries import decode_entry
from audit.retention import destroy_subjects
from audit.tables import alias, cohort, detail, inbox
from kernel.errors import BadInput, IntegrityFailed
from kernel.ids import SubjectId, new_id


def bodies(desk):
    with desk.database.read() as connection:
        return list(connection.scalars(select(inbox.c.body).order_by(inbox.c.seq)))


def test_entry_and_state_change_stand_or_fall_together(any_desk, subject):
    """A transaction that rolls back leaves neither entry nor alias."""

    def write_and_fail():
        with any_desk.database.write() as connection:
            any_desk.log.record(connection, any_desk.permit(subject))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert bodies(any_desk) == []
    assert any_desk.rows("SELECT * FROM audit_alias") == []


def test_entries_keep_the_callers_order(any_desk):
    """The order of the entries is the order of the locks."""
    ids = any_desk.fill(5) + any_desk.fill(3)
    assert [decode_entry(body)["id"] for body in bodies(any_desk)] == ids


def test_no_subject_id_reaches_the_entry(any_desk):
    """One subject, a cohort, an actor and a reference: all stand under aliases."""
    people = [SubjectId(new_id("sub")) for _ in range(5)]
    event = any_desk.permit(people[0], cohort=tuple(people[1:3]), refs={"guardian": people[3]})
    any_desk.record(event, any_desk.permit(recipient=people[4]))
    assert not re.search(rb"sub_", b"".join(bodies(any_desk)))
    with any_desk.database.read() as connection:
        alias_of_first = decode_entry(bodies(any_desk)[0])["subject"]
        assert any_desk.journal.find_subject(connection, alias_of_first) == people[0]
        assert all(len(aliases_of(connection, person)) == 1 for person in people)


def test_alias_is_stable_within_a_year_and_new_in_the_next(desk, subject):
    """A subject's entries can be joined over a year, not over a life."""
    desk.record(desk.permit(subject), desk.permit(subject))
    desk.clock.advance(timedelta(days=60))
    desk.record(desk.permit(subject))
    first, second, third = (decode_entry(body)["subject"] for body in bodies(desk))
    assert first == second != third
    with desk.database.read() as connection:
        assert aliases_of(connection, subject) == (first, third)


def test_cohort_digest_can_be_checked_and_resolved(any_desk):
    """The entry holds number and digest; the salt and the aliases behind them stand beside the log."""
    people = [SubjectId(new_id("sub")) for _ in range(300)]
    (entry_id,) = any_desk.record(any_desk.permit(cohort=(*people, people[0])))
    members = decode_entry(bodies(any_desk)[0])["cohort"]
    with any_desk.database.read() as connection:
        found = any_desk.journal.cohort_subjects(connection, entry_id)
        salt = connection.scalar(select(cohort.c.salt).where(cohort.c.entry_id == entry_id))
    lines = "".join(f"{name}\n" for name in sorted(found.values())).encode()
    assert set(found) == set(people)
    assert members == {"size": 300, "digest": hashlib.sha256(b"consentry cohort v1\n" + salt + lines).hexdigest()}


def test_equal_cohorts_have_different_digests(desk):
    """Without the salt nobody can test who was in a cohort."""
    people = (SubjectId(new_id("sub")),)
    desk.record(desk.permit(cohort=people), desk.permit(cohort=people))
    first, second = (decode_entry(body)["cohort"]["digest"] for body in bodies(desk))
    assert first != second


def test_details_are_sealed_beside_the_entry(desk):
    """Details come back for their own entry only."""
    words = {"reason": "患者来电核实"}
    with_details, without = desk.record(desk.permit(details=words), desk.permit())
    assert b"reason" not in bodies(desk)[0]
    with desk.database.read() as connection:
        assert desk.log.read_details(connection, with_details) == words
        assert desk.log.read_details(connection, without) is None


def test_details_moved_to_another_entry_are_refused(desk):
    """The seal is bound to the entry's id."""
    first, second = desk.record(desk.permit(details={"reason": "x"}), desk.permit())
    with desk.database.write() as connection:
        connection.execute(update(detail).where(detail.c.entry_id == first).values(entry_id=second))
    with desk.database.read() as connection, pytest.raises(IntegrityFailed):
        desk.log.read_details(connection, second)


def test_time_never_runs_backwards_in_the_inbox(any_desk):
    """A clock that is set back does not make an entry older than the one before."""
    any_desk.fill(1)
    any_desk.clock.advance(timedelta(hours=-3))
    any_desk.fill(1)
    first, second = (decode_entry(body)["at"] for body in bodies(any_desk))
    assert second == first


def test_time_never_runs_behind_the_head(any_desk):
    """The same holds when the earlier entry is in the tree already."""
    any_desk.fill(1)
    any_desk.log.settle()
    any_desk.clock.advance(timedelta(hours=-3))
    with any_desk.database.read() as connection:
        assert any_desk.log.now(connection) == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    any_desk.clock.advance(timedelta(hours=4))
    with any_desk.database.read() as connection:
        assert any_desk.log.now(connection) == datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_refused_event_leaves_nothing(desk, subject):
    """An event that cannot stand in the log takes its whole transaction with it."""
    with pytest.raises(BadInput):
        desk.record(desk.permit(subject), desk.permit(subject, reason="free words"))
    assert bodies(desk) == []


def test_recording_nothing_touches_nothing(desk):
    """An empty batch is no error."""
    assert desk.record() == []


def test_alias_that_another_writer_made_first_is_used(any_desk, subject):
    """The (subject, year) pair is unique, whoever comes first."""
    with any_desk.database.write() as connection:
        theirs = ensure_aliases(connection, [subject], 2026, sealer=any_desk.journal.sealer)
    any_desk.record(any_desk.permit(subject))
    assert decode_entry(bodies(any_desk)[0])["subject"] == theirs[subject]


@pytest.mark.parametrize("mark", [None, b"m" * 32])
def test_alias_without_its_mark_names_nobody(any_desk, subject, mark):
    """Who owns the store can insert a row; the next entry about the person is refused, and so is the look-up."""
    row = {"alias": "als_forged", "subject_id": subject, "year": 2026, "mark": mark}
    with any_desk.database.write() as connection:
        connection.execute(insert(alias), row)
    with pytest.raises(IntegrityFailed, match="als_forged does not bear its mark"):
        any_desk.record(any_desk.permit(subject))
    with any_desk.database.read() as connection, pytest.raises(IntegrityFailed, match="mark"):
        any_desk.log.find_subject(connection, "als_forged")


def test_moved_name_leads_nowhere(desk, subject):
    """A name that leads to somebody else does not bear the mark of that."""
    (entry_id,) = desk.record(desk.permit(cohort=(subject,)))
    other = SubjectId(new_id("sub"))
    desk.unguarded(f"UPDATE audit_alias SET subject_id = '{other}'")
    with desk.database.read() as connection:
        (moved,) = aliases_of(connection, other)
        with pytest.raises(IntegrityFailed, match=f"{moved} does not bear its mark"):
            desk.log.find_subject(connection, moved)
        with pytest.raises(IntegrityFailed, match=f"{moved} does not bear its mark"):
            desk.journal.cohort_subjects(connection, entry_id)
        with pytest.raises(IntegrityFailed, match=f"{moved} does not bear its mark"):
            desk.log.aliases_of(connection, other)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_alias",
        "UPDATE audit_alias SET subject_id = 'sub_other'",
        "UPDATE audit_alias SET mark = NULL",
        "UPDATE audit_alias SET alias = 'als_other'",
    ],
)
def test_names_are_neither_moved_nor_removed(any_desk, subject, statement):
    """A slip of the hand is refused by the store."""
    any_desk.record(any_desk.permit(subject))
    with pytest.raises(DBAPIError, match="only forgotten"), any_desk.database.write() as connection:
        connection.execute(text(statement))


def test_names_of_an_older_version_are_marked_once(any_desk, subject):
    """Names get their mark, and what entries mention and an older version destroyed is known as destroyed."""
    lost = new_id("als")
    with any_desk.database.write() as connection:
        connection.execute(insert(alias), {"alias": "als_old", "subject_id": subject, "year": 2025})
        assert mark_names(connection, any_desk.journal.sealer) == 1
        assert mark_names(connection, any_desk.journal.sealer) == 0
        recall_forgotten(connection, {"als_old": 2025, lost: 2025}, any_desk.journal.sealer)
    with any_desk.database.read() as connection:
        assert any_desk.log.find_subject(connection, "als_old") == subject
        assert any_desk.log.find_subject(connection, lost) is None
        assert [name.is_forgotten for name in read_names(connection, [lost])] == [True]


def test_details_that_an_entry_counts_are_missed(any_desk, subject):
    """The entry holds the digest of its sealed details; without them nothing is read as if there were none."""
    entry_id, _ = any_desk.record(any_desk.permit(subject, details={"reason": "chest pain"}), any_desk.permit(subject))
    (sealed,) = any_desk.rows("SELECT sealed FROM audit_detail")[0]
    assert decode_entry(bodies(any_desk)[0])["details"] == hashlib.sha256(bytes(sealed)).hexdigest()
    assert "details" not in decode_entry(bodies(any_desk)[1])
    with any_desk.database.write() as connection:
        connection.execute(text("DELETE FROM audit_detail"))
    with any_desk.database.read() as connection:
        for read in (any_desk.log.read_details, any_desk.log.get_details):
            with pytest.raises(IntegrityFailed, match=f"details of entry {entry_id} are gone"):
                read(connection, entry_id)


def test_details_of_the_forgotten_are_not_missed(any_desk, subject):
    """What was destroyed with the names of an erased person is none; who must have some is told all the same."""
    (entry_id,) = any_desk.record(any_desk.permit(subject, details={"reason": "chest pain"}))
    any_desk.log.settle()
    with any_desk.database.write() as connection:
        destroy_subjects(connection, [subject], any_desk.journal.sealer)
    with any_desk.database.read() as connection:
        assert any_desk.log.read_details(connection, entry_id) is None
        with pytest.raises(IntegrityFailed, match="gone"):
            any_desk.log.get_details(connection, entry_id)


def test_two_writers_at_once_share_one_alias(open_desk, pg_url, subject):
    """On PostgreSQL the second waits for the first, and takes its alias."""
    desk = open_desk(pg_url)
    with desk.database.write() as first:
        desk.log.record(first, desk.permit(subject))
        second = threading.Thread(target=desk.record, args=(desk.permit(subject),))
        second.start()
        second.join(timeout=0.3)
        assert second.is_alive()
    second.join(timeout=10)
    one, other = (decode_entry(body)["subject"] for body in bodies(desk))
    assert one == other


def test_alias_of_a_stranger_is_nobody(desk, subject):
    """Looking up what was never logged finds nothing."""
    with desk.database.read() as connection:
        assert desk.log.find_subject(connection, "als_unknown") is None
        assert desk.log.alias(connection, subject) is None
