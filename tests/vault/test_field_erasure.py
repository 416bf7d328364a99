"""Erasure of chosen fields: what goes, what stays readable, what an old copy can give, and crashes in between."""

import itertools
import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle

import pytest
from sqlalchemy import select, update

from consent.standing import Standing
from kernel.catalogue import Compartment
from kernel.errors import Conflict, IntegrityFailed, Unavailable
from kernel.ids import SubjectId, new_id
from vault._erasable import rows_of
from vault._keys import KeyUnavailable
from vault._resealing import open_values, reseal
from vault._rows import binding_of, header_of
from vault.envelope import of_row, open_many
from vault.epoch_rotation import rotate_epoch
from vault.identity import IdentityKeys
from vault.payload import pack, unpack
from vault.tables import blind_index, data_key, erasure, key_tombstone, sealed_record, tombstone

DEPLOYMENT = "dep_test"
KEY_ID_AT = 2
"""Version and suite stand before the key's id; see docs/reference/ciphertext-format.md."""

KEYS_MADE, BEGUN, DESTROYED, CONCLUDED = range(4)


def these(*fields):
    """Chooses always the same."""
    return lambda _connection, _stored: fields


def fill(house, number: int = 1) -> SubjectId:
    """Somebody with two records: free and held clinical values, identity, behaviour."""
    subject = house.subject()
    house.store(
        house.record(subject, number=number, name="张三", consult_chat="头疼", diagnosis="icd10:I10"),
        house.record(subject, kind="visit", number=number, event_type="page_view", page="/a"),
    )
    return subject


def erase(house, subject, *fields):
    return house.eraser.fields.erase(subject, these(*fields), asking=house.asking, reason="withdrawn")


def values(house, subject, purpose, *fields):
    return {code: value for record in house.open(subject, purpose, *fields) for code, value in record.values.items()}


def column(database, wanted, *where) -> set:
    with database.read() as connection:
        return set(connection.execute(select(wanted).where(*where)).scalars())


def keys_of(house, subject) -> set[bytes]:
    return column(house.keys, data_key.c.key_id, data_key.c.subject_id == subject)


def run_until(house, subject, stop: int, *fields) -> None:
    """Run a field erasure up to a point and stop there, as a crash would."""
    from vault.field_erasure import _by_choice, _work

    eraser, request = house.eraser.fields, _by_choice(these(*fields), house.asking)
    eraser._make_keys(subject, request)
    if stop >= BEGUN:
        erasure_id = eraser._begin(subject, request)
        for step in eraser._steps[: stop - BEGUN]:
            step(_work(eraser._row(erasure_id)))


def test_the_chosen_field_is_gone_and_the_rest_is_read_as_before(any_house):
    """R15: one field of all records goes; other fields, records and people stay."""
    subject, other = fill(any_house, 1), fill(any_house, 2)
    made = erase(any_house, subject, "consult_chat")
    assert made.fields == {"consult_chat"}
    assert made.counts == {"values": 1, "rows": 1, "keys": 1, "held_values": 0}
    assert made.held_until is None
    assert values(any_house, subject, "P02", "name", "consult_chat", "diagnosis") == {
        "name": "张三",
        "diagnosis": "icd10:I10",
    }
    assert values(any_house, subject, "P08", "page") == {"page": "/a"}
    assert values(any_house, other, "P02", "consult_chat") == {"consult_chat": "头疼"}
    assert any_house.standing(subject) is Standing.ACTIVE


def test_a_value_is_cut_out_of_a_row_that_it_shares(house):
    """The other value of the row is sealed anew, and the digest that the erased one went into is replaced."""
    subject = fill(house)
    digests = column(house.data, sealed_record.c.content_key, sealed_record.c.kind == "visit")
    made = erase(house, subject, "page")
    assert (made.counts["values"], made.counts["rows"]) == (1, 0)
    assert values(house, subject, "P08", "page", "event_type") == {"event_type": "page_view"}
    assert digests.isdisjoint(column(house.data, sealed_record.c.content_key))


