"""Columns of texts."""

import pandas as pd
import pyarrow as pa
import pytest

from deid.text import TextScrubber
from deid.text.columns import scrub_arrow, scrub_series
from kernel.errors import BadInput

TEXTS = ["电话13800138000", None, "头晕", "电话13900139000", "", "电话13800138000"]
SCRUBBED = ["电话〔手机〕", None, "头晕", "电话〔手机〕", "", "电话〔手机〕"]


@pytest.fixture(scope="module")
def scrubber():
    """One for all."""
    return TextScrubber(budget_ms=60_000)


class Counting:
    """Notes how many texts it was asked."""

    def __init__(self, scrubber):
        self.asked, self._scrubber = [], scrubber

    def scrub_many(self, texts):
        for text in texts:
            self.asked.append(text)
            yield self._scrubber.scrub(text)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_arrow_arrays_keep_type_and_nulls(scrubber, kind):
    """A slice of one, too."""
    array = pa.array(["x", *TEXTS], kind)[1:]
    scrubbed = scrub_arrow(array, scrubber)
    assert (scrubbed.type, scrubbed.to_pylist()) == (kind, SCRUBBED)


def test_chunked_arrays_keep_their_chunks(scrubber):
    """Also an empty one, and a column without any."""
    column = pa.chunked_array([TEXTS[:2], [], TEXTS[2:]], pa.string())
    scrubbed = scrub_arrow(column, scrubber)
    assert [len(chunk) for chunk in scrubbed.chunks] == [2, 0, 4]
    assert scrubbed.to_pylist() == SCRUBBED
    empty = pa.chunked_array([], pa.string())
    assert scrub_arrow(empty, scrubber).equals(empty)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_each_value_of_a_dictionary_is_scrubbed_once(scrubber, is_chunked):
    """Values that become the same are one; nulls of the rows and of the dictionary stay."""
    counting = Counting(scrubber)
    values = pa.array(["电话13800138000", "电话13900139000", None, "头晕"])
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2, 3, 0] * 20, pa.int8()), values)
    column = pa.chunked_array([array]) if is_chunked else array
    scrubbed = scrub_arrow(column, counting)
    assert scrubbed.type == column.type
    assert scrubbed.to_pylist() == ["电话〔手机〕", "电话〔手机〕", None, None, "头晕", "电话〔手机〕"] * 20
    assert len(counting.asked) == 3


def test_other_columns_are_refused(scrubber):
    """Numbers would come through unseen otherwise."""
    for column in (pa.array([13800138000]), pa.array([1, 1]).dictionary_encode(), pa.array([b"a"])):
        with pytest.raises(BadInput, match="holds no texts"):
            scrub_arrow(column, scrubber)


def test_bytes_that_are_no_text_are_refused(scrubber):
    """Arrow does not look at them; the message holds none."""
    array = pa.array([b"13800138000\xff"]).view(pa.string())
    with pytest.raises(BadInput, match="byte 11") as refused:
        scrub_arrow(array, scrubber)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize("dtype", [object, "str", "string", pd.ArrowDtype(pa.string())])
def test_series_keep_dtype_index_name_and_missing(scrubber, dtype):
    """Rows may share a label."""
    series = pd.Series(TEXTS, index=[3, 1, 1, 2, 5, 8], name="complaint", dtype=dtype)
    scrubbed = scrub_series(series, scrubber)
    assert scrubbed.dtype == series.dtype
    assert (scrubbed.name, scrubbed.index.tolist()) == ("complaint", [3, 1, 1, 2, 5, 8])
    assert [None if pd.isna(value) else value for value in scrubbed] == SCRUBBED


def test_each_category_is_scrubbed_once(scrubber):
    """Categories that become the same are one."""
    counting = Counting(scrubber)
    series = pd.Series(TEXTS * 20, dtype="category", name="complaint")
    scrubbed = scrub_series(series, counting)
    assert [None if pd.isna(value) else value for value in scrubbed] == SCRUBBED * 20
    assert isinstance(scrubbed.dtype, pd.CategoricalDtype)
    assert len(counting.asked) == 4


def test_a_value_that_is_no_text_is_refused(scrubber):
    """By its position, and without it."""
    with pytest.raises(BadInput, match="Value 1 is a int") as refused:
        scrub_series(pd.Series(["a", 13800138000], dtype=object), scrubber)
    assert "13800138000" not in refused.value.diagnostics()
    with pytest.raises(BadInput, match="Value 0 is a int"):
        scrub_series(pd.Series([13800138000], dtype="category"), scrubber)
