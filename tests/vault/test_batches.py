"""Batches: resumed, repeated, discarded."""

import threading

import pytest
from sqlalchemy import func, select

from kernel.errors import Conflict, NotFound
from kernel.ids import BatchId
from vault.batches import BatchState
from vault.identity import IdentityKeys
from vault.tables import blind_index, data_key, sealed_record


def advance(house, batch, position, **counts):
    with house.data.write() as connection:
        return house.batches.advance(connection, batch, position=position, counts=counts, asking=house.asking)


def state(house, batch) -> BatchState:
    with house.data.read() as connection:
        return house.batches.get(connection, batch.batch_id).state


def count(database, table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def fill(house, batch, number=1):
    """Store a record of somebody new within an open batch, with link and key, as an ingestion does."""
    subject = house.subject()
    house.resolver.link([(subject, IdentityKeys("his", f"p-{number}"))], batch=batch.batch_id)
    house.store_chunk(batch, house.record(subject, number=number, diagnosis="icd10:I10", name="张三"))
    return subject


def test_an_interrupted_batch_is_resumed_where_it_stopped(any_house):
    """The same input opens the same batch at its position, with its counts."""
    batch = any_house.open_batch(b"input")
    advance(any_house, batch, 500, stored_records=480, duplicates=0)
    again = any_house.open_batch(b"input")
    assert (again.batch_id, again.position, again.is_done) == (batch.batch_id, 500, False)
    assert again.counts == {"stored_records": 480}


def test_a_completed_input_is_done(any_house):
    """Ingesting the same file twice does nothing the second time."""
    batch = any_house.open_batch(b"input")
    any_house.complete(batch)
    again = any_house.open_batch(b"input")
    assert again.is_done
    assert again.batch_id == batch.batch_id


def test_a_completed_input_can_be_taken_again_on_purpose(house):
    """After new decisions the same file may store what was refused before."""
    done = house.open_batch(b"input")
    house.complete(done)
    digest = house.batches.digest([b"input"])
    with house.data.write() as connection:
        again = house.batches.open(connection, kind="fhir", input_digest=digest, asking=house.asking, again=True)
    assert (again.is_done, again.batch_id != done.batch_id) == (False, True)
    assert house.open_batch(b"input").batch_id == again.batch_id


def test_another_kind_or_input_is_another_batch(house):
    """Kind and content together make an input."""
    batch = house.open_batch(b"input")
    assert house.open_batch(b"other").batch_id != batch.batch_id
    with house.data.write() as connection:
        digest = house.batches.digest([b"input"])
        other = house.batches.open(connection, kind="table", input_digest=digest, asking=house.asking)
    assert other.batch_id != batch.batch_id


def test_the_digest_is_keyed_and_takes_pieces(house):
    """The pieces' borders do not matter, and another key store gives another digest."""
    import hashlib

    digest = house.batches.digest([b"in", b"put"])
    assert digest == house.batches.digest([b"input"])
    assert digest != hashlib.sha256(b"input").hexdigest()
    assert len(digest) == 64


def test_counts_add_up_over_the_chunks(house):
    """Each chunk's counts are added."""
    batch = house.open_batch()
    batch = advance(house, batch, 1, stored_records=2, refused=1)
    batch = advance(house, batch, 2, stored_records=3)
    with house.data.read() as connection:
        stored = house.batches.get(connection, batch.batch_id)
    assert stored.counts == batch.counts == {"stored_records": 5, "refused": 1}


def test_two_processes_cannot_move_one_batch(house):
    """The second one is told, and its chunk rolls back."""
    batch = house.open_batch()
    advance(house, batch, 10)
    with pytest.raises(Conflict, match="another process"):
        advance(house, batch, 10)


def test_a_complete_batch_moves_no_more(house):
    """Neither advancing nor completing nor discarding it is possible."""
    batch = house.open_batch()
    house.complete(batch)
    with pytest.raises(Conflict):
        advance(house, batch, 1)
    with pytest.raises(Conflict):
        house.complete(batch)
    with pytest.raises(Conflict, match="cannot be discarded"):
        house.batches.discard(batch.batch_id, asking=house.asking)


def test_discarding_leaves_the_stores_as_they_were(any_house):
    """Rows, links and keys of the batch are gone; its input can be taken again."""
    other = any_house.open_batch()
    kept = fill(any_house, other, 1)
    any_house.complete(other)
    batch = any_house.open_batch(b"input")
    fill(any_house, batch, 2)
    any_house.batches.discard(batch.batch_id, asking=any_house.asking)
    assert state(any_house, batch) is BatchState.DISCARDED
    assert count(any_house.data, sealed_record) == 2
    assert count(any_house.keys, data_key) == 2
    assert count(any_house.keys, blind_index) == 1
    assert len(any_house.open(kept, "P02", "diagnosis")) == 1
    assert any_house.open_batch(b"input").batch_id != batch.batch_id


def test_a_key_that_another_batch_uses_survives(house):
    """Discarding the batch that made a key does not shred what others sealed with it."""
    batch = house.open_batch()
    subject = fill(house, batch, 1)
    house.store(house.record(subject, number=2, diagnosis="icd10:E11"))
    house.batches.discard(batch.batch_id, asking=house.asking)
    (opened,) = house.open(subject, "P02", "diagnosis")
    assert opened.values == {"diagnosis": "icd10:E11"}


def test_a_large_batch_is_discarded_in_small_steps(house, monkeypatch):
    """No step deletes more rows than its bound."""
    monkeypatch.setattr("vault.batches._DISCARDED_AT_ONCE", 3)
    batch = house.open_batch()
    for number in range(5):
        fill(house, batch, number)
    assert count(house.data, sealed_record) == 10
    house.batches.discard(batch.batch_id, asking=house.asking)
    assert count(house.data, sealed_record) == 0


def test_a_discard_that_a_crash_interrupted_is_finished(house):
    """The start-up goes on where the discard stopped; a repeated discard does too, and changes no more."""
    batch = house.open_batch()
    fill(house, batch)
    with house.data.write() as connection:
        house.batches._move(connection, batch, {"state": BatchState.DISCARDING})
    assert house.restarted().batches.finish_discards() == 1
    assert state(house, batch) is BatchState.DISCARDED
    assert count(house.data, sealed_record) == count(house.keys, data_key) == 0
    assert house.batches.finish_discards() == 0
    house.batches.discard(batch.batch_id, asking=house.asking)
    assert state(house, batch) is BatchState.DISCARDED


def test_a_repeated_discard_finishes_a_begun_one(house):
    """The same call goes on after a crash without a second entry."""
    batch = house.open_batch()
    fill(house, batch)
    with house.data.write() as connection:
        house.batches._move(connection, batch, {"state": BatchState.DISCARDING})
    house.batches.discard(batch.batch_id, asking=house.asking)
    assert state(house, batch) is BatchState.DISCARDED
    assert house.entries("batch.discarded") == []


def test_an_unknown_batch_is_not_found(house):
    """Discarding nothing is an error."""
    with pytest.raises(NotFound):
        house.batches.discard(BatchId("bat_none"), asking=house.asking)


def test_open_batches_are_listed(house):
    """The operator sees what waits to be resumed."""
    batch, done = house.open_batch(), house.open_batch()
    house.complete(done)
    with house.data.read() as connection:
        assert [waiting.batch_id for waiting in house.batches.unfinished(connection)] == [batch.batch_id]


def test_every_step_leaves_its_entry(house):
    """Opening, chunks, completing and discarding are in the log, with counts and the batch's id."""
    first = advance(house, house.open_batch(), 1, stored_records=4)
    house.complete(first)
    second = house.open_batch()
    house.batches.discard(second.batch_id, asking=house.asking)
    assert [entry["refs"]["batch"] for entry in house.entries("batch.opened")] == [first.batch_id, second.batch_id]
    assert house.entries("batch.chunk_stored")[0]["counts"] == {"stored_records": 4}
    assert house.entries("batch.completed")[0]["counts"] == {"stored_records": 4}
    assert house.entries("batch.discarded")[0]["refs"]["batch"] == second.batch_id


def test_a_discard_waits_for_whoever_stores_under_its_keys(pg_house):
    """Rows that another transaction is about to commit keep their key."""
    batch = pg_house.open_batch()
    subject = fill(pg_house, batch)
    other = pg_house.open_batch()
    record = pg_house.record(subject, number=2, diagnosis="icd10:E11")
    discard = threading.Thread(
        target=pg_house.batches.discard, args=(batch.batch_id,), kwargs={"asking": pg_house.asking}
    )
    with pg_house.data.write() as connection:
        pg_house.vault.store(connection, [record], permits=pg_house.permits(connection, [record]), batch=other)
        discard.start()
        discard.join(timeout=1)
        assert discard.is_alive(), "the discard must wait for the lock"
    discard.join(timeout=10)
    pg_house.complete(other)
    (opened,) = pg_house.open(subject, "P02", "diagnosis")
    assert opened.values == {"diagnosis": "icd10:E11"}
