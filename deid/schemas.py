"""Arrow schemas of views."""

from typing import TYPE_CHECKING

from deid.cells import CellType
from deid.view_definition import PSEUDONYM, ViewDefinition

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_schema(view: ViewDefinition) -> "pa.Schema":
    """Return the schema of a view: the pseudonym, never null, then its columns; sets are lists of strings."""
    import pyarrow as pa

    fields = [pa.field(PSEUDONYM, pa.string(), nullable=False)]
    for column in view.columns:
        cell = arrow_type(column.type)
        fields.append(pa.field(column.name, pa.list_(cell) if column.is_multi_valued else cell))
    return pa.schema(fields)


def arrow_type(cell: CellType) -> "pa.DataType":
    """Return the Arrow type of a cell: int32, decimal128(12, 2), date32, timestamp in UTC, bool or string."""
    import pyarrow as pa

    match cell:
        case CellType.STRING:
            return pa.string()
        case CellType.INTEGER:
            return pa.int32()
        case CellType.BOOLEAN:
            return pa.bool_()
        case CellType.MONEY:
            return pa.decimal128(12, 2)
        case CellType.DAY:
            return pa.date32()
        case CellType.MINUTE:
            return pa.timestamp("us", tz="UTC")
