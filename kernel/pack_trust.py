"""Reads trust.yaml: whom to believe where two sources of a profile disagree."""

import re
from collections.abc import Collection
from typing import Final

from kernel.catalogue import Compartment
from kernel.located_yaml import Located
from kernel.pack_entries import Entry, Mistakes, read_coded, read_texts
from kernel.trust import TrustRule

_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def read_trust(root: Located, fields: Collection[str], mistakes: Mistakes) -> tuple[TrustRule, ...]:
    """Return the rules of a pack.

    Args:
        root: the file; rules by name, each with ``order`` and perhaps ``fields`` or ``compartments``.
        fields: codes that the pack declares.
        mistakes: takes every mistake: what is unknown, named by two rules, or trusted twice.
    """
    rules, named = [], set[str]()
    for code, node in read_coded(root, mistakes):
        entry = Entry(node, mistakes, required={"order"}, optional={"fields", "compartments"})
        rule = TrustRule(
            code=code,
            fields=frozenset(entry.texts("fields")),
            compartments=entry.read("compartments", _read_compartments, otherwise=frozenset()),
            ranks=entry.read("order", _read_ranks, otherwise=()),
        )
        _check_scope(rule, node, fields, named, mistakes)
        if entry.is_whole:
            rules.append(rule)
    return tuple(sorted(rules, key=lambda rule: rule.code))


def _check_scope(rule: TrustRule, node: Located, fields: Collection[str], named: set[str], mistakes: Mistakes) -> None:
    for unknown in sorted(rule.fields - set(fields)):
        mistakes.add(node, f"unknown field {unknown!r}", expected="a field that the pack declares")
    scope = {*rule.fields, *rule.compartments} or {"everything else"}
    for twice in sorted(scope & named):
        mistakes.add(node, f"{twice} has a trust order already", expected="one rule for each field and compartment")
    named |= scope


def _read_compartments(node: Located) -> frozenset[str]:
    return frozenset(item.one_of(Compartment) for item in node.sequence())


def _read_ranks(node: Located) -> tuple[tuple[str, ...], ...]:
    ranks = tuple(read_texts(item) if item.kind == "sequence" else (item.text(),) for item in node.sequence())
    names = [name for rank in ranks for name in rank]
    if not names or len(set(names)) != len(names):
        raise node.fail("no source, or one twice", expected="the most trusted first, each once")
    for name in names:
        if _SOURCE.fullmatch(name) is None:
            raise node.fail(f"{name!r} is no name of a source", expected="letters, digits, dots, dashes, underscores")
    return ranks