def test_records_that_lost_a_value_are_not_taken_for_each_other(house):
    """What replaces their digests is random for each: a merge would drop equal ones as the same record."""
    subject = house.subject()
    house.store(*[house.record(subject, number=number, name="张三", consult_chat=str(number)) for number in (1, 2)])
    erase(house, subject, "consult_chat")
    with house.data.read() as connection:
        stored = connection.execute(select(sealed_record.c.record_id, sealed_record.c.content_key)).all()
    assert len({row.record_id for row in stored}) == len({row.content_key for row in stored}) == 2


def test_the_old_keys_are_destroyed_and_named_everywhere(house):
    """Tombstones in both stores, and the entry alone can replay them."""
    subject = fill(house)
    before = keys_of(house, subject)
    erase(house, subject, "consult_chat", "page")
    gone = before - keys_of(house, subject)
    assert len(gone) == 2
    assert column(house.keys, key_tombstone.c.key_id) == column(house.data, tombstone.c.key_id) == gone
    (entry,) = house.entries("fields.erased")
    assert {bytes.fromhex(text) for name, text in entry["refs"].items() if name.startswith("key_")} == gone
    assert entry["fields"] == ["consult_chat", "page"]
    assert entry["counts"]["keys"] == 2
    assert [begun["fields"] for begun in house.entries("fields.erasing")] == [["consult_chat", "page"]]


def test_an_older_copy_of_the_data_store_gives_nothing_back(house):
    """R15: beside today's key store, rows under the destroyed keys do not open, whatever they held."""
    subject, other = fill(house, 1), fill(house, 2)
    house.log.settle()
    house.data.dispose()
    copy = (house.folder / "data.db").read_bytes()
    signed = (house.folder / "signer.state").read_bytes()
    erase(house, subject, "consult_chat")
    house.data.dispose()
    (house.folder / "data.db").write_bytes(copy)
    (house.folder / "signer.state").write_bytes(signed)
    assert column(house.data, sealed_record.c.row_no, sealed_record.c.subject_id == subject)
    assert values(house, subject, "P02", "consult_chat", "diagnosis") == {}
    assert values(house, other, "P02", "consult_chat") == {"consult_chat": "头疼"}


def test_the_rows_of_an_older_copy_open_under_none_of_todays_keys(any_house):
    """R15: every value of the compartment, taken byte for byte from a backup, against every key that there is now."""
    house = any_house
    subject = fill(house)
    with house.data.read() as connection:
        old = [row for row in rows_of(connection, subject) if row.compartment == "clinical"]
    with house.vault._reading.keyring.unlocked([subject], list(Compartment)) as keys:
        opened = [value for row in old for value in open_values(row, keys, DEPLOYMENT).values()]
    assert any("头疼".encode() in value for value in opened)
    erase(house, subject, "consult_chat")
    with house.vault._reading.keyring.unlocked([subject], list(Compartment)) as keys:
        for row in old:
            with pytest.raises(KeyUnavailable):
                open_values(row, keys, DEPLOYMENT)
        todays = [keys.opening(key_id) for key_id in keys_of(house, subject)]
        assert todays
        for row, key in itertools.product(old, todays):
            holder = of_row(DEPLOYMENT, header_of(row))
            for code, sealed in unpack(row.payload):
                renamed = key.key_id.join((sealed[:KEY_ID_AT], sealed[KEY_ID_AT + len(key.key_id) :]))
                for value in (sealed, renamed):
                    with pytest.raises(IntegrityFailed):
                        open_many([(key, binding_of(row, holder, code), value)])


def test_the_wrapped_key_of_an_erased_field_is_in_no_file_of_the_key_store(house):
    """R15: what was destroyed cannot be dug out of the key store's own pages either."""
    subject = fill(house)
    wrapped = dict(zip(*(column_list(house.keys, c) for c in (data_key.c.key_id, data_key.c.wrapped)), strict=True))
    erase(house, subject, "consult_chat")
    gone = set(wrapped) - keys_of(house, subject)
    assert gone
    house.keys.dispose()
    stored = b"".join(file.read_bytes() for file in house.folder.glob("keys.db*"))
    assert all(wrapped[key_id] in stored for key_id in set(wrapped) - gone)
    assert not any(wrapped[key_id] in stored for key_id in gone)


def column_list(database, wanted) -> list:
    with database.read() as connection:
        return list(connection.execute(select(wanted).order_by(data_key.c.key_id)).scalars())


