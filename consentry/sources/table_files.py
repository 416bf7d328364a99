"""Yields the rows of CSV, Parquet, Excel and NDJSON files as texts by column, with flat memory."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from math import isnan
from pathlib import Path
from typing import Final, Protocol, TextIO, TypeAlias

from consentry.sources.files import (
    MAX_LINE_CHARACTERS,
    check_encoding,
    check_file,
    open_text,
    parse_json,
    read_lines,
)
from consentry.sources.records import RowFault, RowRefused, SourceError
from consentry.sources.unpacking import check_pages, read_parquet

Cells: TypeAlias = Mapping[str, str]
Line: TypeAlias = tuple[int, Cells | RowFault]
"""Row number and cells by column, or why the row cannot be read."""


class _CsvReader(Protocol):
    """What ``csv.reader`` gives."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


_PARQUET_ROWS: Final = 10_000
_MAX_EXCEL_BYTES: Final = 256 * 1024 * 1024
_MAX_UNPACKED_BYTES: Final = 512 * 1024 * 1024
_MAX_PART_BYTES: Final = 256 * 1024 * 1024
_MAX_PART_RATIO: Final = 100
"""Sheets of real exports shrink to a tenth or a twentieth, a workbook made to exhaust memory to a thousandth."""

_SMALL_PART_BYTES: Final = 1024 * 1024
"""A smaller part may shrink as it likes."""
_DELIMITERS: Final = (",", "\t", ";", "|")


def read_header(path: Path, encoding: str, delimiter: str | None = None) -> tuple[str, ...]:
    """Return the column names of a table; of NDJSON the keys of its first line.

    Raises:
        SourceError: the file cannot be read, or names a column twice.
    """
    check_file(path)
    match path.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            check_encoding(path, encoding)
            with open_text(path, encoding) as handle:
                return _csv_header(path, handle, delimiter)[0]
        case ".parquet":
            with _parquet(path) as (names, _):
                return _checked(path, names)
        case ".xlsx":
            with _worksheet(path) as rows:
                return _excel_header(path, next(iter(rows), ()))
        case ".ndjson" | ".jsonl":
            first = next((cells for _, cells in _ndjson_rows(path, encoding) if isinstance(cells, dict)), {})
            return tuple(first)
    raise SourceError(
        f"{path.name} is of an unknown format", hint="Give .csv, .tsv, .parquet, .xlsx or .ndjson (save .xls as .xlsx)."
    )


def read_rows(path: Path, encoding: str, delimiter: str | None = None) -> Iterator[Line]:
    """Yield the rows behind the header; row numbers are line numbers in text files and sheet rows in Excel."""
    match path.suffix.lower():
        case ".parquet":
            yield from _parquet_rows(path)
        case ".xlsx":
            yield from _excel_rows(path)
        case ".ndjson" | ".jsonl":
            yield from _ndjson_rows(path, encoding)
        case _:
            yield from _csv_rows(path, encoding, delimiter)


def cell_text(cell: object) -> str:
    """Return a cell as the text that cleaning reads; empty for nothing.

    Raises:
        RowRefused: lists, objects and bytes.
    """
    match cell:
        case None:
            return ""
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case int() | Decimal():
            return str(cell)
        case float():
            return _float_text(cell)
        case datetime() | date() | time():
            return cell.isoformat()
    raise RowRefused(RowFault.MALFORMED)


def member_text(value: object, name: str) -> str:
    """Return a member of an object as the text that cleaning reads.

    Raises:
        RowRefused: as ``cell_text``, with the member's name.
    """
    try:
        return cell_text(value).strip()
    except RowRefused as refusal:
        raise refusal.within(name) from None


def _float_text(cell: float) -> str:
    """Return what a spreadsheet shows: whole numbers without a point (a mobile), nothing for NaN."""
    if isnan(cell):
        return ""
    return str(int(cell)) if cell.is_integer() else repr(cell)


def _csv_rows(path: Path, encoding: str, delimiter: str | None) -> Iterator[Line]:
    with open_text(path, encoding) as handle:
        header, reader = _csv_header(path, handle, delimiter)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as err:
                yield number, _csv_fault(path, number, err)
                continue
            if len(cells) == len(header):
                yield number, dict(zip(header, cells, strict=True))
            else:
                yield number, RowFault.RAGGED if any(cells) else {}


def _csv_header(path: Path, handle: TextIO, delimiter: str | None) -> tuple[tuple[str, ...], "_CsvReader"]:
    lines = _bounded_lines(handle)
    first = next(lines, "").removeprefix("\ufeff")
    chosen = delimiter or max(_DELIMITERS, key=first.count)
    reader = csv.reader(_again(first, lines), delimiter=chosen, strict=True)
    try:
        header = next(reader, [])
    except csv.Error:
        raise SourceError(f"{path.name} line 1 is no header", hint="Name the columns in the first line.") from None
    return _checked(path, [name.strip() for name in header]), reader


