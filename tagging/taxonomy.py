"""The taxonomy: the tags of a pack with their rules, read from YAML, checked and put into an order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

from kernel.catalogue import Label
from kernel.encoding import JsonValue, digest
from kernel.errors import NotFound
from kernel.located_yaml import Located, PackError, PackMistake, load
from tagging.errors import ExpressionError
from tagging.examples import UNKNOWN, Example, read_example
from tagging.language import Scope, cohort_scope, parse, rule_scope
from tagging.schema import PSEUDONYM
from tagging.syntax import Expression, tag_references, type_of
from tagging.tokens import is_name
from tagging.types import ValueType

MAX_TAGS: Final = 500
"""A taxonomy is written and reviewed by people; each tag is a column of one query."""


class TagType(StrEnum):
    """What a tag's value is: yes, no or unknown; one of a closed list; a number with four decimals."""

    BOOL = "bool"
    ENUM = "enum"
    NUMBER = "number"

    @property
    def value_type(self) -> ValueType:
        """The type of the rule."""
        return {"bool": ValueType.BOOL, "enum": ValueType.TEXT, "number": ValueType.NUMBER}[self.value]


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag.

    Attributes:
        layer: 1 basic attributes, 2 health needs, 3 behaviour features, 4 value tiers.
        group: the branch inside the layer.
        values: an enum's values with their labels; empty for the other types.
        goal: what the tag is for.
        purpose: the purpose of processing that it is made under.
        sensitivity: the level that its value has to be treated as, 1 to 5.
        owner: the role that answers for it.
        version: moves with every change of the rule.
        text: the rule as it is written; ``rule`` as it is understood.
        examples: the tests inside the file.
        file, line: where the tag's rule stands.
    """

    code: str
    label: Label
    layer: int
    group: str
    type: TagType
    values: Mapping[str, Label]
    goal: Label
    purpose: str
    sensitivity: int
    owner: str
    version: int
    text: str
    rule: Expression
    examples: tuple[Example, ...]
    file: str
    line: int

    def label_of(self, value: str) -> Label:
        """Return the label of an enum's value, or the value itself where it is none."""
        return self.values.get(value, Label(value, value))


@dataclass(frozen=True)
class Taxonomy:
    """All tags of a pack, in the order of the file.

    Attributes:
        hash: SHA-256 over what the tags say and mean; their tests do not count.
        layers: the same tags in groups; a tag's references all stand in groups before its own.
    """

    name: str
    version: int
    hash: str
    tags: tuple[Tag, ...]
    layers: tuple[tuple[Tag, ...], ...]

    def get(self, code: str) -> Tag:
        """Return a tag; raises ``NotFound`` for an unknown code."""
        try:
            return self._by_code[code]
        except KeyError:
            raise NotFound(f"There is no tag {code!r} in {self.name}", hint="See the taxonomy of the pack.") from None

    def with_references(self, code: str) -> Iterator[Tag]:
        """Yield a tag and all that its rule refers to, what is referred to first, each once."""
        wanted, waiting = set[str](), [code]
        while waiting:
            tag = self.get(waiting.pop())
            if tag.code not in wanted:
                wanted.add(tag.code)
                waiting += (reference.code for reference in tag_references(tag.rule))
        return (tag for layer in self.layers for tag in layer if tag.code in wanted)

    @cached_property
    def cohort_scope(self) -> Scope:
        """What a cohort's condition may name."""
        return cohort_scope({tag.code: tag.type.value_type for tag in self.tags})

    @cached_property
    def _by_code(self) -> Mapping[str, Tag]:
        return {tag.code: tag for tag in self.tags}


_KEYS: Final = frozenset(
    {"code", "label", "layer", "group", "type", "goal", "purpose", "sensitivity", "owner", "version"}
    | {"expression", "tests"}
)


def load_taxonomy(path: Path) -> Taxonomy:
    """Read and check a taxonomy.

    Raises:
        PackError: every mistake with file and line; for a rule also the line and column inside it; for references
            in a circle the tags that it runs through.
    """
    root = load(path).mapping(required={"taxonomy", "version", "tags"})
    nodes = _tag_nodes(root)
    scope = rule_scope({code: node["type"].one_of(TagType).value_type for code, node in nodes.items()})
    tags: list[Tag] = []
    mistakes: list[PackMistake] = []
    for code, node in nodes.items():
        try:
            tags.append(_read_tag(code, node, scope))
        except PackError as err:
            mistakes += err.mistakes
    if mistakes:
        raise PackError(mistakes)
    name, version = root["taxonomy"].text(), root["version"].integer(minimum=1)
    content: JsonValue = {"taxonomy": name, "version": version, "tags": [_content(tag) for tag in tags]}
    return Taxonomy(name=name, version=version, hash=digest(content), tags=tuple(tags), layers=_layers(tags))


