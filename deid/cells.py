"""What flows through a transform: raw values in, cells of a view out, or the reason why nothing comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from deid.special import SpecialDiseases
from kernel.encoding import JsonValue
from kernel.ports import Tokeniser

Raw: TypeAlias = "JsonValue | datetime"
"""A field's value as the vault gives it, or the instant of the record."""

Cell: TypeAlias = str | int | bool | Decimal | date | datetime


class CellType(StrEnum):
    """The type of a view's column; Arrow types are in ``deid.rows``."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    MONEY = "money"
    DAY = "day"
    MINUTE = "minute"


class Drop(Enum):
    """Why a value did not become a cell; counted by column, never with the value."""

    MALFORMED = "malformed"
    NOT_ALLOWED = "not_allowed"
    UNMAPPED = "unmapped"
    UNKNOWN_UNIT = "unknown_unit"
    SPECIAL = "special_disease"
    IDENTIFIER = "identifier"
    FUTURE = "future"
    ELSEWHERE = "elsewhere"
    """The value is fine and belongs to another column (another indicator of the same field); not counted."""


@dataclass(frozen=True, slots=True)
class BodyMeasure:
    """One height in metres, weight in kilograms or body mass index in kg/m²."""

    kind: str
    value: Decimal = field(repr=False)


Transformed: TypeAlias = Cell | BodyMeasure | Drop


@dataclass(frozen=True, slots=True)
class Params:
    """What a column's YAML gives its transform beside the value.

    Attributes:
        allowed: the closed list of values of the field, or None for an open text.
        codes: indicator codes that belong to the column.
        units: factor to the column's unit for each unit that is understood (UCUM codes).
        edges: lower edges of the bins, ascending; below the first is a bin of its own.
        groups: group of a code by the beginning of the code.
    """

    allowed: frozenset[str] | None = None
    codes: frozenset[str] = frozenset()
    units: Mapping[str, Decimal] = field(default_factory=dict)
    edges: tuple[Decimal, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all transforms of one run share.

    Attributes:
        as_of: the last natural day that counts.
        zone: the time zone of natural days.
        scope: the pseudonym scope that tokens belong to.
        scrub: gives back a text without identifiers.
    """

    as_of: date
    zone: ZoneInfo
    scope: str
    tokeniser: Tokeniser
    scrub: Callable[[str], str]
    special: SpecialDiseases


Apply: TypeAlias = Callable[[Raw, Params, Setting], Transformed]
