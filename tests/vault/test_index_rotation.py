"""Index keys rotate while people are looked up; nobody is missed, and what a crash leaves goes on."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

import pytest
from sqlalchemy import delete, func, select, update

from kernel.errors import BadInput
from kernel.ids import BatchId, SubjectId, new_id
from vault.blind_index import ID_NUMBER, MOBILE, SOURCE_ID
from vault.identity import IdentityKeys, ResolutionKind, Rule
from vault.index_rotation import resume_indexes, rotate_index
from vault.tables import blind_index, doubtful_identity, identity_fact, named_key

BORN = date(1990, 3, 7)
PEOPLE = 100_000 if os.environ.get("CONSENTRY_NIGHTLY") else 16


class Killed(BaseException):
    """The process ends at a point; what it did in transactions stays."""


def killing(number):
    """Return what ends the process at so manieth a point."""
    seen = []

    def at(point):
        seen.append(point)
        if len(seen) == number:
            raise Killed(point)

    return at


@pytest.fixture
def small_chunks(monkeypatch):
    """Rows are filled and deleted three at a time."""
    monkeypatch.setattr("vault._reindexing._AT_ONCE", 3)


def person(house, number, *, batch=None) -> SubjectId:
    subject = SubjectId(new_id("sub"))
    keys = IdentityKeys("his", f"p-{number}", f"id-{number}", BORN, "female", f"138{number:08}")
    house.resolver.link([(subject, keys)], batch=batch)
    return subject


def rotate(house, index, **more):
    return rotate_index(house.keystore, house.data, house.log, index, asking=house.asking, **more)


def resume(house):
    return resume_indexes(house.keystore, house.data, house.log)


def versions(house, index) -> dict[int, int]:
    """How many links each version of an index has."""
    with house.keys.read() as connection:
        query = select(blind_index.c.version, func.count()).where(blind_index.c.field == index)
        return dict(connection.execute(query.group_by(blind_index.c.version)).all())


def key_versions(house, index) -> list[int]:
    with house.keys.read() as connection:
        query = select(named_key.c.version).where(named_key.c.name == index, named_key.c.kind == "index")
        return sorted(connection.scalars(query))


@pytest.mark.parametrize("index", [ID_NUMBER, MOBILE, "birth_date"])
def test_people_are_found_as_before_and_the_old_key_is_gone(any_house, small_chunks, index):
    """Digests, facts and rules hold under the new version; the old one leaves neither rows nor key."""
    people = [person(any_house, number) for number in range(5)]
    told = []
    done = rotate(any_house, index, told=told.append)
    assert (done.version, done.filled, done.is_done) == (2, 5, True)
    assert sum(told) == 5
    assert key_versions(any_house, index) == [2]
    assert set(versions(any_house, index)) <= {2}
    for number, subject in enumerate(people):
        assert any_house.resolver.find("his", f"p-{number}") == subject
        assert any_house.resolver.find_by_id_number(f"id-{number}") == subject
    (said,) = any_house.resolver.resolve_many([IdentityKeys("shop", "c", "id-3", BORN, "male")])
    assert said.how is Rule.ID_NUMBER_CONTRADICTED
    (said,) = any_house.resolver.resolve_many([IdentityKeys("his", "p-3", "id-4")])
    assert said.kind is ResolutionKind.DOUBTFUL
    (said,) = any_house.resolver.resolve_many([IdentityKeys("his", "p-3", "id-3", BORN, "female")])
    assert said.subject == people[3]


def test_an_index_can_be_rotated_again_and_again(house):
    """Each rotation makes the next version."""
    subject = person(house, 1)
    assert [rotate(house, ID_NUMBER).version for _ in range(3)] == [2, 3, 4]
    assert house.resolver.find_by_id_number("id-1") == subject
    begun, ended = house.entries("index.rotating"), house.entries("index.rotated")
    assert [entry["refs"]["version"] for entry in begun] == ["2", "3", "4"]
    assert [entry["counts"]["filled"] for entry in ended] == [1, 1, 1]


def test_an_unknown_index_is_refused(house):
    """By name; nothing has begun."""
    person(house, 1)
    with pytest.raises(BadInput, match="no index 'shoe_size'"):
        rotate(house, "shoe_size")


def test_a_rotation_goes_on_wherever_it_was_killed(house, small_chunks):
    """At every numbered point both versions are asked, and the next call ends the same rotation."""
    people = [person(house, number) for number in range(5)]
    for number in range(1, 100):
        try:
            rotate(house, ID_NUMBER, at=killing(number))
        except Killed:
            house = house.restarted()
            assert [house.resolver.find_by_id_number(f"id-{n}") for n in range(5)] == people
            resume(house)
        else:
            break
        assert len(key_versions(house, ID_NUMBER)) == 1
    assert number > 8, "there must be points to be killed at"
    assert [house.resolver.find_by_id_number(f"id-{n}") for n in range(5)] == people
    assert len(house.entries("index.rotating")) == len(house.entries("index.rotated"))


def test_links_made_meanwhile_stand_under_both_versions(any_house, small_chunks):
    """From the first moment a link is written under each live version, so that the pass cannot miss it."""
    person(any_house, 1)
    with pytest.raises(Killed):
        rotate(any_house, ID_NUMBER, at=killing(1))
    person(any_house, 2)
    assert versions(any_house, ID_NUMBER) == {1: 2, 2: 1}


def test_who_is_forgotten_meanwhile_is_not_brought_back(any_house, small_chunks):
    """A link that goes between the look and the insert of the pass leaves nothing under the new version."""
    gone, stays = person(any_house, 1), person(any_house, 2)
    batch = BatchId("bat_1")
    undone = person(any_house, 3, batch=batch)

    def forget(point):
        if point == "index.logged":
            any_house.resolver.unlink_batch(batch)
            with any_house.keys.write() as connection:
                connection.execute(delete(blind_index).where(blind_index.c.subject_id == gone))

    rotate(any_house, ID_NUMBER, at=forget)
    with any_house.keys.read() as connection:
        left = set(connection.scalars(select(blind_index.c.subject_id).where(blind_index.c.field == ID_NUMBER)))
    assert left == {stays}
    assert undone not in left


def test_links_without_an_identifier_keep_the_old_version_alive(any_house):
    """They are counted, found under the old version, and healed when their person is sent again."""
    old_one, new_one = person(any_house, 1), person(any_house, 2)
    with any_house.keys.write() as connection:
        for table in (blind_index, identity_fact):
            connection.execute(update(table).where(table.c.subject_id == old_one).values(sealed=None))
    waits = rotate(any_house, ID_NUMBER)
    assert (waits.is_done, waits.unsealed) == (False, 1)
    assert any_house.resolver.find_by_id_number("id-1") == old_one
    assert any_house.resolver.find_by_id_number("id-2") == new_one
    assert any_house.entries("index.rotated") == []
    any_house.resolver.link([(old_one, IdentityKeys("his", "p-1", "id-1", BORN, "female"))], batch=None)
    (done,) = resume(any_house)
    assert (done.is_done, done.filled) == (True, 2)
    assert any_house.resolver.find_by_id_number("id-1") == old_one
    assert rotate(any_house, "birth_date").is_done, "the fact got its copy in the same way"


def test_a_rotation_that_only_waits_reads_nothing_again(any_house):
    """A server resumes every minute: it does not digest everybody anew for the sake of one link that waits."""
    waiting, _ = person(any_house, 1), person(any_house, 2)
    with any_house.keys.write() as connection:
        connection.execute(update(blind_index).where(blind_index.c.subject_id == waiting).values(sealed=None))
    rotate(any_house, ID_NUMBER)
    told: list[int] = []
    (again,) = resume_indexes(any_house.keystore, any_house.data, any_house.log, told=told.append)
    assert (again.is_done, again.unsealed, told) == (False, 1, [])
    late = person(any_house, 3)
    assert any_house.resolver.find_by_id_number("id-3") == late
    assert rotate(any_house, ID_NUMBER, without_unsealed=True).is_done
    assert any_house.resolver.find_by_id_number("id-3") == late


def test_somebody_may_decide_to_go_without_them(house):
    """Then such links go with the old version; their person is found again once it is sent."""
    old_one = person(house, 1)
    with house.keys.write() as connection:
        connection.execute(update(blind_index).where(blind_index.c.field == ID_NUMBER).values(sealed=None))
    assert not rotate(house, ID_NUMBER).is_done
    assert rotate(house, ID_NUMBER, without_unsealed=True).is_done
    assert house.resolver.find_by_id_number("id-1") is None
    assert house.resolver.find("his", "p-1") == old_one


def test_a_changed_copy_keeps_the_old_version_alive(house):
    """What cannot be opened is not dropped silently."""
    subject = person(house, 1)
    with house.keys.write() as connection:
        row = connection.execute(select(blind_index).where(blind_index.c.field == ID_NUMBER)).one()
        changed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])
        connection.execute(update(blind_index).where(blind_index.c.field == ID_NUMBER).values(sealed=changed))
    assert rotate(house, ID_NUMBER).unsealed == 1
    assert house.resolver.find_by_id_number("id-1") == subject


def test_doubts_are_hidden_from_the_old_key(house):
    """The digest of an open doubt changes with the key, and equal callers stay equal."""
    person(house, 1)
    callers = [IdentityKeys("shop", "c-1", "id-1", date(1980, 1, 1)), IdentityKeys("shop", "c-1", "id-1", sex="male")]
    house.resolver.note_doubtful(list(zip(callers, house.resolver.resolve_many(callers), strict=True)), batch=None)
    before = [doubt.digest for doubt in house.resolver.doubtful()]
    rotate(house, SOURCE_ID)
    after = [doubt.digest for doubt in house.resolver.doubtful()]
    assert len(set(after)) == len(set(before))
    assert set(after).isdisjoint(before)


def test_a_doubt_that_is_listed_is_not_listed_again_under_the_next_version(house):
    """While two versions live a record that comes again is known by either."""
    person(house, 1)
    stated = IdentityKeys("shop", "c-1", "id-1", date(1980, 1, 1))
    for at in (killing(1), None):
        if at is not None:
            house.resolver.note_doubtful([(stated, house.resolver.resolve_many([stated])[0])], batch=None)
            with pytest.raises(Killed):
                rotate(house, SOURCE_ID, at=at)
        house.resolver.note_doubtful([(stated, house.resolver.resolve_many([stated])[0])], batch=None)
    with house.keys.read() as connection:
        assert connection.scalar(select(func.count()).select_from(doubtful_identity)) == 1


def test_identifiers_lie_sealed_only(house):
    """Neither digests nor copies show them, in no byte of either file."""
    house.resolver.link(
        [(SubjectId(new_id("sub")), IdentityKeys("his", "planted-1", "110101199003074514"))], batch=None
    )
    rotate(house, ID_NUMBER)
    files = house.files()
    assert b"planted-1" not in files
    assert b"110101199003074514" not in files


def test_a_storm_of_look_ups_misses_nobody(any_house, monkeypatch):
    """While indexes rotate, people are looked up and new ones linked; every look-up finds its person."""
    monkeypatch.setattr("vault._reindexing._AT_ONCE", max(5, PEOPLE // 20))
    storm = Storm(any_house, {number: person(any_house, number) for number in range(PEOPLE)})
    with storm:
        for index in (ID_NUMBER, SOURCE_ID):
            assert rotate(any_house, index).is_done
    assert storm.missed == []
    assert storm.looked > 10


class Storm:
    """Three threads that look up, and one that links somebody new and looks it up at once, until the block ends."""

    def __init__(self, house, people):
        self.house, self.people = house, people
        self.missed, self.looked = [], 0
        self._ended = threading.Event()
        works = [partial(self._look, start) for start in range(3)] + [self._link]
        self._pool = ThreadPoolExecutor(len(works))
        self._running = [self._pool.submit(work) for work in works]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        for one in self._running:
            one.result()
        self._pool.shutdown()

    def _look(self, start):
        while not self._ended.is_set():
            for number in range(start, len(self.people), 7):
                self._check(number, self.people[number])

    def _link(self):
        number = PEOPLE
        while not self._ended.is_set():
            self._check(number, person(self.house, number))
            number += 1

    def _check(self, number, subject):
        resolver = self.house.resolver
        if not resolver.find("his", f"p-{number}") == resolver.find_by_id_number(f"id-{number}") == subject:
            self.missed.append(number)
        self.looked += 2
