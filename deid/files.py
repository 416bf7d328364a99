"""The files of a release: written, hashed and read back."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATOR: Final = ";"
"""Between the values of a set in a CSV cell."""


class ColumnKind(StrEnum):
    """What the cells of a released column may be; dates and nested values are never released."""

    TEXT = "text"
    SET = "set"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"


def kinds_of(schema: "pa.Schema") -> Mapping[str, ColumnKind]:
    """Return the kind of every column.

    Raises:
        BadInput: a column of another type.
    """
    import pyarrow as pa

    kinds: dict[str, ColumnKind] = {}
    for field in schema:
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            kinds[field.name] = ColumnKind.TEXT
        elif field.type == pa.list_(pa.string()):
            kinds[field.name] = ColumnKind.SET
        elif pa.types.is_boolean(field.type):
            kinds[field.name] = ColumnKind.BOOLEAN
        elif pa.types.is_integer(field.type):
            kinds[field.name] = ColumnKind.INTEGER
        elif pa.types.is_decimal(field.type):
            kinds[field.name] = ColumnKind.DECIMAL
        else:
            raise BadInput(f"Column {field.name!r} of type {field.type} cannot be released", hint="Leave it out.")
    return kinds


def write_parquet(table: "pa.Table", path: Path) -> None:
    """Write a table without any metadata but its schema."""
    import pyarrow.parquet as pq

    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def write_csv(table: "pa.Table", path: Path) -> None:
    """Write a table as CSV (RFC 4180, UTF-8, header): a null is an empty cell, a set its values between semicolons.

    Raises:
        BadInput: a value of a set holds a semicolon; a column that cannot be released.
    """
    from pyarrow import csv

    for name, kind in kinds_of(table.schema).items():
        if kind is ColumnKind.SET:
            position = table.column_names.index(name)
            table = table.set_column(position, name, _joined(name, table.column(name)))
    csv.write_csv(table, path)


def read_as_text(path: Path) -> "pa.Table":
    """Read a written CSV or Parquet file with every cell as the text that the CSV shows.

    Raises:
        BadInput: another suffix, not readable as what its name says, or Parquet metadata beside the schema.
    """
    import pyarrow as pa

    try:
        match path.suffix:
            case ".csv":
                return _read_csv(path)
            case ".parquet":
                return _read_parquet(path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError):
        raise BadInput(f"{path.name} cannot be read", hint="Build the release again.") from None
    raise BadInput(f"{path.name} is neither .csv nor .parquet", hint="Release those two only.")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_csv(path: Path) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv

    with path.open(encoding="utf-8", newline="") as file:
        header = file.readline()
    names = csv.read_csv(pa.py_buffer(header.encode())).column_names
    as_text = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=as_text)


def _read_parquet(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if table.schema.metadata:
        raise BadInput(f"{path.name} carries metadata beside its schema", hint="Write it with write_parquet.")
    for position, (name, kind) in enumerate(kinds_of(table.schema).items()):
        column = table.column(name)
        text = _joined(name, column) if kind is ColumnKind.SET else pc.cast(column, pa.string())
        table = table.set_column(position, name, text)
    return table


def _joined(name: str, column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow.compute as pc

    flat = pc.list_flatten(column)
    if flat.null_count or pc.any(pc.match_substring(flat, SEPARATOR)).as_py():
        raise BadInput(f"A set in column {name!r} holds a null or a {SEPARATOR!r}", hint="Leave the column out.")
    return pc.binary_join(column, SEPARATOR)
