"""Digests of contents by keys of their subjects: repeats are known, and an end makes them random bytes."""

import os

import pytest
from sqlalchemy import delete, select, update

from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from tests.vault.conftest import ASKING, House
from tests.vault.test_bulk import in_bulk, sealed, stored
from tests.vault.test_field_erasure import erase
from tests.vault.test_moving import merge, split
from vault._blinding import make_blinding_keys, unlocked_blinding
from vault._keyring import keyring_of
from vault._keys import BlindingKey
from vault._storing import encoder_of
from vault.records import KeysMoved, PlainRecord
from vault.suites import SUITES
from vault.tables import blinding_key, sealed_record


def key_ids(house: House, subject: SubjectId) -> list[bytes]:
    query = select(blinding_key.c.key_id).where(blinding_key.c.subject_id == subject)
    with house.keys.read() as connection:
        return list(connection.scalars(query.order_by(blinding_key.c.generation)))


def digests(house: House, subject: SubjectId) -> dict[bytes, bytes | None]:
    """What is stored of a subject's contents, and by which key."""
    query = select(sealed_record.c.content_key, sealed_record.c.blinding_id)
    with house.data.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query.where(sealed_record.c.subject_id == subject))}


def confirmed(house: House, guess: PlainRecord, copy: dict[bytes, bytes | None]) -> bool:
    """Try a guess at an older copy with all that the key store has today."""
    digest = encoder_of(keyring_of(house.keystore)).encode(guess).content_key
    with house.keys.read() as connection:
        subjects = list(connection.scalars(select(blinding_key.c.subject_id)))
    with unlocked_blinding(keyring_of(house.keystore), subjects) as blinding:
        return any(blinding.digest(content, by) == digest for content, by in copy.items())


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_a_digest_is_one_block_under_its_key(suite):
    """It keeps its length, comes back, is the same each time, and another under another key."""
    digest = os.urandom(16)
    key, other = (BlindingKey(os.urandom(8), os.urandom(suite.key_bytes), suite) for _ in range(2))
    assert key.blind(digest) == key.blind(digest) != digest
    assert len(key.blind(digest)) == len(digest)
    assert key.unblind(key.blind(digest)) == digest != other.unblind(key.blind(digest))
    with pytest.raises(IntegrityFailed, match="length"):
        BlindingKey(b"", bytes(8), suite)


