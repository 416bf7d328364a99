"""The end of an epoch."""

import threading

import pytest
from sqlalchemy import delete, select, update

from kernel.errors import IntegrityFailed
from vault.epoch_rotation import closing_epochs, log_rotations, resume_epochs, rotate_epoch
from vault.identity import IdentityKeys
from vault.tables import blinding_key, data_key, epoch, named_key


class Killed(BaseException):
    """The process ends at a point; what it did in transactions stays."""


def rotate(house, **more):
    return rotate_epoch(house.keystore, house.data, house.log, asking=house.asking, **more)


def resume(house):
    return resume_epochs(house.keystore, house.data, house.log, asking=house.asking)


def killing(number):
    """Return what ends the process at so manieth a point."""
    seen = []

    def at(point):
        seen.append(point)
        if len(seen) == number:
            raise Killed(point)

    return at


def epochs_of_keys(house) -> set[str]:
    with house.keys.read() as connection:
        return {*connection.scalars(select(data_key.c.epoch_id)), *connection.scalars(select(named_key.c.epoch_id))}


@pytest.fixture
def small_chunks(monkeypatch):
    """Keys move three at a time, and no more."""
    monkeypatch.setattr("vault._rewrapping._FIRST", 3)
    monkeypatch.setattr("vault._rewrapping._LARGEST", 3)


def test_everything_opens_after_a_rotation_as_before(any_house):
    """Records, blind indexes, pseudonyms and details survive under the next epoch."""
    subject = any_house.subject()
    any_house.store(any_house.record(subject, diagnosis="icd10:I10"))
    any_house.resolver.link([(subject, IdentityKeys("his", "p-1"))], batch=None)
    pseudonym = any_house.pseudonyms.pseudonyms([subject], scope="view:a")
    sealed = any_house.sealer.seal_details({"a": 1}, context="c")
    marks = any_house.sealer.mark_texts(["name a"])
    before = any_house.keystore.check().epoch_id
    rotation = rotate(any_house)
    after = any_house.restarted()
    assert rotation.ended == before != after.keystore.check().epoch_id
    assert after.open(subject, "P02", "diagnosis")[0].values == {"diagnosis": "icd10:I10"}
    assert after.resolver.find("his", "p-1") == subject
    assert after.pseudonyms.pseudonyms([subject], scope="view:a") == pseudonym
    assert after.sealer.open_details(sealed, context="c") == {"a": 1}
    assert after.sealer.mark_texts(["name a"]) == marks


