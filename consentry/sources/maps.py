"""MAP.yaml: which column of a table is which field of the catalogue; checked against it with file and line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consentry.sources.cleaning import fold, parse_date
from consentry.sources.codes import NAMES
from consentry.sources.context import SourceContext
from consentry.sources.records import RECORD_KINDS, RowRefused
from consentry.sources.values import Reads
from kernel.catalogue import Field, FieldType
from kernel.located_yaml import Located, load

_COLUMN_KEYS: Final = {
    "code",
    "codes",
    "metric_column",
    "metrics",
    "split",
    "system",
    "unit",
    "unit_column",
    "words",
}
_TABLE_KEYS: Final = {"as_of", "delimiter", "empty", "ignore", "record", "time", "time_zone"}
_EMPTY: Final = frozenset({"", "-", "--", "—", "/", "\\n", "null", "none", "nan", "n/a", "na"})
"""Cells that say nothing, folded to lower case; a map may add its own words."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a record.

    Attributes:
        name: as in the header. field: where its values belong.
        reads: how they are written.
        split: separates the values of one cell; None for a cell that holds one.
        codes: what each part of a split cell measures (``128/82``), in order.
        unit_column, metric_column: columns that name the unit, or what was measured.
        metrics: the source's names of what is measured → ``system:code``.
    """

    name: str
    field: str
    reads: Reads
    split: str | None = None
    codes: tuple[str, ...] = ()
    unit_column: str | None = None
    metric_column: str | None = None
    metrics: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RecordMap:
    """One record that every row may give: its kind, its columns, and the columns of its time and id."""

    kind: str
    columns: tuple[Column, ...]
    time: str | None
    record: str | None


@dataclass(frozen=True, slots=True)
class TableMap:
    """How the rows of one table become records.

    Attributes:
        source: the system that the table comes from. subject: column of its id of the person.
        as_of: the day on which rows without a time column were true.
        zone: where local times were written. empty: cells that say nothing, folded.
        ignored: columns that are known and not wanted.
    """

    source: str
    subject: str
    records: tuple[RecordMap, ...]
    zone: tzinfo
    as_of: date | None
    empty: frozenset[str]
    ignored: frozenset[str]
    delimiter: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the map reads, once, in its order."""
        names = [self.subject]
        for record in self.records:
            names += [name for name in (record.time, record.record) if name is not None]
            for column in record.columns:
                extra = (column.unit_column, column.metric_column)
                names += [column.name, *(name for name in extra if name is not None)]
        return tuple(dict.fromkeys(names))


def load_map(path: Path, context: SourceContext) -> TableMap:
    """Read a table's map.

    Raises:
        PackError: a mistake, with file, line and what was expected.
    """
    root = load(path).mapping(required={"source", "subject", "records"}, optional=_TABLE_KEYS)
    as_of = _as_of(root.get("as_of"))
    nodes = root["records"].sequence()
    if not nodes:
        raise root["records"].fail("no record", expected="at least one kind of record")
    records = tuple(_record(node, root, context, has_day=as_of is not None) for node in nodes)
    table = TableMap(
        source=root["source"].text(),
        subject=root["subject"].text(),
        records=records,
        zone=read_zone(root.get("time_zone"), context.zone),
        as_of=as_of,
        empty=_EMPTY | {fold(word).casefold() for word in read_texts(root.get("empty"))},
        ignored=frozenset(read_texts(root.get("ignore"))),
        delimiter=_delimiter(root.get("delimiter")),
    )
    if twice := table.ignored & set(table.columns):
        raise root["ignore"].fail(f"{min(twice)!r} is read and ignored", expected="one or the other")
    return table


def read_texts(node: Located | None) -> tuple[str, ...]:
    """Return the texts of a sequence, or the one text that stands there; nothing for an absent node."""
    if node is None:
        return ()
    if node.kind == "sequence":
        return tuple(item.text() for item in node.sequence())
    return (node.text(),)


def read_zone(node: Located | None, default: tzinfo) -> tzinfo:
    """Return a time zone by its IANA name, or the default."""
    if node is None:
        return default
    try:
        return ZoneInfo(node.text())
    except (ZoneInfoNotFoundError, ValueError):
        raise node.fail("unknown time zone", expected="an IANA name such as Asia/Shanghai") from None


