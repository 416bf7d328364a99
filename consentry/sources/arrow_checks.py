"""Checks whole columns of a prepared batch against the catalogue; what is none of its field's is refused by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from consentry.sources.arrow_maps import EVENT, ArrowMap
from consentry.sources.cleaning import parse_id_number, parse_mobile
from consentry.sources.context import SourceContext
from consentry.sources.records import RECORD_KINDS, BadRow, RowFault, RowRefused, SourceError
from consentry.sources.values import MAX_ITEMS
from kernel.catalogue import Field, FieldType
from kernel.clock import to_micros
from vault.bulk_columns import KIND, OBSERVED_AT, SOURCE, SOURCE_RECORD

if TYPE_CHECKING:
    import pyarrow as pa

    Mask: TypeAlias = pa.BooleanArray

SOURCE_SUBJECT: Final = "~source_subject"
PLACE: Final = "~place"
"""Number of the row in its file, from 1."""

_MAX_KEY_CHARS: Final = 256
_MAX_VALUE_BYTES: Final = 64 * 1024 - 16
"""With what a list or an object needs around it; the vault seals 64 KiB."""

_SKEW: Final = timedelta(minutes=5)
_MAX_SAFE_INTEGER: Final = 2**53 - 1

_PATTERNS: Final = {
    FieldType.CODE: (r"^[a-z0-9_]+:\S+$", RowFault.BAD_CODE),
    FieldType.DATE: (r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", RowFault.BAD_DATE),
    FieldType.INSTANT: (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$", RowFault.BAD_DATE),
    FieldType.DECIMAL: (r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$", RowFault.BAD_NUMBER),
}
_PRINTABLE: Final = r"^[^\x00-\x1f\x7f]+$"
_PARSED: Final = {
    "id_number": (RowFault.CHECK_DIGIT, parse_id_number),
    "mobile": (RowFault.BAD_MOBILE, parse_mobile),
}


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """Some rows of a file.

    Attributes:
        records: those that can be used: a column for each field under its code, and the columns that say whose, what
            kind and when; plaintext.
        bad: the others.
        rows: how many both are.
    """

    records: "pa.RecordBatch"
    bad: Sequence[BadRow]
    rows: int

    def __repr__(self) -> str:
        return f"Prepared({self.rows} rows, redacted)"


def prepare(batch: "pa.RecordBatch", arrow_map: ArrowMap, context: SourceContext, *, name: str, place: int) -> Prepared:
    """Check a batch's rows and give their columns the names by which the vault knows them.

    Args:
        batch: of ``open_batches``.
        arrow_map: of the file.
        context: catalogue and the moment of reading.
        name: of the file.
        place: of the first row.
    Raises:
        SourceError: a column holds bytes that are no text.
    """
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        raise SourceError(f"{name}: damaged from row {place} on", hint="Export it again.") from None
    faults = _Faults(batch.num_rows)
    columns = _head(batch, arrow_map, context, faults)
    for column, field in arrow_map.fields.items():
        columns[field.code] = _checked(_plain(batch[column]), field, faults)
    columns[PLACE] = pa.array(range(place, place + batch.num_rows), pa.int64())
    faults.add(_all_null([columns[field.code] for field in arrow_map.fields.values()]), RowFault.MISSING, None)
    records = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    if faults.found:
        records = records.filter(faults.spared())
    bad = [BadRow(f"{name}:{place + row}", fault, field) for row, (fault, field) in sorted(faults.found.items())]
    return Prepared(records, bad, batch.num_rows)


class _Faults:
    """The first fault of each row."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.found: dict[int, tuple[RowFault, str | None]] = {}

    def add(self, mask: "Mask", fault: RowFault, field: str | None) -> None:
        import pyarrow.compute as pc

        if mask.true_count:
            for row in pc.indices_nonzero(mask).to_pylist():
                self.found.setdefault(row, (fault, field))

    def spared(self) -> "Mask":
        import pyarrow as pa

        return pa.array([row not in self.found for row in range(self.rows)])


def _head(batch: "pa.RecordBatch", arrow_map: ArrowMap, context: SourceContext, faults: _Faults) -> "dict[str, Any]":
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {}
    for own, name, what in (
        (SOURCE_SUBJECT, arrow_map.subject, "subject"),
        (SOURCE_RECORD, arrow_map.record, "record"),
    ):
        keys = pc.utf8_trim_whitespace(_plain(batch[name]))
        faults.add(_true(pc.equal(pc.fill_null(keys, ""), "")), RowFault.MISSING, what)
        faults.add(_true(pc.greater(pc.utf8_length(keys), _MAX_KEY_CHARS)), RowFault.TOO_LONG, what)
        faults.add(_false(pc.match_substring_regex(keys, _PRINTABLE)), RowFault.BAD_TEXT, what)
        columns[own] = keys
    at = batch[arrow_map.time].cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    faults.add(pc.is_null(at), RowFault.MISSING, "time")
    faults.add(_true(pc.greater(at, to_micros(context.now + _SKEW))), RowFault.FUTURE_DATE, "time")
    columns[OBSERVED_AT] = at
    if arrow_map.kind_column is None:
        columns[KIND] = pa.repeat(arrow_map.kind, batch.num_rows)
    else:
        columns[KIND] = _plain(batch[arrow_map.kind_column])
        known = pc.is_in(columns[KIND], pa.array(sorted(RECORD_KINDS - {EVENT})))
        faults.add(pc.invert(known), RowFault.UNKNOWN_CATEGORY, "kind")
    columns[SOURCE] = pa.repeat(arrow_map.source, batch.num_rows)
    return columns


