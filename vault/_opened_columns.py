"""Opened values by column, as Arrow. For the modules of this package alone: what it returns is plaintext."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kernel.catalogue import Field, FieldType
from kernel.encoding import JsonValue
from vault._rows import SealedRow
from vault.bulk_columns import KIND, OBSERVED_AT, SOURCE, SOURCE_RECORD, SUBJECT

if TYPE_CHECKING:
    import pyarrow as pa

OpenedRows = Sequence[tuple[SealedRow, dict[str, bytes]]]
"""Records of one subject: the newest row of each, and its values as canonical JSON by field code."""


class OpenedColumns:
    """Turns opened records into Arrow batches of one schema."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._kinds = {field.code: arrow_type(field) for field in fields}

    def batch(self, opened: Iterable[OpenedRows]) -> "pa.RecordBatch":
        """Return the records of some subjects as one batch."""
        import pyarrow as pa

        rows: list[SealedRow] = []
        values: list[dict[str, bytes]] = []
        for records in opened:
            for row, plaintexts in records:
                rows.append(row)
                values.append(plaintexts)
        head = {
            SUBJECT: pa.array([row.subject_id for row in rows], pa.string()),
            SOURCE_RECORD: pa.array([row.record_id for row in rows], pa.string()),
            KIND: pa.array([row.kind for row in rows], pa.string()),
            SOURCE: pa.array([row.source for row in rows], pa.string()),
            OBSERVED_AT: pa.array([row.observed_at for row in rows], pa.timestamp("us", "UTC")),
        }
        columns = {code: _column([one.get(code) for one in values], kind) for code, kind in self._kinds.items()}
        return pa.RecordBatch.from_pydict(head | columns)


def arrow_type(field: Field) -> "pa.DataType":
    """Return the Arrow type of a field's column."""
    import pyarrow as pa

    match field.type:
        case FieldType.BOOLEAN:
            one: Any = pa.bool_()
        case FieldType.INTEGER:
            one = pa.int64()
        case FieldType.QUANTITY:
            one = pa.struct({member: pa.string() for member in ("code", "value", "unit", "flag")})
        case _:
            one = pa.string()
    return pa.list_(one) if field.repeated else one


def _column(plaintexts: Sequence[bytes | None], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind != pa.string():
        return pa.array(_decoded(plaintexts), kind)
    quoted = pa.array(plaintexts, pa.binary())
    if pc.any(pc.match_substring(quoted, b"\\")).as_py():
        return pa.array(_decoded(plaintexts), kind)
    return pc.binary_slice(quoted, 1, -1).cast(kind)  # text without escapes is what stands between the quotes


def _decoded(plaintexts: Sequence[bytes | None]) -> list[JsonValue]:
    """Return the values of a column, read at once."""
    values: list[JsonValue] = json.loads(b"[%b]" % b",".join([b"null" if one is None else one for one in plaintexts]))
    return values
