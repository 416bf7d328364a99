"""The key store: durable keys, the right root key, and no key for anybody outside."""

import threading

import pytest
from sqlalchemy import delete, select, update

from kernel.catalogue import Compartment
from kernel.errors import ConfigurationError, IntegrityFailed
from kernel.ids import BatchId, SubjectId, new_id
from vault._keyring import keyring_of
from vault._keys import Held, MacKey, UnlockedKeys, WrappingKey
from vault.custodian import KeyfileCustodian, RootKeyWrong
from vault.keystore import KeyStore, KeyStoreEmpty, KeyUnavailable, destroy_subject_keys
from vault.suites import AES
from vault.tables import data_key, epoch, key_tombstone, named_key

PAIRS = [(SubjectId("sub_a"), Compartment.CLINICAL), (SubjectId("sub_a"), Compartment.IDENTITY)]


def key_ids(house) -> list[bytes]:
    with house.keys.read() as connection:
        return sorted(connection.execute(select(data_key.c.key_id)).scalars())


def test_keys_are_durable_when_ensure_returns(house):
    """Another connection, as after a crash, finds them."""
    house.keystore.ensure_data_keys(PAIRS, batch=None)
    house.keys.dispose()
    assert len(key_ids(house.restarted())) == 2


def test_keys_are_made_once(any_house):
    """Ensuring again, in part or in whole, makes none anew."""
    any_house.keystore.ensure_data_keys(PAIRS[:1], batch=None)
    before = key_ids(any_house)
    any_house.keystore.ensure_data_keys(PAIRS, batch=BatchId("bat_1"))
    any_house.keystore.ensure_data_keys(PAIRS, batch=None)
    after = key_ids(any_house)
    assert len(after) == 2
    assert set(before) < set(after)


