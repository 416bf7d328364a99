"""Reads CSV, Parquet, Excel and NDJSON tables by a map: one row gives a record of each kind that it has values for."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from consentry.sources.cleaning import clean_key, fold, parse_time
from consentry.sources.context import SourceContext
from consentry.sources.duplicates import DuplicateFilter
from consentry.sources.headers import check_is_header, shown_name, shown_names
from consentry.sources.maps import Column, RecordMap, TableMap
from consentry.sources.records import (
    BadRow,
    Identity,
    Reading,
    Row,
    RowFault,
    RowRefused,
    SourceError,
    SourceRecord,
    Tally,
)
from consentry.sources.table_files import Cells, read_header, read_rows
from consentry.sources.values import Cleaned, Cleaner, Reads, identity_of
from kernel.encoding import JsonValue


def read_table(path: Path, table_map: TableMap, context: SourceContext) -> Reading:
    """Read a table.

    Columns that the map does not name are an error of the file, as are columns that it names and the file has not;
    in NDJSON, where every line has its own keys, they are faults of the line.

    Raises:
        SourceError: the file cannot be read as a whole; raised while iterating.
    """
    tally = Tally()
    rows = _TableReader(path, table_map, context, tally).rows()
    return Reading(DuplicateFilter().filter(rows, tally), tally)


class _TableReader:
    """Turns the rows of one table into records."""

    def __init__(self, path: Path, table_map: TableMap, context: SourceContext, tally: Tally) -> None:
        self._path = path
        self._map = table_map
        self._context = context
        self._tally = tally
        self._cleaner = Cleaner(context, zone=table_map.zone)
        self._known = {*table_map.columns, *table_map.ignored}
        self._has_loose_keys = path.suffix.lower() in {".ndjson", ".jsonl"}

    def rows(self) -> Iterator[Row]:
        """Yield the records of every row, or one refusal for it."""
        encoding, delimiter = self._context.encoding, self._map.delimiter
        if not self._has_loose_keys:
            self._check_header(read_header(self._path, encoding, delimiter))
        for number, cells in read_rows(self._path, encoding, delimiter):
            self._tally.rows += 1
            locator = f"{self._path.name}:{number}"
            if isinstance(cells, RowFault):
                yield BadRow(locator, cells)
            elif not any(cells.values()):
                self._tally.skipped["blank row"] += 1
            else:
                yield from self._row(locator, cells)

    def _check_header(self, header: tuple[str, ...]) -> None:
        """Name the columns that differ; of a file without a header only a place, for its names are values."""
        missing = [name for name in self._map.columns if name not in header]
        extra = [(place, name) for place, name in enumerate(header, start=1) if name not in self._known]
        if missing and len(missing) == len(self._map.columns):
            raise SourceError(
                f"{self._path.name}: the first line names none of the map's columns",
                hint="Give the table a header, or check the map and the delimiter.",
            )
        if missing:
            check_is_header(self._path.name, header, known=self._known)
            raise SourceError(
                f"{self._path.name}: missing columns {shown_names(missing)}",
                hint="Export them, or take them out of the map.",
            )
        if extra:
            places = ", ".join(f"{place} {shown_name(name)}" for place, name in extra[:20])
            raise SourceError(
                f"{self._path.name}: columns that the map does not name: {places}",
                hint="Give each a field, or list it under ignore.",
            )

    def _row(self, locator: str, cells: Cells) -> Iterator[Row]:
        try:
            records = self._records(locator, cells)
        except RowRefused as refusal:
            yield BadRow(locator, refusal.fault, refusal.field)
            return
        yield from records

    def _records(self, locator: str, cells: Cells) -> list[SourceRecord]:
        if self._has_loose_keys and not self._known.issuperset(cells):
            raise RowRefused(RowFault.UNKNOWN_FIELD)
        subject = self._key(cells, self._map.subject, "subject")
        if not subject:
            raise RowRefused(RowFault.MISSING, "subject")
        gathered = [(record, self._cleaned(record, cells)) for record in self._map.records]
        full = [(record, cleaned) for record, cleaned in gathered if cleaned.values]
        if not full:
            raise RowRefused(RowFault.MISSING)
        said: dict[str, JsonValue] = {}
        for _, cleaned in full:
            said.update(cleaned.values)
        identity = identity_of(said)
        return [self._record(locator, subject, record, cleaned, cells, identity) for record, cleaned in full]

    def _record(  # noqa: PLR0917 - one row's parts meet here and nowhere else
        self,
        locator: str,
        subject: str,
        record: RecordMap,
        cleaned: Cleaned,
        cells: Cells,
        identity: Identity | None,
    ) -> SourceRecord:
        observed_at = self._time(record, cells)
        own_id = self._key(cells, record.record, "record") if record.record else ""
        return SourceRecord(
            locator=locator,
            source=self._map.source,
            source_subject=subject,
            kind=record.kind,
            source_record=own_id or observed_at.isoformat(),
            observed_at=observed_at,
            values=cleaned.values,
            identity=identity,
            unmapped=tuple(cleaned.unmapped),
        )

    def _time(self, record: RecordMap, cells: Cells) -> datetime:
        written = self._cell(cells, record.time) if record.time else ""
        if not written and self._map.as_of is not None:
            written = self._map.as_of.isoformat()
        if not written:
            raise RowRefused(RowFault.MISSING, "time")
        try:
            return self._context.check_instant(parse_time(written, self._map.zone))
        except RowRefused as refusal:
            raise refusal.within("time") from None

    def _cleaned(self, record: RecordMap, cells: Cells) -> Cleaned:
        cleaned = Cleaned()
        for column in record.columns:
            raw = self._cell(cells, column.name)
            if raw:
                self._put(cleaned, column, raw, cells)
        self._cleaner.derive(cleaned)
        return cleaned

    def _put(self, cleaned: Cleaned, column: Column, raw: str, cells: Cells) -> None:
        reads = self._reads(column, cells)
        if column.split is None:
            self._cleaner.put(cleaned, column.field, raw, reads)
            return
        values = [value.strip() for value in fold(raw).split(fold(column.split) or column.split)]
        if not column.codes:
            for value in filter(None, values):
                self._cleaner.put(cleaned, column.field, value, reads)
            return
        if len(values) != len(column.codes):
            raise RowRefused(RowFault.BAD_NUMBER, column.field)
        for code, value in zip(column.codes, values, strict=True):
            self._cleaner.put(cleaned, column.field, value, Reads(code=code, units=reads.units))

    def _reads(self, column: Column, cells: Cells) -> Reads:
        """Return how this row's cell is written: its unit and what it measures may stand in other columns."""
        if column.unit_column is None and column.metric_column is None:
            return column.reads
        unit = self._cell(cells, column.unit_column) if column.unit_column else ""
        code = column.reads.code
        if column.metric_column is not None:
            metric = fold(self._cell(cells, column.metric_column))
            code = (column.metrics or {}).get(metric) or (metric if ":" in metric else None)
            if code is None:
                raise RowRefused(RowFault.UNKNOWN_CATEGORY, column.field)
        return Reads(system=column.reads.system, code=code, units=(unit,) if unit else column.reads.units)

    def _key(self, cells: Cells, name: str, what: str) -> str:
        try:
            return clean_key(self._cell(cells, name))
        except RowRefused as refusal:
            raise refusal.within(what) from None

    def _cell(self, cells: Mapping[str, str], name: str) -> str:
        """Return a cell without outer white space; empty where it says nothing."""
        raw = cells.get(name, "").strip()
        return "" if raw.casefold() in self._map.empty else raw
