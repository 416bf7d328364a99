"""Tables about the same persons, side by side."""

from typing import TYPE_CHECKING

from deid.privacy import PERSON
from kernel.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa


def join_persons(left: "pa.Table", right: "pa.Table") -> "pa.Table":
    """Put the columns of two tables with one row a person side by side, for the persons who are in both.

    Arrow's own join takes no columns of lists, which views have.

    Args:
        left: with the column ``pseudonym``; its order stays.
        right: with the column ``pseudonym``, and otherwise other columns than ``left``.

    Raises:
        BadInput: a person has two rows, or both tables have a column besides the pseudonym.
    """
    import pyarrow.compute as pc

    if shared := (set(left.column_names) & set(right.column_names)) - {PERSON}:
        raise BadInput(f"Both tables have {', '.join(sorted(shared))}", hint="Give tags and columns different names.")
    for table in (left, right):
        if pc.count_distinct(table[PERSON], mode="all").as_py() != table.num_rows:
            raise BadInput("A person has two rows", hint="Join tables with one row a person.")
    places = pc.index_in(left[PERSON], right[PERSON].combine_chunks())
    both = pc.is_valid(places)
    joined, found = left.filter(both), right.take(places.filter(both))
    for name in found.column_names:
        if name != PERSON:
            joined = joined.append_column(found.schema.field(name), found[name])
    return joined
