"""Files of columns that are small on disk and large in memory."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consentry.sources import unpacking
from consentry.sources.arrow_batches import open_batches
from consentry.sources.arrow_blocks import read_blocks
from consentry.sources.arrow_maps import load_arrow_map
from consentry.sources.parquet_pages import BadHeader, read_pages
from consentry.sources.records import SourceError
from consentry.sources.table_files import read_rows
from kernel.catalogue import FieldType

AT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
LONG = "长" * 2_800_000
"""8 MB."""

MAP = """
source: app
subject: patient
record: visit
time: at
kind: encounter
columns: {department: department_chosen}
"""


@pytest.fixture
def arrow_map(write, context):
    """The map of the files."""
    return load_arrow_map(write("m.yaml", MAP), context.catalogue)


@pytest.fixture(autouse=True)
def flat() -> Iterator[None]:
    """No test here takes more than half a gigabyte, whatever its file says of itself."""
    before = pa.default_memory_pool().max_memory()
    yield
    assert pa.default_memory_pool().max_memory() - before < 512 * 1024 * 1024


def table(department: pa.Array) -> pa.Table:
    rows = len(department)
    keys = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["u-1"]))
    at = pa.array([AT] * rows, pa.timestamp("us", "UTC"))
    return pa.table({"patient": keys, "visit": keys, "at": at, "department": department})


def repeated(value: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))


def read(path, arrow_map) -> int:
    with open_batches(path, arrow_map) as batches:
        return sum(batch.num_rows for batch in batches)


@pytest.mark.parametrize("store_schema", [True, False])
def test_a_long_value_meant_often_is_refused(tmp_path, arrow_map, store_schema):
    """A file of some kilobytes whose dictionary says 8 MB five thousand times, with and without Arrow's own schema."""
    path = tmp_path / "bomb.parquet"
    pq.write_table(table(repeated(LONG, 5_000)), path, compression="zstd", store_schema=store_schema)
    assert path.stat().st_size < 64 * 1024
    with pytest.raises(SourceError, match=r"rows unpack to [0-9]+ MiB"):
        read(path, arrow_map)


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_an_arrow_dictionary_meant_often_is_refused(tmp_path, arrow_map, compression):
    """As in Parquet, so in Arrow files."""
    path = tmp_path / "bomb.arrow"
    rows = table(repeated(LONG, 5_000))
    with pa.ipc.new_file(path, rows.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(rows)
    with pytest.raises(SourceError, match=r"rows unpack to [0-9]+ MiB"):
        read(path, arrow_map)


@pytest.mark.parametrize("name", ["bomb.parquet", "bomb.arrow"])
def test_what_packs_too_well_is_refused_before_it_is_unpacked(tmp_path, arrow_map, monkeypatch, name):
    """Pages and buffers state their size, and nothing is allocated for one beyond the bound."""
    monkeypatch.setattr(unpacking, "MOST_UNPACKED_BYTES", 4 * 1024 * 1024)
    path, rows = tmp_path / name, table(pa.array([LONG]))
    if path.suffix == ".parquet":
        pq.write_table(rows, path, compression="zstd", use_dictionary=False)
    else:
        with pa.ipc.new_file(path, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(rows)
    assert path.stat().st_size < 64 * 1024
    before = pa.total_allocated_bytes()
    with pytest.raises(SourceError, match="unpack to 8 MiB"), open_batches(path, arrow_map):
        pass
    assert pa.total_allocated_bytes() - before < 1024 * 1024


def test_texts_that_grow_from_prefixes_are_refused(tmp_path, arrow_map):
    """An encoding by which a value repeats the one before, however long."""
    path = tmp_path / "bomb.parquet"
    delta = {"department": "DELTA_BYTE_ARRAY"}
    pq.write_table(table(pa.array(["长" * 1_000] * 9)), path, use_dictionary=False, column_encoding=delta)
    with pytest.raises(SourceError, match="column 'department' is encoded as DELTA_BYTE_ARRAY"):
        read(path, arrow_map)


@pytest.mark.parametrize(("version", "is_read"), [("V1", True), ("V2", False)])
def test_what_the_refusal_of_such_texts_advises_is_read(tmp_path, arrow_map, version, is_read):
    """The same rows by an engine that writes differences when it is asked for the second version of the format."""
    path, rows = tmp_path / "engine.parquet", table(pa.array([f"department {number:05}" for number in range(4_000)]))
    with duckdb.connect() as engine:
        engine.register("source", rows)
        engine.execute(f"COPY source TO '{path}' (PARQUET_VERSION {version})")
    if is_read:
        assert read(path, arrow_map) == 4_000
        return
    with pytest.raises(SourceError, match="encoded as DELTA_") as refused:
        read(path, arrow_map)
    assert "DuckDB: PARQUET_VERSION v1" in refused.value.hint


def test_lists_of_nothing_are_counted(tmp_path, write, context, monkeypatch):
    """Items that cost nothing on disk cost memory."""
    monkeypatch.setattr(unpacking, "_MOST_ITEMS", 100)
    others = (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.QUANTITY)
    field = next(one for one in context.catalogue.fields.values() if one.repeated and one.type not in others)
    text = MAP.replace("{department: department_chosen}", f"{{items: {field.code}}}")
    listed = load_arrow_map(write("l.yaml", text), context.catalogue)
    path, rows = tmp_path / "bomb.parquet", table(pa.array([["青霉素"] * 101]))
    pq.write_table(rows.rename_columns(["patient", "visit", "at", "items"]), path)
    with pytest.raises(SourceError, match=r"lists of 'items\.list\.element' have 101 items"):
        read(path, listed)


@pytest.mark.parametrize("name", ["long.parquet", "long.arrow"])
def test_long_rows_come_in_smaller_parts(tmp_path, arrow_map, monkeypatch, name):
    """What is long and honest is read in fewer rows at once, and every row comes."""
    monkeypatch.setattr(unpacking, "MOST_DECODED_BYTES", 1024 * 1024)
    path, rows = tmp_path / name, table(pa.array([f"{number:05}" * 1_000 for number in range(1_000)]))
    if path.suffix == ".parquet":
        pq.write_table(rows, path, row_group_size=700)
    else:
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_table(rows)
    with open_batches(path, arrow_map) as batches:
        parts = list(batches)
    assert max(part.nbytes for part in parts) <= 1024 * 1024
    assert [text for part in parts for text in part["department"].to_pylist()] == rows["department"].to_pylist()
    assert not any(pa.types.is_dictionary(kind) for kind in parts[0].schema.types)


def test_nested_texts_come_as_they_are_written(tmp_path):
    """Members of structs and items of lists are written out too, with their nulls."""
    values = [[{"code": "a", "value": "1"}, None], None, [], [{"code": None, "value": "1"}]]
    rows = pa.table({"q": pa.array(values, pa.list_(pa.struct({"code": pa.string(), "value": pa.string()})))})
    pq.write_table(rows, path := tmp_path / "n.parquet", row_group_size=3)
    metadata = pq.read_metadata(path)
    unpacking.check_pages(path, metadata, ["q"])
    parts = list(unpacking.read_parquet(path, metadata, ["q"], rows=2))
    assert [row for part in parts for row in part["q"].to_pylist()] == values
    assert not any("dictionary" in str(part.schema) for part in parts)


def test_texts_that_stand_in_full_are_read_so_where_they_are_small(tmp_path, monkeypatch):
    """Those of a dictionary keep it, and so do all where a row group of them is large."""
    rows = pa.table({"full": [f"text {number}" for number in range(100)], "again": ["same"] * 100})
    pq.write_table(rows, path := tmp_path / "f.parquet", use_dictionary=["again"], row_group_size=50)
    metadata, names = pq.read_metadata(path), ["full", "again"]
    assert unpacking.check_pages(path, metadata, names) == {"full"}
    parts = list(unpacking.read_parquet(path, metadata, names, rows=30, as_they_stand={"full"}))
    assert pa.Table.from_batches(parts).equals(rows)
    monkeypatch.setattr(unpacking, "MOST_DECODED_BYTES", 100)
    assert unpacking.check_pages(path, metadata, names) == frozenset()


def test_a_table_by_a_map_is_bounded_too(tmp_path):
    """What `ingest table` reads of Parquet goes the same way."""
    pq.write_table(table(repeated(LONG, 5_000)), path := tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(SourceError, match="rows unpack to"):
        list(read_rows(path, "utf-8"))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_pages_are_read_as_they_were_written(tmp_path, version, compression):
    """Every page of a chunk, and all its values, in both versions of pages."""
    texts = pa.table({"a": [None if number % 7 == 0 else f"text {number}" for number in range(5_000)]})
    pq.write_table(texts, path := tmp_path / "p.parquet", data_page_version=version, compression=compression,
                   data_page_size=1_000, dictionary_pagesize_limit=20_000)  # fmt: skip
    chunk = pq.read_metadata(path).row_group(0).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    with path.open("rb") as file:
        pages = list(read_pages(file, start, chunk.total_compressed_size, chunk.num_values))
    assert sum(page.values for page in pages[1:]) == 5_000
    assert sum(page.unpacked_bytes for page in pages) <= chunk.total_uncompressed_size


def test_blocks_are_read_as_they_were_written():
    """The dictionary and both blocks of records, with what they unpack to."""
    sink = io.BytesIO()
    rows = pa.table({"a": repeated("text", 100), "b": pa.array(range(100), pa.int64())})
    with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
        writer.write_table(rows)
    blocks = list(read_blocks(sink))
    assert [block.is_dictionary for block in blocks] == [True, False, False]
    assert all(1_200 <= block.unpacked_bytes <= 1_300 for block in blocks[1:])


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x15" + b"\x80" * 40, b"\x1c" * 40, b"\x00", b"\x19\xff\x7f"])
def test_bytes_that_are_no_header_are_told(data):
    """Cut off, endless, deep, or of no size: none is taken for a page."""
    with pytest.raises(BadHeader):
        list(read_pages(io.BytesIO(data), 0, 64, 1))


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, arrow_map, name):
    """Wherever a byte is changed: it is read, or refused as this file, and nothing else happens."""
    path, rows = tmp_path / name, table(pa.array(["内科"] * 20))
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
    else:
        with pa.ipc.new_file(path, rows.schema) as writer:
            writer.write_table(rows)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            read(path, arrow_map)
        except SourceError as refused:
            assert "x." in refused.message  # noqa: PT017 - either is right


def zigzag(number: int) -> bytes:
    """A number as headers have it."""
    left, out = number << 1, b""
    while left > 127:
        out, left = out + bytes([left & 127 | 128]), left >> 7
    return out + bytes([left])


def header(*sizes: bytes, values: int = 1) -> bytes:
    """A header of a data page of PLAIN values whose sizes are written as they are given."""
    own = b"\x15" + zigzag(values) + b"\x15\x00\x15\x06\x15\x06\x00"
    return b"\x15\x00" + b"".join(sizes) + b"\x0c" + zigzag(5) + own + b"\x00"


SMALL, PACKED = b"\x15" + zigzag(9), b"\x15" + zigzag(9)
LARGE = zigzag(1 << 30)


def test_a_header_that_is_written_by_hand_is_read():
    """What the tests below change."""
    (page,) = read_pages(io.BytesIO(header(SMALL, PACKED)), 0, 64, 1)
    assert (page.unpacked_bytes, page.values) == (9, 1)


@pytest.mark.parametrize(
    "data",
    [
        header(b"\x15" + LARGE, b"\x06" + zigzag(2) + zigzag(9), PACKED),
        header(SMALL, b"\x05" + zigzag(2) + LARGE, PACKED),
        header(SMALL, PACKED, b"\x05" + zigzag(65_536 + 2) + LARGE),
        header(SMALL, PACKED, values=(1 << 32) + 1),
        header(b"\x15" + zigzag((1 << 32) + 9), PACKED),
    ],
    ids=["type", "twice", "number", "values", "size"],
)
def test_headers_that_readers_take_otherwise_are_refused(data):
    """Arrow keeps the last field of the right type, and the low bits of numbers: 9 bytes here, a gigabyte there."""
    with pytest.raises(BadHeader):
        list(read_pages(io.BytesIO(data), 0, 64, 2))


def test_buffers_that_were_packed_as_in_arrow_0_17_are_refused(tmp_path, arrow_map):
    """The block says nothing of it, its metadata does, and Arrow unpacks: the size that is stated is the packed one."""
    path, rows = tmp_path / "bomb.arrow", table(pa.array([LONG]))
    options = pa.ipc.IpcWriteOptions(compression="zstd", metadata_version=pa.ipc.MetadataVersion.V4)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema, options=options) as writer:
        (batch,) = rows.to_batches()
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "ZSTD"})
    with pytest.raises(SourceError, match="no readable Arrow file"):
        read(path, arrow_map)


