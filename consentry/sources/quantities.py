"""Quantities: which indicator a measurement is, in its one unit, within what is possible at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Final

from consentry.sources.cleaning import bounded, decimal_text, fold
from consentry.sources.codes import join, rows_of
from consentry.sources.records import RowFault, RowRefused
from kernel.encoding import JsonValue
from kernel.plaintext import Plaintext

_CONVERTED: Final = Decimal("0.0001")
"""A converted value is rounded half to even to four decimals: finer than any instrument here."""

SENSITIVE_FIELD: Final = "sensitive_lab"

_CLINICAL_FIELDS: Final = frozenset({"vitals_lab", "height", "weight", SENSITIVE_FIELD})
"""Fields that the indicator itself decides between; a home reading or a questionnaire stays what its map says."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator: its code, field and unit, and the widest range that is possible (None: no unit is fixed)."""

    code: str
    field: str
    unit: str | None
    least: Decimal | None
    most: Decimal | None


@dataclass(frozen=True, slots=True, repr=False)
class Measured(Plaintext):
    """One measurement as a source gives it; plaintext.

    Attributes:
        value: the number. units: the units that it may be in; empty where the source names none.
        flag: H, L, N, A, POS, NEG, or a comparator such as ``<``; None without one.
    """

    value: Decimal
    units: Sequence[str]
    flag: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Quantity(Plaintext):
    """A clean quantity and the field it belongs in; plaintext."""

    field: str
    value: Mapping[str, JsonValue]
    is_mapped: bool

    def __repr__(self) -> str:
        """Return a text without values."""
        return f"Quantity({self.field}, <redacted>)"


@dataclass(frozen=True, slots=True)
class Units:
    """Spellings of units, and how to convert between them.

    Attributes:
        names: folded spelling → UCUM code. factors: (indicator or ``*``, from, to) → (factor, offset).
    """

    names: Mapping[str, str]
    factors: Mapping[tuple[str, str, str], tuple[Decimal, Decimal]]

    def name(self, spelling: str) -> str | None:
        """Return the UCUM code of a spelled unit, or None."""
        return self.names.get(_folded(spelling))

    def convert(self, value: Decimal, *, unit: str, to: str, indicator: str = "*") -> Decimal:
        """Return the value in another unit.

        Raises:
            RowRefused: there is no conversion.
        """
        if unit == to:
            return value
        factor = self._factor(unit, to, indicator)
        if factor is None:
            raise RowRefused(RowFault.UNKNOWN_UNIT)
        return (value * factor[0] + factor[1]).quantize(_CONVERTED, rounding=ROUND_HALF_EVEN)

    def can_convert(self, unit: str, to: str, indicator: str) -> bool:
        """Say whether there is a conversion."""
        return unit == to or self._factor(unit, to, indicator) is not None

    def _factor(self, unit: str, to: str, indicator: str) -> tuple[Decimal, Decimal] | None:
        return self.factors.get((indicator, unit, to)) or self.factors.get(("*", unit, to))


@dataclass(frozen=True, slots=True)
class Indicators:
    """The pack's indicators, by LOINC code, and its units."""

    by_code: Mapping[str, Indicator]
    units: Units

    def measure(self, field: str, system: str, code: str, measured: Measured) -> Quantity:
        """Return the quantity in the indicator's unit, and its field.

        A code that no table knows keeps its unit; where it came for a clinical field it may be a sensitive value, so
        it takes the stricter field.

        Raises:
            RowRefused: a unit that cannot be converted, or a value that is impossible (a negative height).
        """
        measured = replace(measured, value=bounded(measured.value))
        indicator = self.by_code.get(code) if system == "loinc" else None
        if indicator is None:
            return self._unknown(field, join(system, code), measured)
        place = indicator.field if field in _CLINICAL_FIELDS or indicator.field == SENSITIVE_FIELD else field
        value, unit = self._settle(indicator, measured)
        return Quantity(place, _packed(f"loinc:{indicator.code}", value, unit, measured.flag), is_mapped=True)

    def _settle(self, indicator: Indicator, measured: Measured) -> tuple[Decimal, str | None]:
        """Return value and unit: of several units the only one under which the value is possible."""
        if indicator.unit is None:
            return measured.value, self._named(measured)
        converted = set(self._converted(indicator, measured))
        possible = [value for value in converted if _is_possible(value, indicator)]
        if len(possible) == 1:
            return possible[0], indicator.unit
        raise RowRefused(RowFault.OUT_OF_RANGE if converted and not possible else RowFault.UNKNOWN_UNIT)

    def _converted(self, indicator: Indicator, measured: Measured) -> Iterator[Decimal]:
        """Yield the value in the indicator's unit, once for each unit that it may be in and that can be converted."""
        target = indicator.unit or ""
        is_count = target.startswith("{")  # a score needs no unit to be understood
        for spelling in measured.units or ((target,) if is_count else ()):
            unit = self.units.name(spelling)
            if unit is not None and self.units.can_convert(unit, target, indicator.code):
                yield self.units.convert(measured.value, unit=unit, to=target, indicator=indicator.code)

    def _named(self, measured: Measured) -> str | None:
        if not measured.units:
            return None
        return self.units.name(measured.units[0]) or fold(measured.units[0])

    def _unknown(self, field: str, code: str, measured: Measured) -> Quantity:
        place = SENSITIVE_FIELD if field in _CLINICAL_FIELDS else field
        return Quantity(place, _packed(code, measured.value, self._named(measured), measured.flag), is_mapped=False)


def load_indicators(pack: Path) -> Indicators:
    """Read the tables of indicators and units of a pack's folder."""
    folder = pack / "codes"
    return Indicators(
        by_code=dict(_indicators(folder / "indicators.csv")),
        units=Units(
            names={_folded(row["spelling"]): row["unit"] for _, row in rows_of(folder / "unit_names.csv")},
            factors={
                (row["indicator"], row["from"], row["to"]): (Decimal(row["factor"]), Decimal(row["offset"]))
                for _, row in rows_of(folder / "unit_factors.csv")
            },
        ),
    )


def _indicators(path: Path) -> Iterator[tuple[str, Indicator]]:
    for _, row in rows_of(path):
        least, most = (Decimal(row[end]) if row[end] else None for end in ("least", "most"))
        yield row["loinc"], Indicator(row["canonical"], row["field"], row["unit"] or None, least, most)


def _packed(code: str, value: Decimal, unit: str | None, flag: str | None) -> dict[str, JsonValue]:
    packed: dict[str, JsonValue] = {"code": code, "value": decimal_text(value)}
    if unit is not None:
        packed["unit"] = unit
    if flag is not None:
        packed["flag"] = flag
    return packed


def _is_possible(value: Decimal, indicator: Indicator) -> bool:
    at_least = indicator.least is None or value >= indicator.least
    return at_least and (indicator.most is None or value <= indicator.most)


def _folded(spelling: str) -> str:
    return "".join(fold(spelling).casefold().split())
