"""YAML that remembers where every value stands, so that a mistake can be reported with file and line.

    node = load(path)                                  # PackError for syntax, duplicate keys, aliases, encoding
    node.mapping(required={"code"}, optional={"unit"}) # checks the keys, returns the node itself
    node["code"].text()                                # typed access; raises PackError with file and line
    node.get("unit")                                   # a node, or None where the key is absent
    for key, child in node.items(): ...                # a mapping's pairs, in the order of the file
    for child in node.sequence(): ...
    node["kind"].one_of(Kind)                          # an Enum member by its value, or one of a set of texts
    node["steps"].integer(minimum=1, maximum=9), .boolean(), .decimal(), .value()
    raise node.fail("the band is empty", expected="at least one edge")

Plain scalars read as YAML 1.2 reads them: ``true``, ``12`` and ``5.6`` are no texts unless quoted, ``no`` and
``2026-01-31`` are. There are no anchors, aliases, tags and floats: ``decimal()`` reads the characters in the file.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from kernel.located import Located, PackError, PackMistake

__all__ = ["Located", "PackError", "PackMistake", "load"]

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""A pack's file is written by hand; the bound keeps a wrong file from being parsed at all."""

MAX_DEPTH: Final = 32
"""Deeper nesting is refused while parsing: libyaml's own composer recurses and would take the process down."""

_NOTHING: Final = {"", "~", "null"}
_TRUTH: Final = {"true", "false"}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_NUMBER_LIKE: Final = re.compile(
    r"[-+]?(0[xob][0-9a-fA-F_]+|([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|\.(inf|nan))"
)
"""A plain scalar that some YAML reader takes for a number although it is none of ours: it must be quoted."""


def load(path: Path) -> Located:
    """Read one YAML file into located nodes.

    Raises:
        PackError: the file is missing, too large, not UTF-8, not one YAML document, repeats a key, nests deeper than
            ``MAX_DEPTH``, or uses an alias or a tag; with file and line.
    """
    file = str(path)
    text = _read(path, file)
    tree = _TreeBuilder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            tree.take(event)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = 1 if mark is None else mark.line + 1
        raise PackError([PackMistake(file, line, f"not valid YAML: {err.problem}", "one YAML document")]) from None
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise PackError([PackMistake(file, line, "a control character", "printable text")]) from None
    return tree.root()


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not been read yet; ``key`` waits for its value, on the line of the key."""

    line: int
    kind: str
    pairs: dict[str, Located] = field(default_factory=dict)
    items: list[Located] = field(default_factory=list)
    key: str | None = None
    key_line: int = 0


class _TreeBuilder:
    """Builds the tree from parser events with a stack of its own, so that no input can exhaust the C stack."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[_Open] = []
        self._roots: list[Located] = []

    def take(self, event: yaml.Event) -> None:
        """Take the next event of the parser."""
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        match event:
            case yaml.AliasEvent():
                raise self._mistake(line, "an alias", "every value written out where it stands")
            case yaml.NodeEvent(anchor=str()):
                raise self._mistake(line, "an anchor", "every value written out where it stands")
            case yaml.ScalarEvent(tag=str(tag)) | yaml.CollectionStartEvent(tag=str(tag)):
                raise self._mistake(line, f"the tag {tag!r}", "plain values without tags")
            case yaml.ScalarEvent():
                kind = _scalar_kind(event.value) if event.implicit[0] else "text"
                self._place(Located(self._file, line, kind, event.value, {}, ()))
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._enter(line, "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence")
            case yaml.CollectionEndEvent():
                done = self._open.pop()
                self._place(Located(self._file, done.line, done.kind, "", done.pairs, tuple(done.items)))

    def root(self) -> Located:
        """Return the document's one node."""
        match self._roots:
            case []:
                raise self._mistake(1, "the file is empty", "one YAML document")
            case [root]:
                return root
        raise self._mistake(self._roots[1].line, "another document", "one YAML document")

    def _enter(self, line: int, kind: str) -> None:
        if len(self._open) == MAX_DEPTH:
            raise self._mistake(line, "nested too deeply", f"at most {MAX_DEPTH} levels")
        if self._open and self._open[-1].kind == "mapping":
            parent = self._open[-1]
            if parent.key is None:
                raise self._mistake(line, f"a {kind} as a key", "a text")
            line = parent.key_line
        self._open.append(_Open(line, kind))

    def _place(self, node: Located) -> None:
        if not self._open:
            self._roots.append(node)
        elif (parent := self._open[-1]).kind == "sequence":
            parent.items.append(node)
        elif parent.key is None:
            parent.key, parent.key_line = node.text(), node.line
            if parent.key in parent.pairs:
                raise self._mistake(node.line, f"the key {parent.key!r} again", "every key once")
        else:
            parent.pairs[parent.key] = node
            parent.key = None

    def _mistake(self, line: int, message: str, expected: str) -> PackError:
        return PackError([PackMistake(self._file, line, message, expected)])


def _scalar_kind(raw: str) -> str:
    if raw in _NOTHING:
        return "nothing"
    if raw in _TRUTH:
        return "boolean"
    if _INTEGER.fullmatch(raw):
        return "integer"
    if _DECIMAL.fullmatch(raw):
        return "decimal"
    return "number" if _NUMBER_LIKE.fullmatch(raw) else "text"


def _read(path: Path, file: str) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PackError([PackMistake(file, 1, "the file is too large", f"at most {MAX_FILE_BYTES} bytes")])
        content = path.read_bytes()
    except OSError as err:
        raise PackError([PackMistake(file, 1, f"cannot be read ({err.strerror})", "a readable file")]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = content.count(b"\n", 0, err.start) + 1
        raise PackError([PackMistake(file, line, f"not UTF-8{_guessed(content)}", "a file saved as UTF-8")]) from None


def _guessed(content: bytes) -> str:
    try:
        content.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return ", it reads as GB18030 (GBK)"
