"""What a row says of itself: forged in the data store, it opens nothing and destroys nothing."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from consent.standing import Standing
from kernel.clock import to_micros
from kernel.errors import IntegrityFailed
from kernel.ids import SubjectId
from vault.envelope import RowHeader
from vault.keystore import KeyUnavailable
from vault.tables import data_key, key_tombstone, sealed_record, tombstone

NOT_BOUND = {"row_no", "part", "content_key", "blinding_id", "permit_id", "batch_id"}
"""As docs/reference/ciphertext-format.md says, with the reasons."""

BOUND_OTHERWISE = {"schema_version", "key_id", "payload"}

LATER = 4_000_000_000_000_000
FORGERIES = [
    ("kind", "reading"),
    ("source", "other"),
    ("purpose", "P06"),
    ("compartment", "identity"),
    ("record_id", "rec_forged"),
    ("record_key", "A" * 22),
    ("observed_at", 1),
    ("observed_at", 2**62),
    ("expires_at", LATER),
    ("expires_at", None),
    ("held_until", 1),
    ("held_until", LATER),
    ("held_until", None),
    ("schema_version", 2),
]


def forge(house, record: str, **columns: object) -> None:
    """Change columns of a record's rows as somebody with SQL alone would."""
    named = ", ".join(f"{name} = :{name}" for name in columns)
    with house.data.write() as connection:
        statement = text(f"UPDATE sealed_record SET {named} WHERE record_id = :which")
        assert connection.execute(statement, {**columns, "which": record}).rowcount == 1


def record_of(house, subject: SubjectId) -> str:
    with house.data.read() as connection:
        return connection.scalar(select(sealed_record.c.record_id).where(sealed_record.c.subject_id == subject))


def count(database, table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table))


def test_every_column_is_bound_or_left_out_on_purpose():
    """A column that is added later must be decided upon."""
    assert set(sealed_record.c.keys()) == set(RowHeader._fields) | NOT_BOUND | BOUND_OTHERWISE


def test_every_column_of_the_header_is_forged_below():
    """The list of forgeries is whole; subjects are moved in tests of their own."""
    assert {name for name, _ in FORGERIES} == set(RowHeader._fields) - {"subject_id"} | {"schema_version"}


@pytest.mark.parametrize(("column", "forged"), FORGERIES)
def test_a_forged_column_opens_nothing(house, column, forged):
    """No value opens in a clinical context that the vault did not write; the error names record and field."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:B20"), house.record(subject, "profile", name="张三"))
    with house.data.read() as connection:
        query = select(sealed_record.c.record_id).where(sealed_record.c.compartment == "clinical")
        record = connection.scalar(query)
    forge(house, record, **{column: forged})
    named = forged if column == "record_id" else record
    with pytest.raises(IntegrityFailed, match=f"field 'diagnosis' of record {named}") as refused:
        house.open(subject, "P02", "diagnosis", "name")
    assert "B20" not in refused.value.diagnostics()


def test_a_forged_column_is_found_on_postgresql_too(pg_house):
    """The header is the same bytes on either engine."""
    subject = pg_house.subject()
    pg_house.store(pg_house.record(subject, diagnosis="icd10:I10"))
    assert len(pg_house.open(subject, "P02", "diagnosis")) == 1
    forge(pg_house, record_of(pg_house, subject), observed_at=1)
    with pytest.raises(IntegrityFailed, match="'diagnosis'"):
        pg_house.open(subject, "P02", "diagnosis")


@pytest.mark.parametrize("with_key", [False, True], ids=["row", "row and key id"])
def test_a_row_moved_to_another_subject_opens_nothing(house, with_key):
    """Neither under its own key, which is not that subject's, nor under the name of the other's key."""
    subject, other = house.subject(), house.subject()
    house.store(house.record(subject, diagnosis="icd10:B20"), house.record(other, diagnosis="icd10:I10"))
    with house.keys.read() as connection:
        key_id = connection.scalar(select(data_key.c.key_id).where(data_key.c.subject_id == other))
    record = record_of(house, subject)
    forge(house, record, subject_id=other, **({"key_id": key_id} if with_key else {}))
    with pytest.raises(IntegrityFailed, match=f"field 'diagnosis' of record {record}"):
        house.open(other, "P02", "diagnosis")


def test_rows_of_one_subject_that_trade_places_open_nothing(house):
    """Payloads are bound to their own row, also where record and compartment are the same."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:B20", consult_chat="x"))
    with house.data.write() as connection:
        first, second = connection.execute(select(sealed_record).order_by(sealed_record.c.row_no)).all()
        for row, payload in ((first, second.payload), (second, first.payload)):
            change = update(sealed_record).where(sealed_record.c.row_no == row.row_no)
            connection.execute(change.values(payload=payload))
    with pytest.raises(IntegrityFailed, match=f"record {first.record_id} does not verify"):
        house.open(subject, "P02", "diagnosis", "consult_chat")