def test_two_writers_that_need_the_same_key_get_one(any_house):
    """Whoever comes second uses what the first has made."""
    pairs = [(SubjectId(new_id("sub")), Compartment.CLINICAL) for _ in range(20)]
    threads = [
        threading.Thread(target=any_house.keystore.ensure_data_keys, args=(pairs,), kwargs={"batch": None})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(key_ids(any_house)) == 20


def test_many_pairs_at_once_are_no_problem(house):
    """Thousands of keys are made in one go."""
    pairs = [(SubjectId(f"sub_{number}"), Compartment.WELLNESS) for number in range(3_000)]
    house.keystore.ensure_data_keys(pairs, batch=None)
    assert len(key_ids(house)) == 3_000


def test_no_pairs_need_no_keys(house):
    """An empty request leaves the store alone."""
    house.keystore.ensure_data_keys([], batch=None)
    assert key_ids(house) == []


def test_a_key_store_is_initialised_once(house):
    """A second initialisation is refused."""
    with pytest.raises(ConfigurationError, match="already initialised"):
        house.keystore.initialise()


def test_check_names_the_open_epoch(house):
    """The start-up sees epoch and age, never the key."""
    view = house.keystore.check()
    assert view.epoch_id.startswith("epo_")
    assert view.opened_at == house.clock.now()


def test_another_root_key_is_found_at_start_up(house, tmp_path):
    """A key store beside the wrong root key says so."""
    other = KeyStore(house.keys, KeyfileCustodian.create(tmp_path / "other.key"), house.clock)
    with pytest.raises(RootKeyWrong):
        other.check()


def test_an_empty_key_store_is_found_at_start_up(house):
    """Without an epoch nothing can be sealed."""
    with house.keys.write() as connection:
        connection.execute(delete(named_key))
        connection.execute(delete(epoch))
    with pytest.raises(KeyStoreEmpty):
        house.keystore.check()
    with pytest.raises(KeyStoreEmpty):
        house.keystore.ensure_data_keys(PAIRS, batch=None)


@pytest.mark.parametrize("change", [{"subject_id": "sub_b"}, {"compartment": "contact"}, {"wrapped": b"short"}])
def test_a_wrapped_key_that_was_moved_or_changed_does_not_unwrap(house, change):
    """A data key is bound to its subject and compartment."""
    house.keystore.ensure_data_keys(PAIRS[:1], batch=None)
    with house.keys.write() as connection:
        connection.execute(update(data_key).values(**change))
    keyring = keyring_of(house.keystore)
    subjects, compartments = {"sub_a", "sub_b"}, {Compartment.CLINICAL, Compartment.CONTACT}
    with pytest.raises(IntegrityFailed, match="changed"), keyring.unlocked(subjects, compartments):
        pass


def test_unlocked_keys_are_dropped_with_the_unit_of_work(house):
    """After the block nothing can be sealed or opened with them, also when it failed."""
    house.keystore.ensure_data_keys(PAIRS, batch=None)
    keyring = keyring_of(house.keystore)
    with keyring.unlocked({"sub_a"}, set(Compartment)) as keys:
        assert len(keys) == 2
        key_id = keys.sealing(PAIRS[0]).key_id
    assert len(keys) == 0
    assert key_id not in keys
    with pytest.raises(KeyUnavailable, match=key_id.hex()):
        keys.opening(key_id)
    with pytest.raises(KeyUnavailable):
        keys.sealing(PAIRS[0])
    with pytest.raises(ZeroDivisionError), keyring.unlocked({"sub_a"}, set(Compartment)) as failed:
        _ = 1 / 0
    assert len(failed) == 0


def test_only_the_needed_compartments_are_unlocked(house):
    """A unit of work holds the keys that it needs and no others."""
    house.keystore.ensure_data_keys(PAIRS, batch=None)
    with keyring_of(house.keystore).unlocked({"sub_a"}, {Compartment.IDENTITY}) as keys:
        assert len(keys) == 1
        assert keys.sealing(PAIRS[1])


def test_destroyed_keys_leave_tombstones_and_nothing_else(house):
    """Only the ids of the destroyed keys are left."""
    house.keystore.ensure_data_keys(PAIRS, batch=None)
    kept, *_ = before = key_ids(house)
    with house.keys.write() as connection:
        destroy_subject_keys(connection, SubjectId("sub_a"), needed={kept}, erasure="era_1", clock=house.clock)
    assert key_ids(house) == [kept]
    with house.keys.read() as connection:
        (stone,) = connection.execute(select(key_tombstone)).all()
    assert (stone.key_id, stone.erasure_id, stone.destroyed_at) == (before[1], "era_1", house.clock.now())


def test_keys_of_a_discarded_batch_go_unless_rows_use_them(house):
    """What another batch sealed with a key keeps it."""
    house.keystore.ensure_data_keys(PAIRS, batch=BatchId("bat_1"))
    assert house.keystore.keys_of_batch(BatchId("bat_1")) == PAIRS
    assert house.keystore.drop_unused_keys(BatchId("bat_1"), in_use=PAIRS[:1]) == 1
    assert len(key_ids(house)) == 1
    assert house.keystore.drop_unused_keys(BatchId("bat_2"), in_use=[]) == 0


@pytest.mark.parametrize(
    "secret",
    [WrappingKey("epo_1", bytes(32), AES), MacKey(b"\x2a" * 32, AES), UnlockedKeys()],
    ids=lambda secret: type(secret).__name__,
)
def test_keys_in_memory_neither_show_nor_travel(secret):
    """No repr or pickle holds a key."""
    import pickle

    assert "*" * 8 not in repr(secret)
    assert repr(secret).startswith(type(secret).__name__)
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(secret)


def test_a_held_key_is_dropped_after_a_minute_or_for_another(house):
    """Service keys are kept between calls for a short time only, whichever way the clock moves."""
    from datetime import timedelta

    loads = []
    held = Held(house.clock)

    def load():
        loads.append(1)
        return object()

    first = held.get("a", load)
    assert held.get("a", load) is first
    assert held.get("b", load) is not first
    again = held.get("a", load)
    house.clock.advance(timedelta(seconds=60))
    assert held.get("a", load) is not again
    house.clock.advance(timedelta(seconds=-1))
    held.get("a", load)
    held.drop()
    held.get("a", load)
    assert len(loads) == 6
