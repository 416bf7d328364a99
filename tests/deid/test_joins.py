"""Tables about the same persons, side by side."""

import pyarrow as pa
import pytest

from deid.joins import join_persons
from kernel.errors import BadInput

ROWS = pa.table({"pseudonym": ["c", "a", "b"], "groups": pa.array([["I10"], None, []], pa.list_(pa.string()))})


def test_persons_in_both_tables_stay_in_order():
    """Sets come along, whoever is in one table only does not."""
    tags = pa.chunked_array([["b", "x"], ["c"]])
    joined = join_persons(ROWS, pa.table({"pseudonym": tags, "tier": ["high", "low", None], "n": [1, 2, 3]}))
    assert joined.to_pydict() == {
        "pseudonym": ["c", "b"],
        "groups": [["I10"], []],
        "tier": [None, "high"],
        "n": [3, 1],
    }


def test_nobody_in_both_is_an_empty_table():
    """The columns are there all the same."""
    joined = join_persons(ROWS, pa.table({"pseudonym": pa.array([], pa.string()), "n": pa.array([], pa.int32())}))
    assert joined.num_rows == 0
    assert joined.column_names == ["pseudonym", "groups", "n"]


def test_person_with_two_rows_is_refused():
    """Which of them would it be?"""
    with pytest.raises(BadInput, match="two rows"):
        join_persons(ROWS, pa.table({"pseudonym": ["a", "a"], "n": [1, 2]}))


def test_column_of_both_is_refused():
    """Neither silently hides the other."""
    with pytest.raises(BadInput, match="Both tables have groups"):
        join_persons(ROWS, ROWS)
