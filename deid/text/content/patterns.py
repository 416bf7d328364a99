"""Patterns of content rules: regular expressions whose time is bounded at each place of a text.

A pattern repeats single characters and classes only, with a bound; a group may be left out, never repeated; so the
search takes linear time, whatever a pack's author writes.
"""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from kernel.located import Located

MAX_REPEATS: Final = 40

MAX_WAYS: Final = 20_000
"""The bounds of one pattern multiplied: more ways of matching one place than this would make it slow."""

_REFERENCE: Final = re.compile("<([a-z_]+)>")
"""A pattern that stands for a whole group of the file's ``words``."""

_FORBIDDEN: Final = (
    (re.compile("[*+]"), "a repetition without an end"),
    (re.compile(r"\{\d*,\}"), "a repetition without an end"),
    (re.compile(r"\)\{"), "a repeated group"),
    (re.compile(r"\\[1-9bBwWdDsS]"), "a reference or a class that Chinese text makes no use of"),
    (re.compile(r"\(\?P"), "a named group"),
    (re.compile(r"\((?!\?)"), "a group that keeps what it matched"),
    (re.compile("[A-Z]"), "a capital letter"),
)
_CLASS: Final = re.compile(r"\\[^1-9bBwWdDsS]|\[(?:\\.|[^\]\\])*\]")
"""Escaped signs and classes, in which nothing repeats or groups."""

_EXPECTED: Final = "small letters, (?:…), classes, ? and {m,n}"
_BOUND: Final = re.compile(r"\{(\d+)(?:,(\d+))?\}")

Words = Mapping[str, Sequence[str]]


def compile_patterns(nodes: Sequence[Located], words: Words, variants: Mapping[str, str]) -> re.Pattern[str]:
    """Return one pattern for all of some patterns.

    Args:
        nodes: the patterns, or ``<group>`` for the patterns of a group.
        words: the groups.
        variants: for a character those that are written for it to hide a word.

    Raises:
        PackError: a pattern that is none, is not bounded, or matches nothing; with file and line.
    """
    return re.compile("|".join(with_variants(one, variants) for one in read_patterns(nodes, words)))


def read_patterns(nodes: Sequence[Located], words: Words) -> list[str]:
    """Return patterns as they stand in the file, those of groups in their place; raises as ``compile_patterns``."""
    found: list[str] = []
    for node in nodes:
        pattern = node.text()
        reference = _REFERENCE.fullmatch(pattern)
        if reference is None:
            _check(node, pattern)
            found.append(pattern)
        elif reference[1] in words:
            found += words[reference[1]]
        else:
            raise node.fail(f"there are no words {pattern}", expected=f"one of {', '.join(sorted(words))}")
    return found


def with_variants(pattern: str, variants: Mapping[str, str]) -> str:
    """Let every character of a pattern also be what is written in its place."""
    parts: list[str] = []
    is_class = is_escaped = False
    for sign in pattern:
        if sign in variants:
            parts.append(sign + variants[sign] if is_class else f"[{sign}{variants[sign]}]")
        else:
            parts.append(sign)
        if not is_escaped:
            is_class = (is_class or sign == "[") and sign != "]"
        is_escaped = sign == "\\" and not is_escaped
    return "".join(parts)


def _check(node: Located, pattern: str) -> None:
    bare = _CLASS.sub("c", pattern)
    for forbidden, what in _FORBIDDEN:
        if forbidden.search(bare):
            raise node.fail(f"{what} in a pattern", expected=_EXPECTED)
    bounds = [int(most or least) for least, most in _BOUND.findall(bare)]
    if max(bounds, default=0) > MAX_REPEATS or prod(bounds) > MAX_WAYS:
        raise node.fail("repetitions that are too long", expected=f"at most {MAX_REPEATS} each, {MAX_WAYS} multiplied")
    try:
        compiled = re.compile(pattern)
    except re.error as err:
        raise node.fail(f"no pattern: {err.msg}", expected=_EXPECTED) from None
    if compiled.match("") is not None:
        raise node.fail("a pattern that matches nothing at all", expected="at least one character")
