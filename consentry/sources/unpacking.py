"""Bounds what files of columns unpack to: what is small on disk can say of itself that it is large.

Three ways are known: a page or buffer that packs well, a value that is written once and meant often (a dictionary,
a prefix), and a list whose items cost nothing. Sizes are read before anything is unpacked; values that repeat are kept
as they are written until the size of all of them is known.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from consentry.sources.arrow_blocks import BadBlock, read_blocks
from consentry.sources.parquet_pages import BadHeader, Encoding, Page, PageKind, read_pages
from consentry.sources.records import SourceError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MOST_DECODED_BYTES: Final = 256 * 1024 * 1024
"""Of the rows that are worked on together."""

MOST_UNPACKED_BYTES: Final = 512 * 1024 * 1024
"""Of the pages, or of the block, in which those rows lie."""

FEWEST_ROWS: Final = 64
"""Fewer rows than that do not need so much: 4 MiB a row."""

_MOST_ITEMS: Final = 20_000_000
"""Of lists in one column of a row group: a million rows have twenty each."""

_MOST_ITEMS_TOGETHER: Final = 64_000_000
"""Of lists in all columns of a row group: each costs what its type takes, also where it is null."""

_LEAST_BYTES: Final = 64
"""What a value counts at the least: a null costs nothing in a column, and a place where rows are taken apart."""

_TEXT_ENCODINGS: Final = frozenset({Encoding.PLAIN, Encoding.PLAIN_DICTIONARY, Encoding.RLE_DICTIONARY})
"""Those in which a text is as long as it is written, or stands in a dictionary."""

_PADDING_BYTES: Final = 100
"""Old writers stated a chunk too short by up to that (PARQUET-816); readers look beyond."""


def check_pages(path: Path, metadata: "pq.FileMetaData", columns: Sequence[str]) -> frozenset[str]:
    """Look at every page of some columns of a Parquet file without unpacking it.

    Returns:
        the paths of texts that stand in no dictionary and, whole row groups of them, are small enough to be read as
        they stand; none where they are too large together.
    Raises:
        SourceError: the pages of a row group that lie in memory together are too large, its lists too long, a text is
            encoded in a way that lets it grow, or a header is damaged.
    """
    leaves, texts = _leaves(metadata, columns), {*_text_leaves(metadata, columns)}
    written: dict[str, list[int]] = {text: [0] * metadata.num_row_groups for text in texts}
    with path.open("rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            try:
                sizes = [_sizes(path, file, metadata, group.column(leaf), leaf) for leaf in leaves]
            except BadHeader:
                raise SourceError(f"{path.name}: a page's header is damaged", hint="Export it again.") from None
            together, items = sum(one.held_bytes for one in sizes), sum(one.items for one in sizes)
            if together > MOST_UNPACKED_BYTES:
                raise too_large(path, f"the pages of row group {number}", together)
            if items > _MOST_ITEMS_TOGETHER:
                raise _too_many(path, f"the lists of row group {number} have {items} items together")
            for one in sizes:
                if one.has_dictionary:
                    written.pop(one.path, None)
                elif one.path in written:
                    written[one.path][number] = one.whole_bytes
    largest = max((sum(of) for of in zip(*written.values(), strict=True)), default=0)
    return frozenset(written) if largest <= MOST_DECODED_BYTES else frozenset()


def check_blocks(path: Path) -> None:
    """Look at every block of an Arrow file without unpacking it.

    Raises:
        SourceError: a block, or all dictionaries together, are too large, or the metadata is damaged.
    """
    dictionaries = 0
    try:
        with path.open("rb") as file:
            for number, block in enumerate(read_blocks(file)):
                dictionaries += block.unpacked_bytes if block.is_dictionary else 0
                together = dictionaries if block.is_dictionary else dictionaries + block.unpacked_bytes
                if together > MOST_UNPACKED_BYTES:
                    raise too_large(path, f"block {number}", together)
    except BadBlock:
        raise SourceError(f"{path.name} is no readable Arrow file", hint="Export or copy it again.") from None


def read_parquet(
    path: Path,
    metadata: "pq.FileMetaData",
    columns: Sequence[str],
    *,
    rows: int,
    as_they_stand: Collection[str] = (),
) -> "Iterator[pa.RecordBatch]":
    """Yield some columns of a Parquet file in parts of at most so many rows, with flat memory.

    Args:
        path: of a file whose pages were checked.
        metadata: its footer.
        columns: their names.
        rows: most at once.
        as_they_stand: texts that are not kept as dictionaries, by their paths; see ``check_pages``.
    Raises:
        SourceError: a few rows are too large, or the file is damaged.
    """
    import pyarrow.parquet as pq

    widest = sum(_width(metadata, leaf) for leaf in _leaves(metadata, columns))
    rows = max(1, min(rows, MOST_DECODED_BYTES // max(1, widest)))
    kept = [text for text in _text_leaves(metadata, columns) if text not in as_they_stand]
    with pq.ParquetFile(path, read_dictionary=kept, pre_buffer=False) as parquet:
        for column in parquet.schema_arrow:
            if column.name in columns and _is_foreign(column.type):
                raise SourceError(f"{path.name}: column {column.name!r} is of {column.type}", hint="Write it as text.")
        for group in range(metadata.num_row_groups):  # a dictionary is a row group's
            for batch in parquet.iter_batches(rows, row_groups=[group], columns=list(columns), use_threads=False):
                yield from cut(path, batch, rows)


def cut(path: Path, batch: "pa.RecordBatch", rows: int) -> "Iterator[pa.RecordBatch]":
    """Yield a batch in parts of some rows, fewer where they are large, with values written out where they repeat.

    Raises:
        SourceError: a few rows are too large, or the batch is damaged.
    """
    import pyarrow as pa

    try:
        batch.validate(full=True)  # before lengths and places in it are believed
    except pa.ArrowInvalid:
        raise SourceError(f"{path.name}: damaged", hint="Export it again.") from None
    for start in range(0, batch.num_rows, rows):
        yield from _halved(path, batch.slice(start, rows))


def too_large(path: Path, what: str, size: int) -> SourceError:
    """Return the refusal of a file."""
    return SourceError(
        f"{path.name}: {what} unpack to {size // 1024 // 1024} MiB, more than is worked on at once",
        hint="Write fewer rows to a batch or row group; where the values are not so long, the file was made to harm.",
    )


def _halved(path: Path, batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    size = sum(decoded_bytes(column) for column in batch.columns)
    if size <= MOST_DECODED_BYTES:
        yield _written_out(batch)
    elif batch.num_rows <= FEWEST_ROWS:
        raise too_large(path, f"{batch.num_rows} rows", size)
    else:
        half = batch.num_rows // 2
        yield from _halved(path, batch.slice(0, half))
        yield from _halved(path, batch.slice(half))


def decoded_bytes(column: "pa.Array") -> int:
    """Return how many bytes a column has once its values are written out; the column was validated."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        if not _has_length(column.type.value_type):
            return decoded_bytes(column.dictionary) * len(column)
        lengths = pc.fill_null(pc.binary_length(column.dictionary).cast(pa.int64()), 0)
        return int(pc.sum(lengths.take(column.indices)).as_py() or 0) + _LEAST_BYTES * len(column)
    if pa.types.is_struct(column.type):
        return _LEAST_BYTES * len(column) + sum(decoded_bytes(member) for member in column.flatten())
    if pa.types.is_map(column.type):
        return _LEAST_BYTES * len(column) + decoded_bytes(column.keys) + decoded_bytes(column.items)
    if _is_list(column.type):
        return _LEAST_BYTES * len(column) + decoded_bytes(column.flatten())
    return max(int(column.nbytes), _LEAST_BYTES * len(column))


