"""Opened records by column, under pseudonyms, as the vault side streams them; back to the rows of each person."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from deid.rows import SourceRow
from kernel.encoding import JsonValue

if TYPE_CHECKING:
    import pyarrow as pa

PSEUDONYM: Final = "~pseudonym"
KIND: Final = "~kind"
OBSERVED_AT: Final = "~observed_at"


def source_rows(batch: "pa.RecordBatch") -> Iterator[tuple[str, list[SourceRow]]]:
    """Yield each pseudonym with its records.

    Args:
        batch: the columns above, and one a field under its code; null says nothing. A row without a kind is of
            somebody who has no record.
    """
    people: dict[str, list[SourceRow]] = {}
    for row in batch.to_pylist():
        pseudonym, kind, at = row.pop(PSEUDONYM), row.pop(KIND), row.pop(OBSERVED_AT)
        records = people.setdefault(pseudonym, [])
        if kind is not None:
            records.append(SourceRow(kind, at, _said(row)))
    yield from people.items()


def _said(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    return {name: _bare(value) for name, value in values.items() if value is not None}


def _bare(value: Any) -> JsonValue:  # noqa: ANN401 - whatever a column holds
    """Return a value without the empty members that Arrow gives every object of a column."""
    if isinstance(value, dict):
        return _said(value)
    if isinstance(value, list):
        return [_bare(item) for item in value]
    plain: JsonValue = value
    return plain
