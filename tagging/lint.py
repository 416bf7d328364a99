"""Review a taxonomy that loads: what its rules say against the law, the catalogue and their own tests."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kernel.catalogue import Catalogue
from tagging.examples import UNKNOWN
from tagging.portrait import compute
from tagging.reference import Facts
from tagging.schema import DENIED, EVENT_COLUMNS, SUBJECT_COLUMNS
from tagging.syntax import (
    Case,
    Coalesce,
    Column,
    Compare,
    EventMeasure,
    Expression,
    Has,
    Literal,
    OneOf,
    StartsWith,
    TagReference,
    walk,
)
from tagging.taxonomy import Tag, TagType, Taxonomy
from tagging.types import Value

if TYPE_CHECKING:
    from deid.special import SpecialDiseases

LEAST_SENSITIVITY: Final = 3
"""A tag about a person is behaviour data of level 3 even where its inputs are lower (medical catalogue, "tags")."""


class LintRule(StrEnum):
    """What a finding is about."""

    R33 = "R33"
    """No unlawful or discriminatory tag, and none of a special disease."""
    SENSITIVITY = "sensitivity"
    """A tag inherits the highest level of what it is made of."""
    EXAMPLE = "example"
    """The tests inside the file."""
    VALUE = "value"
    """Values that can never occur, or that were not declared."""
    CATALOGUE = "catalogue"
    """Purposes, owners and event types of the pack."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, at the line of the tag's rule or of the test."""

    rule: LintRule
    tag: str
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return ``file:line: rule: tag: message``."""
        return f"{self.file}:{self.line}: {self.rule}: {self.tag}: {self.message}"


_Said = tuple[LintRule, str]


def lint(
    taxonomy: Taxonomy, *, catalogue: Catalogue | None = None, special: "SpecialDiseases | None" = None
) -> tuple[Finding, ...]:
    """Review every tag and run the tests inside the file.

    Args:
        taxonomy: the tags.
        catalogue: the pack that purposes, owners and event types are looked up in; None leaves that out.
        special: the pack's special diseases, which no rule may ask for; None leaves that out.
    Returns:
        The findings in the order of the file; empty where all is well.
    """
    checks: list[Callable[[Tag], Iterable[_Said]]] = [
        _denied_words,
        lambda tag: _sensitivity(taxonomy, tag),
        lambda tag: _values(taxonomy, tag),
    ]
    if special is not None:
        checks.append(lambda tag: _special_words(tag, special))
    if catalogue is not None:
        checks.append(lambda tag: _catalogue(tag, catalogue))
    found: list[Finding] = []
    for tag in taxonomy.tags:
        said = (one for check in checks for one in check(tag))
        found += (Finding(rule, tag.code, tag.file, tag.line, message) for rule, message in said)
        found += _examples(taxonomy, tag)
    return tuple(found)


def possible_values(taxonomy: Taxonomy, node: Expression) -> frozenset[str] | None:
    """Return every text that an expression can give, or None where that is open."""
    match node:
        case Literal(value=value):
            return frozenset({value} if isinstance(value, str) else ())
        case Column(name=name):
            return (EVENT_COLUMNS.get(name) or SUBJECT_COLUMNS[name]).values
        case TagReference(code=code):
            return frozenset(taxonomy.get(code).values) or None
        case Case(branches=branches, default=default):
            return _union(taxonomy, [*(value for _, value in branches), default])
        case Coalesce(options=options):
            return _union(taxonomy, options)
    return None


def _union(taxonomy: Taxonomy, nodes: Iterable[Expression]) -> frozenset[str] | None:
    parts = [possible_values(taxonomy, node) for node in nodes]
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if len(known) == len(parts) else None


def _denied_words(tag: Tag) -> Iterator[_Said]:
    labels = [tag.label, tag.goal, *tag.values.values()]
    said = " ".join([tag.code, tag.group, *tag.values, *(f"{one.zh} {one.en}" for one in labels), *_texts(tag.rule)])
    folded = said.casefold()
    for code, label in DENIED.items():
        if any(word.casefold() in folded for word in (code, label.zh, label.en)):
            yield LintRule.R33, f"a tag may not speak of {label.en} ({label.zh})"


def _texts(rule: Expression) -> Iterator[str]:
    for node in walk(rule):
        match node:
            case Literal(value=str(text)):
                yield text
            case Has(wanted=wanted):
                yield from wanted
            case StartsWith(prefix=prefix):
                yield prefix


def _special_words(tag: Tag, special: "SpecialDiseases") -> Iterator[_Said]:
    for node in walk(tag.rule):
        if isinstance(node, Has):
            by_column = {"diagnosis_groups": special.holds_diagnosis, "medication_groups": special.holds_medicine}
            holds = by_column.get(node.codes.name)
            codes = [code for code in node.wanted if holds is not None and holds(code)]
            if codes:
                yield LintRule.R33, f"a special disease: {', '.join(codes)}"
    for text in _texts(tag.rule):
        if special.names_disease(text) or special.names_department(text):
            yield LintRule.R33, f"a special disease: {text!r}"


def _sensitivity(taxonomy: Taxonomy, tag: Tag) -> Iterator[_Said]:
    least = max([LEAST_SENSITIVITY, *(_level(taxonomy, node) for node in walk(tag.rule))])
    if tag.sensitivity < least:
        yield LintRule.SENSITIVITY, f"sensitivity {tag.sensitivity}, expected at least {least}"


def _level(taxonomy: Taxonomy, node: Expression) -> int:
    match node:
        case Column(name=name):
            return (EVENT_COLUMNS.get(name) or SUBJECT_COLUMNS[name]).level
        case TagReference(code=code):
            return taxonomy.get(code).sensitivity
    return 1


def _values(taxonomy: Taxonomy, tag: Tag) -> Iterator[_Said]:
    if tag.type is TagType.ENUM:
        given = possible_values(taxonomy, tag.rule)
        if given is None:
            yield LintRule.VALUE, "the rule can give values that nobody listed; expected constants"
        else:
            yield from (
                (LintRule.VALUE, f"the value {value!r} is not declared") for value in sorted(given - set(tag.values))
            )
            yield from (
                (LintRule.VALUE, f"the value {value!r} is never given") for value in sorted(set(tag.values) - given)
            )
    for operand, texts in _compared(tag.rule):
        closed = possible_values(taxonomy, operand)
        if closed is not None:
            yield from (
                (LintRule.VALUE, f"{text!r} never occurs there") for text in texts if text and text not in closed
            )


def _compared(rule: Expression) -> Iterator[tuple[Expression, list[str]]]:
    """Yield what is compared with constant texts, and the texts."""
    for node in walk(rule):
        match node:
            case (
                Compare(left=operand, right=Literal(value=str(text)))
                | Compare(left=Literal(value=str(text)), right=operand)
            ):
                yield operand, [text]
            case OneOf(operand=operand, options=options):
                yield operand, [option.value for option in options if isinstance(option.value, str)]


def _catalogue(tag: Tag, catalogue: Catalogue) -> Iterator[_Said]:
    purpose = catalogue.purposes.get(tag.purpose)
    if purpose is None or (purpose.needs_assessment and purpose.assessment is None):
        yield LintRule.CATALOGUE, f"purpose {tag.purpose!r} is unknown or names no assessment"
    if tag.owner not in catalogue.roles:
        yield LintRule.CATALOGUE, f"the owner {tag.owner!r} is no role of the pack"
    for node in walk(tag.rule):
        if isinstance(node, EventMeasure):
            types = {text for column, texts in _compared(node.condition) if _is_event_type(column) for text in texts}
            for code in sorted(types - catalogue.event_types.keys()):
                yield LintRule.CATALOGUE, f"the event type {code!r} is not in the pack"


def _is_event_type(node: Expression) -> bool:
    return isinstance(node, Column) and node.name == "event_type"


def _examples(taxonomy: Taxonomy, tag: Tag) -> Iterator[Finding]:
    if not tag.examples:
        yield Finding(LintRule.EXAMPLE, tag.code, tag.file, tag.line, "no test, expected at least one")
    for example in tag.examples:
        given = compute(taxonomy, Facts(example.subject, example.events, example.as_of))[tag.code]
        if given != example.expected:
            message = f"the test gives {_written(given)}, expected {_written(example.expected)}"
            yield Finding(LintRule.EXAMPLE, tag.code, example.file, example.line, message)


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return UNKNOWN if value is None else value
