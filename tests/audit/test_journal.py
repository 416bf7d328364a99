"""Writing entries in the caller's transaction."""

import hashlib
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from audit.aliases import aliases_of, cohort_subjects, find_subject
from audit.entries import decode_entry
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
        assert find_subject(connection, alias_of_first) == people[0]
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
        found = cohort_subjects(connection, entry_id)
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
        connection.execute(insert(alias), {"alias": "als_theirs", "subject_id": subject, "year": 2026})
    any_desk.record(any_desk.permit(subject))
    assert decode_entry(bodies(any_desk)[0])["subject"] == "als_theirs"


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
