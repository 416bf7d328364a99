"""How the entries of a pack are read: mistakes are gathered, so that one load reports all of them."""

import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Final, Generic, TypeVar

from kernel.catalogue import Label, Retention
from kernel.located_yaml import Located, PackError, PackMistake, load

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)

CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")
"""Codes of fields, event types, relations and roles."""

_PERIOD: Final = re.compile(r"([1-9][0-9]{0,2})([dmy])")
_DAYS: Final = {"d": 1.0, "m": 365.25 / 12, "y": 365.25}
_SESSION: Final = timedelta(days=1)
"""``session``: an input that is needed while a person is at the screen; a day is the longest that one lives."""


class Mistakes:
    """Gathers the mistakes of a whole pack."""

    def __init__(self) -> None:
        self._found: list[PackMistake] = []

    def __len__(self) -> int:
        """Return how many were found."""
        return len(self._found)

    def add(self, node: Located, message: str, *, expected: str = "") -> None:
        """Note a mistake at a node."""
        self.extend(node.fail(message, expected=expected))

    def extend(self, error: PackError) -> None:
        """Note every mistake of an error."""
        self._found += error.mistakes

    def attempt(self, read: Callable[[], _T], *, otherwise: _T) -> _T:
        """Return what ``read`` returns; where it finds a mistake, note it and return ``otherwise``."""
        try:
            return read()
        except PackError as err:
            self.extend(err)
            return otherwise

    def check(self) -> None:
        """Raise ``PackError`` with everything that was found, in the order of files and lines."""
        if self._found:
            raise PackError(sorted(self._found, key=lambda mistake: (mistake.file, mistake.line)))


@dataclass(frozen=True, slots=True)
class Declared(Generic[_T]):
    """A value of the catalogue and the node that declares it, for checks across files."""

    value: _T
    at: Located


class Entry:
    """One mapping of a pack's file, read key by key; a wrong value is noted and a stand-in goes on.

    ``is_whole`` says whether the entry was read without mistakes; one that was not is left out of later checks.
    """

    def __init__(
        self, node: Located, mistakes: Mistakes, *, required: Collection[str], optional: Collection[str] = ()
    ) -> None:
        self.node = node
        self._mistakes = mistakes
        self._found_before = len(mistakes)
        mistakes.attempt(lambda: node.mapping(required=required, optional=optional), otherwise=node)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was wrong in the entry so far."""
        return len(self._mistakes) == self._found_before

    def read(self, key: str, reader: Callable[[Located], _T], *, otherwise: _T) -> _T:
        """Return the value under a key, or ``otherwise`` where it is absent or wrong."""
        if self.node.kind != "mapping" or key not in self.node:
            return otherwise
        return self._mistakes.attempt(lambda: reader(self.node[key]), otherwise=otherwise)

    def text(self, key: str) -> str:
        """Return a text; empty where it is absent or wrong."""
        return self.read(key, Located.text, otherwise="")

    def flag(self, key: str) -> bool:
        """Return a boolean; false where it is absent or wrong."""
        return self.read(key, Located.boolean, otherwise=False)

    def member(self, key: str, kind: type[_E], *, otherwise: _E) -> _E:
        """Return the member of an enum."""
        return self.read(key, lambda node: node.one_of(kind), otherwise=otherwise)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a sequence of distinct texts; empty where it is absent or wrong."""
        return self.read(key, read_texts, otherwise=())

    def label(self, key: str = "label") -> Label:
        """Return the name for people in both languages."""
        return self.read(key, read_label, otherwise=Label("", ""))

    def retention(self, key: str = "retention") -> Retention:
        """Return how long to keep."""
        return self.read(key, read_retention, otherwise=Retention(None))


def read_folder(folder: Path, read: Callable[[Located, Mistakes], _T | None], mistakes: Mistakes) -> list[Declared[_T]]:
    """Return what the YAML files of a folder declare, one thing a file, as far as it was read without mistakes.

    A folder that is not there declares nothing.
    """
    declared = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            node = load(path)
        except PackError as err:
            mistakes.extend(err)
            continue
        if (value := read(node, mistakes)) is not None:
            declared.append(Declared(value, node))
    return declared


def read_coded(node: Located, mistakes: Mistakes) -> Iterator[tuple[str, Located]]:
    """Return the pairs of a mapping whose keys are codes; a key that is none is noted and left out."""
    for code, child in read_pairs(node, mistakes):
        if CODE.fullmatch(code) is None:
            mistakes.add(child, f"{code!r} is no code", expected="2 to 40 lower-case letters, digits and underscores")
        else:
            yield code, child


def read_pairs(node: Located, mistakes: Mistakes) -> list[tuple[str, Located]]:
    """Return the pairs of a mapping; anything else is noted and read as an empty one."""
    try:
        return list(node.items())
    except PackError as err:
        mistakes.extend(err)
        return []


def read_texts(node: Located) -> tuple[str, ...]:
    """Return a sequence of distinct texts."""
    seen: list[str] = []
    for item in node.sequence():
        text = item.text()
        if text in seen:
            raise item.fail(f"{text!r} again", expected="every entry once")
        seen.append(text)
    return tuple(seen)


def read_label(node: Located) -> Label:
    """Return ``{zh: …, en: …}``."""
    node.mapping(required={"zh", "en"})
    return Label(node["zh"].text(), node["en"].text())


def read_date(node: Located) -> date:
    """Return a day written as ``2026-10-01``."""
    try:
        return date.fromisoformat(node.text())
    except ValueError:
        raise node.fail(f"{node.raw!r} is no day", expected="year, month and day such as 2026-10-01") from None


def read_retention(node: Located) -> Retention:
    """Return ``{keep: 15y, floor: 15y}``, or a bare ``6m``, ``account`` or ``session``.

    A keep shorter than its floor would destroy what the law wants kept, and is refused.
    """
    if node.kind != "mapping":
        return Retention(_read_keep(node))
    node.mapping(required={"keep"}, optional={"floor"})
    keep = _read_keep(node["keep"])
    if "floor" not in node:
        return Retention(keep)
    floor = read_period(node["floor"])
    if keep is not None and keep < floor:
        raise node["floor"].fail("the floor is longer than what is kept", expected="keep at least as long as floor")
    return Retention(keep, floor)


def _read_keep(node: Located) -> timedelta | None:
    if node.kind == "text" and node.raw == "account":
        return None
    return _SESSION if node.kind == "text" and node.raw == "session" else read_period(node)


def read_period(node: Located) -> timedelta:
    """Return ``30d``, ``6m`` or ``15y`` as whole days, rounded up so that a legal minimum is never missed."""
    match = _PERIOD.fullmatch(node.text())
    if match is None:
        raise node.fail(f"{node.raw!r} is no period", expected="30d, 6m, 15y, account or session")
    return timedelta(days=math.ceil(int(match[1]) * _DAYS[match[2]]))