def _csv_fault(path: Path, number: int, err: csv.Error) -> RowFault:
    if "unexpected end" in str(err):
        raise SourceError(
            f"{path.name} line {number}: a quotation mark is opened and never closed",
            hint="The file is truncated or the quote belongs to the text; double it.",
        ) from None
    return RowFault.TOO_LONG if "field larger" in str(err) else RowFault.MALFORMED


def _bounded_lines(handle: TextIO) -> Iterator[str]:
    """Yield lines; of one that is too long only its beginning, which is still too long for any field."""
    while line := handle.readline(MAX_LINE_CHARACTERS):
        if len(line) == MAX_LINE_CHARACTERS and not line.endswith("\n"):
            while (rest := handle.readline(MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
                pass
        yield line


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _ndjson_rows(path: Path, encoding: str) -> Iterator[Line]:
    for number, line in read_lines(path, encoding):
        try:
            yield number, RowFault.TOO_LONG if line is None else _ndjson_cells(line)
        except RowRefused as refusal:
            yield number, refusal.fault


def _ndjson_cells(line: str) -> Cells:
    parsed = parse_json(line)
    if not isinstance(parsed, dict):
        raise RowRefused(RowFault.MALFORMED)
    return {str(name): cell_text(cell) for name, cell in parsed.items()}


def _parquet_rows(path: Path) -> Iterator[Line]:
    with _parquet(path) as (_, rows):
        for number, row in enumerate(rows, start=1):
            yield number, _cells(row)


def _excel_rows(path: Path) -> Iterator[Line]:
    with _worksheet(path) as rows:
        header: tuple[str, ...] | None = None
        for number, row in enumerate(rows, start=1):
            if header is None:
                header = _excel_header(path, row)
                continue
            beyond = row[len(header) :]
            cells = dict(zip(header, [*row, *[None] * len(header)], strict=False))
            yield number, RowFault.RAGGED if any(cell is not None for cell in beyond) else _cells(cells)


def _excel_header(path: Path, row: Sequence[object]) -> tuple[str, ...]:
    """Return the names of the first row; a sheet is as wide as its widest row, so empty cells at the end are none."""
    names = [cell_text(cell).strip() for cell in row]
    while names and not names[-1]:
        names.pop()
    return _checked(path, names)


def _cells(row: Mapping[str, object]) -> Cells | RowFault:
    try:
        return {name: cell_text(cell) for name, cell in row.items()}
    except RowRefused as refusal:
        return refusal.fault


def _checked(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    if not any(names):
        raise SourceError(f"{path.name} has no header", hint="Name the columns in the first row.")
    if len(set(names)) != len(names):
        place = next(place for place, name in enumerate(names, start=1) if name in names[: place - 1])
        raise SourceError(f"{path.name}: column {place} has the name of an earlier one", hint="Name each column once.")
    return tuple(names)


@contextmanager
def _parquet(path: Path) -> Iterator[tuple[Sequence[str], Iterator[Mapping[str, object]]]]:
    """Open a Parquet file as column names and rows, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        names = metadata.schema.to_arrow_schema().names
        check_pages(path, metadata, names)
        batches = read_parquet(path, metadata, names, rows=_PARQUET_ROWS)
        yield names, (row for batch in batches for row in batch.to_pylist())
    except (pa.ArrowException, OSError):
        raise SourceError(f"{path.name} is no readable Parquet file", hint="Export or copy it again.") from None


@contextmanager
def _worksheet(path: Path) -> Iterator[Iterable[Sequence[object]]]:
    """Open the first sheet of a workbook, row by row."""
    from xml.etree.ElementTree import ParseError
    from zipfile import BadZipFile
    from zlib import error as ZlibError  # noqa: N812 - a class under the name of a function

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        _check_unpacked(path)
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, OSError, ParseError, ValueError, ZlibError):
        raise _unreadable(path) from None
    try:
        yield book.worksheets[0].iter_rows(values_only=True)
    except (BadZipFile, EOFError, ParseError, ZlibError):
        raise _unreadable(path) from None
    finally:
        book.close()


def _check_unpacked(path: Path) -> None:
    """Refuse a workbook that would unpack beyond reason, from its directory alone.

    The sizes there are the file's own word, but ``zipfile`` unpacks no part further than they say.
    """
    from zipfile import ZipFile

    if path.stat().st_size > _MAX_EXCEL_BYTES:
        raise _too_large(path)
    with ZipFile(path) as archive:
        parts = archive.infolist()
    if sum(part.file_size for part in parts) > _MAX_UNPACKED_BYTES:
        raise _too_large(path)
    for part in parts:
        is_bomb = part.file_size > max(_SMALL_PART_BYTES, part.compress_size * _MAX_PART_RATIO)
        if is_bomb or part.file_size > _MAX_PART_BYTES:
            raise _too_large(path)


def _too_large(path: Path) -> SourceError:
    return SourceError(f"{path.name} is too large for Excel, or unpacks to too much", hint="Export it as CSV.")


def _unreadable(path: Path) -> SourceError:
    return SourceError(f"{path.name} is no readable Excel workbook", hint="Save it again as .xlsx.")
