"""Rows of a view: one person's opened records in, de-identified rows out; pure, record by record."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, TypeAlias
from zoneinfo import ZoneInfo

from deid.cells import BodyMeasure, Cell, Drop, Raw, Setting, Transformed
from deid.dates import is_past
from deid.quantities import body_mass_bin
from deid.schemas import arrow_schema
from deid.transforms import Take
from deid.view_definition import PSEUDONYM, Column, Shape, ViewDefinition
from deid.view_rules import OBSERVED_AT
from deid.words import LONGEST_NAME
from kernel.clock import require_aware
from kernel.encoding import JsonValue, canonical_json
from kernel.errors import BadInput
from kernel.ports import Tokeniser

if TYPE_CHECKING:
    import pyarrow as pa

Row: TypeAlias = "dict[str, Cell | list[str] | None]"

_TOLD_TWICE: Final = "told_by_another_source"
_MEMORY: Final = 4096
"""Names of open lists (departments, topics) repeat; this many are scrubbed once only."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One opened record of the person; ``values`` by field code. The repr shows no value."""

    kind: str
    observed_at: datetime
    values: Mapping[str, JsonValue] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an instant without a time zone: natural days could not be told."""
        require_aware(self.observed_at)


class RowBuilder:
    """Turns the records of one person into rows of one view.

    Args:
        view: the definition.
        tokeniser: gives tokens of identifying values in the view's scope.
        scrub: returns a text without identifiers; whatever it raises ends the build.
        as_of: the last natural day that counts; later records are left out.

    ``dropped`` counts by (column, reason) what did not become a cell. One builder serves one thread.
    """

    def __init__(self, view: ViewDefinition, *, tokeniser: Tokeniser, scrub: Callable[[str], str], as_of: date) -> None:
        self.view = view
        self.dropped: Counter[tuple[str, str]] = Counter()
        self._fields = view.fields
        self._kinds = {row.kind: (rank, row) for rank, row in enumerate(view.rows)}
        self._setting = Setting(
            as_of=as_of,
            zone=ZoneInfo(view.time_zone),
            scope=view.scope,
            tokeniser=tokeniser,
            scrub=_Remembering(scrub),
            special=view.special,
        )

    @property
    def schema(self) -> "pa.Schema":
        """The Arrow schema of the rows."""
        return arrow_schema(self.view)

    def rows(self, pseudonym: str, records: Sequence[SourceRow]) -> list[Row]:
        """Return the rows of one person.

        Args:
            pseudonym: in the view's scope.
            records: in any order; the result does not depend on it.

        Returns:
            For a subject view exactly one row, for an event view one row an event, in order of time.

        Raises:
            BadInput: an empty pseudonym, or a record with a field that the view does not declare: whoever opened it
                opened more than the view's purpose covers.
        """
        if not pseudonym:
            raise BadInput(f"View {self.view.code}: a row needs a pseudonym", hint="Ask the tokeniser for one.")
        past = _in_order([record for record in records if self._counts(record)])
        if self.view.shape is Shape.SUBJECT:
            return [{PSEUDONYM: pseudonym, **self._subject_cells(past)}]
        return [{PSEUDONYM: pseudonym, **event} for event in self._events(past)]

    def _counts(self, record: SourceRow) -> bool:
        unknown = sorted(set(record.values) - self._fields)
        if unknown:
            raise BadInput(
                f"View {self.view.code} does not declare {', '.join(unknown)}", hint="Open only the view's fields."
            )
        return bool(record.values) and is_past(record.observed_at, self._setting)

    def _subject_cells(self, records: Sequence[SourceRow]) -> Row:
        return {column.name: self._gathered(column, records) for column in self.view.columns}

    def _gathered(self, column: Column, records: Sequence[SourceRow]) -> Cell | list[str] | None:
        if column.take is Take.LATEST:
            return self._latest(column, records)
        found = [(record.observed_at, cell) for record in records for cell in self._cells(column, record)]
        if column.take is Take.BMI:
            measures = [(at, cell) for at, cell in found if isinstance(cell, BodyMeasure)]
            return body_mass_bin(measures, column.sources[0].params.edges)
        return _take(column.take, [cell for _, cell in found if not isinstance(cell, BodyMeasure)])

    def _latest(self, column: Column, records: Sequence[SourceRow]) -> Cell | None:
        """Return the newest cell; older values are not even looked at, which spares the scrubbing of old texts."""
        for record in reversed(records):
            cells = [cell for cell in self._cells(column, record) if not isinstance(cell, BodyMeasure)]
            if cells:
                return cells[-1]
        return None

    def _events(self, records: Sequence[SourceRow]) -> Iterator[Row]:
        """Yield events; of one type on one natural day only those of the kind with the highest authority."""
        told = [event for record in records if (event := self._event(record)) is not None]
        first: dict[tuple[object, date], int] = {}
        for rank, day, cells in told:
            key = (cells["event_type"], day)
            first[key] = min(first.get(key, rank), rank)
        for rank, day, cells in told:
            if first[cells["event_type"], day] == rank:
                yield cells
            else:
                self.dropped["event_type", _TOLD_TWICE] += 1

    def _event(self, record: SourceRow) -> tuple[int, date, Row] | None:
        if record.kind not in self._kinds:
            return None
        rank, row = self._kinds[record.kind]
        cells: Row = {column.name: self._first(column, record) for column in self.view.columns}
        if row.event_type is not None:
            cells["event_type"] = row.event_type
        if cells["event_type"] not in self.view.event_types:
            self.dropped["event_type", Drop.NOT_ALLOWED.value] += 1
            return None
        return rank, record.observed_at.astimezone(self._setting.zone).date(), cells

    def _first(self, column: Column, record: SourceRow) -> Cell | None:
        found = (cell for cell in self._cells(column, record) if not isinstance(cell, BodyMeasure))
        return next(found, None)

    def _cells(self, column: Column, record: SourceRow) -> Iterator[Cell | BodyMeasure]:
        for source in column.sources:
            for raw in _raw_values(source.field, record):
                cell: Transformed = source.transform.apply(raw, source.params, self._setting)
                if not isinstance(cell, Drop):
                    yield cell
                elif cell is not Drop.ELSEWHERE:
                    self.dropped[column.name, cell.value] += 1


class _Remembering:
    """Scrubs short names once; longer texts are not kept."""

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if len(text) > LONGEST_NAME:
            return self._scrub(text)
        if text not in self._known:
            if len(self._known) == _MEMORY:
                self._known.clear()
            self._known[text] = self._scrub(text)
        return self._known[text]


def _in_order(records: list[SourceRow]) -> list[SourceRow]:
    """Sort by time; records of one instant by their content, so that the order they came in means nothing."""
    if len({record.observed_at for record in records}) == len(records):
        return sorted(records, key=lambda record: record.observed_at)
    return sorted(records, key=lambda record: (record.observed_at, record.kind, canonical_json(record.values)))


def _raw_values(code: str, record: SourceRow) -> Sequence[Raw]:
    if code == OBSERVED_AT:
        return (record.observed_at,)
    value = record.values.get(code)
    values = value if isinstance(value, list | tuple) else (value,)
    return [item for item in values if item is not None]


def _take(take: Take, cells: list[Cell]) -> Cell | list[str] | None:
    """Gather cells; of nothing comes nothing, because what is not known is not false."""
    if not cells:
        return None
    match take:
        case Take.MAX:
            return max(cells, key=str)
        case Take.SET:
            return sorted({str(cell) for cell in cells})
        case Take.COUNT:
            return len(cells)
        case Take.ANY:
            return True
        case Take.LATEST | Take.BMI:
            raise AssertionError("gathered elsewhere")
