"""Opens prepared Parquet and Arrow files, batch by batch; a file whose columns are not the map's is refused as a whole.

Prepared means: values are written as the catalogue's types say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from consentry.sources.arrow_maps import ArrowMap
from consentry.sources.files import check_file
from consentry.sources.headers import shown_names
from consentry.sources.records import SourceError
from consentry.sources.unpacking import check_blocks, check_pages, cut, read_parquet
from kernel.catalogue import Field, FieldType

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE: Final = 5_000
"""Rows that are read together."""


@contextmanager
def open_batches(path: Path, arrow_map: ArrowMap) -> "Iterator[Iterator[pa.RecordBatch]]":
    """Open a file as batches of the map's columns, a few thousand rows each, with flat memory.

    Raises:
        SourceError: the file cannot be read, lacks a column, or has one that the map does not name; also while the
            batches come.
    """
    import pyarrow as pa

    check_file(path)
    try:
        with _opened(path, arrow_map) as batches:
            yield batches
    except (pa.ArrowException, OSError):
        raise SourceError(
            f"{path.name} is no readable {path.suffix.lstrip('.')} file", hint="Export or copy it again."
        ) from None


@contextmanager
def _opened(path: Path, arrow_map: ArrowMap) -> "Iterator[Iterator[pa.RecordBatch]]":
    match path.suffix.lower():
        case ".parquet":
            with _opened_parquet(path, arrow_map) as batches:
                yield batches
        case ".arrow" | ".feather":
            with _opened_arrow(path, arrow_map) as batches:
                yield batches
        case _:
            raise SourceError(f"{path.name} is of an unknown format", hint="Give .parquet or .arrow.")


@contextmanager
def _opened_parquet(path: Path, arrow_map: ArrowMap) -> "Iterator[Iterator[pa.RecordBatch]]":
    import pyarrow.parquet as pq

    metadata, columns = pq.read_metadata(path), list(arrow_map.columns)
    _check_header(path, metadata.schema.to_arrow_schema(), arrow_map)
    as_they_stand = check_pages(path, metadata, columns)
    batches = read_parquet(path, metadata, columns, rows=ROWS_AT_ONCE, as_they_stand=as_they_stand)
    yield (part.select(columns) for part in batches)


@contextmanager
def _opened_arrow(path: Path, arrow_map: ArrowMap) -> "Iterator[Iterator[pa.RecordBatch]]":
    import pyarrow as pa

    check_blocks(path)
    with pa.OSFile(str(path)) as handle, pa.ipc.open_file(handle) as file:
        _check_header(path, file.schema, arrow_map)
        yield (
            part
            for number in range(file.num_record_batches)
            for part in cut(path, file.get_batch(number).select(list(arrow_map.columns)), ROWS_AT_ONCE)
        )


def _check_header(path: Path, schema: "pa.Schema", arrow_map: ArrowMap) -> None:
    if missing := [name for name in arrow_map.columns if name not in schema.names]:
        raise SourceError(
            f"{path.name}: missing columns {shown_names(missing)}", hint="Export them, or take them out of the map."
        )
    known = {*arrow_map.columns, *arrow_map.ignored}
    if extra := [name for name in schema.names if name not in known]:
        raise SourceError(
            f"{path.name}: columns that the map does not name: {shown_names(extra[:20])}",
            hint="Give each a field, or list it under ignore.",
        )
    for name, field in arrow_map.fields.items():
        if not _fits(schema.field(name).type, field):
            raise SourceError(
                f"{path.name}: column {name!r} is {schema.field(name).type}, and field {field.code} {field.type}",
                hint="Prepare it as docs/how-to/ingest.md says.",
            )
    _check_head(path, schema, arrow_map)


def _check_head(path: Path, schema: "pa.Schema", arrow_map: ArrowMap) -> None:
    import pyarrow as pa

    for name in (arrow_map.subject, arrow_map.record, arrow_map.kind_column):
        if name is not None and not _is_text(schema.field(name).type):
            raise SourceError(f"{path.name}: column {name!r} holds no text", hint="Write ids and kinds as text.")
    time = schema.field(arrow_map.time).type
    if not pa.types.is_timestamp(time) or time.tz is None:
        raise SourceError(
            f"{path.name}: column {arrow_map.time!r} holds no instants", hint="Give timestamps with a time zone."
        )


def _fits(found: "pa.DataType", field: Field) -> bool:
    import pyarrow as pa

    if field.repeated:
        if not (pa.types.is_list(found) or pa.types.is_large_list(found)):
            return False
        found = found.value_type
    match field.type:
        case FieldType.BOOLEAN:
            return bool(pa.types.is_boolean(found))
        case FieldType.INTEGER:
            return bool(pa.types.is_integer(found))
        case FieldType.QUANTITY:
            members = [found.field(number) for number in range(found.num_fields)] if pa.types.is_struct(found) else []
            named = {member.name for member in members if _is_text(member.type)}
            return len(named) == len(members) and {"code", "value", "unit"} <= named <= {
                "code",
                "value",
                "unit",
                "flag",
            }
        case _:
            return _is_text(found)


def _is_text(found: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        found = found.value_type
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
