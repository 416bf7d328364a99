"""Quantities and numbers made coarse: bins, bands, body mass, money, minutes."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from deid.cells import BodyMeasure, Cell, Drop, Params, Raw, Setting

_MOST: Final = Decimal(10) ** 10
"""Bound of every quantity and amount: what decimal(12, 2) holds."""

_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
"""A decimal as ``kernel.encoding`` writes it; nothing else that Python would read as a number."""

_CENT: Final = Decimal("0.01")
_SECONDS: Final = 60

_BODY_CODES: Final = {
    "loinc:8302-2": "height",
    "loinc:3137-7": "height",
    "loinc:8306-3": "height",
    "loinc:29463-7": "weight",
    "loinc:3141-9": "weight",
    "loinc:39156-5": "index",
}
_BODY_UNITS: Final = {
    "height": {"m": Decimal(1), "cm": Decimal("0.01"), "[in_i]": Decimal("0.0254")},
    "weight": {"kg": Decimal(1), "g": Decimal("0.001"), "[lb_av]": Decimal("0.45359237")},
    "index": {"kg/m2": Decimal(1)},
}
"""UCUM units with their factors to metres, kilograms and kg/m²."""


def bin_quantity(raw: Raw, params: Params, _setting: Setting) -> Cell | Drop:
    """Return the half-open bin of a quantity whose code belongs to the column: ``<90``, ``90-<120``, ``>=180``."""
    if not isinstance(raw, Mapping):
        return Drop.MALFORMED
    if raw.get("code") not in params.codes:
        return Drop.ELSEWHERE
    value = _converted(raw, params.units)
    return value if isinstance(value, Drop) else bin_label(value, params.edges)


def band(raw: Raw, params: Params, _setting: Setting) -> Cell | Drop:
    """Return the half-open bin of a number."""
    value = _number(raw)
    return value if isinstance(value, Drop) else bin_label(value, params.edges)


def body(raw: Raw, _params: Params, _setting: Setting) -> BodyMeasure | Drop:
    """Return a height, a weight or a body mass index; other quantities belong elsewhere."""
    if not isinstance(raw, Mapping):
        return Drop.MALFORMED
    kind = _BODY_CODES.get(str(raw.get("code")))
    if kind is None:
        return Drop.ELSEWHERE
    value = _converted(raw, _BODY_UNITS[kind])
    if isinstance(value, Drop):
        return value
    return BodyMeasure(kind, value) if value > 0 else Drop.NOT_ALLOWED


def money(raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Return an amount with two decimals, half to even."""
    value = _number(raw)
    if isinstance(value, Drop):
        return value
    cents = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
    return cents if cents < _MOST else Drop.NOT_ALLOWED


def begun_minutes(raw: Raw, _params: Params, _setting: Setting) -> Cell | Drop:
    """Return begun minutes of whole seconds, so that "more than five minutes" stays what it says."""
    value = _number(raw)
    if isinstance(value, Drop):
        return value
    if value != int(value):
        return Drop.MALFORMED
    return -(-int(value) // _SECONDS)


def bin_label(value: Decimal, edges: Sequence[Decimal]) -> str:
    """Return the label of the half-open bin between two edges, the edges as the pack writes them."""
    position = bisect_right(edges, value)
    if position == 0:
        return f"<{edges[0]}"
    if position == len(edges):
        return f">={edges[-1]}"
    return f"{edges[position - 1]}-<{edges[position]}"


def body_mass_bin(measures: Sequence[tuple[datetime, BodyMeasure]], edges: Sequence[Decimal]) -> str | None:
    """Return the bin of the latest body mass index, measured or of a weight and the height that stood then.

    Args:
        measures: ascending in time.
        edges: lower edges of the bins.
    """
    index: Decimal | None = None
    height: Decimal | None = next((m.value for _, m in measures if m.kind == "height"), None)
    for _, measure in measures:
        match measure.kind:
            case "height":
                height = measure.value
            case "weight" if height is not None:
                index = measure.value / (height * height)
            case "index":
                index = measure.value
    return None if index is None else bin_label(index, edges)


def _converted(quantity: Mapping[str, object], units: Mapping[str, Decimal]) -> Decimal | Drop:
    factor = units.get(str(quantity.get("unit")))
    if factor is None:
        return Drop.UNKNOWN_UNIT
    value = _number(quantity.get("value"))
    return value if isinstance(value, Drop) else value * factor


def _number(raw: object) -> Decimal | Drop:
    if isinstance(raw, bool) or not isinstance(raw, str | int) or not _DECIMAL.fullmatch(str(raw)):
        return Drop.MALFORMED
    value = Decimal(raw)
    return value if 0 <= value < _MOST else Drop.NOT_ALLOWED
