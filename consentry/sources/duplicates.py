"""Drops what one file says twice, within a bounded memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from consentry.sources.records import Row, SourceRecord, Tally
from kernel.encoding import JsonValue

WINDOW: Final = 200_000
"""How many facts of one file are remembered, about 30 MB; what repeats farther apart is for the vault to find."""

_MEASUREMENTS: Final = frozenset({"observation"})
"""Kinds whose values are facts of their own; in every other kind the values of a record belong together."""


class DuplicateFilter:
    """Remembers what one file has said of whom, of what time.

    Two records are duplicates where subject, kind, time and cleaned values are equal: exact under the same record id,
    near under another. In an observation each measurement counts by itself.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        self._window = window
        self._seen: dict[bytes, bytes] = {}

    def sift(self, record: SourceRecord, tally: Tally) -> SourceRecord | None:
        """Return the record without what was said before; None where nothing is left."""
        said = self._said(record)
        fresh = {code: value for code, value in said.items() if value is not None}
        if not fresh:
            return None
        if fresh == record.values:
            return record
        tally.duplicates["value"] += 1
        return replace(record, values=fresh)

    def filter(self, rows: Iterator[Row], tally: Tally) -> Iterator[Row]:
        """Yield the rows without duplicates; counts what was dropped."""
        for row in rows:
            if isinstance(row, SourceRecord):
                kept = self._filtered(row, tally)
                if kept is not None:
                    yield kept
            else:
                yield row

    def _filtered(self, record: SourceRecord, tally: Tally) -> SourceRecord | None:
        if record.kind in _MEASUREMENTS:
            kept = self.sift(record, tally)
            if kept is None:
                tally.duplicates[self._kind_of(record)] += 1
            return kept
        earlier = self._remember(record, record.values)
        if earlier is None:
            return record
        tally.duplicates["exact" if earlier == _hash(record.source_record) else "near"] += 1
        return None
