"""Storing and opening records."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from audit.receipts import ReceiptRefused
from consent.permits import PermitExpired
from consent.standing import Standing, set_standing
from kernel.clock import to_micros
from kernel.errors import BadInput, Conflict, Denied, IntegrityFailed
from kernel.ids import SubjectId, new_id
from vault._keys import MacKey
from vault._sealing import Encoder, Placing, split
from vault.keystore import KeyUnavailable
from vault.records import PlainRecord
from vault.suites import AES
from vault.tables import data_key, sealed_record


def test_stored_values_come_back_for_permit_and_receipt(any_house):
    """What was stored is what is opened, value for value, on either engine."""
    subject = any_house.subject()
    values = {"diagnosis": "icd10:E11.9", "consult_chat": "头疼三天 🤕"}
    counts = any_house.store(any_house.record(subject, **values))
    (opened,) = any_house.open(subject, "P02", "diagnosis", "consult_chat")
    assert (opened.values, opened.kind, opened.source) == (values, "encounter", "his")
    assert opened.observed_at == any_house.clock.now()
    assert (counts.stored_records, counts.stored_fields, counts.duplicates, counts.expired_fields) == (1, 2, 0, 0)


def test_every_kind_of_json_value_round_trips(house):
    """Text, whole numbers, booleans, lists and quantities keep their type."""
    subject = house.subject()
    values = {"diagnosis": ["icd10:I10", "icd10:E11"], "name": {"code": "a", "value": "5.6"}, "consult_chat": 7}
    house.store(house.record(subject, **values))
    (opened,) = house.open(subject, "P02", *values)
    assert opened.values == values


def test_only_the_asked_fields_come_back(house):
    """A field that was not asked for stays sealed even where the permit would cover it."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10", consult_chat="hello"))
    permit = house.permit(subject, "P02", "diagnosis", "consult_chat")
    (opened,) = house.vault.open(permit, house.receipt(permit), subject=subject, fields=["diagnosis"])
    assert opened.values == {"diagnosis": "icd10:I10"}


def test_only_the_asked_kinds_come_back(house):
    """Records of other kinds are left out."""
    subject = house.subject()
    house.store(house.record(subject, "condition", diagnosis="icd10:I10"), house.record(subject, diagnosis="icd10:E11"))
    permit = house.permit(subject, "P02", "diagnosis")
    opened = house.vault.open(permit, house.receipt(permit), subject=subject, fields=["diagnosis"], kinds=["condition"])
    assert [record.values["diagnosis"] for record in opened] == ["icd10:I10"]


def test_records_come_oldest_observation_first(house):
    """The order is that of the observations, not that of storing."""
    subject = house.subject()
    late = house.record(subject, number=1, diagnosis="late")
    house.clock.advance(-timedelta(days=3))
    early = house.record(subject, number=2, diagnosis="early")
    house.clock.advance(timedelta(days=3))
    house.store(late, early)
    assert [r.values["diagnosis"] for r in house.open(subject, "P02", "diagnosis")] == ["early", "late"]


def test_rows_of_an_open_batch_are_invisible(house):
    """Nothing of a batch is read before it is complete."""
    subject = house.subject()
    batch = house.open_batch()
    house.store_chunk(batch, house.record(subject, diagnosis="icd10:I10"))
    assert house.open(subject, "P02", "diagnosis") == []
    house.complete(batch)
    assert len(house.open(subject, "P02", "diagnosis")) == 1


def test_the_same_record_again_is_counted_and_skipped(any_house):
    """Ingesting the same content twice stores it once."""
    subject = any_house.subject()
    record = any_house.record(subject, diagnosis="icd10:I10", name="张三")
    any_house.store(record, record)
    again = any_house.store(record)
    assert (again.stored_records, again.stored_fields, again.duplicates) == (0, 0, 1)
    assert len(any_house.open(subject, "P02", "diagnosis")) == 1


