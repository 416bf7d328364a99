"""The rule language: what an expression may name where it stands, and from its text to a typed tree.

    parse("has(diagnosis_groups, 'I10') AND sex = 'female'", rule_scope(tags={}))

The text is parsed by sqlglot behind two fences: ``tagging.tokens`` admits the words of the language only, and
``tagging.grammar`` the syntax nodes. The reference is docs/reference/expressions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tagging.schema import DENIED, EVENT_COLUMNS, SUBJECT_COLUMNS, readable
from tagging.syntax import Expression
from tagging.types import ValueType


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may name.

    Attributes:
        columns: the columns with their types.
        tags: codes that ``tag('…')`` may refer to, with the types of their values.
        event: the scope inside the condition of an event measure; None where there are no event measures.
        within_event: whether this is such an inner scope, where ``at_hours`` is available.
        denied: names that no tag may read, by law.
    """

    columns: Mapping[str, ValueType]
    tags: Mapping[str, ValueType] = field(default_factory=dict)
    event: "Scope | None" = None
    within_event: bool = False
    denied: frozenset[str] = frozenset(DENIED)


def rule_scope(tags: Mapping[str, ValueType]) -> Scope:
    """Return the scope of a tag's rule: the subject view, event measures and the other tags."""
    event = Scope(columns=readable(EVENT_COLUMNS), within_event=True)
    return Scope(columns=readable(SUBJECT_COLUMNS), tags=tags, event=event)


def cohort_scope(tags: Mapping[str, ValueType]) -> Scope:
    """Return the scope of a cohort's condition: the tags themselves are the columns."""
    return Scope(columns=tags)


def parse(text: str, scope: Scope) -> Expression:
    """Parse and type-check an expression.

    Args:
        text: at most 4,000 characters.
        scope: ``rule_scope`` or ``cohort_scope``.
    Raises:
        ExpressionError: what is wrong, at which line and column.
    """
    from tagging.grammar import read_expression

    return read_expression(text, scope)


def parse_condition(text: str, scope: Scope) -> Expression:
    """Parse an expression that must be true, false or unknown.

    Raises:
        ExpressionError: also where the expression gives another type.
    """
    from tagging.grammar import read_condition

    return read_condition(text, scope)
