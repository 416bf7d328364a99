"""The tests inside a taxonomy: what a subject has, and what the tag must then be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from kernel.located_yaml import Located, PackError
from tagging.reference import Row
from tagging.schema import EVENT_COLUMNS, SUBJECT_COLUMNS, readable
from tagging.types import Cell, Value, ValueType, bounded

UNKNOWN: Final = "unknown"
"""How a test writes that a value is not known."""


@dataclass(frozen=True, slots=True)
class Example:
    """One test: made-up rows, the day, and the value that the rule must give."""

    as_of: date
    subject: Row
    events: tuple[Row, ...]
    expected: Value = field(repr=False)
    file: str
    line: int


def read_example(node: Located) -> Example:
    """Read one test.

    Raises:
        PackError: a column that the views do not have, or a value of another type.
    """
    node.mapping(required={"as_of", "expect"}, optional={"subject", "events"})
    subject, events = node.get("subject"), node.get("events")
    return Example(
        as_of=_day(node["as_of"]),
        subject={} if subject is None else _row(subject, readable(SUBJECT_COLUMNS)),
        events=() if events is None else tuple(_event(event) for event in events.sequence()),
        expected=_expected(node["expect"]),
        file=node.file,
        line=node.line,
    )


def _event(node: Located) -> Row:
    columns = readable(EVENT_COLUMNS)
    node.mapping(required={"event_type", "day"}, optional=columns.keys() - {"event_type"})
    rest = {name: _cell(child, columns[name]) for name, child in node.items() if name != "day"}
    return {**rest, "day": _day(node["day"])}


def _row(node: Located, columns: Mapping[str, ValueType]) -> Row:
    node.mapping(optional=columns.keys())
    return {name: _cell(child, columns[name]) for name, child in node.items()}


def _cell(node: Located, type_: ValueType) -> Cell:
    match type_:
        case ValueType.CODES:
            return tuple(code.text() for code in node.sequence())
        case ValueType.NUMBER:
            return _number(node)
    return node.text()


def _number(node: Located) -> Decimal:
    number = bounded(node.decimal())
    if number is None or number != node.decimal():
        raise node.fail("this number does not fit", expected="at most 14 digits and 4 decimals")
    return number


def _expected(node: Located) -> Value:
    match node.kind:
        case "boolean":
            return node.boolean()
        case "integer" | "decimal":
            return _number(node)
    text = node.text()
    return None if text == UNKNOWN else text


def _day(node: Located) -> date:
    try:
        return date.fromisoformat(node.text())
    except ValueError:
        raise _no_day(node) from None


def _no_day(node: Located) -> PackError:
    return node.fail("this is no day", expected="a date such as 2026-11-21")