def test_batch_and_permit_change_nothing_that_is_shown(house):
    """Ids that are left out of the header are no content of the record."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    before = house.open(subject, "P02", "diagnosis")
    forge(house, record_of(house, subject), permit_id="prm_other", part=7)
    assert house.open(subject, "P02", "diagnosis") == before


def test_the_header_outlives_resealing(any_house):
    """A held row that moves to a new key says of itself what it said before, and still cannot be forged."""
    subject = any_house.subject()
    any_house.store(any_house.record(subject, diagnosis="icd10:I10", consult_chat="头疼"))
    any_house.erase(subject)
    (opened,) = any_house.open(subject, "P05", "diagnosis")
    assert (opened.kind, opened.source, opened.observed_at) == ("encounter", "his", any_house.clock.now())
    forge(any_house, record_of(any_house, subject), source="other")
    with pytest.raises(IntegrityFailed, match="'diagnosis'"):
        any_house.open(subject, "P05", "diagnosis")


@pytest.mark.parametrize(("column", "forged"), FORGERIES)
def test_an_erasure_stops_at_a_forged_row_and_destroys_nothing(house, column, forged):
    """Above all a legal hold that was taken off the row: the key stays, and restoring the row lets it go on."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:B20"))
    record = record_of(house, subject)
    with house.data.read() as connection:
        original = connection.scalar(text(f"SELECT {column} FROM sealed_record"))
    forge(house, record, **{column: forged})
    forged_id = forged if column == "record_id" else record
    with pytest.raises(
        IntegrityFailed, match=rf"{subject} stops: .*field 'diagnosis' of record {forged_id}"
    ) as stopped:
        house.erase(subject)
    assert "Restore the named row" in stopped.value.hint
    assert "B20" not in stopped.value.diagnostics()
    assert (count(house.keys, data_key), count(house.data, sealed_record)) == (1, 1)
    assert count(house.keys, key_tombstone) == count(house.data, tombstone) == 0
    assert house.standing(subject) is Standing.ERASING
    forge(house, forged_id, **{column: original})
    assert house.erase(subject).restricted_until == house.clock.now() + timedelta(days=15 * 365)
    assert len(house.open(subject, "P05", "diagnosis")) == 1


def test_a_hold_that_is_forged_onto_a_free_row_does_not_keep_it(house):
    """What the law does not hold must not be kept by a changed column either."""
    subject = house.subject()
    house.store(house.record(subject, name="张三"))
    forge(house, record_of(house, subject), held_until=LATER)
    with pytest.raises(IntegrityFailed, match="'name'"):
        house.erase(subject)
    forge(house, record_of(house, subject), held_until=None)
    assert house.erase(subject).certificate is not None


def test_a_hold_taken_off_just_before_the_destruction_is_found(house):
    """The snapshot that decides which keys go is verified itself."""
    subject = house.subject()
    house.store(house.record(subject, diagnosis="icd10:I10"))
    with house.data.write() as connection:
        erasure_id = house.eraser._begin(connection, subject, house.asking)
    work = house.eraser._work(house.eraser._row(erasure_id))
    house.eraser._verify(work)
    forge(house, record_of(house, subject), held_until=to_micros(house.clock.now()))
    with pytest.raises(IntegrityFailed):
        house.eraser._destroy(work)
    assert count(house.keys, data_key) == 1


def test_an_erasure_does_not_take_another_subjects_row_along(house):
    """A row that was moved to the subject of an erasure is somebody else's."""
    subject, other = house.subject(), house.subject()
    house.store(house.record(subject, name="张三"), house.record(other, name="李四"))
    record = record_of(house, other)
    forge(house, record, subject_id=subject)
    with pytest.raises(IntegrityFailed, match=f"field 'name' of record {record} belongs to another subject"):
        house.erase(subject)
    forge(house, record, subject_id=other)
    house.erase(subject)
    assert [opened.values for opened in house.open(other, "P02", "name")] == [{"name": "李四"}]


def test_a_row_without_a_value_proves_nothing(house):
    """The vault writes no empty rows; one that was emptied stops the erasure."""
    subject = house.subject()
    house.store(house.record(subject, name="张三"))
    forge(house, record_of(house, subject), payload=b"\x01\x00\x00")
    with pytest.raises(IntegrityFailed, match="without a value"):
        house.erase(subject)


def test_a_lost_key_stops_an_erasure_and_is_no_erasure(house):
    """A key that nobody destroyed may be in a backup, and with it what the row said."""
    subject = house.subject()
    house.store(house.record(subject, name="张三"))
    with house.keys.write() as connection:
        row = connection.execute(select(data_key)).one()
        connection.execute(data_key.delete())
    with pytest.raises(KeyUnavailable, match="are missing"):
        house.open(subject, "P02", "name")
    with pytest.raises(IntegrityFailed, match="are missing"):
        house.erase(subject)
    with house.keys.write() as connection:
        connection.execute(data_key.insert(), dict(row._mapping))
    assert house.erase(subject).certificate is not None


def test_rows_whose_key_is_gone_are_deleted_unread(house):
    """After a crash behind the destruction nothing can be verified any more, and nothing has to be."""
    subject = house.subject()
    house.store(house.record(subject, name="张三"))
    with house.data.write() as connection:
        erasure_id = house.eraser._begin(connection, subject, house.asking)
    work = house.eraser._work(house.eraser._row(erasure_id))
    for step in house.eraser._steps[:-1]:
        step(work)
    forge(house, record_of(house, subject), kind="forged")
    (outcome,) = house.restarted().eraser.resume()
    assert outcome.certificate is not None
    assert count(house.data, sealed_record) == 0


def test_a_start_up_goes_on_past_an_erasure_that_cannot(house, caplog):
    """One changed row keeps neither the platform from opening nor other erasures from their end."""
    stuck, other = house.subject(), house.subject()
    house.store(house.record(stuck, name="张三"), house.record(other, name="李四"))
    record = record_of(house, stuck)
    forge(house, record, kind="forged")
    for subject in (stuck, other):
        with house.data.write() as connection:
            house.eraser._begin(connection, subject, house.asking)
    with caplog.at_level(logging.WARNING, logger="consentry.vault"):
        assert len(house.restarted().eraser.resume()) == 1
    assert house.standing(other) is Standing.ERASED
    assert house.standing(stuck) is Standing.ERASING
    (warning,) = caplog.messages
    assert "stays open" in warning
    assert record in warning
    forge(house, record, kind="encounter")
    assert len(house.eraser.resume()) == 1
    assert house.standing(stuck) is Standing.ERASED