def test_a_newer_version_replaces_its_fields_and_keeps_the_others(house):
    """A source that sends a record again corrects what it states, and does not double it."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10", consult_chat="hello"))
    house.store(house.record(subject, diagnosis="icd10:E11"))
    (opened,) = house.open(subject, "P02", "diagnosis", "consult_chat")
    assert opened.values == {"diagnosis": "icd10:E11", "consult_chat": "hello"}


def test_equal_contents_of_two_people_do_not_show(house):
    """Nothing on disk tells that two people have the same diagnosis."""
    house.store(*(house.record(house.subject(), diagnosis="icd10:B20") for _ in range(2)))
    with house.data.read() as connection:
        rows = connection.execute(select(sealed_record)).all()
    assert len({row.content_key for row in rows}) == len({row.record_key for row in rows}) == len(rows) == 2


def test_the_same_record_in_another_open_batch_is_a_conflict(house):
    """A record must not count as a duplicate of one that may still be discarded."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    house.store_chunk(house.open_batch(), record)
    with pytest.raises(Conflict, match="holds the same record"):
        house.store_chunk(house.open_batch(), record)


def test_a_chunk_without_records_stores_nothing(house):
    """An empty chunk is no error."""
    assert house.store().stored_records == 0


def test_storing_needs_an_open_batch(house):
    """A complete batch takes no more rows."""
    batch = house.open_batch()
    house.complete(batch)
    with pytest.raises(Conflict, match="not open"):
        house.store_chunk(batch, house.record(house.subject(), diagnosis="icd10:I10"))


def test_storing_needs_the_permit_of_the_collecting_purpose(house):
    """A field without its permit is refused with the whole chunk."""
    subject = house.subject("P02")
    with pytest.raises(Denied, match=r"No permit for P06 covers field 'reading'"):
        house.store(house.record(subject, diagnosis="icd10:I10", reading="5.6"))
    with house.data.read() as connection:
        assert connection.execute(select(sealed_record)).all() == []


def test_a_permit_of_another_purpose_does_not_pass_for_the_right_one(house):
    """The key under which a permit is handed in must be its purpose."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    house.make_keys(record)
    other = house.permit(subject, "P06", "diagnosis")
    with house.data.write() as connection, pytest.raises(Denied, match="is for P06"):
        house.vault.store(connection, [record], permits={"P02": other}, batch=house_batch(house, connection))


def house_batch(house, connection):
    """Open a batch within a transaction."""
    return house.batches.open(connection, kind="fhir", input_digest=new_id("in"), asking=house.asking)


def test_an_expired_permit_stores_nothing(house):
    """A permit has its time."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    with house.data.write() as connection:
        permits = house.permits(connection, [record])
    batch = house.open_batch()
    house.clock.advance(timedelta(seconds=60))
    with house.data.write() as connection, pytest.raises(PermitExpired):
        house.vault.store(connection, [record], permits=permits, batch=batch)


@pytest.mark.parametrize("state", [Standing.RESTRICTED, Standing.ERASING])
def test_a_blocked_subject_takes_no_more_data_even_with_an_older_permit(house, state):
    """A restriction or erasure between permit and storing is seen under the lock."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    house.make_keys(record)
    batch = house.open_batch()
    with house.data.write() as connection:
        permits = house.permits(connection, [record])
        set_standing(connection, subject, state, now=house.clock.now())
        with pytest.raises(Denied, match="takes no more data"):
            house.vault.store(connection, [record], permits=permits, batch=batch)


def test_a_restricted_subject_still_takes_security_records(house):
    """Storage and security purposes stay open under a restriction."""
    subject = house.subject()
    with house.data.write() as connection:
        set_standing(connection, subject, Standing.RESTRICTED, now=house.clock.now())
    assert house.store(house.record(subject, "login", device_id="d-1")).stored_fields == 1


def test_a_key_must_be_durable_before_its_first_row(house):
    """Without its key in the key store a record is not stored."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10")
    batch = house.open_batch()
    with house.data.write() as connection, pytest.raises(KeyUnavailable, match="has no blinding key"):
        house.vault.store(connection, [record], permits=house.permits(connection, [record]), batch=batch)


