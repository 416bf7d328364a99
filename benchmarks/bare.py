"""The yardstick of a whole way: the same files parsed and inserted in clear into one SQLite table, and nothing else."""

import csv
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

_ROWS: Final = 500
"""Rows of one transaction, as in an ingestion."""


def load_in_clear(files: Iterable[Path], store: Path) -> int:
    """Load CSV and NDJSON files, each row as JSON text; returns the number of rows."""
    loaded = 0
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE record (source TEXT, content TEXT)")
        rows = (row for file in files for row in _rows(file))
        while chunk := list(islice(rows, _ROWS)):
            with connection:
                connection.executemany("INSERT INTO record VALUES (?, ?)", chunk)
            loaded += len(chunk)
    return loaded


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        parsed = csv.DictReader(opened) if file.suffix == ".csv" else map(json.loads, opened)
        for row in parsed:
            yield file.name, json.dumps(row, ensure_ascii=False)
