"""Generalisation hierarchies: every value of a quasi-identifier at every level of coarseness."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from deid.codes import PROVINCES
from deid.dates import OLDEST_AGE, OLDEST_BAND
from kernel.errors import BadInput

ANY: Final = "*"
"""The coarsest value of every hierarchy: nothing is told."""

_BAND: Final = re.compile(r"(0|[1-9][0-9]?)-([1-9][0-9]?)")
_TWENTY: Final = 20


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One hierarchy.

    Attributes:
        levels: names of the levels; the first is the value as it is.
        path: gives a value at every level, or None for a value that has no place in it.
    """

    name: str
    levels: tuple[str, ...]
    path: Callable[[str], tuple[str, ...] | None]

    def up_to(self, level: str) -> "Hierarchy":
        """Return the hierarchy that ends at a level; raises ``BadInput`` for a level that it does not have."""
        if level not in self.levels:
            raise BadInput(f"Hierarchy {self.name} has no level {level!r}", hint=f"It has {', '.join(self.levels)}.")
        return replace(self, levels=self.levels[: self.levels.index(level) + 1])

    def generalised(self, value: str | None) -> tuple[str | None, ...]:
        """Return a value at every level; what is not known stays so up to ``*``.

        Raises:
            BadInput: the value has no place in the hierarchy; nothing is guessed.
        """
        if value is None:
            return tuple(ANY if level == ANY else None for level in self.levels)
        path = self.path(value)
        if path is None or len(path) < len(self.levels):
            raise BadInput(
                f"Hierarchy {self.name}: a value has no place in it", hint="Extend the hierarchy or drop the value."
            )
        return path[: len(self.levels)]


def hierarchy_of_rows(name: str, rows: Sequence[Sequence[str]]) -> Hierarchy:
    """Make a hierarchy of a table whose rows are a value followed by its generalisations (the form of ARX).

    Raises:
        BadInput: no rows, rows of different lengths, a value that stands twice.
    """
    paths = {row[0]: tuple(row) for row in rows}
    widths = {len(row) for row in rows}
    if len(widths) != 1 or len(paths) != len(rows):
        raise BadInput(f"Hierarchy {name} is no table", hint="Give one row a value, all of the same length.")
    return Hierarchy(name, tuple(str(level) for level in range(widths.pop())), paths.get)


def _age_path(band: str) -> tuple[str, ...] | None:
    if band == OLDEST_BAND:
        return band, band, "80+", ANY
    match = _BAND.fullmatch(band)
    if match is None or int(match[1]) % 5 or int(match[2]) != int(match[1]) + 4 or int(match[1]) >= OLDEST_AGE:
        return None
    ten, twenty = int(match[1]) // 10 * 10, int(match[1]) // _TWENTY * _TWENTY
    widest = f"{twenty}-{twenty + 19}" if twenty + _TWENTY <= OLDEST_AGE else f"{twenty}+"
    return band, f"{ten}-{ten + 9}", widest, ANY


def _province_path(code: str) -> tuple[str, ...] | None:
    known = code[:2] in PROVINCES and code[2:] == "0000"
    return (code, f"{code[0]}*****", ANY) if known else None


def _flat_path(value: str) -> tuple[str, ...] | None:
    return value, ANY


AGE_BAND: Final = Hierarchy("age_band", ("5-year", "10-year", "20-year", ANY), _age_path)
PROVINCE: Final = Hierarchy("province", ("province", "region", ANY), _province_path)
FLAT: Final = Hierarchy("flat", ("value", ANY), _flat_path)

HIERARCHIES: Final[Mapping[str, Hierarchy]] = MappingProxyType({h.name: h for h in (AGE_BAND, PROVINCE, FLAT)})
"""The hierarchies that an export definition may name."""
