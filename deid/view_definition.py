"""View definitions: what an internal, de-identified data set holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deid.cells import CellType, Params
from deid.special import SpecialDiseases
from deid.transforms import Take, Transform
from deid.view_rules import OBSERVED_AT
from kernel.catalogue import Label
from kernel.errors import NotFound

PSEUDONYM: Final = "pseudonym"


class Shape(StrEnum):
    """What a row of a view is about."""

    SUBJECT = "subject"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Source:
    """One field that feeds a column, and the transform that it goes through; ``params`` hold its closed list."""

    field: str
    transform: Transform
    params: Params


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a view.

    Attributes:
        sources: in order; of an event the first that gives a cell is taken.
        take: how a subject's row gathers cells; of no meaning for events.
        is_quasi: whether a field is one that others may know from outside.
    """

    name: str
    sources: tuple[Source, ...]
    take: Take
    type: CellType
    is_quasi: bool

    @property
    def is_free_text(self) -> bool:
        """Whether cells are sentences, redacted or not."""
        return any(source.transform.name == "redact" for source in self.sources)

    @property
    def is_multi_valued(self) -> bool:
        """Whether a cell is a set of values."""
        return self.take is Take.SET


@dataclass(frozen=True, slots=True)
class RowKind:
    """One kind of record that becomes event rows; ``event_type`` where the record does not say its own."""

    kind: str
    event_type: str | None


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """One view as the pack defines it.

    Attributes:
        purpose: every field is read under it. scope: the pseudonym scope.
        columns: without the pseudonym, which always comes first.
        rows: for events, the kinds of records in order of authority; empty for subjects.
        event_types: the event types that the purpose may use.
        level: that of a linked row (R54).
        hash: SHA-256 over the definition and the list of special diseases.
    """

    code: str
    version: str
    label: Label
    goal: Label
    shape: Shape
    purpose: str
    scope: str
    time_zone: str
    columns: tuple[Column, ...]
    rows: tuple[RowKind, ...]
    event_types: frozenset[str]
    special: SpecialDiseases
    level: int
    hash: str

    @property
    def fields(self) -> frozenset[str]:
        """The field codes that building the view opens."""
        return self.fields_of(column.name for column in self.columns)

    @property
    def kinds(self) -> frozenset[str] | None:
        """The record kinds that become rows, or None where any kind may feed a subject's row."""
        return frozenset(row.kind for row in self.rows) or None

    @property
    def column_names(self) -> tuple[str, ...]:
        """All columns in order, the pseudonym first."""
        return (PSEUDONYM, *(column.name for column in self.columns))

    def get_column(self, name: str) -> Column:
        """Return a column; raises ``NotFound``."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFound(f"View {self.code} has no column {name!r}", hint=f"It has {', '.join(self.column_names)}.")

    def fields_of(self, names: Iterable[str]) -> frozenset[str]:
        """Return the field codes behind some columns, without the record's own instant; raises ``NotFound``."""
        return frozenset(source.field for name in names for source in self.get_column(name).sources) - {OBSERVED_AT}
