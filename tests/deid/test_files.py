"""Files of a release: what is written reads back the same from CSV and from Parquet."""

import hashlib
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.files import ColumnKind, file_sha256, kinds_of, read_as_text, write_csv, write_parquet
from kernel.errors import BadInput

TABLE = pa.table(
    {
        "pseudonym": pa.array(["ps_a", "ps_b", "ps_c"]),
        "province": pa.array(["110000", None, "4*****"]),
        "groups": pa.array([["E11", "I10"], None, []], pa.list_(pa.string())),
        "high": pa.array([True, None, False]),
        "visits": pa.array([1, None, -3], pa.int32()),
        "share": pa.array([Decimal("0.50"), None, Decimal("12.00")], pa.decimal128(6, 2)),
    }
)
AS_TEXT = {
    "pseudonym": ["ps_a", "ps_b", "ps_c"],
    "province": ["110000", None, "4*****"],
    "groups": ["E11;I10", None, ""],
    "high": ["true", None, "false"],
    "visits": ["1", None, "-3"],
    "share": ["0.50", None, "12.00"],
}


@pytest.mark.parametrize(("write", "name"), [(write_csv, "r.csv"), (write_parquet, "r.parquet")])
def test_every_kind_reads_back_as_its_text(tmp_path, write, name):
    """Codes stay text, sets are joined, nulls are nulls and not empty texts."""
    write(TABLE, tmp_path / name)
    assert read_as_text(tmp_path / name).to_pydict() == AS_TEXT


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)), min_size=1))
def test_any_text_survives_csv(tmp_path_factory, texts):
    """Quotes, commas, line ends and empty texts come back as they were."""
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    table = pa.table({"pseudonym": [f"p{n}" for n in range(len(texts))], "text": pa.array(texts, pa.string())})
    write_csv(table, path)
    assert read_as_text(path).equals(table)


def test_kinds_follow_the_types():
    """Every column has one of five kinds."""
    assert list(kinds_of(TABLE.schema).values()) == [
        ColumnKind.TEXT,
        ColumnKind.TEXT,
        ColumnKind.SET,
        ColumnKind.BOOLEAN,
        ColumnKind.INTEGER,
        ColumnKind.DECIMAL,
    ]


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.date32(), pa.float64(), pa.struct([]), pa.binary()])
def test_other_types_are_never_released(kind):
    """Dates, floats, nested values and bytes have no place in a release."""
    with pytest.raises(BadInput, match="cannot be released"):
        kinds_of(pa.schema([("odd", kind)]))


@pytest.mark.parametrize("value", [["a;b"], ["a", None]])
def test_set_that_cannot_be_told_apart_is_refused(tmp_path, value):
    """A semicolon in a value, or a null among values, would read back as something else."""
    table = pa.table({"pseudonym": ["ps_a"], "groups": pa.array([value], pa.list_(pa.string()))})
    with pytest.raises(BadInput, match="A set in column 'groups'"):
        write_csv(table, tmp_path / "r.csv")


def test_parquet_with_metadata_is_refused(tmp_path):
    """Other writers leave column statistics of data frames, user names and more."""
    pq.write_table(TABLE.replace_schema_metadata({"author": "somebody"}), tmp_path / "r.parquet")
    with pytest.raises(BadInput, match="carries metadata"):
        read_as_text(tmp_path / "r.parquet")
    write_parquet(TABLE.replace_schema_metadata({"author": "somebody"}), tmp_path / "r.parquet")
    assert read_as_text(tmp_path / "r.parquet").num_rows == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.parquet", b"PAR1 not really", "cannot be read"),
        ("r.csv", b"a,b\n1,2,3\n", "cannot be read"),
        ("r.csv", b"", "cannot be read"),
        ("r.csv", b"\xff\xfe\n1\n", "cannot be read"),
        ("r.xlsx", b"", "is neither .csv nor .parquet"),
    ],
)
def test_file_that_is_not_what_it_says_is_refused(tmp_path, name, content, message):
    """A broken or foreign file is one clear line."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_as_text(tmp_path / name)


def test_missing_file_is_refused(tmp_path):
    """There is nothing to read."""
    with pytest.raises(BadInput, match="cannot be read"):
        read_as_text(tmp_path / "r.csv")


def test_hash_is_that_of_the_bytes(tmp_path):
    """SHA-256 over the file."""
    (tmp_path / "r.csv").write_bytes(b"abc")
    assert file_sha256(tmp_path / "r.csv") == hashlib.sha256(b"abc").hexdigest()
