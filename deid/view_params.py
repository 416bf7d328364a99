"""Reads what a column of a view gives its transforms: codes, units, edges and groups."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from deid.cells import Params
from deid.transforms import Take, Transform
from kernel.located_yaml import Located
from kernel.pack_entries import CODE, Entry, read_texts

PARAMETERS: Final = frozenset({"codes", "edges", "groups", "units"})
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def read_params(entry: Entry) -> Params:
    """Return the parameters of one column; what is absent is empty."""
    nothing = Params()
    return Params(
        codes=entry.read("codes", _codes, otherwise=nothing.codes),
        units=entry.read("units", _units, otherwise=nothing.units),
        edges=entry.read("edges", _edges, otherwise=nothing.edges),
        groups=entry.read("groups", _groups, otherwise=nothing.groups),
    )


def read_take(node: Located, transforms: Sequence[Transform]) -> Take:
    """Return how cells are gathered; every transform of the column has to allow it."""
    take = node.one_of(Take)
    for transform in transforms:
        if take not in transform.takes:
            raise node.fail(
                f"{transform.name!r} gives no cells for {take.value!r}", expected=", ".join(transform.takes)
            )
    return take


def read_code(node: Located) -> str:
    """Return the code of a view, a column, a scope or an export."""
    if CODE.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no code", expected="2 to 40 lower-case letters, digits and underscores")
    return node.text()


def read_decimal(node: Located) -> Decimal:
    """Return a decimal: a whole number, or text where there is a point."""
    if node.kind == "integer":
        return node.decimal()
    if _DECIMAL.fullmatch(node.text()) is None:
        raise node.fail(f"{node.raw!r} is no decimal", expected='such as 140 or "6.1"')
    return Decimal(node.text())


def _codes(node: Located) -> frozenset[str]:
    return frozenset(read_texts(node))


def _edges(node: Located) -> tuple[Decimal, ...]:
    edges = tuple(read_decimal(item) for item in node.sequence())
    if not edges or any(high <= low for low, high in pairwise(edges)):
        raise node.fail("the edges do not ascend", expected="at least one edge, each above the one before")
    return edges


def _units(node: Located) -> Mapping[str, Decimal]:
    units = {unit: read_decimal(factor) for unit, factor in node.items()}
    if not units or min(units.values()) <= 0:
        raise node.fail("no unit, or a factor that is not positive", expected="unit: factor to the column's unit")
    return MappingProxyType(units)


def _groups(node: Located) -> Mapping[str, str]:
    groups: dict[str, str] = {}
    for name, codes in node.items():
        for code in read_texts(codes):
            if code in groups or ":" not in code:
                raise codes.fail(f"{code!r} is in two groups or names no system", expected="system:code, each once")
            groups[code] = name
    return MappingProxyType(groups)
