"""How commands print: tables for people, JSON lines for programs."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

_UNBOUNDED: Final = 10_000
"""Characters in a line where no terminal limits it."""


_STEERING: Final = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Controls (C0 and C1), bidirectional and invisible marks, surrogates: what is read from a store may hold anything."""

_LINE_END: Final = re.compile("[\r\n]")


def say(text: str) -> None:
    """Print one line, or several, without anything that could steer a terminal or hide text in it."""
    sys.stdout.write(_shown(text) + "\n")


def say_json(value: object) -> None:
    """Print one JSON document on one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))


def _shown(text: str) -> str:
    """Return text with controls and invisible marks escaped as JSON does it; line ends and tabs stay."""
    return _STEERING.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _in_a_line(text: str) -> str:
    return _LINE_END.sub(lambda found: json.dumps(found[0])[1:-1], _shown(text))


def cell(value: object) -> str:  # noqa: PLR0911 - one line for each kind of value
    """Return a value for people: nothing for None, lists with commas, the value of an enum, times to the second."""
    match value:
        case None:
            return ""
        case Enum():
            return str(value.value)
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case Mapping():
            return ", ".join(f"{cell(name)}: {cell(one)}" for name, one in value.items())
        case str():
            return _in_a_line(value)
        case list() | tuple() | set() | frozenset():
            items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            return ", ".join(cell(one) for one in items)
        case _:
            return str(value)


def say_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        say(f"{name:<{width}}  {cell(value)}".rstrip())


def say_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table; a terminal folds what is too wide, a file or pipe gets every line whole."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    width = None if sys.stdout.isatty() else _UNBOUNDED
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)
