"""How commands print: tables for people, JSON lines for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

_UNBOUNDED: Final = 10_000
"""Characters in a line where no terminal limits it."""


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def say_json(value: object) -> None:
    """Print one JSON document on one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))


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
            return ", ".join(f"{name}: {cell(one)}" for name, one in value.items())
        case str():
            return value
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
