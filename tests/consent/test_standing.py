"""Standing: one row a subject, its states, its revision and its age class."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from consent.ages import AgeClass
from consent.standing import (
    Standing,
    find_standings,
    get_standing,
    keep_younger,
    lock_subjects,
    register_subjects,
    set_deceased,
    set_standing,
)
from consent.tables import standing_change
from kernel.errors import Conflict, NotFound
from kernel.ids import SubjectId, new_id


def read(office, subject):
    with office.database.read() as connection:
        return get_standing(connection, subject)


def move(office, subject, standing):
    with office.database.write() as connection:
        return set_standing(connection, subject, standing, now=office.clock.now())


def register(office, subject, birth_date):
    with office.database.write() as connection:
        register_subjects(connection, {subject: birth_date}, clock=office.clock)


def test_registered_subject_is_active_and_keeps_no_birth_date(either_office):
    """The row holds an age class with the month it ends in."""
    subject = either_office.subject(date(2014, 5, 20))
    found = read(either_office, subject)
    assert (found.state, found.revision, found.age_class) == (Standing.ACTIVE, 1, AgeClass.UNDER_14)
    assert found.age_class_until == date(2028, 6, 1)
    assert found.age_class_on(date(2028, 6, 1)) is AgeClass.UNDER_18


def test_batch_registers_what_is_new(either_office):
    """Registering again gives only the new ones and changes nothing for the others."""
    known, fresh = either_office.subject(), SubjectId(new_id("sub"))
    with either_office.database.write() as connection:
        made = register_subjects(connection, {known: None, fresh: None}, clock=either_office.clock)
        assert register_subjects(connection, {}, clock=either_office.clock).fresh == {}
    assert list(made.fresh) == [fresh]
    assert read(either_office, known).revision == 1


def test_birth_date_that_becomes_known_gives_the_class(office):
    """A subject registered without birth date becomes a child when it is known, and the revision moves."""
    subject = office.subject()
    register(office, subject, date(2014, 5, 20))
    found = read(office, subject)
    assert (found.age_class, found.revision) == (AgeClass.UNDER_14, 2)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (date(2016, 5, 20), date(2030, 6, 1)),
        (date(2012, 11, 30), date(2028, 6, 1)),
        (date(1990, 1, 1), date(2028, 6, 1)),
    ],
)
def test_contradicting_birth_dates_keep_the_stricter(office, second, expected):
    """Of two birth dates the one that protects longer counts."""
    subject = office.subject(date(2014, 5, 20))
    register(office, subject, second)
    assert read(office, subject).age_class_until == expected


def test_erased_subject_stays_erased(office):
    """Registering an erased subject revives nothing."""
    subject = office.subject(None)
    move(office, subject, Standing.ERASING)
    move(office, subject, Standing.ERASED)
    register(office, subject, date(2014, 5, 20))
    found = read(office, subject)
    assert (found.state, found.age_class) == (Standing.ERASED, AgeClass.UNKNOWN)


@pytest.mark.parametrize(
    "path",
    [
        (Standing.RESTRICTED, Standing.ACTIVE),
        (Standing.RESTRICTED, Standing.ERASING, Standing.ERASED),
        (Standing.ERASING, Standing.RESTRICTED, Standing.ERASING),
    ],
)
def test_open_ways_move_the_revision(either_office, path):
    """Each step of an open way moves the revision; the same state again does not."""
    subject = either_office.subject()
    for step, standing in enumerate(path):
        assert move(either_office, subject, standing).revision == step + 2
        assert move(either_office, subject, standing).revision == step + 2


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ((), Standing.ERASED),
        ((Standing.ERASING,), Standing.ACTIVE),
        ((Standing.ERASING, Standing.ERASED), Standing.ACTIVE),
        ((Standing.ERASING, Standing.ERASED), Standing.RESTRICTED),
        ((Standing.ERASING, Standing.ERASED), Standing.ERASING),
    ],
)
def test_closed_ways_stay_closed(office, path, closed):
    """Erased is final, and an erasure is neither skipped nor called off."""
    subject = office.subject()
    for standing in path:
        move(office, subject, standing)
    with pytest.raises(Conflict, match=subject):
        move(office, subject, closed)


def test_unregistered_subject_is_not_found(office):
    """There is no standing to read or move."""
    stranger = SubjectId(new_id("sub"))
    with pytest.raises(NotFound, match=stranger):
        read(office, stranger)
    with pytest.raises(NotFound, match=stranger):
        move(office, stranger, Standing.RESTRICTED)
    with office.database.read() as connection:
        assert find_standings(connection, [stranger]) == {}


def test_locks_take_any_number_of_subjects(either_office):
    """No subject and thousands are one call each."""
    office = either_office
    subjects = [SubjectId(new_id("sub")) for _ in range(3_000)]
    with office.database.write() as connection:
        register_subjects(connection, dict.fromkeys(subjects), clock=office.clock)
        lock_subjects(connection, [], exclusive=True)
        lock_subjects(connection, subjects, exclusive=True)
        lock_subjects(connection, subjects, exclusive=False)
    office.clock.advance(timedelta(days=1))
    with office.database.read() as connection:
        assert len(find_standings(connection, subjects)) == 3_000


def test_every_change_of_standing_leaves_a_row(either_office):
    """Registration, state, age class and death each stand in the history, with their instant (R16)."""
    office = either_office
    subject = office.subject(None)
    office.clock.advance(timedelta(hours=1))
    register(office, subject, date(2014, 5, 20))
    move(office, subject, Standing.RESTRICTED)
    move(office, subject, Standing.RESTRICTED)
    with office.database.write() as connection:
        set_deceased(connection, subject, no_kin=True, now=office.clock.now())
        set_deceased(connection, subject, no_kin=True, now=office.clock.now())
    with office.database.read() as connection:
        rows = connection.execute(select(standing_change).order_by(standing_change.c.position)).all()
    found = [(row.state, row.age_class, row.deceased) for row in rows]
    assert found == [
        ("active", "unknown", False),
        ("active", "under_14", False),
        ("restricted", "under_14", False),
        ("restricted", "under_14", True),
    ]
    hour = timedelta(hours=1)
    assert [row.changed_at - rows[0].changed_at for row in rows] == [timedelta(0), hour, hour, hour]
    after = read(office, subject)
    assert (after.deceased, after.no_kin, after.revision) == (True, True, 4)


def test_younger_class_is_kept(office):
    """Of two ages for one person the one that keeps it a minor for longer counts (R21)."""
    child, grown, unknown = office.subject(date(2014, 5, 20)), office.subject(), office.subject(None)
    with office.database.write() as connection:
        found = find_standings(connection, [child, grown, unknown])
        keep_younger(connection, found[grown], found[child], now=office.clock.now())
        keep_younger(connection, found[child], found[unknown], now=office.clock.now())
    assert read(office, grown).age_class is AgeClass.UNDER_14
    assert (read(office, child).age_class, read(office, child).revision) == (AgeClass.UNDER_14, 1)
