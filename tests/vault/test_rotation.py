"""The end of an epoch."""

import threading

import pytest
from sqlalchemy import select, update

from kernel.errors import IntegrityFailed
from vault.identity import IdentityKeys
from vault.rotation import log_rotations, rotate_epoch
from vault.tables import data_key, epoch, named_key


def rotate(house):
    return rotate_epoch(house.keystore, house.data, house.log, asking=house.asking)


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
        rows = [*connection.execute(select(data_key)), *connection.execute(select(named_key))]
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


def test_a_changed_key_stops_the_rotation_and_nothing_moves(house):
    """Rather than carry a broken key over, the epoch stays."""
    subject, other = house.subject(), house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"), house.record(other, diagnosis="icd10:E11"))
    before = house.keystore.check()
    with house.keys.write() as connection:
        broken = update(data_key).where(data_key.c.subject_id == subject)
        connection.execute(broken.values(wrapped=bytes(60)))
    with pytest.raises(IntegrityFailed):
        rotate(house)
    assert house.keystore.check() == before
    assert len(house.open(other, "P02", "diagnosis")) == 1


def test_keys_are_rewrapped_chunk_by_chunk(house, monkeypatch):
    """More keys than one chunk holds all move."""
    monkeypatch.setattr("vault.rotation._CHUNK", 3)
    subjects = [house.subject() for _ in range(7)]
    house.store(*(house.record(subject, diagnosis="icd10:I10") for subject in subjects))
    rotate(house)
    assert all(len(house.open(subject, "P02", "diagnosis")) == 1 for subject in subjects)


def test_rotation_and_new_keys_at_the_same_time_lose_none(any_house):
    """Keys made while the epoch ends are wrapped by an epoch that stays."""
    subjects = [any_house.subject() for _ in range(24)]
    records = [any_house.record(subject, diagnosis="icd10:I10") for subject in subjects]
    failures = []

    def ensure(some):
        try:
            for record in some:
                any_house.keystore.ensure_data_keys(any_house.vault.key_pairs([record]), batch=None)
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
