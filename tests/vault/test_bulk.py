"""Records by columns: stored as one by one, checked under the lock, sealed by processes that are told no value."""

import pickle
import resource
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from multiprocessing import parent_process
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from consent.standing import Standing, set_standing
from kernel.bulk_insert import BulkInsert
from kernel.clock import SystemClock, to_micros
from kernel.database import open_database
from kernel.encoding import JsonValue
from kernel.errors import BadInput, ConfigurationError, Conflict, Denied, Unavailable
from kernel.ids import SubjectId
from tests.vault.conftest import DEPLOYMENT, YEAR, House, small_catalogue
from vault._keyring import keyring_of
from vault._sealing import ROW, Placing, pack_row
from vault._storing import KeysMoved, SealedChunk, StoreCounts
from vault.bulk_columns import HEAD, ColumnChunk, pack_columns, seal_columns
from vault.bulk_sealers import BulkSealers, SealerSetup, SealingParts
from vault.custodian import KeyfileCustodian
from vault.keystore import KeyStore, KeyUnavailable
from vault.payload import unpack
from vault.records import PlainRecord
from vault.tables import sealed_record

FIELDS = ("name", "diagnosis", "consult_chat", "order_amount", "reading", "device_id")
KIND_OF_EVENT = "event"


def columns_of(records: Sequence[PlainRecord], codes: Sequence[str] = ()) -> pa.RecordBatch:
    """Records as one batch; a field that a record lacks is null there."""
    wanted = codes or sorted({code for record in records for code in record.values})
    head = zip(
        *((r.subject, r.kind, r.source, r.source_record, to_micros(r.observed_at)) for r in records), strict=True
    )
    columns = dict(zip(HEAD, (list(column) for column in head), strict=True))
    fields = {code: [record.values.get(code) for record in records] for code in wanted}
    return pa.RecordBatch.from_pydict(columns | fields)


def sealed(house: House, *records: PlainRecord, withheld: Mapping[SubjectId, frozenset[str]] | None = None):
    """Seal records by columns, as a process would."""
    chunk = ColumnChunk(pack_columns(columns_of(records)), withheld or {}, to_micros(house.clock.now()))
    return seal_columns(
        chunk, keyring=keyring_of(house.keystore), placing=Placing(house.catalogue), deployment=DEPLOYMENT
    )


def stored(house: House, batch, chunk: SealedChunk, records: Sequence[PlainRecord]) -> StoreCounts:
    with house.data.write() as connection:
        permits = house.permits(connection, records)
        return house.vault.store_sealed(connection, chunk, permits=permits, batch=batch)


def in_bulk(house: House, *records: PlainRecord) -> StoreCounts:
    """Store records by columns in a batch of their own and complete it."""
    batch = house.open_batch()
    house.make_keys(*records, batch=batch)
    counts = stored(house, batch, sealed(house, *records), records)
    house.complete(batch)
    return counts


def rows_of(house: House, subject: SubjectId) -> list[tuple[object, ...]]:
    """What the store shows of a subject's rows, but for what is random in each."""
    columns = [sealed_record.c[name] for name in ("kind", "source", "compartment", "purpose", "part", "payload")]
    times = [sealed_record.c[name] for name in ("observed_at", "expires_at", "held_until")]
    with house.data.read() as connection:
        query = select(*columns, *times).where(sealed_record.c.subject_id == subject).order_by(sealed_record.c.row_no)
        rows = connection.execute(query).all()
    return [(*row[:5], [code for code, _ in unpack(row[5])], *row[6:]) for row in rows]


def values_of(house: House, subject: SubjectId) -> list[tuple[object, ...]]:
    opened = house.open(subject, "P05", *FIELDS, "event_type", "page")
    return [(one.kind, one.source, one.observed_at, dict(one.values)) for one in opened]


VALUES: st.SearchStrategy[JsonValue] = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12), st.just('quoted " and \\ and \n'), st.just("汉字")
)
PLAIN = st.tuples(
    st.sampled_from(["encounter", "order"]),
    st.integers(0, 2),
    st.integers(0, 2 * 365),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1),
)
EVENTS = st.tuples(
    st.just(KIND_OF_EVENT),
    st.integers(0, 2),
    st.integers(0, 365),
    st.builds(lambda page: {"event_type": "page_view", "page": page}, VALUES),
)


@given(st.lists(st.one_of(PLAIN, EVENTS), min_size=1, max_size=8))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_and_single_records_leave_the_same(house, said):
    """Counts, rows and opened values agree: duplicates, versions, ends of keeping and events included."""
    one, other = house.subject(), house.subject()

    def records(subject: SubjectId) -> list[PlainRecord]:
        now = house.clock.now()
        return [
            PlainRecord(subject, kind, "his", f"r{number}", now - timedelta(days=days), values)
            for kind, number, days, values in said
        ]

    assert in_bulk(house, *records(other)) == house.store(*records(one))
    assert sorted(map(str, rows_of(house, other))) == sorted(map(str, rows_of(house, one)))
    assert values_of(house, other) == values_of(house, one)


