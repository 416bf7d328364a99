"""One measured figure: its value, the yardstick of the same run, and the target."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

Cell: TypeAlias = str | float | bool | None

COLUMNS: Final = ("group", "name", "value", "unit", "yardstick", "yardstick_value", "ratio", "target", "met")
"""The members of one figure in benchmarks/results.json, in order."""


class Bound(StrEnum):
    """On which side of its bound a figure has to stay."""

    AT_MOST = "≤"
    AT_LEAST = "≥"
    EXACTLY = "="


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach; ``of_ratio`` bounds value / yardstick value, else the value itself is bounded."""

    bound: Bound
    limit: float
    of_ratio: bool = False

    def __str__(self) -> str:
        return f"{'ratio' if self.of_ratio else 'value'} {self.bound} {self.limit:g}"

    def is_met(self, measured: float) -> bool:
        """Say whether a measured value, or ratio, keeps to the bound."""
        match self.bound:
            case Bound.AT_MOST:
                return measured <= self.limit
            case Bound.AT_LEAST:
                return measured >= self.limit
            case Bound.EXACTLY:
                return measured == self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        group, name: what was measured.
        value, unit: the measurement.
        yardstick: what it is compared with, measured in the same run; None where there is nothing to compare.
        yardstick_value: in the same unit.
        target: None where none is set yet.
    """

    group: str
    name: str
    value: float
    unit: str
    yardstick: str | None = None
    yardstick_value: float | None = None
    target: Target | None = None

    def __post_init__(self) -> None:
        """Refuse a yardstick without a value, and a target that has nothing to bound."""
        if (self.yardstick is None) != (self.yardstick_value is None):
            raise ValueError(f"{self.group}.{self.name}: a yardstick has a name and a value, or neither")
        if self.target is not None and self.target.of_ratio and self.ratio is None:
            raise ValueError(f"{self.group}.{self.name}: a target on the ratio needs a yardstick above zero")

    @property
    def ratio(self) -> float | None:
        """Value / yardstick value; None without a yardstick above zero."""
        return self.value / self.yardstick_value if self.yardstick_value else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        measured = self.ratio if self.target.of_ratio else self.value
        return measured is not None and self.target.is_met(measured)

    def as_json(self) -> dict[str, Cell]:
        """Return the members of ``COLUMNS``."""
        target = None if self.target is None else str(self.target)
        cells: tuple[Cell, ...] = (
            self.group, self.name, self.value, self.unit, self.yardstick, self.yardstick_value, self.ratio, target,
            self.met,
        )  # fmt: skip
        return dict(zip(COLUMNS, cells, strict=True))


def shown(number: float | None) -> str:
    """Return a number for people: three digits that say something, and whole counts as they are."""
    if number is None:
        return ""
    if number == int(number) or abs(number) >= 1000:  # noqa: PLR2004 - where fractions say nothing
        return f"{number:,.0f}"
    return f"{number:.3g}"
