"""How commands print: tables for people, JSON lines for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def say_json(value: object) -> None:
    """Print one JSON document on one line."""
    say(json.dumps(value, ensure_ascii=False, default=str))


def say_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        say(f"{name:<{width}}  {value}")


def say_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console().print(table)
