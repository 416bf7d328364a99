"""Content rules from YAML: ``packs/NAME/content_rules.yaml``; every mistake is told with its file and line.

version: "2026.11.1"
words: {GROUP: [PATTERN, …]}             patterns that rules name as <GROUP>
variants: {CHARACTER: CHARACTERS}        what is written for a character to hide a word
contexts:
  NAME:
    kinds: [post, campaign]              left out: both
    signs: [{patterns, side, reach, characters, unless}]
rules:
  CODE:
    kinds: [post, campaign]              left out: both
    by: [member, doctor, operator]       left out: all
    severity: hard                       hard exactly where the action is block
    action: block                        mask, hold or block
    law, article: TEXT
    message: {zh: TEXT, en: TEXT}
    find: [PATTERN, …]                   or identifiers: [KIND, …], or neither, for what is lacking on the whole page
    near, unless: [{patterns or identifiers, side, reach, characters}]
    lacks: [PATTERN, …]
    excused_by: [CONTEXT, …]
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from deid.text.content.patterns import Words, compile_patterns, read_patterns
from deid.text.content.rules import (
    Action,
    Author,
    Condition,
    ContentKind,
    ContentRules,
    Context,
    Reach,
    Rule,
    Severity,
    Side,
)
from deid.text.kinds import Kind
from kernel.catalogue import Label
from kernel.encoding import digest
from kernel.located_yaml import Located, PackError, PackMistake, load

FILE: Final = "content_rules.yaml"

_RULE: Final = {"severity", "action", "law", "article", "message"}
_OF_RULE: Final = {"kinds", "by", "find", "identifiers", "near", "unless", "lacks", "excused_by"}
_OF_CONDITION: Final = {"patterns", "identifiers", "side", "reach", "characters"}

_CHARACTERS: Final = 120
_MAX_CHARACTERS: Final = 400
"""To each side of a hit: what is further away is another matter, and the search stays linear."""

_CODE: Final = re.compile("[a-z][a-z0-9_]{1,39}")

_E = TypeVar("_E", bound=Enum)


def load_content_rules(path: Path) -> ContentRules:
    """Read content rules.

    Raises:
        PackError: every mistake, with file and line.
    """
    node = load(path).mapping(required={"version", "rules"}, optional={"words", "variants", "contexts"})
    reader = _Reader(_read_words(node.get("words")), _read_variants(node.get("variants")))
    contexts = {name: reader.context(name, child) for name, child in _pairs(node.get("contexts"))}
    rules: dict[str, Rule] = {}
    mistakes: list[PackMistake] = []
    for code, child in node["rules"].items():
        try:
            rules[code] = reader.rule(code, child, contexts)
        except PackError as err:
            mistakes += err.mistakes
    if mistakes:
        raise PackError(mistakes)
    if not any(Kind.WITHHELD in rule.identifiers for rule in rules.values()):
        raise node["rules"].fail("no rule for a text that could not be judged", expected="identifiers: [WITHHELD]")
    return ContentRules(node["version"].text(), rules, digest(node.value()))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parts of a file by the groups and variants that it declares."""

    words: Words
    variants: Mapping[str, str]

    def rule(self, code: str, node: Located, contexts: Mapping[str, Context]) -> Rule:
        node.mapping(required=_RULE, optional=_OF_RULE)
        if not _CODE.fullmatch(code):
            raise node.fail(f"{code[:40]!r} is no code", expected="small letters, digits and underscores")
        severity, action = node["severity"].one_of(Severity), node["action"].one_of(Action)
        if (severity is Severity.HARD) != (action is Action.BLOCK) or action is Action.ALLOW:
            raise node["action"].fail(
                f"a {severity.value} rule with the action {action.value}",
                expected="hard with block, soft with mask or hold",
            )
        if "find" in node and "identifiers" in node:
            raise node["identifiers"].fail("both find and identifiers", expected="one of them; the other under near")
        if "find" not in node and "identifiers" not in node and "lacks" not in node:
            raise node.fail("nothing that breaks the rule", expected="find, identifiers or lacks")
        return Rule(
            code=code,
            kinds=_members(node.get("kinds"), ContentKind),
            by=_members(node.get("by"), Author),
            severity=severity,
            action=action,
            law=node["law"].text(),
            article=node["article"].text(),
            message=_label(node["message"]),
            find=self._patterns(node.get("find")),
            identifiers=_kinds(node.get("identifiers")),
            near=self._conditions(node.get("near")),
            unless=self._conditions(node.get("unless")),
            lacks=self._patterns(node.get("lacks")),
            excused_by=_contexts(node.get("excused_by"), contexts),
        )

    def context(self, name: str, node: Located) -> Context:
        node.mapping(required={"signs"}, optional={"kinds"})
        signs, unless = [], []
        for child in node["signs"].sequence():
            child.mapping(required={"patterns"}, optional=_OF_CONDITION - {"identifiers"} | {"unless"})
            signs.append(self._condition(child))
            unless.append(self._patterns(child.get("unless")))
        return Context(name, _members(node.get("kinds"), ContentKind), tuple(signs), tuple(unless))

    def _conditions(self, node: Located | None) -> tuple[Condition, ...]:
        if node is None:
            return ()
        for child in node.sequence():
            child.mapping(optional=_OF_CONDITION)
            if ("patterns" in child) == ("identifiers" in child):
                raise child.fail("a condition", expected="either patterns or identifiers")
        return tuple(map(self._condition, node.sequence()))

    def _condition(self, node: Located) -> Condition:
        reach, side, characters = node.get("reach"), node.get("side"), node.get("characters")
        if reach is not None and reach.raw == Reach.PAGE and (side or characters):
            raise reach.fail("a side or a distance within the page", expected="the page alone")
        return Condition(
            patterns=self._patterns(node.get("patterns")),
            identifiers=_kinds(node.get("identifiers")),
            reach=Reach.SENTENCE if reach is None else reach.one_of(Reach),
            characters=_CHARACTERS if characters is None else characters.integer(minimum=1, maximum=_MAX_CHARACTERS),
            side=Side.BOTH if side is None else side.one_of(Side),
        )

    def _patterns(self, node: Located | None) -> re.Pattern[str] | None:
        return None if node is None else compile_patterns(node.sequence(), self.words, self.variants)


def _read_words(node: Located | None) -> Words:
    """A group may name those that stand above it."""
    words: dict[str, list[str]] = {}
    for name, child in _pairs(node):
        words[name] = read_patterns(child.sequence(), words)
    return words


def _read_variants(node: Located | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for sign, child in _pairs(node):
        if len(sign) != 1 or not sign.isalpha() or not child.text().isalpha():
            raise child.fail("no character with its variants", expected="such as 根: 哏茛")
        found[sign] = child.text()
    return found


def _pairs(node: Located | None) -> list[tuple[str, Located]]:
    return [] if node is None else list(node.items())


def _members(node: Located | None, members: type[_E]) -> frozenset[_E]:
    return frozenset(members) if node is None else frozenset(child.one_of(members) for child in node.sequence())


def _kinds(node: Located | None) -> frozenset[Kind]:
    return frozenset() if node is None else frozenset(child.one_of(Kind) for child in node.sequence())


def _contexts(node: Located | None, contexts: Mapping[str, Context]) -> tuple[Context, ...]:
    return () if node is None else tuple(contexts[child.one_of(contexts.keys())] for child in node.sequence())


def _label(node: Located) -> Label:
    node.mapping(required={"zh", "en"})
    return Label(node["zh"].text(), node["en"].text())
