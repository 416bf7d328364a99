"""What a reconciliation has found, and how it reads: page by page, with the subjects behind the aliases of entries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

import audit.tables
from audit.aliases import REMEMBERED
from audit.scanning import ScannedEntry
from consent.comparing import Names, aliases_in
from kernel.database import Database
from kernel.ids import SubjectId

BATCH: Final = 1_000
"""Rows in one transaction."""

MAX_KEPT: Final = 1_000
"""Mismatches that are named one by one; beyond it they are counted."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference.

    Attributes:
        part: what kind of row or entry.
        name: its id; for a row without one, its key.
        differs: the names of what is not the same; no values.
    """

    part: str
    name: str
    differs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.part} {self.name}: {', '.join(self.differs)}"


@dataclass
class Findings:
    """What a reconciliation has read and found so far."""

    counts: dict[str, int] = field(default_factory=dict)
    mismatches: list[Mismatch] = field(default_factory=list)
    total: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees."""
        return self.total == 0

    def read(self, part: str, number: int) -> None:
        """Count what was read."""
        self.counts[part] = self.counts.get(part, 0) + number

    def add(self, part: str, name: str, differs: Sequence[str]) -> None:
        """Note one difference; nothing for no names."""
        if differs:
            self.total += 1
            if len(self.mismatches) < MAX_KEPT:
                self.mismatches.append(Mismatch(part, name, tuple(differs)))


def pages(database: Database, statement: Select[Any], key: ColumnElement[Any]) -> Iterator[tuple[Connection, Any]]:
    """Yield the rows of a statement in the order of a key, page by page, each with its own transaction."""
    last: object = None
    while True:
        page = statement.order_by(key).limit(BATCH)
        with database.read() as connection:
            rows = connection.execute(page if last is None else page.where(key > last)).all()
            if not rows:
                return
            yield connection, rows
        last = getattr(rows[-1], key.name)


def names_behind(connection: Connection, entries: Iterable[ScannedEntry]) -> Names:
    """Return the subjects behind the aliases of some entries."""
    wanted = sorted({text for entry in entries for text in aliases_in(entry)})
    table = audit.tables.alias
    found: dict[str, SubjectId] = {}
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        query = select(table.c.alias, table.c.subject_id).where(table.c.alias.in_(some), REMEMBERED)
        rows = connection.execute(query)
        found.update((alias, SubjectId(subject)) for alias, subject in rows)
    return Names(found)
