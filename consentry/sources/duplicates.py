"""Drops what one file says twice, within a bounded memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from consentry.sources.records import BadRow, Row, SourceRecord, Tally
from kernel.encoding import JsonValue

WINDOW: Final = 200_000
"""How many facts of one file are remembered, about 30 MB; what repeats farther apart is for the vault to find."""

_MEASUREMENTS: Final = frozenset({"observation"})
"""Kinds whose values are facts of their own; in every other kind the values of a record belong together."""


class DuplicateFilter:
    """Remembers what one file has said of whom, of what time.

    Two records are duplicates where subject, kind, time and cleaned values are equal: exact under the same record id,
    near under another. In an observation each measurement counts by itself, and what is left of it is kept.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        self._window = window
        self._seen: dict[bytes, str] = {}

    def filter(self, rows: Iterable[Row], tally: Tally) -> Iterator[Row]:
        """Yield the rows without duplicates; what is dropped is counted as exact, near or value."""
        for row in rows:
            if isinstance(row, BadRow):
                yield row
                continue
            kept, verdict = self._judge(row)
            if verdict is not None:
                tally.duplicates[verdict] += 1
            if kept is not None:
                yield kept

    def _judge(self, record: SourceRecord) -> tuple[SourceRecord | None, str | None]:
        facts = _facts(record)
        earlier = [self._remember(record, fact) for fact in facts]
        if all(before is None for before in earlier):
            return record, None
        if any(before is None for before in earlier):
            fresh = [fact for fact, before in zip(facts, earlier, strict=True) if before is None]
            return replace(record, values=_gathered(fresh, record.values)), "value"
        return None, "exact" if all(before == record.source_record for before in earlier) else "near"

    def _remember(self, record: SourceRecord, fact: JsonValue) -> str | None:
        """Return the record that said this before, or None; a digest stands for the plaintext."""
        said = json.dumps([record.source_subject, record.kind, record.observed_at.isoformat(), fact], sort_keys=True)
        key = hashlib.blake2b(said.encode(), digest_size=16).digest()
        if (before := self._seen.get(key)) is not None:
            return before
        self._seen[key] = record.source_record
        if len(self._seen) > self._window:
            del self._seen[next(iter(self._seen))]
        return None


def _facts(record: SourceRecord) -> list[JsonValue]:
    if record.kind not in _MEASUREMENTS:
        return [record.values]
    return [
        [code, item]
        for code, value in record.values.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _gathered(facts: Iterable[JsonValue], values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    gathered: dict[str, JsonValue] = {}
    for fact in facts:
        code, item = fact if isinstance(fact, list) else ("", None)
        if isinstance(values[code], list):
            held = gathered.setdefault(code, [])
            if isinstance(held, list):
                held.append(item)
        else:
            gathered[code] = item
    return gathered
