"""The DuckDB evaluator's half of the language: rules become SQL that is made of our own words only.

Every name in the SQL is a column of the view schemas or a number that we gave; every text of a rule is a bound
parameter. Nothing that an author wrote is ever part of the SQL. It is not sqlglot's transpiler: dialects differ in
NULL, division, lists and days, and each of those is spelled out here and compared with ``tagging.reference``.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

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
from tagging.types import DECIMALS, NUMBER_DIGITS, Value, ValueType

Parameter: TypeAlias = str | date | list[str]

NUMBER: Final = f"DECIMAL({NUMBER_DIGITS},{DECIMALS})"

_ONE: Final = 10**DECIMALS

MACROS: Final = (
    "CREATE MACRO to_steps(x) AS CAST(x * 10000::DECIMAL(20,0) AS HUGEINT)",
    f"CREATE MACRO from_steps(n) AS TRY_CAST(TRY_CAST(n AS DECIMAL(18,0)) * 0.0001::DECIMAL(4,4) AS {NUMBER})",
    """CREATE MACRO half_even(n, d) AS n // d + CASE
        WHEN 2 * abs(n % d) > d OR (2 * abs(n % d) = d AND (n // d) % 2 <> 0) THEN sign(n) ELSE 0 END""",
    f"CREATE MACRO times(x, y) AS from_steps(half_even(to_steps(x) * to_steps(y), {_ONE}::HUGEINT))",
    f"""CREATE MACRO quotient(x, y) AS
        from_steps(half_even(to_steps(x) * {_ONE} * sign(y), nullif(abs(to_steps(y)), 0)))""",
)
"""Exact arithmetic on whole steps of 0.0001: DuckDB's own decimals round half away from zero and divide as doubles."""

SQL_TYPES: Final[Mapping[ValueType, str]] = {
    ValueType.BOOL: "BOOLEAN",
    ValueType.NUMBER: NUMBER,
    ValueType.TEXT: "VARCHAR",
}

_COMPARISONS: Final[Mapping[Comparison, str]] = {comparison: str(comparison) for comparison in Comparison}


class Emitter:
    """Turns expressions into SQL and collects its parameters ``$1``, ``$2`` and so on.

    Attributes:
        parameters: what the SQL names, in order.
        names: the columns that event measures and tags (by code) have become; filled in by the caller.
    """

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self.names: dict[EventMeasure | str, str] = {}

    def bind(self, value: Parameter) -> str:
        """Return the placeholder of a parameter; equal texts and days share one."""
        if value not in self.parameters:
            self.parameters.append(value)
        return f"${self.parameters.index(value) + 1}"

    def emit(self, node: Expression) -> str:  # noqa: C901, PLR0911 -- one arm a node, and mypy sees that none is missing
        """Return the SQL of an expression, in brackets where it has an operator."""
        match node:
            case Literal(value=value, type=type_):
                return self._literal(value, type_)
            case Column(name=name, type=type_):
                return _column(name, type_)
            case TagReference(code=code):
                return self.names[code]
            case EventMeasure():
                return self.names[node]
            case Logic(connective=connective, left=left, right=right):
                word = "AND" if connective is Connective.AND else "OR"
                return f"({self.emit(left)} {word} {self.emit(right)})"
            case Not(operand=operand):
                return f"(NOT {self.emit(operand)})"
            case Compare(comparison=comparison, left=left, right=right):
                return f"({self.emit(left)} {_COMPARISONS[comparison]} {self.emit(right)})"
            case Arithmetic():
                return self._arithmetic(node)
            case Case(branches=branches, default=default):
                parts = [f"WHEN {self.emit(condition)} THEN {self.emit(value)}" for condition, value in branches]
                return f"CASE {' '.join(parts)} ELSE {self.emit(default)} END"
            case Coalesce(options=options):
                return f"coalesce({', '.join(self.emit(option) for option in options)})"
            case IsNull() | OneOf() | Between() | StartsWith() | Has() | AtHours():
                return self._test(node)
        assert_never(node)

    def measure(self, node: EventMeasure, as_of: date) -> str:
        """Return the SQL aggregate of a measure over the rows of one subject's events up to ``as_of``."""
        passes = self.emit(node.condition)
        if node.days is not None:
            passes = f'{passes} AND "day" > {self.day(as_of)} - {node.days}'
        passing = f"FILTER (WHERE {passes})"
        match node.measure:
            case Measure.COUNT:
                return _as_number(f"count(*) {passing}")
            case Measure.DAYS:
                return _as_number(f'coalesce(len(list_distinct(list("day") {passing})), 0)')
            case Measure.LAST_DAYS:
                return _as_number(f"date_diff('day', max(\"day\") {passing}, {self.day(as_of)})")
            case Measure.SUM:
                summed = "NULL" if node.summed is None else self.emit(node.summed)
                total = _as_number(f"sum({summed}) {passing}")
                return f"CASE WHEN count(*) {passing} = 0 THEN {_as_number('0')} ELSE {total} END"
        assert_never(node.measure)

    def day(self, day: date) -> str:
        """Return a day as SQL."""
        return f"CAST({self.bind(day)} AS DATE)"

    def _literal(self, value: Value, type_: ValueType) -> str:
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, Decimal):
            return f"CAST({value:.{DECIMALS}f} AS {NUMBER})"
        sql = "NULL" if value is None else self.bind(value)
        return f"CAST({sql} AS {SQL_TYPES[type_]})"

    def _arithmetic(self, node: Arithmetic) -> str:
        left, right = self.emit(node.left), self.emit(node.right)
        match node.operator:
            case Operator.ADD | Operator.SUBTRACT:
                return _as_number(f"{left} {node.operator} {right}")
            case Operator.MULTIPLY:
                return f"times({left}, {right})"
            case Operator.DIV:
                return f"quotient({left}, {right})"
        assert_never(node.operator)

    def _test(self, node: IsNull | OneOf | Between | StartsWith | Has | AtHours) -> str:
        match node:
            case IsNull(operand=operand):
                return f"({self.emit(operand)} IS NULL)"
            case OneOf(operand=operand, options=options):
                return f"({self.emit(operand)} IN ({', '.join(self.emit(option) for option in options)}))"
            case Between(operand=operand, low=low, high=high):
                return f"({self.emit(operand)} BETWEEN {self.emit(low)} AND {self.emit(high)})"
            case StartsWith(operand=operand, prefix=prefix):
                return f"starts_with({self.emit(operand)}, {self._literal(prefix, ValueType.TEXT)})"
            case Has():
                return self._has(node)
            case AtHours(start=start, end=end):
                word = "AND" if start < end else "OR"
                return f'("hour" >= {start} {word} "hour" < {end})'
        assert_never(node)

    def _has(self, node: Has) -> str:
        codes = _column(node.codes.name, node.codes.type)
        word = " OR " if node.quantifier is Quantifier.ANY else " AND "
        wanted = [self._literal(code, ValueType.TEXT) for code in node.wanted]
        if node.is_prefix:
            tests = [f"len(list_filter({codes}, lambda code: starts_with(code, {prefix}))) > 0" for prefix in wanted]
        else:
            tests = [f"list_contains({codes}, {code})" for code in wanted]
        return f"({word.join(tests)})"


def _column(name: str, type_: ValueType) -> str:
    return _as_number(f'"{name}"') if type_ is ValueType.NUMBER else f'"{name}"'


def _as_number(sql: str) -> str:
    """Bring an exact number into the language's range; NULL beyond it."""
    return f"TRY_CAST({sql} AS {NUMBER})"