def test_what_a_legal_floor_holds_stays_and_is_counted(house):
    """R16: the diagnosis is held for fifteen years; it is left, and the outcome says until when."""
    subject = fill(house)
    made = erase(house, subject, "diagnosis", "consult_chat")
    assert made.fields == {"consult_chat"}
    assert made.counts["held_values"] == 1
    assert made.held_until == house.clock.now() + timedelta(days=15 * 365)
    assert values(house, subject, "P02", "diagnosis", "consult_chat") == {"diagnosis": "icd10:I10"}
    (entry,) = house.entries("fields.erased")
    assert entry["reason"] == "LEGAL_HOLD"


def test_only_held_values_leave_no_trace_but_the_answer(house):
    """Nothing is destroyed or logged where the law holds all of it."""
    made = erase(house, fill(house), "diagnosis")
    assert (made.erasure_id, made.fields) == (None, frozenset())
    assert made.counts == {"values": 0, "rows": 0, "keys": 0, "held_values": 1}
    assert made.held_until is not None
    assert house.entries("fields.erasing") == []


def test_after_the_floor_the_field_can_be_erased(house):
    """Values whose hold is over are as free as any."""
    subject = house.subject()
    house.store(house.record(subject, order_amount="12.50"))
    house.clock.advance(timedelta(days=4 * 365))
    assert erase(house, subject, "order_amount").counts["values"] == 1


def test_erasing_what_is_not_there_does_nothing(house):
    """A second erasure finds nothing, and makes no key."""
    subject = fill(house)
    erase(house, subject, "consult_chat")
    keys = keys_of(house, subject)
    assert erase(house, subject, "consult_chat", "mobile").erasure_id is None
    assert keys_of(house, subject) == keys


def test_an_unknown_subject_has_nothing_to_erase(house):
    """Nobody's fields are none; the mark is what needs a standing."""
    assert erase(house, SubjectId(new_id("sub")), "name").erasure_id is None


@pytest.mark.parametrize("stop", [KEYS_MADE, BEGUN, DESTROYED, CONCLUDED])
def test_a_crash_anywhere_is_finished(any_house, stop):
    """Wherever it stops, the next start and the next request bring it to the same end."""
    subject = fill(any_house)
    run_until(any_house, subject, stop, "consult_chat")
    restarted = any_house.restarted()
    assert restarted.eraser.resume() == []
    erase(restarted, subject, "consult_chat")
    assert values(restarted, subject, "P02", "name", "consult_chat", "diagnosis") == {
        "name": "张三",
        "diagnosis": "icd10:I10",
    }
    assert len(any_house.entries("fields.erased")) == 1
    assert len(column(any_house.keys, key_tombstone.c.key_id)) == 1
    assert column(any_house.keys, key_tombstone.c.key_id) == column(any_house.data, tombstone.c.key_id)
    assert column(any_house.data, erasure.c.state) == {"erased"}


def test_from_the_first_commit_on_nothing_stays_under_the_old_key(house):
    """Between the commit and the destruction of the keys no stored row needs them."""
    subject = fill(house)
    before = column(house.data, sealed_record.c.key_id, sealed_record.c.compartment == "clinical")
    run_until(house, subject, BEGUN, "consult_chat")
    assert before.isdisjoint(column(house.data, sealed_record.c.key_id))
    assert before <= keys_of(house, subject)
    assert house.eraser.fields.resume() == 1
    assert before.isdisjoint(keys_of(house, subject))


def test_the_next_request_finishes_what_was_interrupted(house):
    """Another process that goes on with the same work destroys the keys and gets the outcome."""
    subject = fill(house)
    run_until(house, subject, BEGUN, "consult_chat")
    made = erase(house, subject, "consult_chat")
    assert (made.fields, made.counts["values"]) == ({"consult_chat"}, 1)
    assert column(house.data, erasure.c.state) == {"erased"}
    assert len(house.entries("fields.erased")) == 1


def test_every_step_can_be_repeated(house):
    """A step that ran before the crash runs again without harm."""
    from vault.field_erasure import _work

    subject = fill(house)
    run_until(house, subject, BEGUN, "consult_chat")
    eraser = house.eraser.fields
    (erasure_id,) = column(house.data, erasure.c.erasure_id)
    for step in eraser._steps:
        step(_work(eraser._row(erasure_id)))
        step(_work(eraser._row(erasure_id)))
    assert len(house.entries("fields.erased")) == 1