@pytest.mark.parametrize(
    ("code", "key", "digest", "stored"),
    [
        (1, bytes(range(32)).hex(), "00112233445566778899aabbccddeeff", "8ea2b7ca516745bfeafc49904b496089"),
        (2, "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "681edf34d206965e86b3e94f536e4246"),
    ],
    ids=["fips-197-c3", "gbt-32907-a1"],
)
def test_the_block_is_that_of_the_standard(code, key, digest, stored):
    """The examples of FIPS 197 and GB/T 32907: nothing else happens to a digest."""
    assert BlindingKey(bytes(8), bytes.fromhex(key), SUITES[code]).blind(bytes.fromhex(digest)).hex() == stored


def test_what_is_stored_is_not_the_digest_under_the_service_key(any_house):
    """A repeat is known all the same, and so is one of a release that blinded nothing."""
    subject = any_house.subject()
    record = any_house.record(subject, diagnosis="icd10:I10")
    any_house.store(record)
    plain = encoder_of(keyring_of(any_house.keystore)).encode(record).content_key
    assert digests(any_house, subject).keys() != {plain}
    assert confirmed(any_house, record, digests(any_house, subject))
    assert any_house.store(record).duplicates == 1
    with any_house.data.write() as connection:
        connection.execute(update(sealed_record).values(content_key=plain, blinding_id=None))
    assert any_house.store(record).duplicates == 1
    assert in_bulk(any_house, record).duplicates == 1


def test_an_erased_subject_leaves_nothing_to_try(any_house):
    """The whole erasure destroys the key: an older copy confirms no guess beside today's key store."""
    subject, other = any_house.subject(), any_house.subject()
    records = [any_house.record(one, diagnosis="icd10:B20") for one in (subject, other)]
    any_house.store(*records)
    copy = digests(any_house, subject)
    any_house.eraser.erase(subject, asking=ASKING, reason="asked")
    assert key_ids(any_house, subject) == []
    assert not confirmed(any_house, records[0], copy)
    assert any_house.store(records[1]).duplicates == 1


def test_an_erased_part_leaves_nothing_to_try(any_house):
    """Erasing a field renews the key; what is left is under the new one, and is still known when it comes again."""
    subject = any_house.subject()
    lost = any_house.record(subject, number=1, consult_chat="头疼")
    kept = any_house.record(subject, number=2, diagnosis="icd10:I10")
    any_house.store(lost, kept)
    copy, before = digests(any_house, subject), key_ids(any_house, subject)
    erase(any_house, subject, "consult_chat")
    after = key_ids(any_house, subject)
    assert len(after) == 1
    assert after != before
    assert not confirmed(any_house, lost, copy)
    assert set(digests(any_house, subject).values()) == set(after)
    assert any_house.store(kept).duplicates == 1


def test_digests_of_an_older_release_are_blinded_by_an_erasure_of_a_part(house):
    """They get the key that they lacked."""
    subject = house.subject()
    kept = house.record(subject, number=2, diagnosis="icd10:I10")
    house.store(house.record(subject, number=1, consult_chat="头疼"), kept)
    with house.keys.write() as connection:
        connection.execute(delete(blinding_key))
    older = encoder_of(keyring_of(house.keystore)).encode(kept)
    mine = update(sealed_record).where(sealed_record.c.record_key == older.record_key)
    with house.data.write() as connection:
        connection.execute(mine.values(content_key=older.content_key, blinding_id=None))
    erase(house, subject, "consult_chat")
    assert older.content_key not in digests(house, subject)
    assert house.store(kept).duplicates == 1


def test_digests_move_with_their_records(any_house):
    """After a merge they are under the key of who is kept; after a split each has a key, and the older one is gone."""
    kept, dropped = any_house.subject(), any_house.subject()
    mine, theirs = (any_house.record(one, number=n, diagnosis="icd10:I10") for n, one in enumerate((kept, dropped)))
    any_house.store(mine, theirs)
    copy = digests(any_house, dropped)
    merge(any_house, kept, dropped)
    assert key_ids(any_house, dropped) == []
    assert set(digests(any_house, kept).values()) == set(key_ids(any_house, kept))
    assert not confirmed(any_house, theirs, copy)
    before = key_ids(any_house, kept)
    with any_house.data.read() as connection:
        number = connection.scalar(select(sealed_record.c.record_id).order_by(sealed_record.c.row_no.desc()).limit(1))
    fresh = split(any_house, kept, records=frozenset({number}))
    assert set(digests(any_house, fresh).values()) == set(key_ids(any_house, fresh))
    assert set(digests(any_house, kept).values()) == set(key_ids(any_house, kept))
    assert set(before).isdisjoint(key_ids(any_house, kept))


def test_a_chunk_that_was_sealed_by_an_older_key_is_sealed_again(house):
    """Its digests would not be found when the records come again."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    batch = house.open_batch()
    house.make_keys(record, batch=batch)
    chunk = sealed(house, record)
    with house.keys.write() as connection:
        make_blinding_keys(connection, keyring_of(house.keystore), {subject: 2})
    with pytest.raises(KeysMoved):
        stored(house, batch, chunk, [record])
    assert stored(house, batch, sealed(house, record), [record]).stored_records == 1


def test_a_discarded_batch_leaves_no_key(house):
    """The key goes with the last data key of its subject."""
    subject = house.subject()
    batch = house.open_batch()
    house.store_chunk(batch, house.record(subject, diagnosis="icd10:I10"))
    assert len(key_ids(house, subject)) == 1
    house.batches.discard(batch.batch_id, asking=ASKING)
    assert key_ids(house, subject) == []
