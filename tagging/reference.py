"""The reference evaluator: a rule becomes a Python function of one subject's facts.

It is what explanations and the tests inside a taxonomy run on, and what DuckDB is compared with. Unknown is None and
follows Kleene's three-valued logic; an event passes a condition where it is true.
"""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeVar, assert_never, cast

from tagging.syntax import (
    Arithmetic,
    AtHours,
    Between,
    Case,
    Coalesce,
    Column,
    Compare,
    Comparison,
    Connective,
    EventMeasure,
    Expression,
    Has,
    IsNull,
    Literal,
    Logic,
    Measure,
    Not,
    OneOf,
    Operator,
    Quantifier,
    StartsWith,
    TagReference,
)
from tagging.types import Cell, Value, ValueType, bounded, product, quotient

Row: TypeAlias = Mapping[str, Cell | int | date]
"""One row of a view by column name; whole numbers may be ``int``. An event has its ``day`` too."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at: one subject's row, their events, their other tags and the day that it is asked for."""

    subject: Row = field(repr=False)
    events: Sequence[Row] = field(repr=False)
    as_of: date
    tags: Mapping[str, Value] = field(default_factory=dict, repr=False)


_T = TypeVar("_T")

Rule: TypeAlias = Callable[[Facts], Value]

_COMPARE: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    Comparison.EQUAL: operator.eq,
    Comparison.UNEQUAL: operator.ne,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.GREATER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}
_CALCULATE: Final[Mapping[Operator, Callable[[Decimal, Decimal], Decimal | None]]] = {
    Operator.ADD: lambda left, right: bounded(left + right),
    Operator.SUBTRACT: lambda left, right: bounded(left - right),
    Operator.MULTIPLY: product,
    Operator.DIV: quotient,
}


def compile_rule(node: Expression) -> Rule:  # noqa: C901, PLR0911 -- one arm a node, and mypy sees that none is missing
    """Turn an expression into a function of a subject's facts."""
    match node:
        case Literal(value=value):
            return lambda _facts: value
        case Column(name=name):
            return lambda facts: _plain(facts.subject.get(name))
        case TagReference(code=code):
            return lambda facts: facts.tags[code]
        case Logic():
            return _logic(node)
        case Not(operand=operand):
            return _mapped(compile_rule(operand), operator.not_)
        case Compare():
            return _both(compile_rule(node.left), compile_rule(node.right), _COMPARE[node.comparison])
        case Arithmetic():
            return _both(_number(node.left), _number(node.right), _CALCULATE[node.operator])
        case IsNull() | Has() | StartsWith() | OneOf() | Between() | AtHours():
            return _test(node)
        case Case():
            return _case(node)
        case Coalesce(options=options):
            return _first_known([compile_rule(option) for option in options])
        case EventMeasure():
            return _measure(node)
    assert_never(node)


def _test(node: IsNull | Has | StartsWith | OneOf | Between | AtHours) -> Rule:  # noqa: PLR0911 -- one arm a node
    match node:
        case IsNull(operand=Column(name=name, type=ValueType.CODES)):
            return lambda facts: facts.subject.get(name) is None
        case IsNull(operand=operand):
            inner = compile_rule(operand)
            return lambda facts: inner(facts) is None
        case Has():
            return _has(node)
        case StartsWith(operand=operand, prefix=prefix):
            return _mapped(compile_rule(operand), lambda text: str(text).startswith(prefix))
        case OneOf(operand=operand, options=options):
            values = {option.value for option in options}
            return _mapped(compile_rule(operand), values.__contains__)
        case Between(operand=operand, low=low, high=high):
            above = Compare(Comparison.AT_LEAST, operand, low, node.at)
            below = Compare(Comparison.AT_MOST, operand, high, node.at)
            return _logic(Logic(Connective.AND, above, below, node.at))
        case AtHours():
            return _mapped(_hour, lambda hour: _at_hours(node, cast("Decimal", hour)))
    assert_never(node)


def _plain(cell: Cell | int | date) -> Value:
    """Give a cell as a value of the language: whole numbers become decimals."""
    if isinstance(cell, bool) or cell is None or isinstance(cell, str):
        return cell
    return bounded(Decimal(cast("int | Decimal", cell)))


def _number(node: Expression) -> Callable[[Facts], Decimal | None]:
    # The grammar admits numbers only where this is called.
    return cast("Callable[[Facts], Decimal | None]", compile_rule(node))


def _mapped(inner: Rule, act: Callable[[Value], bool]) -> Rule:
    def mapped(facts: Facts) -> Value:
        value = inner(facts)
        return None if value is None else act(value)

    return mapped


def _both(
    left: Callable[[Facts], _T | None], right: Callable[[Facts], _T | None], act: Callable[[_T, _T], Value]
) -> Rule:
    def both(facts: Facts) -> Value:
        first, second = left(facts), right(facts)
        return None if first is None or second is None else act(first, second)

    return both


def _logic(node: Logic) -> Rule:
    left, right = compile_rule(node.left), compile_rule(node.right)
    decisive = node.connective is Connective.OR

    def logic(facts: Facts) -> Value:
        values = (left(facts), right(facts))
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return logic


def _case(node: Case) -> Rule:
    branches = [(compile_rule(condition), compile_rule(value)) for condition, value in node.branches]
    default = compile_rule(node.default)

    def case(facts: Facts) -> Value:
        for condition, value in branches:
            if condition(facts) is True:
                return value(facts)
        return default(facts)

    return case


def _first_known(options: Sequence[Rule]) -> Rule:
    def first_known(facts: Facts) -> Value:
        return next((value for option in options if (value := option(facts)) is not None), None)

    return first_known


def _has(node: Has) -> Rule:
    combine = any if node.quantifier is Quantifier.ANY else all

    def has(facts: Facts) -> Value:
        codes = cast("Collection[str] | None", facts.subject.get(node.codes.name))
        if codes is None:
            return None
        if node.is_prefix:
            return combine(any(str(code).startswith(wanted) for code in codes) for wanted in node.wanted)
        return combine(wanted in codes for wanted in node.wanted)

    return has


def _hour(facts: Facts) -> Value:
    return _plain(facts.subject.get("hour"))


def _at_hours(node: AtHours, hour: Decimal) -> bool:
    if node.start < node.end:
        return node.start <= hour < node.end
    return hour >= node.start or hour < node.end


def _measure(node: EventMeasure) -> Rule:
    condition = compile_rule(node.condition)

    def measure(facts: Facts) -> Value:
        passing = [event for event in _within(facts, node.days) if condition(Facts(event, (), facts.as_of)) is True]
        return _measured(node, passing, facts.as_of)

    return measure


def _within(facts: Facts, days: int | None) -> list[Row]:
    """Return the events of the window: natural days, the ``as_of`` day its last."""
    after = date.min if days is None else facts.as_of - timedelta(days=days)
    return [event for event in facts.events if after < _day(event) <= facts.as_of]


def _day(event: Row) -> date:
    return cast("date", event["day"])


def _measured(node: EventMeasure, passing: Sequence[Row], as_of: date) -> Value:
    match node.measure:
        case Measure.COUNT:
            return bounded(Decimal(len(passing)))
        case Measure.DAYS:
            return bounded(Decimal(len({_day(event) for event in passing})))
        case Measure.LAST_DAYS:
            return bounded(Decimal((as_of - max(map(_day, passing))).days)) if passing else None
        case Measure.SUM:
            name = "" if node.summed is None else node.summed.name
            known = [value for event in passing if isinstance(value := _plain(event.get(name)), Decimal)]
            return bounded(sum(known, Decimal(0))) if known or not passing else None
    assert_never(node.measure)
