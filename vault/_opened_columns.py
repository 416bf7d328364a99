"""Opened values by column, as Arrow. For the modules of this package alone: what it returns is plaintext."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kernel.catalogue import Field, FieldType
from vault._rows import SealedRow
from vault.bulk_columns import KIND, OBSERVED_AT, SOURCE, SOURCE_RECORD, SUBJECT
from vault.envelope import decode_plaintext

if TYPE_CHECKING:
    import pyarrow as pa

OpenedRows = Sequence[tuple[SealedRow, dict[str, bytes]]]
"""Records of one subject: the newest row of each, and its values as canonical JSON by field code."""


class OpenedColumns:
    """Turns opened records into Arrow batches of one schema."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields

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
        columns = {
            field.code: _column([plaintexts.get(field.code) for plaintexts in values], field) for field in self._fields
        }
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


def _column(plaintexts: Sequence[bytes | None], field: Field) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = arrow_type(field)
    if kind != pa.string():
        return pa.array([None if one is None else decode_plaintext(one) for one in plaintexts], kind)
    quoted = pa.array(plaintexts, pa.binary())
    if pc.any(pc.match_substring(quoted, b"\\")).as_py():
        return pa.array([None if one is None else decode_plaintext(one) for one in plaintexts], kind)
    return pc.binary_slice(quoted, 1, -1).cast(kind)  # text without escapes is what stands between the quotes
