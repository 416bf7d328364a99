"""Reads oversight.yaml: by which numbers an officer watches, and which purposes count as care itself."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import partial
from typing import Final, TypeVar

from kernel.located_yaml import Located
from kernel.oversight import (
    AccessThresholds,
    BreachThresholds,
    DutyThresholds,
    Oversight,
    ReadingLimits,
    ReadingRules,
)
from kernel.pack_entries import Entry, Mistakes, read_texts

CARE: Final = ("treatment", "payment", "operations")
"""45 CFR 164.501."""

_MOST: Final = 1_000_000_000
_Thresholds = TypeVar("_Thresholds", AccessThresholds, BreachThresholds, DutyThresholds, ReadingLimits)


def read_oversight(root: Located, purposes: Collection[str], mistakes: Mistakes) -> Oversight:
    """Return what a pack says; whatever it leaves out has the product's own number.

    Args:
        root: the file, or an empty mapping without one.
        purposes: codes that the pack declares.
        mistakes: takes every mistake.
    """
    entry = Entry(root, mistakes, required=(), optional={"access", "breach", "care_purposes", "duties", "reading"})
    return Oversight(
        care_purposes=entry.read("care_purposes", lambda node: _care(node, purposes, mistakes), otherwise={}),
        access=entry.read("access", lambda node: _thresholds(node, AccessThresholds, mistakes), otherwise=_ACCESS),
        duties=entry.read("duties", lambda node: _thresholds(node, DutyThresholds, mistakes), otherwise=_DUTIES),
        reading=entry.read("reading", lambda node: _reading(node, mistakes), otherwise=_READING),
        breach=entry.read("breach", lambda node: _thresholds(node, BreachThresholds, mistakes), otherwise=_BREACH),
    )


def _thresholds(node: Located, kind: type[_Thresholds], mistakes: Mistakes) -> _Thresholds:
    names = {one.name for one in fields(kind)}
    entry = Entry(node, mistakes, required=(), optional=names)
    given = {name: entry.read(name, _number, otherwise=0) for name in names if name in node}
    return kind(**given)


def read_limits(node: Located, mistakes: Mistakes) -> ReadingLimits:
    """Return how much one person reads; whatever is left out has the product's own number."""
    return _thresholds(node, ReadingLimits, mistakes)


def _reading(node: Located, mistakes: Mistakes) -> ReadingRules:
    entry = Entry(node, mistakes, required=(), optional={"case_hours", "emergencies_day", "near_percent", "limits"})
    limits = entry.read("limits", lambda item: read_limits(item, mistakes), otherwise=_READING.limits)
    return ReadingRules(
        case_hours=entry.read("case_hours", partial(_number, maximum=_MOST_HOURS), otherwise=_READING.case_hours),
        emergencies_day=entry.read("emergencies_day", _number, otherwise=_READING.emergencies_day),
        near_percent=entry.read("near_percent", partial(_number, maximum=100), otherwise=_READING.near_percent),
        limits=limits,
    )


def _number(node: Located, *, maximum: int = _MOST) -> int:
    return node.integer(minimum=1, maximum=maximum)


def _care(node: Located, purposes: Collection[str], mistakes: Mistakes) -> Mapping[str, str]:
    node.mapping(required=(), optional=CARE)
    found: dict[str, str] = {}
    for kind, listed in node.items():
        for code in read_texts(listed):
            if code not in purposes:
                mistakes.add(listed, f"unknown purpose {code!r}", expected="a purpose that the pack declares")
            if code in found:
                mistakes.add(listed, f"{code} is {found[code]} already", expected="every purpose once")
            found[code] = kind
    return found


_MOST_HOURS: Final = 30 * 24
"""A case grant is for a case and not for good."""

_READING: Final = ReadingRules()
_ACCESS: Final = AccessThresholds()
_DUTIES: Final = DutyThresholds()
_BREACH: Final = BreachThresholds()
