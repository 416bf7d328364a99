"""What a reader hands on: clean records, refused rows by name, and the counts that account for every row."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from kernel.encoding import JsonValue
from kernel.errors import BadInput
from kernel.plaintext import Plaintext

RECORD_KINDS: Final = frozenset(
    {
        "allergy",
        "complaint",
        "condition",
        "encounter",
        "event",
        "family_history",
        "immunization",
        "medication",
        "observation",
        "order",
        "procedure",
        "profile",
        "questionnaire",
        "reading",
        "relation",
        "review",
        "touch",
    }
)
"""Every kind of record that the vault stores."""


class RowFault(StrEnum):
    """Why a row or a resource was refused; the closed list stands in docs/how-to/ingest.md."""

    MISSING = "missing"
    MALFORMED = "malformed"
    RAGGED = "ragged"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    BAD_TEXT = "bad_text"
    BAD_NUMBER = "bad_number"
    BAD_DATE = "bad_date"
    FUTURE_DATE = "future_date"
    BAD_CODE = "bad_code"
    CHECK_DIGIT = "check_digit"
    BAD_MOBILE = "bad_mobile"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_CATEGORY = "unknown_category"
    UNKNOWN_PLACE = "unknown_place"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_EVENT = "unknown_event"
    NO_FIELD = "no_field"
    CONTRADICTION = "contradiction"
    VOID = "void"
    INVALID_RESOURCE = "invalid_resource"
    UNRESOLVED_REFERENCE = "unresolved_reference"
    IDENTITY_DOUBTFUL = "identity_doubtful"
    UNKNOWN_PERSON = "unknown_person"


class SourceError(BadInput):
    """A whole file cannot be read as it is; the message names the file and the place, never a value."""


class RowRefused(BadInput):
    """One row cannot be read; raised by cleaning, turned into a ``BadRow`` by the reader.

    Attributes:
        fault: why. field: the catalogue field, column or element at fault, or None.
    """

    def __init__(self, fault: RowFault, field_name: str | None = None) -> None:
        super().__init__(f"Row refused: {fault}" + (f" in {field_name}" if field_name else ""))
        self.fault = fault
        self.field = field_name

    def within(self, field_name: str) -> "RowRefused":
        """Return the same refusal with the field named, unless it already names one."""
        return self if self.field else RowRefused(self.fault, field_name)


@dataclass(frozen=True, slots=True, repr=False)
class Identity(Plaintext):
    """What a record says about who its subject is; plaintext."""

    id_number: str | None = None
    birth_date: date | None = None
    sex: str | None = None
    mobile: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class SourceRecord(Plaintext):
    """One clean record of one subject; plaintext.

    Attributes:
        locator: ``file.csv:17``, the row, line or entry that it came from.
        source, source_subject: the source system, and its own id of the subject.
        kind: one of ``RECORD_KINDS``.
        source_record: the source's id of the record; where it gives none, the time of the observation.
        observed_at: aware, in UTC.
        values: by field code, as the catalogue's types say.
        identity: only on records that carry identifying values of their own.
        unmapped: ``system:code`` of codes that were kept without a mapping.
    """

    locator: str
    source: str
    source_subject: str
    kind: str
    source_record: str
    observed_at: datetime
    values: dict[str, JsonValue]
    identity: Identity | None = None
    unmapped: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return a text without values."""
        return f"SourceRecord({self.locator}, {self.kind}, <redacted>)"


@dataclass(frozen=True, slots=True)
class BadRow:
    """One refused row or resource: where, why and in which field; never a value."""

    locator: str
    reason: RowFault
    field: str | None = None


Row: TypeAlias = SourceRecord | BadRow


@dataclass(slots=True)
class Tally:
    """Counts of one pass; complete when the iteration has ended.

    Attributes:
        rows: rows, lines or resources that were looked at.
        records: records handed on (one table row may give several).
        refused: by reason.
        skipped: by what it was: a resource type that is not read, a blank row, an ignored kind of event.
        duplicates: ``exact``, ``near``, and ``value`` for a single repeated measurement inside a kept record.
        unmapped: ``system:code`` of codes kept without a mapping.
        left_out: parts of kept records that no field can hold, for example ``currency:usd``.
    """

    rows: int = 0
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


class Reading(Iterator[Row]):
    """One pass over a source: an iterator of records and refused rows, with the counts beside it."""

    def __init__(self, rows: Iterator[Row], tally: Tally) -> None:
        self._rows = rows
        self.tally = tally

    def __next__(self) -> Row:
        """Return the next row; raises ``SourceError`` where the file cannot be read further."""
        row = next(self._rows)
        if isinstance(row, BadRow):
            self.tally.refused[row.reason] += 1
        else:
            self.tally.records += 1
            self.tally.unmapped.update(row.unmapped)
        return row

    @property
    def skipped(self) -> Mapping[str, int]:
        """What was not read, by type."""
        return self.tally.skipped

    @property
    def unmapped(self) -> Mapping[str, int]:
        """Codes that were kept without a mapping."""
        return self.tally.unmapped

    @property
    def duplicates(self) -> Mapping[str, int]:
        """What was dropped because it was said before."""
        return self.tally.duplicates