def read_column(name: str, node: Located, context: SourceContext) -> Column:
    """Read one column: a field's code, or a mapping with ``field`` where more has to be said."""
    if node.kind == "text":
        node_of_field, more = node, None
    else:
        more = node.mapping(required={"field"}, optional=_COLUMN_KEYS)
        node_of_field = more["field"]
    field = _field(node_of_field, context)
    column = Column(name, field.code, Reads()) if more is None else _column(name, field, more, context)
    if (field.type is FieldType.QUANTITY) != bool(column.reads.code or column.codes or column.metric_column):
        raise node.fail(
            f"{field.code} is of type {field.type}",
            expected="code, codes or metric_column for a quantity, and for nothing else",
        )
    return column


def _record(node: Located, root: Located, context: SourceContext, *, has_day: bool) -> RecordMap:
    node.mapping(required={"kind", "columns"}, optional={"record", "time"})
    time = node.get("time") or root.get("time")
    record = node.get("record") or root.get("record")
    if time is None and not has_day:
        raise node.fail("no time", expected="a time column here or for the table, or as_of with the day of the export")
    columns = tuple(read_column(name, child, context) for name, child in node["columns"].items())
    if not columns:
        raise node["columns"].fail("no column", expected="at least one column with its field")
    return RecordMap(
        kind=node["kind"].one_of(RECORD_KINDS - {"event"}),
        columns=columns,
        time=time.text() if time else None,
        record=record.text() if record else None,
    )


def _field(node: Located, context: SourceContext) -> Field:
    found = context.catalogue.fields.get(node.text())
    if found is None:
        raise node.fail(f"unknown field {node.text()!r}", expected="a field of the catalogue")
    return found


def _column(name: str, field: Field, node: Located, context: SourceContext) -> Column:
    return Column(
        name=name,
        field=field.code,
        reads=_reads(field, node, context),
        split=_optional(node, "split"),
        codes=_codes(node),
        unit_column=_optional(node, "unit_column"),
        metric_column=_optional(node, "metric_column"),
        metrics=_words(node.get("metrics"), _check_code),
    )


def _reads(field: Field, node: Located, context: SourceContext) -> Reads:
    system = node.get("system")
    code = node.get("code")
    unit = node.get("unit")
    for spelling in read_texts(unit):
        if unit is not None and context.indicators.units.name(spelling) is None:
            raise unit.fail(f"unknown unit {spelling!r}", expected="a spelling in codes/unit_names.csv")

    def check_word(child: Located) -> None:
        if field.type is FieldType.CODE:
            _check_code(child)
        elif field.allowed is not None and child.text() not in field.allowed:
            raise child.fail(f"{child.text()!r} is no value of {field.code}", expected=", ".join(sorted(field.allowed)))

    return Reads(
        system=system.one_of(NAMES) if system else None,
        code=_check_code(code) if code else None,
        units=read_texts(unit),
        words=_words(node.get("words"), check_word) or {},
    )


def _codes(node: Located) -> tuple[str, ...]:
    codes = node.get("codes")
    if codes is None:
        return ()
    if "split" not in node:
        raise codes.fail("codes without split", expected="split: what stands between the values of a cell")
    return tuple(_check_code(child) for child in codes.sequence())


def _words(node: Located | None, check: Callable[[Located], object]) -> dict[str, str] | None:
    if node is None:
        return None
    words = {}
    for key, child in node.items():
        check(child)
        words[fold(key)] = child.text()
    return words


def _check_code(node: Located) -> str:
    system, colon, code = node.text().partition(":")
    if not colon or system not in NAMES or not code:
        raise node.fail("no code", expected=f"system:code with one of {', '.join(sorted(NAMES))}")
    return node.text()


def _optional(node: Located, key: str) -> str | None:
    found = node.get(key)
    return None if found is None else found.text()


def _as_of(node: Located | None) -> date | None:
    if node is None:
        return None
    try:
        return parse_date(node.text())
    except RowRefused:
        raise node.fail("no day", expected="a day such as 2026-01-31") from None


def _delimiter(node: Located | None) -> str | None:
    if node is None:
        return None
    if len(node.raw) != 1:
        raise node.fail("a delimiter is one character", expected='such as "," ";" or "\\t"')
    return node.raw
