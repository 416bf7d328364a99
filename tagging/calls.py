"""The functions of the language: their names, their arguments and the nodes that they become."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tagging.syntax import (
    Arithmetic,
    AtHours,
    Coalesce,
    Column,
    EventMeasure,
    Expression,
    Has,
    Literal,
    Measure,
    Operator,
    Quantifier,
    StartsWith,
    TagReference,
)
from tagging.types import MAX_WINDOW_DAYS, ValueType

if TYPE_CHECKING:
    from tagging.grammar import Reader

_Arguments = list[exp.Expr]


def read_call(reader: "Reader", name: str, node: exp.Expr) -> Expression:
    """Read a call of one of the language's functions.

    Raises:
        ExpressionError: another function, or arguments that it does not take.
    """
    arguments = node.expressions
    if name not in _FUNCTIONS:
        raise reader.fail(node, f"unknown function {name!r}", expected=f"one of {listed()}")
    usage, fewest, most, read = _FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        raise reader.fail(node, f"{name} has {len(arguments)} arguments", expected=usage)
    return read(reader, node, arguments)


def listed() -> str:
    """Return the usage of all functions, for messages."""
    return ", ".join(usage for usage, *_ in _FUNCTIONS.values())


def usages() -> dict[str, str]:
    """Return name and usage of every function, for the reference."""
    return {name: usage for name, (usage, *_) in _FUNCTIONS.items()}


def _text(reader: "Reader", node: exp.Expr) -> str:
    found = reader.typed(node, ValueType.TEXT)
    if not isinstance(found, Literal) or not found.value:
        raise reader.fail(node, "a constant is needed", expected="a text in quotes, not empty")
    return str(found.value)


def _whole(reader: "Reader", node: exp.Expr, low: int, high: int) -> int:
    wanted = f"a whole number from {low} to {high}"
    if not (isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdecimal()):
        raise reader.fail(node, "a constant is needed", expected=wanted)
    if not low <= int(str(node.this)) <= high:
        raise reader.fail(node, "the number is out of range", expected=wanted)
    return int(str(node.this))


def _divide(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
    left, right = (reader.typed(argument, ValueType.NUMBER) for argument in arguments)
    return Arithmetic(Operator.DIV, left, right, reader.place(node))


def _coalesce(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
    options, shared = reader.same_type(arguments)
    return Coalesce(tuple(options), shared, reader.place(node))


def _starts_with(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
    operand = reader.typed(arguments[0], ValueType.TEXT)
    return StartsWith(operand, _text(reader, arguments[1]), reader.place(node))


def _has(quantifier: Quantifier, *, is_prefix: bool = False) -> Callable[["Reader", exp.Expr, _Arguments], Expression]:
    def read(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
        codes = reader.read(arguments[0])
        if not isinstance(codes, Column) or codes.type is not ValueType.CODES:
            raise reader.fail(arguments[0], "this is no list", expected="a column with a list of codes")
        wanted = tuple(_text(reader, argument) for argument in arguments[1:])
        return Has(codes, wanted, quantifier, is_prefix, reader.place(node))

    return read


def _tag(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
    code = _text(reader, arguments[0])
    if not reader.scope.tags:
        raise reader.fail(node, "tag(…) has no place here", expected=f"one of {', '.join(reader.scope.columns)}")
    if code not in reader.scope.tags:
        known = ", ".join(reader.scope.tags)
        raise reader.fail(arguments[0], f"unknown tag {code!r}", expected=f"one of {known}")
    return TagReference(code, reader.scope.tags[code], reader.place(node))


def _at_hours(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
    if not reader.scope.within_event:
        raise reader.fail(node, "at_hours stands outside an event condition", expected="ev_count(at_hours(22, 6), 30)")
    start, end = (_whole(reader, argument, 0, 24) for argument in arguments)
    if start == end:
        raise reader.fail(node, "the hours begin where they end", expected="two different hours")
    return AtHours(start, end, reader.place(node))


def _event_measure(measure: Measure) -> Callable[["Reader", exp.Expr, _Arguments], Expression]:
    def read(reader: "Reader", node: exp.Expr, arguments: _Arguments) -> Expression:
        if reader.scope.event is None:
            raise reader.fail(node, f"{measure} has no events here", expected="a rule of a tag")
        inner = reader.within(reader.scope.event)
        summed = None
        if measure is Measure.SUM:
            summed = _summed(inner, arguments[0])
            arguments = arguments[1:]
        days = None if measure is Measure.LAST_DAYS else _whole(reader, arguments[1], 1, MAX_WINDOW_DAYS)
        condition = inner.typed(arguments[0], ValueType.BOOL)
        return EventMeasure(measure, condition, days, summed, reader.place(node))

    return read


def _summed(reader: "Reader", node: exp.Expr) -> Column:
    found = reader.typed(node, ValueType.NUMBER)
    if not isinstance(found, Column):
        raise reader.fail(node, "ev_sum adds up one column", expected="minutes, questions or amount")
    return found


_Read = Callable[["Reader", exp.Expr, _Arguments], Expression]
_MANY: Final = 64

_FUNCTIONS: Final[dict[str, tuple[str, int, int, _Read]]] = {
    "has": ("has(codes, 'code')", 2, 2, _has(Quantifier.ANY)),
    "has_any": ("has_any(codes, 'code', …)", 2, _MANY, _has(Quantifier.ANY)),
    "has_all": ("has_all(codes, 'code', …)", 2, _MANY, _has(Quantifier.ALL)),
    "has_prefix": ("has_prefix(codes, 'prefix', …)", 2, _MANY, _has(Quantifier.ANY, is_prefix=True)),
    "starts_with": ("starts_with(text, 'prefix')", 2, 2, _starts_with),
    "coalesce": ("coalesce(value, …)", 2, _MANY, _coalesce),
    "div": ("div(number, number)", 2, 2, _divide),
    "tag": ("tag('code')", 1, 1, _tag),
    "ev_count": ("ev_count(condition, days)", 2, 2, _event_measure(Measure.COUNT)),
    "ev_days": ("ev_days(condition, days)", 2, 2, _event_measure(Measure.DAYS)),
    "ev_sum": ("ev_sum(column, condition, days)", 3, 3, _event_measure(Measure.SUM)),
    "ev_last_days": ("ev_last_days(condition)", 1, 1, _event_measure(Measure.LAST_DAYS)),
    "at_hours": ("at_hours(from, to)", 2, 2, _at_hours),
}