def test_a_whole_erasure_overtakes_an_unfinished_one(house):
    """The keys that were still to go are gone with all others, and both end."""
    subject = fill(house)
    run_until(house, subject, BEGUN, "consult_chat")
    assert house.erase(subject).restricted_until is not None
    assert house.restarted().eraser.resume() == []
    assert column(house.data, erasure.c.state) == {"restricted", "erased"}
    assert house.standing(subject) is Standing.RESTRICTED
    assert values(house, subject, "P05", "diagnosis", "consult_chat") == {"diagnosis": "icd10:I10"}


def test_a_restricted_subject_keeps_its_fields(house):
    """R16: a restriction keeps what it finds; single fields do not go either."""
    subject = fill(house)
    house.erase(subject)
    with pytest.raises(Conflict, match="restricted"):
        erase_free(house, subject)
    assert values(house, subject, "P05", "diagnosis") == {"diagnosis": "icd10:I10"}


def erase_free(house, subject):
    house.clock.advance(timedelta(days=15 * 365))
    try:
        return erase(house, subject, "diagnosis")
    finally:
        house.clock.advance(timedelta(days=-15 * 365))


def test_a_row_that_does_not_verify_stops_it(house):
    """A forged end of a hold destroys nothing."""
    subject = fill(house)
    with house.data.write() as connection:
        connection.execute(update(sealed_record).where(sealed_record.c.purpose == "P02").values(held_until=None))
    with pytest.raises(IntegrityFailed, match="stops"):
        erase(house, subject, "diagnosis")
    assert house.entries("fields.erasing") == []
    assert column(house.keys, key_tombstone.c.key_id) == set()


def test_a_renamed_value_is_not_taken_for_another(house):
    """A value whose code was changed beside it fails to open before its row is deleted."""
    subject = fill(house)
    with house.data.write() as connection:
        where = sealed_record.c.kind == "visit"
        sealed = dict(unpack(connection.execute(select(sealed_record.c.payload).where(where)).scalar_one()))
        renamed = pack({"event_type": sealed["event_type"], "coupon": sealed["page"]})
        connection.execute(update(sealed_record).where(where).values(payload=renamed))
    with pytest.raises(IntegrityFailed):
        erase(house, subject, "event_type", "coupon")
    assert column(house.data, sealed_record.c.row_no, sealed_record.c.kind == "visit")


def test_the_same_record_can_be_stored_again(house):
    """Who grants again gets the field back with the next delivery; what stayed is not told twice."""
    subject = fill(house)
    sent = house.record(subject, kind="visit", event_type="page_view", page="/a")
    assert house.store(sent).duplicates == 1
    erase(house, subject, "page")
    assert house.store(sent).stored_records == 1
    (record,) = house.open(subject, "P08", "page", "event_type")
    assert record.values == {"event_type": "page_view", "page": "/a"}
    assert house.store(sent).duplicates == 1


def linked(house) -> SubjectId:
    subject = house.subject()
    house.store(house.record(subject, id_number="id-1", mobile="13800000001", consult_chat="a"))
    house.resolver.link([(subject, IdentityKeys("his", "p-1", id_number="id-1", mobile="13800000001"))], batch=None)
    return subject


def test_the_index_of_an_erased_mobile_goes(house):
    """A mobile finds nobody any more; the ID number still does, since other data stays."""
    subject = linked(house)
    erase(house, subject, "mobile", "id_number")
    assert column(house.keys, blind_index.c.field) == {"id_number", "source_subject"}
    assert house.eraser.resume() == []
    assert house.resolver.find_by_id_number("id-1") == subject


def test_the_index_of_the_id_number_goes_with_the_last_value(house):
    """Where nothing is stored any more, nothing of the ID number stays either."""
    subject = linked(house)
    erase(house, subject, "mobile", "id_number", "consult_chat")
    assert column(house.keys, blind_index.c.field) == {"source_subject"}
    assert column(house.data, sealed_record.c.row_no) == set()