def test_a_value_beyond_64_kib_is_refused_by_field_name(house):
    """The message names the field and not the value."""
    subject = house.subject()
    with pytest.raises(BadInput, match="'consult_chat'") as refused:
        house.store(house.record(subject, consult_chat="x" * 70_000))
    assert "xxx" not in str(refused.value)


def test_a_value_whose_time_is_over_is_not_stored(house):
    """What would have to be deleted at once is left out and counted; the rest of the record stays."""
    subject = house.subject()
    record = house.record(subject, reading="5.6", diagnosis="icd10:I10")
    house.clock.advance(timedelta(days=3 * 365))
    counts = house.store(record)
    assert (counts.stored_records, counts.stored_fields, counts.expired_fields) == (1, 1, 1)


def test_a_record_with_nothing_left_to_keep_is_not_counted_as_stored(house):
    """A record of expired values only leaves no row."""
    subject = house.subject()
    record = house.record(subject, reading="5.6")
    house.clock.advance(timedelta(days=3 * 365))
    counts = house.store(record)
    assert (counts.stored_records, counts.expired_fields) == (0, 1)


def test_an_expired_value_is_not_opened(house):
    """Past its time of keeping a row is invisible although it is still there."""
    subject = house.subject()
    house.store(house.record(subject, reading="5.6"))
    house.clock.advance(timedelta(days=3 * 365))
    assert house.open(subject, "P06", "reading") == []


def test_the_event_type_says_how_long_its_values_are_kept(house):
    """A page in an event lives as long as the event, a page elsewhere as long as the field."""
    subject = house.subject()
    house.store(
        house.record(subject, "event", event_type="page_view", page="a"),
        house.record(subject, "event", number=2, event_type="unheard_of", page="b"),
        house.record(subject, "profile", page="c"),
    )
    house.clock.advance(timedelta(days=365))
    pages = {record.values.get("page") for record in house.open(subject, "P08", "page")}
    assert pages == {"b", "c"}


def test_a_legal_floor_outlasts_a_shorter_keeping(house):
    """A row does not expire while the law holds it."""
    subject = house.subject()
    house.store(house.record(subject, "order", coupon="c-1"))
    house.clock.advance(timedelta(days=2 * 365))
    assert len(house.open(subject, "P08", "coupon")) == 1


def test_a_row_holds_one_compartment_purpose_and_term(house):
    """Values that must be erased apart do not share a row."""
    subject = house.subject()
    house.store(house.record(subject, name="张三", id_number="1", diagnosis="icd10:I10", consult_chat="x"))
    with house.data.read() as connection:
        rows = connection.execute(
            select(sealed_record.c.compartment, sealed_record.c.purpose, sealed_record.c.part)
        ).all()
    assert sorted((row.compartment, row.purpose) for row in rows) == [
        ("clinical", "P02"), ("clinical", "P02"), ("identity", "P01"), ("identity", "P02"),
    ]  # fmt: skip
    assert sorted(row.part for row in rows) == [0, 1, 2, 3]


def test_a_receipt_opens_once(house):
    """The second use of a receipt is refused."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    permit = house.permit(subject, "P02", "diagnosis")
    receipt = house.receipt(permit)
    house.vault.open(permit, receipt, subject=subject, fields=["diagnosis"])
    with pytest.raises(ReceiptRefused):
        house.vault.open(permit, receipt, subject=subject, fields=["diagnosis"])


def test_a_receipt_of_another_permit_opens_nothing(house):
    """Permit and receipt must belong together."""
    subject = house.subject()
    first, second = house.permit(subject, "P02", "diagnosis"), house.permit(subject, "P02", "diagnosis")
    with pytest.raises(Denied, match="another permit"):
        house.vault.open(first, house.receipt(second), subject=subject, fields=["diagnosis"])


def test_an_expired_permit_opens_nothing_and_keeps_the_receipt(house):
    """Reads in flight end within the permit's bound."""
    subject = house.subject()
    permit = house.permit(subject, "P02", "diagnosis")
    receipt = house.receipt(permit)
    house.clock.advance(timedelta(seconds=60))
    with pytest.raises(PermitExpired):
        house.vault.open(permit, receipt, subject=subject, fields=["diagnosis"])
    receipt.redeem(actor=permit.actor, purpose="P02", subjects=[subject], fields=["diagnosis"])