def _plain(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if pa.types.is_large_string(column.type) else column


def _checked(column: "pa.Array", field: Field, faults: _Faults) -> "pa.Array":
    """Return a field's column without empty texts and lists, after noting which rows cannot be used."""
    import pyarrow.compute as pc

    if not field.repeated:
        if field.type not in (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.QUANTITY):
            column = pc.if_else(pc.equal(column, ""), None, column)
        _check_values(column, field, faults.add)
        return column
    column = pc.if_else(pc.equal(pc.list_value_length(column), 0), None, column)
    owners, items = pc.list_parent_indices(column), pc.list_flatten(column)
    spread = _Faults(len(items))
    spread.add(pc.is_null(items), RowFault.MISSING, field.code)
    _check_values(items, field, spread.add)
    for item, (fault, code) in spread.found.items():
        faults.found.setdefault(owners[item].as_py(), (fault, code))
    sizes = pc.list_value_length(column)
    faults.add(_true(pc.greater(sizes, MAX_ITEMS)), RowFault.TOO_MANY, field.code)
    return column


def _check_values(values: "pa.Array", field: Field, add: "Callable[[Mask, RowFault, str | None], None]") -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    match field.type:
        case FieldType.BOOLEAN:
            return
        case FieldType.INTEGER:
            beyond = pc.greater(pc.abs(values.cast(pa.int64())), _MAX_SAFE_INTEGER)
            add(_true(beyond), RowFault.BAD_NUMBER, field.code)
            return
        case FieldType.QUANTITY:
            _check_quantities(values, field, add)
            return
        case _:
            add(_true(pc.greater(pc.binary_length(values), _MAX_VALUE_BYTES)), RowFault.TOO_LONG, field.code)
    if field.type in _PATTERNS:
        pattern, fault = _PATTERNS[field.type]
        add(_false(pc.match_substring_regex(values, pattern)), fault, field.code)
    if field.type is FieldType.DATE:
        days = pc.strptime(
            values, format="%Y-%m-%d", unit="s", error_is_null=True
        )  # the 30th of February becomes March
        add(_false(pc.equal(pc.fill_null(pc.strftime(days, format="%Y-%m-%d"), ""), values)), RowFault.BAD_DATE,
            field.code)  # fmt: skip
    if field.code in _PARSED:
        fault, parse = _PARSED[field.code]
        strange = [value is not None and not _is_own_form(value, parse) for value in values.to_pylist()]
        add(pa.array(strange, pa.bool_()), fault, field.code)
    if field.allowed is not None:
        known = pc.is_in(values, pa.array(sorted(field.allowed)))
        add(pc.and_(pc.invert(known), pc.is_valid(values)), RowFault.UNKNOWN_CATEGORY, field.code)


def _check_quantities(values: "pa.Array", field: Field, add: "Callable[[Mask, RowFault, str | None], None]") -> None:
    import pyarrow.compute as pc

    is_valid = pc.is_valid(values)
    for member, pattern, fault in (
        ("code", _PATTERNS[FieldType.CODE][0], RowFault.BAD_CODE),
        ("value", _PATTERNS[FieldType.DECIMAL][0], RowFault.BAD_NUMBER),
        ("unit", _PRINTABLE, RowFault.UNKNOWN_UNIT),
    ):
        fits = pc.fill_null(pc.match_substring_regex(pc.struct_field(values, member), pattern), fill_value=False)
        add(pc.and_(is_valid, pc.invert(fits)), fault, field.code)


def _all_null(columns: "Sequence[pa.Array]") -> "Mask":
    import pyarrow.compute as pc

    found = pc.is_null(columns[0])
    for column in columns[1:]:
        if not found.true_count:
            break
        found = pc.and_(found, pc.is_null(column))
    return found


def _true(mask: "Mask") -> "Mask":
    import pyarrow.compute as pc

    return pc.fill_null(mask, fill_value=False)


def _false(mask: "Mask") -> "Mask":
    import pyarrow.compute as pc

    return pc.invert(pc.fill_null(mask, fill_value=True))


def _is_own_form(value: str, parse: Callable[[str], str]) -> bool:
    try:
        return parse(value) == value
    except RowRefused:
        return False
