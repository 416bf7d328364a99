"""The map of prepared Arrow batches: which column says whose record it is, and which field every other column is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consentry.sources.records import RECORD_KINDS
from kernel.catalogue import Catalogue, Field
from kernel.located_yaml import Located, load

EVENT: Final = "event"
_KINDS: Final = RECORD_KINDS - {EVENT}


@dataclass(frozen=True, slots=True)
class ArrowMap:
    """How the rows of prepared batches become records.

    Attributes:
        source: the system that the rows come from.
        subject, record, time: columns of the source's ids of person and record, and of the time of observation.
        kind: of every record; None where ``kind_column`` says it row by row.
        fields: by column.
        ignored: columns that are known and not wanted.
    """

    source: str
    subject: str
    record: str
    time: str
    kind: str | None
    kind_column: str | None
    fields: Mapping[str, Field]
    ignored: frozenset[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read."""
        head = (self.subject, self.record, self.time, self.kind_column)
        return (*(name for name in head if name is not None), *self.fields)


def load_arrow_map(path: Path, catalogue: Catalogue) -> ArrowMap:
    """Read a map.

    Raises:
        PackError: a mistake, with file, line and what was expected.
    """
    root = load(path).mapping(
        required={"source", "subject", "record", "time", "columns"}, optional={"kind", "kind_column", "ignore"}
    )
    kind, kind_column = root.get("kind"), root.get("kind_column")
    if (kind is None) == (kind_column is None):
        raise root.fail("whose kind?", expected="either kind, for every row, or kind_column")
    ignored = root.get("ignore")
    found = ArrowMap(
        source=root["source"].text(),
        subject=root["subject"].text(),
        record=root["record"].text(),
        time=root["time"].text(),
        kind=None if kind is None else kind.one_of(_KINDS),
        kind_column=None if kind_column is None else kind_column.text(),
        fields=_fields(root["columns"], catalogue),
        ignored=frozenset(() if ignored is None else (item.text() for item in ignored.sequence())),
    )
    read = [*found.columns, *found.ignored]
    if len(set(read)) != len(read):
        raise root.fail("a column is named twice", expected="one meaning for each column")
    return found


def _fields(node: Located, catalogue: Catalogue) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for name, child in node.items():
        field = catalogue.fields.get(child.text())
        if field is None:
            raise child.fail(f"unknown field {child.text()!r}", expected="a field of the catalogue")
        if field in fields.values():
            raise child.fail(f"{field.code} is the field of another column", expected="one column for each field")
        fields[name] = field
    if not fields:
        raise node.fail("no column", expected="at least one column with its field")
    return fields