def _has_length(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(texts or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_foreign(kind: "pa.DataType") -> bool:
    """Say whether texts lie inside a type beside Arrow's own, whose values are written out before they are counted."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type.num_fields > 0 or _has_length(kind.storage_type)
    return any(_is_foreign(kind.field(number).type) for number in range(kind.num_fields))


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    types = pa.types
    views = types.is_list_view(kind) or types.is_large_list_view(kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or views)


def _written_out(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    import pyarrow as pa

    columns = [
        column if column.type == (plain := _plain_type(column.type)) else column.cast(plain) for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain_type(found: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        return _plain_type(found.value_type)
    if pa.types.is_list(found):
        return pa.list_(found.value_field.with_type(_plain_type(found.value_type)))
    if pa.types.is_large_list(found):
        return pa.large_list(found.value_field.with_type(_plain_type(found.value_type)))
    if pa.types.is_struct(found):
        return pa.struct([member.with_type(_plain_type(member.type)) for member in found])
    return found


_TEXT: Final = "BYTE_ARRAY"
_FIXED: Final = "FIXED_LEN_BYTE_ARRAY"
_MOST_FIXED_BYTES: Final = 1024
"""Longest number or digest of a fixed length."""


def _leaves(metadata: "pq.FileMetaData", columns: Sequence[str]) -> list[int]:
    """Return the numbers of the columns' leaves, as the reader that is given their names chooses them."""
    paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
    return [
        leaf for leaf, path in enumerate(paths) if any(path == name or path.startswith(f"{name}.") for name in columns)
    ]


def _text_leaves(metadata: "pq.FileMetaData", columns: Sequence[str]) -> list[str]:
    """Return the paths of the texts in some columns of a Parquet file."""
    schema = metadata.schema
    return [
        schema.column(leaf).path for leaf in _leaves(metadata, columns) if schema.column(leaf).physical_type == _TEXT
    ]


def _width(metadata: "pq.FileMetaData", leaf: int) -> int:
    """Return what a value of a leaf takes at the least, also where it is null."""
    column = metadata.schema.column(leaf)
    return max(_LEAST_BYTES, column.length if column.physical_type == _FIXED else 0)


class _Sizes(NamedTuple):
    """Of one column chunk.

    Attributes:
        path: of its column.
        held_bytes: what is held of it while it is read: its dictionary and one page.
        whole_bytes: of all its pages.
        items: of its lists; none where it has no lists.
    """

    path: str
    held_bytes: int
    whole_bytes: int
    has_dictionary: bool
    items: int


def _sizes(
    path: Path, file: BinaryIO, metadata: "pq.FileMetaData", chunk: "pq.ColumnChunkMetaData", leaf: int
) -> _Sizes:
    column = metadata.schema.column(leaf)
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < start:
        start = chunk.dictionary_page_offset
    held = {True: 0, False: 0}
    items, whole, has_dictionary = 0, 0, False
    for page in read_pages(file, start, chunk.total_compressed_size + _PADDING_BYTES, chunk.num_values):
        if column.physical_type == _FIXED and column.length > _MOST_FIXED_BYTES:
            raise too_large(path, f"values of {column.path!r}", column.length)
        if column.physical_type == _TEXT and page.encoding is not None and page.encoding not in _TEXT_ENCODINGS:
            raise _grows(path, column.path, page)
        is_dictionary = page.kind is PageKind.DICTIONARY
        held[is_dictionary] = max(held[is_dictionary], page.unpacked_bytes)
        whole += page.unpacked_bytes
        has_dictionary |= is_dictionary or page.encoding is not Encoding.PLAIN
        items += 0 if is_dictionary else page.values
    items = items if column.max_repetition_level > 0 else 0
    if items > _MOST_ITEMS:
        raise _too_many(path, f"the lists of {column.path!r} have {items} items in one row group")
    return _Sizes(column.path, sum(held.values()), whole, has_dictionary, items)


def _too_many(path: Path, what: str) -> SourceError:
    return SourceError(f"{path.name}: {what}", hint="Write fewer rows to a row group.")


def _grows(path: Path, name: str, page: Page) -> SourceError:
    """Return the refusal of texts whose length no header tells; engines write them if asked for Parquet 2."""
    said = "" if page.encoding is None else page.encoding.name
    return SourceError(
        f"{path.name}: column {name!r} is encoded as {said}, from which it is not told how long its texts are",
        hint="Export it with texts as PLAIN or RLE_DICTIONARY, as version 1 of Parquet has them (Spark: "
        "parquet.writer.version=v1; DuckDB: PARQUET_VERSION v1; pyarrow: no column_encoding), or as an Arrow file.",
    )