def test_what_was_stored_before_counts_as_a_duplicate(any_house):
    """Whether it came by columns or one by one; what repeats inside a chunk counts as well."""
    house, subject = any_house, any_house.subject()
    first, second = house.record(subject, number=1, name="a"), house.record(subject, number=2, name="b")
    house.store(first)
    assert in_bulk(house, first, second, second) == StoreCounts(1, 1, 2, 0)
    assert house.store(second).duplicates == 1


def test_a_withheld_field_is_not_sealed(house):
    """Of a record that has nothing else no row comes about."""
    subject = house.subject()
    records = [
        house.record(subject, number=1, name="a", diagnosis="icd10:I10"),
        house.record(subject, number=2, name="b"),
    ]
    house.make_keys(*records)
    chunk = sealed(house, *records, withheld={subject: frozenset({"name"})})
    assert [one.codes for one in chunk.records] == [("diagnosis",)]


def test_lists_and_objects_keep_their_form(house):
    """Members that Arrow fills up with nothing are left out."""
    subject = house.subject()
    quantity = {"code": "loinc:1", "value": "1.5", "unit": "mmol/L"}
    flagged = quantity | {"flag": "H"}
    in_bulk(
        house,
        house.record(subject, number=1, diagnosis=[quantity]),
        house.record(subject, number=2, diagnosis=[flagged]),
    )
    values = [one.values["diagnosis"] for one in house.open(subject, "P05", "diagnosis")]
    assert sorted(values, key=str) == sorted([[quantity], [flagged]], key=str)


def test_dictionaries_and_long_texts_are_read_as_texts(house):
    """How Arrow lays a column out says nothing about its values."""
    subject = house.subject()
    record = house.record(subject, name="a", diagnosis='say "b"')
    house.make_keys(record)
    batch = columns_of([record])
    batch = batch.set_column(batch.schema.get_field_index("name"), "name", batch["name"].dictionary_encode())
    batch = batch.set_column(
        batch.schema.get_field_index("diagnosis"), "diagnosis", batch["diagnosis"].cast(pa.large_string())
    )
    chunk = ColumnChunk(pack_columns(batch), {}, to_micros(house.clock.now()))
    keyring, placing = keyring_of(house.keystore), Placing(house.catalogue)
    odd = seal_columns(chunk, keyring=keyring, placing=placing, deployment=DEPLOYMENT)
    assert [one.content_key for one in odd.records] == [one.content_key for one in sealed(house, record).records]


def test_keys_that_moved_since_the_sealing_refuse_the_chunk(any_house):
    """An erasure in between has destroyed the key; nothing is stored under it."""
    house, subject = any_house, any_house.subject()
    house.store(house.record(subject, number=1, consult_chat="first"))
    record = house.record(subject, number=2, consult_chat="second")
    chunk = sealed(house, record)
    with house.keys.write() as connection:
        pairs = [(subject, compartment) for _, compartment in house.pairs(record)]
        keyring = keyring_of(house.keystore)
        newest = keyring.newest_among([subject])
        keyring.make_successors(connection, {pair: {newest[pair]} for pair in pairs})
    with pytest.raises(KeysMoved):
        stored(house, house.open_batch(), chunk, [record])
    assert len(rows_of(house, subject)) == 1


def test_a_sealed_chunk_passes_the_same_gates(house):
    """Permits, standing and the batch's state count when it is stored, not when it was sealed."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:I10", name="a")
    house.make_keys(record)
    chunk, batch = sealed(house, record), house.open_batch()
    permit = house.permit([subject], "P02", "diagnosis")
    with house.data.write() as connection, pytest.raises(Denied, match="'name'"):
        house.vault.store_sealed(connection, chunk, permits={"P02": permit}, batch=batch)
    with house.data.write() as connection:
        permits = house.permits(connection, [record])
        set_standing(connection, subject, Standing.RESTRICTED, now=house.clock.now())
    with house.data.write() as connection, pytest.raises(Denied, match="restricted"):
        house.vault.store_sealed(connection, chunk, permits=permits, batch=batch)
    house.complete(batch)
    with house.data.write() as connection, pytest.raises(Conflict, match="not open"):
        house.vault.store_sealed(connection, chunk, permits=permits, batch=batch)


def test_chunks_show_no_value(house):
    """Neither the columns on their way to a process nor what comes back."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:B20")
    house.make_keys(record)
    columns = ColumnChunk(pack_columns(columns_of([record])), {}, 0)
    assert b"B20" in columns.records
    for shown in (repr(columns), str(columns), repr(sealed(house, record))):
        assert "B20" not in shown