def test_values_that_repeat_in_lists_of_one_length_are_counted(tmp_path, monkeypatch):
    """They hold dictionaries as other lists do."""
    monkeypatch.setattr(unpacking, "MOST_DECODED_BYTES", 16 * 1024 * 1024)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(["长" * 100_000] * 256), 4)
    pq.write_table(pa.table({"a": lists}), path := tmp_path / "bomb.parquet", compression="zstd")
    assert path.stat().st_size < 64 * 1024
    with pytest.raises(SourceError, match="rows unpack to"):
        list(read_rows(path, "utf-8"))


@pytest.mark.parametrize("is_listed", [False, True])
def test_texts_of_foreign_types_are_refused(tmp_path, is_listed):
    """Arrow writes out what repeats in them before anything can be counted."""
    texts = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['"x"'] * 4))
    column = pa.ListArray.from_arrays(pa.array([0, 4], pa.int32()), texts) if is_listed else texts
    pq.write_table(pa.table({"a": column}), path := tmp_path / "bomb.parquet")
    with pytest.raises(SourceError, match=r"column 'a' is of .*extension<arrow\.json>"):
        list(read_rows(path, "utf-8"))


def test_columns_of_nothing_come_in_few_rows(tmp_path, monkeypatch):
    """A null costs a bit in a column, and a place in each row that is made of it."""
    monkeypatch.setattr(unpacking, "MOST_DECODED_BYTES", 1024 * 1024)
    nothing = pa.table({f"c{number}": pa.nulls(200, pa.bool_()) for number in range(300)})
    pq.write_table(nothing, path := tmp_path / "bomb.parquet")
    parts = list(unpacking.read_parquet(path, pq.read_metadata(path), nothing.column_names, rows=200))
    assert [part.num_rows for part in parts] == [54, 54, 54, 38]
    with pa.ipc.new_file(path := tmp_path / "bomb.arrow", nothing.schema) as writer:
        writer.write_table(nothing)
    with pa.ipc.open_file(path) as file:
        assert [part.num_rows for part in unpacking.cut(path, file.get_batch(0), 200)] == [50] * 4


def test_lists_of_nothing_are_counted_over_all_columns(tmp_path, monkeypatch):
    """Each column alone may have as many."""
    monkeypatch.setattr(unpacking, "_MOST_ITEMS_TOGETHER", 250)
    lists = pa.array([[None] * 100], pa.list_(pa.int32()))
    pq.write_table(pa.table({"a": lists, "b": lists, "c": lists}), path := tmp_path / "bomb.parquet")
    with pytest.raises(SourceError, match="the lists of row group 0 have 300 items together"):
        list(read_rows(path, "utf-8"))