@pytest.mark.parametrize(
    ("whose", "field"), [("other", "diagnosis"), ("own", "consult_chat"), ("own", "no_such_field")]
)
def test_open_refuses_what_the_permit_does_not_cover(house, whose, field):
    """Another subject, a field beyond the permit and an unknown field are refused before the receipt is used."""
    subject, other = house.subject(), house.subject()
    permit = house.permit(subject, "P02", "diagnosis")
    with pytest.raises(Denied, match="does not cover"):
        house.vault.open(permit, house.receipt(permit), subject=other if whose == "other" else subject, fields=[field])


def test_a_cohort_opens_each_subject_with_its_own_fields(any_house):
    """Whom the permit narrows gets the narrower set; who has no record has no row."""
    whole, narrow, empty = any_house.subject(), any_house.subject("P06"), any_house.subject()
    any_house.store(
        any_house.record(whole, diagnosis="icd10:I10"),
        any_house.record(whole, "reading", reading="5.6"),
        any_house.record(narrow, "reading", reading="6.1"),
    )
    permit = any_house.permit([whole, narrow, empty], "P06", "diagnosis", "reading")
    opened = any_house.cohort(permit, any_house.receipt(permit), "diagnosis", "reading")
    assert set(opened) == {whole, narrow}
    assert sorted(code for values in opened[whole] for code in values) == ["diagnosis", "reading"]
    assert opened[narrow] == [{"reading": "6.1"}]


def test_a_narrowed_subject_keeps_the_other_fields_sealed(house):
    """A stored field that the permit does not cover for one subject is not opened for it."""
    subject, other = house.subject(), house.subject()
    house.store(
        house.record(subject, diagnosis="icd10:B20", consult_chat="x"), house.record(other, diagnosis="icd10:I10")
    )
    permit = house.permit([subject, other], "P02", "diagnosis", "consult_chat")
    object.__setattr__(permit, "narrowed", {subject: frozenset({"consult_chat"})})
    opened = house.cohort(permit, house.receipt(permit), "diagnosis", "consult_chat")
    assert opened[subject] == [{"consult_chat": "x"}]


def test_the_cohort_call_itself_uses_the_receipt_up(house):
    """The receipt is gone even when nobody iterates."""
    subject = house.subject()
    permit = house.permit([subject], "P02", "diagnosis")
    receipt = house.receipt(permit)
    house.vault.open_cohort(permit, receipt, fields=["diagnosis"])
    with pytest.raises(ReceiptRefused):
        house.vault.open_cohort(permit, receipt, fields=["diagnosis"])


def test_a_cohort_refuses_fields_beyond_the_permit(house):
    """Asking for more than was permitted is refused as a whole."""
    permit = house.permit([house.subject()], "P02", "diagnosis")
    with pytest.raises(Denied, match="does not cover"):
        house.vault.open_cohort(permit, house.receipt(permit), fields=["diagnosis", "name"])


def test_a_slow_cohort_read_ends_with_its_permit(house, monkeypatch):
    """The bound holds for the last subject as for the first."""
    monkeypatch.setattr("vault._cohorts.SUBJECTS_AT_ONCE", 1)
    subjects = [house.subject(), house.subject()]
    permit = house.permit(subjects, "P02", "diagnosis")
    opened = house.vault.open_cohort(permit, house.receipt(permit), fields=["diagnosis"])
    next(opened)
    house.clock.advance(timedelta(seconds=60))
    with pytest.raises(PermitExpired):
        next(opened)