def packed(house: House, *records: PlainRecord) -> SealedChunk:
    """Seal records for PostgreSQL, as a process would, and take them in as they arrive from it."""
    chunk = ColumnChunk(pack_columns(columns_of(records)), {}, to_micros(house.clock.now()))
    keyring, placing = keyring_of(house.keystore), Placing(house.catalogue)
    made = seal_columns(chunk, keyring=keyring, placing=placing, deployment=DEPLOYMENT, packed=True)
    arrived: SealedChunk = pickle.loads(pickle.dumps(made))
    return arrived


def test_packed_rows_are_copied_as_they_are(pg_house):
    """What was there is left out; the others open as any, whatever ends they have."""
    house, subject = pg_house, pg_house.subject()
    records = [house.record(subject, number=number, name="a", consult_chat="b") for number in range(4)]
    house.make_keys(*records)
    house.store(records[1])
    chunk, batch = packed(house, *records, records[3]), house.open_batch()
    assert stored(house, batch, chunk, records) == StoreCounts(3, 6, 2, 0)
    house.complete(batch)
    assert [one.values for one in house.open(subject, "P05", "name", "consult_chat")] == [records[0].values] * 4


@pytest.mark.parametrize("field", ["name", "consult_chat", "diagnosis"])
def test_a_packed_row_is_what_the_columns_say(house, field):
    """Packed by hand or column by column: the same bytes."""
    record = house.record(house.subject(), **{field: "icd10:I10"})
    house.make_keys(record)
    (row,) = sealed(house, record).rows
    purpose, by_hand = pack_row(row)
    assert purpose == row[ROW.index("purpose")]
    assert by_hand[2:] == BulkInsert(sealed_record, ROW).pack(row)[2:]  # after the number of the columns


# --- processes -------------------------------------------------------------------------------------------------------


def open_parts(folder: Path) -> SealingParts:
    """What a process opens; a function of a module, as such a process needs it."""
    if parent_process() is not None:
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    keys = open_database(f"sqlite:///{folder / 'keys.db'}", label="key store")
    keystore = KeyStore(keys, KeyfileCustodian.load(folder / "root.key"), SystemClock())
    return SealingParts(keystore, small_catalogue(), DEPLOYMENT)


def chunk_of(house: House, *records: PlainRecord) -> ColumnChunk:
    return ColumnChunk(pack_columns(columns_of(records)), {}, to_micros(house.clock.now()))


def test_a_process_seals_and_its_end_is_told(house, tmp_path):
    """Its rows are stored as any; errors come back as what they are; a process that was killed is no silence."""
    subject = house.subject()
    record = house.record(subject, diagnosis="icd10:B20")
    keyless = chunk_of(house, house.record(house.subject(), name="b"))
    too_long = chunk_of(house, house.record(subject, diagnosis="x" * 70_000))
    house.make_keys(record)
    setup = SealerSetup(partial(open_parts, tmp_path), house.catalogue.hash)
    with BulkSealers(setup, processes=1) as sealers:
        with pytest.raises(KeyUnavailable, match="no blinding key"):
            sealers.seal(keyless).result()
        with pytest.raises(BadInput, match="diagnosis"):
            sealers.seal(too_long).result()
        with pytest.raises(Unavailable, match="ArrowInvalid"):
            sealers.seal(ColumnChunk(b"no stream", {}, 0)).result()
        chunk = sealers.seal(chunk_of(house, record)).result()
        (running,) = sealers._sealers
        told = Path(f"/proc/{running._process.pid}/cmdline").read_bytes()
        assert b"B20" not in told
        running.kill()
        with pytest.raises(Unavailable, match="process ended"):
            sealers.seal(chunk_of(house, record)).result()
    batch = house.open_batch()
    assert stored(house, batch, chunk, [record]).stored_fields == 1


def test_without_a_process_a_thread_seals(house, tmp_path):
    """With the same errors; an error in the block ends it at once."""
    record = house.record(house.subject(), diagnosis="icd10:B20")
    setup = SealerSetup(partial(open_parts, tmp_path), house.catalogue.hash)
    with pytest.raises(KeyUnavailable), BulkSealers(setup, processes=0) as sealers:
        sealers.seal(chunk_of(house, record)).result()


def test_another_catalogue_seals_nothing(house, tmp_path):
    """A pack that was changed under a running vault is found before the first value."""
    setup = SealerSetup(partial(open_parts, tmp_path), "cd" * 32)
    with pytest.raises(ConfigurationError, match="pack"), BulkSealers(setup, processes=0):
        pytest.fail("it was opened")


def test_retention_of_a_chunk_counts_from_its_instant(house):
    """What has expired is counted and not stored."""
    subject = house.subject()
    old = PlainRecord(
        subject, "encounter", "his", "1", house.clock.now() - 4 * YEAR, {"consult_chat": "x", "name": "y"}
    )
    assert in_bulk(house, old) == StoreCounts(1, 1, 0, 1)