def test_rows_of_an_open_batch_lose_the_field_too(house):
    """What is not visible yet is personal data all the same, and the batch can still be completed."""
    subject = house.subject()
    batch = house.open_batch()
    house.store_chunk(batch, house.record(subject, name="张三", consult_chat="a"))
    assert erase(house, subject, "consult_chat").counts["values"] == 1
    house.complete(batch)
    assert values(house, subject, "P02", "name", "consult_chat") == {"name": "张三"}


def test_what_counts_is_the_choice_under_the_lock(house):
    """A grant between the first look and the lock keeps the field; a withdrawal takes it at once."""
    subject, asked = fill(house), iter([("consult_chat",), (), ("page",), ("consult_chat",)])
    erase_by = house.eraser.fields.erase
    kept = erase_by(subject, lambda _c, _s: next(asked), asking=house.asking, reason="withdrawn")
    assert kept.erasure_id is None
    looks = iter([(), ("page",), ("page",), ("page",)])
    made = erase_by(subject, lambda _c, _s: next(looks), asking=house.asking, reason="withdrawn")
    assert made.fields == {"page"}
    assert values(house, subject, "P02", "consult_chat") == {"consult_chat": "头疼"}


def test_a_choice_that_never_stands_still_is_given_up(house):
    """Nothing is erased without a new key for what stays."""
    subject = fill(house)
    looks = cycle([(), ("page",)])
    with pytest.raises(Unavailable, match="being changed"):
        house.eraser.fields.erase(subject, lambda _c, _s: next(looks), asking=house.asking, reason="withdrawn")
    assert values(house, subject, "P08", "page") == {"page": "/a"}


def test_a_read_that_an_erasure_overtakes_sees_what_stays(house, monkeypatch):
    """Rows found before and keys after the erasure: the reader looks again instead of missing records."""
    subject = fill(house)
    keyring, left = house.vault._reading.keyring, iter([True])
    wrapped = keyring.wrapped

    @contextmanager
    def overtaken(*asked):
        if next(left, False):
            erase(house, subject, "consult_chat")
        with wrapped(*asked) as keys:
            yield keys

    permit = house.permit(subject, "P02", "diagnosis", "consult_chat")
    receipt = house.receipt(permit)
    monkeypatch.setattr(keyring, "wrapped", overtaken)
    (record,) = house.vault.open(permit, receipt, subject=subject, fields=["diagnosis", "consult_chat"])
    assert record.values == {"diagnosis": "icd10:I10"}


def test_ingestion_and_erasure_do_not_hurt_each_other(any_house):
    """Records that arrive while fields are erased again and again are all there, without the field or with it."""
    subject, failed = any_house.subject(), []

    def ingest() -> None:
        try:
            for number in range(12):
                any_house.store(any_house.record(subject, number=number, name=f"n{number}", consult_chat="a"))
        except Exception as err:  # noqa: BLE001 - told below
            failed.append(err)

    writer = threading.Thread(target=ingest)
    writer.start()
    while writer.is_alive():
        erase(any_house, subject, "consult_chat")
    writer.join()
    erase(any_house, subject, "consult_chat")
    assert failed == []
    records = any_house.open(subject, "P02", "name", "consult_chat")
    assert sorted(json.dumps(record.values) for record in records) == sorted(
        json.dumps({"name": f"n{number}"}) for number in range(12)
    )


def test_a_rotation_in_between_changes_nothing(any_house):
    """The end of an epoch between two steps rewraps the new keys as well as the old."""
    subject = fill(any_house)
    run_until(any_house, subject, BEGUN, "consult_chat")
    rotate_epoch(any_house.keystore, any_house.data, any_house.log, asking=any_house.asking)
    assert any_house.eraser.fields.resume() == 1
    rotate_epoch(any_house.keystore, any_house.data, any_house.log, asking=any_house.asking)
    assert values(any_house, subject, "P02", "diagnosis", "consult_chat") == {"diagnosis": "icd10:I10"}


def test_resealing_nothing_changes_nothing(house):
    """No move, no statement."""
    subject = fill(house)
    before = column(house.data, sealed_record.c.payload)
    with house.data.write() as connection, house.vault._reading.keyring.unlocked([subject], []) as keys:
        reseal(connection, [], keys, deployment="dep_test")
    assert column(house.data, sealed_record.c.payload) == before
