"""Identifiers sealed beside their digests live and die with the keys of their fields."""

import pytest
from sqlalchemy import select

from kernel.errors import IntegrityFailed
from vault._identifiers import keys_of_identifiers, open_identifier
from vault._keyring import keyring_of
from vault.blind_index import ID_NUMBER, MOBILE, SOURCE_ID
from vault.envelope import length_prefixed, read_key_id
from vault.identity import IdentityKeys
from vault.index_rotation import rotate_index
from vault.tables import blind_index, data_key, identity_fact, key_tombstone

I10 = "icd10:I10"
STATED = IdentityKeys("his", "p-1", "id-1", sex="female", mobile="13800000001")


def patient(house):
    """Somebody with a name, an ID number, a mobile and a diagnosis, and links."""
    subject = house.subject()
    house.store(house.record(subject, name="张三", id_number="id-1", mobile="13800000001", diagnosis=I10))
    house.resolver.link([(subject, STATED)], batch=None)
    return subject


def rows(house):
    """The links with their copies, by index."""
    with house.keys.read() as connection:
        query = select(blind_index, blind_index.c.field.label("name"))
        return {row.name: row for row in connection.execute(query)}


def opened(house, row) -> bytes:
    keyring = keyring_of(house.keystore)
    with house.keys.read() as connection, keys_of_identifiers(keyring, connection, [row.sealed]) as keys:
        return open_identifier(row, keys=keys, table=blind_index)


def tombstones(house) -> set[bytes]:
    with house.keys.read() as connection:
        return set(connection.scalars(select(key_tombstone.c.key_id)))


def test_each_copy_lies_under_a_key_of_its_fields_compartment(any_house):
    """ID number and source id under identity, the mobile under contact, birth date and sex under demographic."""
    patient(any_house)
    with any_house.keys.read() as connection:
        compartments = dict(connection.execute(select(data_key.c.key_id, data_key.c.compartment)).all())
        fact = connection.scalars(select(identity_fact.c.sealed)).one()
    found = {name: compartments[read_key_id(row.sealed)] for name, row in rows(any_house).items()}
    assert found == {ID_NUMBER: "identity", SOURCE_ID: "identity", MOBILE: "contact"}
    assert compartments[read_key_id(fact)] == "demographic"
    assert opened(any_house, rows(any_house)[ID_NUMBER]) == length_prefixed("ID-1")


def test_a_copy_that_is_moved_to_another_row_does_not_open(house):
    """It is bound to whose it is and to what it is."""
    patient(house)
    links = rows(house)
    with house.keys.write() as connection:
        moved = blind_index.update().where(blind_index.c.field == ID_NUMBER)
        connection.execute(moved.values(sealed=links[SOURCE_ID].sealed))
    with pytest.raises(IntegrityFailed):
        opened(house, rows(house)[ID_NUMBER])


@pytest.mark.parametrize(
    ("field", "left"), [("mobile", {ID_NUMBER, SOURCE_ID}), ("name", {ID_NUMBER, SOURCE_ID, MOBILE})]
)
def test_the_erasure_of_a_field_takes_its_copy_and_moves_the_others(any_house, field, left):
    """No living copy is under a destroyed key, and what stays can be digested anew."""
    subject = patient(any_house)
    before = rows(any_house)
    any_house.eraser.fields.erase(subject, lambda _c, _f: {field}, asking=any_house.asking, reason="asked")
    after = rows(any_house)
    assert after.keys() == left
    dead = tombstones(any_house)
    assert dead
    assert all(read_key_id(row.sealed) not in dead for row in after.values())
    assert any(read_key_id(row.sealed) in dead for row in before.values())
    for index in (ID_NUMBER, SOURCE_ID):
        assert rotate_index(any_house.keystore, any_house.data, any_house.log, index, asking=any_house.asking).is_done
    assert any_house.resolver.find("his", "p-1") == subject


def test_an_erased_id_number_leaves_a_digest_and_no_copy(any_house):
    """The person is still told from others by it; the number is gone, in older copies of the key store, too."""
    subject = patient(any_house)
    before = rows(any_house)[ID_NUMBER].sealed
    any_house.eraser.fields.erase(subject, lambda _c, _f: {"id_number"}, asking=any_house.asking, reason="asked")
    assert rows(any_house)[ID_NUMBER].sealed is None
    assert read_key_id(before) in tombstones(any_house)
    assert any_house.resolver.find_by_id_number("id-1") == subject
    waits = rotate_index(any_house.keystore, any_house.data, any_house.log, ID_NUMBER, asking=any_house.asking)
    assert waits.unsealed == 1


def test_a_restricted_subject_is_found_by_its_source_and_keeps_no_other_identifier(any_house):
    """What the law holds stays, and the way to it; the copies of erased identifiers go."""
    subject = patient(any_house)
    any_house.erase(subject)
    left = rows(any_house)
    assert left[SOURCE_ID].sealed is not None
    assert left.get(MOBILE) is None
    assert left[ID_NUMBER].sealed is None
    assert opened(any_house, left[SOURCE_ID]) == length_prefixed("his", "p-1")


def test_a_discarded_batch_leaves_the_keys_of_links_that_another_one_made(any_house):
    """Its unused keys go, but not one that seals an identifier which somebody else said."""
    subject = any_house.subject()
    batch = any_house.open_batch()
    any_house.store_chunk(batch, any_house.record(subject, name="张三"))
    any_house.resolver.link([(subject, STATED)], batch=batch.batch_id)
    any_house.resolver.link([(subject, IdentityKeys("shop", "c-9"))], batch=None)
    any_house.batches.discard(batch.batch_id, asking=any_house.asking)
    (row,) = rows(any_house).values()
    assert opened(any_house, row) == length_prefixed("shop", "c-9")
    with any_house.keys.read() as connection:
        assert connection.scalars(select(data_key.c.compartment)).all() == ["identity"]
