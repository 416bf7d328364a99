"""Opened values by column, as Arrow. For the modules of this package alone: what it returns is plaintext."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
        import pyarrow as pa

        kinds = {field.code: arrow_type(field) for field in fields}
        self._codes = tuple(kinds)
        self._of_text = [code for code, kind in kinds.items() if kind == pa.string()]
        self._kinds = [(code, kind) for code, kind in kinds.items() if kind != pa.string()]

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
        columns = self._texts(values) | {code: pa.array(_decoded(values, code), kind) for code, kind in self._kinds}
        return pa.RecordBatch.from_pydict(head | {code: columns[code] for code in self._codes})

    def _texts(self, values: Sequence[Mapping[str, bytes]]) -> dict[str, "pa.Array"]:
        """Return the columns of texts, made as one: what Arrow does with each takes as long for few values as for many.

        Text without escapes is what stands between the quotes.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        quoted = pa.array([one.get(code) for code in self._of_text for one in values], pa.binary())
        if pc.any(pc.match_substring(quoted, b"\\")).as_py():
            return {code: pa.array(_decoded(values, code), pa.string()) for code in self._of_text}
        texts, size = pc.binary_slice(quoted, 1, -1).cast(pa.string()), len(values)
        return {code: texts.slice(place * size, size) for place, code in enumerate(self._of_text)}


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


def _decoded(values: Sequence[Mapping[str, bytes]], code: str) -> list[JsonValue]:
    """Return the values of a column, read at once."""
    decoded: list[JsonValue] = json.loads(b"[%b]" % b",".join([one.get(code, b"null") for one in values]))
    return decoded
