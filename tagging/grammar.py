"""The second fence: sqlglot's syntax nodes, whitelisted one by one, become the language's own typed tree.

A node class that is not in the table, and an argument of a node that is not named there, is refused; what sqlglot
learns to parse later stays outside the language.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from sqlglot import Dialect, ErrorLevel, exp
from sqlglot.errors import ParseError

from tagging import calls
from tagging.errors import ExpressionError
from tagging.language import Scope
from tagging.syntax import (
    Arithmetic,
    Between,
    Case,
    Column,
    Compare,
    Comparison,
    Connective,
    Expression,
    IsNull,
    Literal,
    Logic,
    Not,
    OneOf,
    Operator,
    Place,
    type_of,
)
from tagging.tokens import name_in, place_of, tokenise
from tagging.types import ValueType, bounded

_COMPARISONS: Final[dict[type[exp.Expr], Comparison]] = {
    exp.EQ: Comparison.EQUAL,
    exp.NEQ: Comparison.UNEQUAL,
    exp.LT: Comparison.LESS,
    exp.LTE: Comparison.AT_MOST,
    exp.GT: Comparison.GREATER,
    exp.GTE: Comparison.AT_LEAST,
}
_CONNECTIVES: Final[dict[type[exp.Expr], Connective]] = {exp.And: Connective.AND, exp.Or: Connective.OR}
_OPERATORS: Final[dict[type[exp.Expr], Operator]] = {
    exp.Add: Operator.ADD,
    exp.Sub: Operator.SUBTRACT,
    exp.Mul: Operator.MULTIPLY,
}
_PAIR: Final = frozenset({"this", "expression"})
_ARGUMENTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    **dict.fromkeys([*_COMPARISONS, *_CONNECTIVES, *_OPERATORS, exp.Is], _PAIR),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Boolean: frozenset({"this"}),
    exp.Column: frozenset({"this"}),
    exp.Not: frozenset({"this"}),
    exp.Neg: frozenset({"this"}),
    exp.Paren: frozenset({"this"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.If: frozenset({"this", "true"}),
    exp.Anonymous: frozenset({"this", "expressions"}),
}
"""The whole whitelist: node classes and the arguments that each may carry."""


def read_expression(text: str, scope: Scope) -> Expression:
    """Parse an expression; see ``tagging.language.parse``."""
    return _guarded(text, scope, None)


def read_condition(text: str, scope: Scope) -> Expression:
    """Parse an expression that must be a condition; see ``tagging.language.parse_condition``."""
    return _guarded(text, scope, ValueType.BOOL)


def _guarded(text: str, scope: Scope, demanded: ValueType | None) -> Expression:
    try:
        reader = Reader(text, scope)
        tree = _parsed(text)
        return reader.scalar(tree) if demanded is None else reader.typed(tree, demanded)
    except RecursionError:
        raise ExpressionError("nested too deeply", Place(1, 1), expected="parts in tags of their own") from None


def _parsed(text: str) -> exp.Expr:
    tokens = tokenise(text)
    try:
        trees = Dialect.get_or_raise(None).parser(error_level=ErrorLevel.RAISE).parse(tokens, text)
    except ParseError as err:
        found = err.errors[0]
        near = next((t for t in tokens if (t.line, t.col) == (found["line"], found["col"])), tokens[-1])
        word = text[near.start : near.end + 1][:40]
        raise ExpressionError(f"this cannot be read near {word!r}", place_of(text, near.start)) from None
    match trees:
        case [exp.Expr() as tree]:
            return tree
    raise ExpressionError("there is no expression", Place(1, 1), expected="a condition or a value")


class Reader:
    """Turns sqlglot's nodes into the language's, checking names and types on the way."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self.scope = scope
        self._readers: dict[type[exp.Expr], Callable[[exp.Expr], Expression]] = {
            exp.Literal: self._literal,
            exp.Boolean: self._literal,
            exp.Column: self._column,
            exp.Not: self._not,
            exp.Neg: self._negated,
            exp.Paren: self._paren,
            exp.Is: self._is_null,
            exp.In: self._one_of,
            exp.Between: self._between,
            exp.Case: self._case,
        }

    def within(self, scope: Scope) -> "Reader":
        """Return a reader of the same text with other names in reach."""
        return Reader(self._text, scope)

    def place(self, node: exp.Expr) -> Place:
        """Return where a node begins: the first of its words that sqlglot remembers."""
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        return place_of(self._text, min(starts, default=0))

    def fail(self, node: exp.Expr, problem: str, *, expected: str = "") -> ExpressionError:
        """Return the error for a node; the caller raises it."""
        return ExpressionError(problem, self.place(node), expected=expected)

    def read(self, node: exp.Expr) -> Expression:
        """Read one node, whatever its type."""
        self._check_arguments(node)
        kind = type(node)
        if kind in _COMPARISONS:
            return self._comparison(node)
        if kind in _CONNECTIVES:
            left, right = self.typed(node.this, ValueType.BOOL), self.typed(node.expression, ValueType.BOOL)
            return Logic(_CONNECTIVES[kind], left, right, self.place(node))
        if kind in _OPERATORS:
            left, right = self.typed(node.this, ValueType.NUMBER), self.typed(node.expression, ValueType.NUMBER)
            return Arithmetic(_OPERATORS[kind], left, right, self.place(node))
        if isinstance(node, exp.Anonymous):
            return calls.read_call(self, name_in(str(node.this)), node)
        return self._readers[kind](node)

    def scalar(self, node: exp.Expr) -> Expression:
        """Read a node that is a value and not a list."""
        found = self.read(node)
        if type_of(found) is ValueType.CODES:
            raise self.fail(node, "a list is no value", expected="has(…), has_any(…), has_all(…) or has_prefix(…)")
        return found

    def typed(self, node: exp.Expr, wanted: ValueType) -> Expression:
        """Read a node that must have a type."""
        found = self.scalar(node)
        if type_of(found) is not wanted:
            raise self.fail(node, f"this is a {type_of(found)}", expected=f"a {wanted}")
        return found

    def same_type(self, nodes: list[exp.Expr]) -> tuple[list[Expression], ValueType]:
        """Read nodes that must agree in type; NULL takes the type of the others."""
        known = [node for node in nodes if not isinstance(node, exp.Null)]
        if not known:
            raise self.fail(nodes[0], "NULL alone has no type", expected="at least one value beside it")
        first = self.scalar(known[0])
        wanted = type_of(first)
        null = Literal(None, wanted, first.at)
        return [null if isinstance(node, exp.Null) else self.typed(node, wanted) for node in nodes], wanted

    def _check_arguments(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Null):
            raise self.fail(node.parent or node, "NULL stands here as a value", expected="IS NULL, or a CASE result")
        if isinstance(node, exp.Alias | exp.Aliases | exp.Concat):
            raise self.fail(node, "two values stand side by side", expected="an operator or a comma between them")
        if type(node) not in _ARGUMENTS:
            raise self.fail(node, f"{type(node).__name__} is not part of the language")
        extra = [key for key, value in node.args.items() if value and key not in _ARGUMENTS[type(node)]]
        if extra:
            raise self.fail(node, f"{type(node).__name__.upper()} cannot be used this way ({extra[0]})")

    def _comparison(self, node: exp.Expr) -> Expression:
        comparison = _COMPARISONS[type(node)]
        left = self.scalar(node.this)
        right = self.typed(node.expression, type_of(left))
        if comparison not in {Comparison.EQUAL, Comparison.UNEQUAL} and type_of(left) is not ValueType.NUMBER:
            raise self.fail(
                node, f"a {type_of(left)} has no order", expected="numbers, or IN with the values written out"
            )
        return Compare(comparison, left, right, self.place(node))

    def _literal(self, node: exp.Expr) -> Expression:
        if isinstance(node, exp.Boolean):
            return Literal(bool(node.this), ValueType.BOOL, self.place(node))
        if node.is_string:
            return Literal(str(node.this), ValueType.TEXT, self.place(node))
        return Literal(bounded(Decimal(str(node.this))), ValueType.NUMBER, self.place(node))

    def _column(self, node: exp.Expr) -> Expression:
        name = name_in(node.name)
        if name in self.scope.denied:
            raise self.fail(node, f"R33: no tag may read {name}", expected="a rule without it")
        if name not in self.scope.columns:
            raise self.fail(node, f"unknown name {name!r}", expected=f"one of {', '.join(self.scope.columns)}")
        return Column(name, self.scope.columns[name], self.place(node))

    def _not(self, node: exp.Expr) -> Expression:
        return Not(self.typed(node.this, ValueType.BOOL), self.place(node))

    def _negated(self, node: exp.Expr) -> Expression:
        operand, at = self.typed(node.this, ValueType.NUMBER), self.place(node)
        if isinstance(operand, Literal) and isinstance(operand.value, Decimal):
            return Literal(-operand.value, ValueType.NUMBER, at)
        return Arithmetic(Operator.SUBTRACT, Literal(Decimal("0.0000"), ValueType.NUMBER, at), operand, at)

    def _paren(self, node: exp.Expr) -> Expression:
        return self.read(node.this)

    def _is_null(self, node: exp.Expr) -> Expression:
        if not isinstance(node.expression, exp.Null):
            raise self.fail(node, "IS is written before NULL or NOT NULL only", expected="= for other values")
        return IsNull(self.read(node.this), self.place(node))

    def _one_of(self, node: exp.Expr) -> Expression:
        operand = self.scalar(node.this)
        if type_of(operand) is ValueType.BOOL or not node.expressions:
            raise self.fail(node, "IN needs a text or a number and a list", expected="IN ('a', 'b')")
        options = [self.typed(option, type_of(operand)) for option in node.expressions]
        constants = tuple(option for option in options if isinstance(option, Literal))
        if len(constants) < len(options):
            raise self.fail(node, "IN lists constants only", expected="texts or numbers")
        return OneOf(operand, constants, self.place(node))

    def _between(self, node: exp.Expr) -> Expression:
        operand, low, high = (self.typed(node.args[key], ValueType.NUMBER) for key in ("this", "low", "high"))
        return Between(operand, low, high, self.place(node))

    def _case(self, node: exp.Expr) -> Expression:
        branches: list[exp.Expr] = node.args["ifs"]
        for branch in branches:
            self._check_arguments(branch)
        conditions = [self.typed(branch.this, ValueType.BOOL) for branch in branches]
        values, shared = self.same_type([*(b.args["true"] for b in branches), node.args.get("default") or exp.Null()])
        *results, default = values
        return Case(tuple(zip(conditions, results, strict=True)), default, shared, self.place(node))
