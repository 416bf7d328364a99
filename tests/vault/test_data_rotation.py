"""Data keys rotate while records are stored and opened; what a crash leaves goes on."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from consent.standing import Standing, set_standing
from kernel.catalogue import Compartment
from tests.vault.conftest import DEPLOYMENT
from vault.data_rotation import DataKeys, resume_data_keys, rotate_data_keys
from vault.identity import IdentityKeys
from vault.index_rotation import rotate_index
from vault.suites import AES, SM
from vault.tables import blind_index, data_key, key_tombstone, sealed_record, tombstone

I10 = "icd10:I10"


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


EVERY = DataKeys()


def rotate(house, which=EVERY, **more):
    return rotate_data_keys(
        house.keystore, house.data, house.log, which, deployment=DEPLOYMENT, asking=house.asking, **more
    )


def resume(house):
    return resume_data_keys(house.keystore, house.data, house.log, deployment=DEPLOYMENT)


def patient(house, number):
    """Somebody with a name, a diagnosis and links."""
    subject = house.subject()
    house.store(house.record(subject, number=number, name="张三", diagnosis=I10))
    house.resolver.link([(subject, IdentityKeys("his", f"p-{number}", f"id-{number}", sex="female"))], batch=None)
    return subject


def keys_of(house, subject=None, compartment=None) -> set[bytes]:
    query = select(data_key.c.key_id)
    query = query if subject is None else query.where(data_key.c.subject_id == subject)
    query = query if compartment is None else query.where(data_key.c.compartment == compartment)
    with house.keys.read() as connection:
        return set(connection.scalars(query))


def opened(house, subject):
    return house.open(subject, "P02", "name", "diagnosis")[0].values


@pytest.fixture
def small_chunks(monkeypatch):
    """Two keys and two rows at a time."""
    monkeypatch.setattr("vault._datakey_rotating._PAIRS", 2)
    monkeypatch.setattr("vault._datakey_rotating._ROWS", 2)


def test_everything_moves_to_new_keys_and_the_old_ones_are_destroyed(any_house, small_chunks):
    """Records open as before, no old key is left, both stores have the tombstones, and the identifiers moved along."""
    patients = [patient(any_house, number) for number in range(4)]
    before, told = keys_of(any_house), []
    any_house.clock.advance(timedelta(seconds=1))
    done = rotate(any_house, told=told.append)
    assert (done.keys, done.rows, done.left) == (len(before), 8, 0)
    assert sum(told) == len(before)
    assert keys_of(any_house).isdisjoint(before)
    assert len(keys_of(any_house)) == len(before)
    for database, table in ((any_house.keys, key_tombstone), (any_house.data, tombstone)):
        with database.read() as connection:
            assert set(connection.scalars(select(table.c.key_id))) == before
    assert all(opened(any_house, subject) == {"name": "张三", "diagnosis": I10} for subject in patients)
    assert rotate_index(
        any_house.keystore, any_house.data, any_house.log, "id_number", asking=any_house.asking
    ).is_done, "the sealed identifiers must open under the new keys"


def test_chosen_keys_only(house):
    """A subject, a compartment, or an age picks keys; others stay."""
    first, second = patient(house, 1), patient(house, 2)
    theirs = keys_of(house, second)
    rotate(house, DataKeys(subject=first))
    assert keys_of(house, second) == theirs
    clinical, identity = keys_of(house, second, "clinical"), keys_of(house, second, "identity")
    rotate(house, DataKeys(compartment=Compartment.CLINICAL))
    assert keys_of(house, second, "clinical").isdisjoint(clinical)
    assert keys_of(house, second, "identity") == identity
    house.clock.advance(timedelta(days=30))
    third = patient(house, 3)
    fresh = keys_of(house, third)
    assert rotate(house, DataKeys(older_than_days=29)).keys == len(keys_of(house)) - len(fresh)
    assert keys_of(house, third) == fresh


def test_a_store_moves_from_one_suite_to_another_and_back(house):
    """Keys of another suite than the configured one get successors of it; sealed values say theirs."""
    subject = patient(house, 1)
    moved = house.restarted(SM)
    done = rotate(moved, DataKeys(is_other_suite=True))
    assert done.keys == len(keys_of(moved)) > 0
    with moved.keys.read() as connection:
        assert set(connection.scalars(select(data_key.c.suite))) == {SM.code}
    assert opened(moved, subject) == {"name": "张三", "diagnosis": I10}
    assert rotate(moved, DataKeys(is_other_suite=True)).keys == 0
    back = moved.restarted(AES)
    assert rotate(back, DataKeys(is_other_suite=True)).keys == done.keys
    assert opened(back, subject) == {"name": "张三", "diagnosis": I10}


def test_a_rotation_goes_on_wherever_it_was_killed(house, small_chunks):
    """At every numbered point everything opens, and the next call ends the same rotation."""
    subject = patient(house, 1)
    for number in range(1, 200, 2):
        house.clock.advance(timedelta(seconds=1))
        before = keys_of(house)
        try:
            rotate(house, at=killing(number))
        except Killed:
            house = house.restarted()
            assert opened(house, subject)["diagnosis"] == I10
            resume(house)
        else:
            break
        assert keys_of(house).isdisjoint(before)
        assert resume(house) == []
    assert number > 10, "there must be points to be killed at"
    assert opened(house, subject)["diagnosis"] == I10
    assert len(house.entries("keys.rotating")) == len(house.entries("keys.rotated"))


def test_records_are_stored_and_opened_meanwhile(any_house, small_chunks):
    """Nothing is lost and nobody sees half of anything while keys rotate again and again."""
    subject, ended, failures, stored = patient(any_house, 1), threading.Event(), [], []

    def work():
        try:
            while not ended.is_set():
                number = 100 + len(stored)
                any_house.store(any_house.record(subject, number=number, diagnosis=f"icd10:E{number}"))
                stored.append(number)
                assert len(any_house.open(subject, "P02", "diagnosis")) >= len(stored)
        except Exception as err:  # noqa: BLE001 - handed to the main thread
            failures.append(err)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        rotate(any_house)
    ended.set()
    thread.join()
    assert failures == []
    assert len(any_house.open(subject, "P02", "diagnosis")) == len(stored) + 1


def test_a_changed_row_keeps_its_key_and_nothing_else(house):
    """A row that does not verify stays under its old key, which stays; all others move."""
    good, bad = patient(house, 1), patient(house, 2)
    kept = keys_of(house, bad, "clinical")
    with house.data.write() as connection:
        rows = sealed_record.c.subject_id == bad, sealed_record.c.compartment == "clinical"
        payload = connection.scalars(select(sealed_record.c.payload).where(*rows)).one()
        connection.execute(update(sealed_record).where(*rows).values(payload=payload[:-1] + bytes([payload[-1] ^ 1])))
    done = rotate(house)
    assert done.left == 1
    assert kept < keys_of(house, bad, "clinical")
    assert opened(house, good) == {"name": "张三", "diagnosis": I10}


def test_keys_of_somebody_who_is_being_erased_are_left_to_the_erasure(house):
    """The erasure has counted the keys that it destroys; none may appear or go beside it."""
    subject = patient(house, 1)
    before = keys_of(house, subject)
    with house.data.write() as connection:
        set_standing(connection, subject, Standing.ERASING, now=house.clock.now())
    assert rotate(house).left == len(before)
    assert before <= keys_of(house, subject)


def test_a_subject_is_named_by_its_alias(house):
    """The entry says which subject's keys, and how many; no key is named."""
    subject = patient(house, 1)
    done = rotate(house, DataKeys(subject=subject))
    (entry,) = house.entries("keys.rotated")
    assert entry["counts"] == {"keys": done.keys, "left": 0, "rows": 2}
    assert subject not in str(entry)


def test_old_copies_of_identifiers_do_not_open(house):
    """After the rotation no copy lies under an old key."""
    patient(house, 1)
    with house.keys.read() as connection:
        before = set(connection.scalars(select(blind_index.c.sealed)))
    rotate(house)
    with house.keys.read() as connection:
        assert before.isdisjoint(connection.scalars(select(blind_index.c.sealed)))


def test_tombstones_that_a_crash_came_before_are_left_by_the_next_call(house):
    """Destroyed keys whose chunk is done have theirs in both stores, without a start that compares them."""
    patient(house, 1)

    def at(point):
        if point == "keys.destroyed":
            raise Killed(point)

    with pytest.raises(Killed):
        rotate(house, at=at)
    resume(house)
    with house.keystore.database.read() as connection:
        buried = set(connection.scalars(select(key_tombstone.c.key_id)))
    with house.data.read() as connection:
        assert set(connection.scalars(select(tombstone.c.key_id))) == buried
    assert len(buried) > 1
