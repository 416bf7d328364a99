"""The typed syntax tree of a rule: what every evaluator walks, and all that the language can say.

Places do not take part in equality, so that one event measure written in five rules is computed once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, assert_never

from tagging.types import Value, ValueType


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an expression's text: line and column, both counted from 1."""

    line: int
    column: int


class Comparison(StrEnum):
    """Comparisons; order is defined for numbers only."""

    EQUAL = "="
    UNEQUAL = "<>"
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


class Operator(StrEnum):
    """Arithmetic on numbers; ``DIV`` is written ``div(a, b)`` and is NULL for a zero divisor."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIV = "div"


class Connective(StrEnum):
    """Three-valued conjunction and disjunction."""

    AND = "AND"
    OR = "OR"


class Quantifier(StrEnum):
    """How many of the codes a list must hold."""

    ANY = "any"
    ALL = "all"


class Measure(StrEnum):
    """What is measured over a subject's events."""

    COUNT = "ev_count"
    DAYS = "ev_days"
    SUM = "ev_sum"
    LAST_DAYS = "ev_last_days"


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; ``type`` is stated so that NULL has one too."""

    value: Value
    type: ValueType
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the view that the rule reads, or of the event inside a filter."""

    name: str
    type: ValueType
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class TagReference:
    """The value of another tag."""

    code: str
    type: ValueType
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two values of one type; NULL where either is NULL."""

    comparison: Comparison
    left: "Expression"
    right: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """AND or OR of two conditions."""

    connective: Connective
    left: "Expression"
    right: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; NOT NULL is NULL."""

    operand: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a value is unknown; never NULL itself."""

    operand: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Membership in a closed list of constants."""

    operand: "Expression"
    options: tuple[Literal, ...]
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Between:
    """``low <= operand AND operand <= high``."""

    operand: "Expression"
    low: "Expression"
    high: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A number from two numbers."""

    operator: Operator
    left: "Expression"
    right: "Expression"
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Case:
    """The value of the first branch whose condition is true, else ``default``."""

    branches: tuple[tuple["Expression", "Expression"], ...]
    default: "Expression"
    type: ValueType
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Coalesce:
    """The first value that is known."""

    options: tuple["Expression", ...]
    type: ValueType
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a list holds any or all of the codes; as prefixes where ``is_prefix``. NULL for an unknown list."""

    codes: Column
    wanted: tuple[str, ...]
    quantifier: Quantifier
    is_prefix: bool
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class StartsWith:
    """Whether a text begins with a constant."""

    operand: "Expression"
    prefix: str
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class AtHours:
    """Inside an event filter: the hour lies in [start, end), over midnight where start > end."""

    start: int
    end: int
    at: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class EventMeasure:
    """A number measured over the events that pass ``condition`` on the last ``days`` natural days.

    Attributes:
        measure: what is measured.
        condition: a condition on one event; an event passes where it is true.
        days: the window ends with the ``as_of`` day and includes it; None looks back without end.
        summed: the number that SUM adds up, else None.
    """

    measure: Measure
    condition: "Expression"
    days: int | None
    summed: Column | None
    at: Place = field(compare=False)


Expression: TypeAlias = (
    Literal
    | Column
    | TagReference
    | Compare
    | Logic
    | Not
    | IsNull
    | OneOf
    | Between
    | Arithmetic
    | Case
    | Coalesce
    | Has
    | StartsWith
    | AtHours
    | EventMeasure
)


def type_of(node: Expression) -> ValueType:
    """Return the type of an expression's value."""
    match node:
        case Literal() | Column() | TagReference() | Case() | Coalesce():
            return node.type
        case Arithmetic() | EventMeasure():
            return ValueType.NUMBER
        case Compare() | Logic() | Not() | IsNull() | OneOf() | Between() | Has() | StartsWith() | AtHours():
            return ValueType.BOOL
    assert_never(node)


def children(node: Expression) -> tuple[Expression, ...]:  # noqa: PLR0911 -- one arm a node
    """Return the expressions directly inside, in the order of the text."""
    match node:
        case Literal() | Column() | TagReference() | AtHours():
            return ()
        case Compare() | Logic() | Arithmetic():
            return (node.left, node.right)
        case Not() | IsNull() | StartsWith():
            return (node.operand,)
        case OneOf():
            return (node.operand, *node.options)
        case Between():
            return (node.operand, node.low, node.high)
        case Case():
            return (*(part for branch in node.branches for part in branch), node.default)
        case Coalesce():
            return node.options
        case Has():
            return (node.codes,)
        case EventMeasure():
            return (node.condition,) if node.summed is None else (node.summed, node.condition)
    assert_never(node)


def walk(node: Expression) -> Iterator[Expression]:
    """Yield the expression and everything inside it, event filters included."""
    yield node
    for child in children(node):
        yield from walk(child)


def measures(node: Expression) -> Iterator[EventMeasure]:
    """Yield the event measures of an expression in the order of its text."""
    return (part for part in walk(node) if isinstance(part, EventMeasure))


def own_columns(node: Expression) -> Iterator[Column]:
    """Yield the columns that the rule itself reads; those inside event filters are not among them."""
    if isinstance(node, Column):
        yield node
    if not isinstance(node, EventMeasure):
        for child in children(node):
            yield from own_columns(child)


def tag_references(node: Expression) -> Iterator[TagReference]:
    """Yield the references to other tags in the order of the text."""
    return (part for part in walk(node) if isinstance(part, TagReference))