def _tag_nodes(root: Located) -> Mapping[str, Located]:
    """Return the tags' nodes by code, their keys checked."""
    sequence = root["tags"].sequence()
    if not 1 <= len(sequence) <= MAX_TAGS:
        raise root["tags"].fail(f"{len(sequence)} tags", expected=f"1 to {MAX_TAGS}")
    nodes: dict[str, Located] = {}
    for node in sequence:
        code = node.mapping(required=_KEYS, optional={"values"})["code"].text()
        if code == PSEUDONYM or not is_name(code):
            raise node["code"].fail(f"{code!r} cannot be a tag's code", expected="lower-case words joined by _")
        if code in nodes:
            raise node["code"].fail(f"the tag {code!r} again", expected="every code once")
        nodes[code] = node
    return nodes


def _read_tag(code: str, node: Located, scope: Scope) -> Tag:
    type_ = node["type"].one_of(TagType)
    values = _read_values(node, type_)
    return Tag(
        code=code,
        label=_read_label(node["label"]),
        layer=node["layer"].integer(minimum=1, maximum=4),
        group=node["group"].text(),
        type=type_,
        values=values,
        goal=_read_label(node["goal"]),
        purpose=node["purpose"].text(),
        sensitivity=node["sensitivity"].integer(minimum=1, maximum=5),
        owner=node["owner"].text(),
        version=node["version"].integer(minimum=1),
        text=node["expression"].text(),
        rule=_read_rule(node["expression"], type_, scope),
        examples=tuple(read_example(example) for example in node["tests"].sequence()),
        file=node["expression"].file,
        line=node["expression"].line,
    )


def _read_label(node: Located) -> Label:
    node.mapping(required={"zh", "en"})
    return Label(node["zh"].text(), node["en"].text())


def _read_values(node: Located, type_: TagType) -> Mapping[str, Label]:
    given = node.get("values")
    if type_ is not TagType.ENUM:
        if given is not None:
            raise given.fail("only an enum has values", expected="no values")
        return {}
    values = {value: _read_label(label) for value, label in node["values"].items()}
    if not values or UNKNOWN in values:
        raise node["values"].fail(
            "no values, or one that is called unknown", expected="values with labels; NULL is unknown"
        )
    return values


def _read_rule(node: Located, type_: TagType, scope: Scope) -> Expression:
    try:
        rule = parse(node.text(), scope)
    except ExpressionError as err:
        place = f"line {err.place.line}, column {err.place.column} of the rule"
        raise node.fail(f"{place}: {err.problem}", expected=err.expected) from None
    if type_of(rule) is not type_.value_type:
        raise node.fail(f"the rule gives a {type_of(rule)}", expected=f"a {type_.value_type} for the type {type_}")
    return rule


def _content(tag: Tag) -> JsonValue:
    labels = {value: [label.zh, label.en] for value, label in tag.values.items()}
    words = [tag.label.zh, tag.label.en, tag.goal.zh, tag.goal.en, tag.group, tag.purpose, tag.owner]
    return [tag.code, tag.version, tag.type.value, tag.layer, tag.sensitivity, tag.text, labels, words]


def _layers(tags: list[Tag]) -> tuple[tuple[Tag, ...], ...]:
    by_code = {tag.code: tag for tag in tags}
    sorter = TopologicalSorter({tag.code: {part.code for part in tag_references(tag.rule)} for tag in tags})
    try:
        sorter.prepare()
    except CycleError as err:
        circle: list[str] = err.args[1]
        first = by_code[circle[0]]
        raise PackError(
            [PackMistake(first.file, first.line, f"tags in a circle: {' → '.join(circle)}", "references that end")]
        ) from None
    layers: list[tuple[Tag, ...]] = []
    while sorter.is_active():
        ready = set(sorter.get_ready())
        layers.append(tuple(tag for tag in tags if tag.code in ready))
        sorter.done(*ready)
    return tuple(layers)