def test_a_value_moved_to_another_record_does_not_open(house):
    """The associated data bind a value to its record; the error names ids only."""
    subject = house.subject()
    house.store(
        house.record(subject, number=1, diagnosis="icd10:I10"), house.record(subject, number=2, diagnosis="icd10:B20")
    )
    with house.data.write() as connection:
        first, second = connection.execute(select(sealed_record).order_by(sealed_record.c.row_no)).all()
        move = update(sealed_record).where(sealed_record.c.row_no == first.row_no)
        connection.execute(move.values(payload=second.payload))
    with pytest.raises(IntegrityFailed, match="does not verify") as refused:
        house.open(subject, "P02", "diagnosis")
    assert "B20" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_key_without_a_tombstone_is_an_alarm(house):
    """A key store that lost a key must not look like an erasure."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    with house.keys.write() as connection:
        connection.execute(delete(data_key))
    with pytest.raises(KeyUnavailable, match="data keys are missing"):
        house.open(subject, "P02", "diagnosis")


def test_another_deployment_cannot_open_the_rows(house):
    """The associated data bind a value to its deployment."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    house.vault._deployment = "dep_other"
    with pytest.raises(IntegrityFailed):
        house.open(subject, "P02", "diagnosis")


def test_subjects_with_visible_records_are_listed_page_by_page(house):
    """Only active subjects with records of complete batches are listed, in the order of their ids."""
    listed = sorted(house.subject() for _ in range(5))
    house.store(*(house.record(subject, diagnosis="icd10:I10") for subject in listed))
    house.subject()
    house.store_chunk(house.open_batch(), house.record(house.subject(), diagnosis="icd10:I10"))
    with house.data.write() as connection:
        set_standing(connection, listed[2], Standing.RESTRICTED, now=house.clock.now())
    with house.data.read() as connection:
        first = house.vault.subjects(connection, limit=3)
        rest = house.vault.subjects(connection, after=first[-1])
    assert first + rest == [*listed[:2], *listed[3:]]


def test_plain_and_opened_records_hide_their_values(house):
    """Neither repr nor str nor a format shows what a record holds."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:B20")
    house.store(record)
    (opened,) = house.open(subject, "P02", "diagnosis")
    keys = {name: MacKey(bytes(32), AES) for name in ("record", "content")}
    encoded = Encoder(keys["record"], keys["content"]).encode(record)
    parts = split(encoded, Placing(house.catalogue), to_micros(house.clock.now()))
    for shown in (repr(record), str(record), f"{opened}", repr([opened]), repr(encoded), repr(parts)):
        assert "B20" not in shown
        assert "encounter-1" not in shown


def test_unknown_subjects_take_no_data(house):
    """A subject without standing is refused even if a permit says otherwise."""
    stranger = SubjectId(new_id("sub"))
    known = house.subject()
    permit = house.permit(known, "P02", "diagnosis")
    object.__setattr__(permit, "subjects", frozenset({stranger}))
    record = PlainRecord(stranger, "encounter", "his", "1", house.clock.now(), {"diagnosis": "icd10:I10"})
    batch = house.open_batch()
    with house.data.write() as connection, pytest.raises(Denied, match="not registered"):
        house.vault.store(connection, [record], permits={"P02": permit}, batch=batch)


def test_the_same_record_from_two_transactions_at_once_is_a_conflict(pg_house):
    """Of two writers that both found the record new the second is told to try again."""
    subject = pg_house.subject()
    record = pg_house.record(subject, diagnosis="icd10:I10")
    pg_house.make_keys(record)
    first, second = pg_house.open_batch(), pg_house.open_batch()
    said = []

    def store_too():
        try:
            with pg_house.data.write() as connection:
                permits = pg_house.permits(connection, [record])
                ready.set()
                pg_house.vault.store(connection, [record], permits=permits, batch=second)
        except Conflict as err:
            said.append(err.message)

    ready = threading.Event()
    other = threading.Thread(target=store_too)
    with pg_house.data.write() as connection:
        pg_house.vault.store(connection, [record], permits=pg_house.permits(connection, [record]), batch=first)
        other.start()
        ready.wait(timeout=10)
        other.join(timeout=0.5)
        assert other.is_alive(), "the second writer must wait for the first"
    other.join(timeout=10)
    assert said == ["Another batch stored the same record at the same time"]


def test_counts_are_named_for_the_log(house):
    """A batch and its entry take the counts as they are."""
    counts = house.store(house.record(house.subject(), diagnosis="icd10:I10"))
    assert counts.as_counts() == {"stored_records": 1, "stored_fields": 1, "duplicates": 0, "expired_fields": 0}