def test_the_old_epoch_key_is_gone_and_every_key_has_moved(house):
    """No row hangs on the ended epoch, and its wrapped key is nowhere in the files."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    with house.keys.read() as connection:
        old = connection.execute(select(epoch)).one()
        wrapped = connection.execute(select(data_key.c.wrapped)).scalars().all()
    rotation = rotate(house)
    with house.keys.read() as connection:
        ended = connection.execute(select(epoch).where(epoch.c.epoch_id == old.epoch_id)).one()
        rows = [row for table in (data_key, named_key, blinding_key) for row in connection.execute(select(table))]
    assert ended.wrapped is None
    assert {row.epoch_id for row in rows} == {house.keystore.check().epoch_id}
    assert rotation.rewrapped == len(rows)
    files = house.files()
    assert old.wrapped not in files
    assert not any(blob in files for blob in wrapped)


def test_the_rotation_is_logged(house):
    """One entry names the ended epoch and how many keys moved."""
    rotation = rotate(house)
    (entry,) = house.entries("epoch.rotated")
    assert entry["refs"]["epoch"] == rotation.ended
    assert entry["counts"]["rewrapped"] == rotation.rewrapped


def test_an_entry_that_a_crash_left_out_is_written_later(house):
    """A rotation whose entry is missing is logged at the next start, once."""
    rotation = rotate(house)
    with house.keys.write() as connection:
        connection.execute(update(epoch).where(epoch.c.epoch_id == rotation.ended).values(entry_id=None))
    assert log_rotations(house.keystore, house.data, house.log, asking=house.asking) == 1
    assert log_rotations(house.keystore, house.data, house.log, asking=house.asking) == 0
    assert len(house.entries("epoch.rotated")) == 2
    assert len(house.entries("epoch.closing")) == 1


def test_a_changed_key_keeps_the_old_epoch_alive_and_nothing_else(any_house):
    """The others move; the broken one is told of, and once its subject is erased the epoch ends."""
    subject, other = any_house.subject(), any_house.subject()
    any_house.store(any_house.record(subject, diagnosis="icd10:I10"), any_house.record(other, diagnosis="icd10:E11"))
    before = any_house.keystore.check().epoch_id
    with any_house.keys.write() as connection:
        broken = update(data_key).where(data_key.c.subject_id == subject)
        connection.execute(broken.values(wrapped=bytes(60)))
    with pytest.raises(IntegrityFailed, match="1 keys of epoch"):
        rotate(any_house)
    assert closing_epochs(any_house.keystore) == [before]
    assert len(any_house.open(other, "P02", "diagnosis")) == 1
    with any_house.keys.write() as connection:
        connection.execute(delete(data_key).where(data_key.c.subject_id == subject))
    assert [rotation.ended for rotation in resume(any_house)] == [before]


def test_keys_are_rewrapped_chunk_by_chunk(any_house, small_chunks):
    """More keys than one chunk holds all move, and the progress adds up."""
    subjects = [any_house.subject() for _ in range(7)]
    any_house.store(*(any_house.record(subject, diagnosis="icd10:I10") for subject in subjects))
    told = []
    done = rotate(any_house, told=told.append)
    assert sum(told) == done.rewrapped > 7
    assert len(told) > 1
    assert all(len(any_house.open(subject, "P02", "diagnosis")) == 1 for subject in subjects)


def test_two_epochs_live_while_one_is_closing(any_house, small_chunks):
    """From the first moment new keys go under the new epoch; old and new keys both open, and reading goes on."""
    old_ones = [any_house.subject() for _ in range(5)]
    any_house.store(*(any_house.record(subject, diagnosis="icd10:I10") for subject in old_ones))
    with pytest.raises(Killed):
        rotate(any_house, at=killing(2))
    after = any_house.restarted()
    (closing,) = closing_epochs(after.keystore)
    new_one = after.subject()
    after.store(after.record(new_one, diagnosis="icd10:I10"))
    with after.keys.read() as connection:
        made_under = connection.scalars(select(data_key.c.epoch_id).where(data_key.c.subject_id == new_one)).one()
    assert made_under == after.keystore.check().epoch_id != closing
    assert epochs_of_keys(after) == {closing, made_under}
    assert all(len(after.open(subject, "P02", "diagnosis")) == 1 for subject in [*old_ones, new_one])
    assert after.resolver.find("his", "nobody") is None


def test_an_epoch_change_goes_on_wherever_it_was_killed(house, small_chunks):
    """At every numbered point: the next call ends the same epoch, everything opens, and both entries stand."""
    subjects = [house.subject() for _ in range(4)]
    house.store(*(house.record(subject, diagnosis="icd10:I10") for subject in subjects))
    for number in range(1, 100):
        old = house.keystore.check().epoch_id
        try:
            rotate(house, at=killing(number))
        except Killed:
            house = house.restarted()
            resume(house)
            assert closing_epochs(house.keystore) == []
            assert epochs_of_keys(house) == {house.keystore.check().epoch_id}
        else:
            break
        assert house.keystore.check().epoch_id != old
        assert all(len(house.open(subject, "P02", "diagnosis")) == 1 for subject in subjects)
    assert number > 5, "there must be points to be killed at"
    closing, ended = house.entries("epoch.closing"), house.entries("epoch.rotated")
    assert {entry["refs"]["epoch"] for entry in closing} == {entry["refs"]["epoch"] for entry in ended}


def test_an_erasure_in_between_is_not_undone(any_house, small_chunks):
    """A key that was read for its move and destroyed before its update stays destroyed."""
    subjects = [any_house.subject() for _ in range(4)]
    any_house.store(*(any_house.record(subject, diagnosis="icd10:I10") for subject in subjects))
    with any_house.keys.read() as connection:
        gone = connection.scalars(select(data_key.c.key_id).where(data_key.c.subject_id == subjects[0])).all()

    def erase_once(point):
        if point == "epoch.closing":
            with any_house.keys.write() as connection:
                connection.execute(delete(data_key).where(data_key.c.subject_id == subjects[0]))

    rotate(any_house, at=erase_once)
    with any_house.keys.read() as connection:
        left = set(connection.scalars(select(data_key.c.key_id)))
    assert left.isdisjoint(gone)
    assert len(left) == 3


def test_nothing_moves_to_an_epoch_that_another_process_has_closed(any_house, small_chunks):
    """Two processes end epochs at once: no key is ever wrapped by one that may be destroyed the next moment."""
    subjects = [any_house.subject() for _ in range(6)]
    any_house.store(*(any_house.record(subject, diagnosis="icd10:I10") for subject in subjects))
    other = any_house.restarted()
    done = []

    def meanwhile(point):
        if point == "epoch.moved.named_key" and not done:
            done.append(point)
            rotate(other)

    rotate(any_house, at=meanwhile)
    assert epochs_of_keys(any_house) == {any_house.keystore.check().epoch_id}
    assert all(len(any_house.open(subject, "P02", "diagnosis")) == 1 for subject in subjects)


def test_rotation_and_new_keys_at_the_same_time_lose_none(any_house):
    """Keys made while the epoch ends are wrapped by an epoch that stays."""
    subjects = [any_house.subject() for _ in range(24)]
    records = [any_house.record(subject, diagnosis="icd10:I10") for subject in subjects]
    failures = []

    def ensure(some):
        try:
            for record in some:
                any_house.make_keys(record)
        except Exception as err:  # noqa: BLE001 - handed to the main thread
            failures.append(err)

    threads = [threading.Thread(target=ensure, args=(records[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        rotate(any_house)
    for thread in threads:
        thread.join()
    assert failures == []
    any_house.store(*records)
    assert all(len(any_house.open(subject, "P02", "diagnosis")) == 1 for subject in subjects)
    with any_house.keys.read() as connection:
        epochs = set(connection.execute(select(data_key.c.epoch_id)).scalars())
    assert epochs == {any_house.keystore.check().epoch_id}


def test_a_key_that_does_not_move_stops_the_rotation(house):
    """The old epoch is never destroyed while a key hangs on it."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    with house.keys.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER stuck BEFORE UPDATE ON data_key BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(IntegrityFailed, match="1 keys of epoch"):
        rotate(house)
    assert len(house.open(subject, "P02", "diagnosis")) == 1
