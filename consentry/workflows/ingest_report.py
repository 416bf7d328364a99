"""What became of one input: counts and places, no values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consentry.sources.quarantine import RefusedRow
from kernel.encoding import JsonValue

SHOWN_BAD_ROWS: Final = 1_000
"""Bad rows that a report holds itself: all of a posted batch, the first of a file, whose quarantine has the rest."""


@dataclass
class IngestReport:
    """What became of one input; counts and places, no values.

    Attributes:
        refused: field values by field code and the gate's reason.
        bad_rows: the first rows that could not be used, by place and reason.
        bad_by_reason: how many there are in all.
        left_out: parts of stored or refused records that no field can hold, such as an amount in another currency.
    """

    batch_id: str
    repeated: bool = False
    subjects: int = 0
    stored_records: int = 0
    stored_fields: int = 0
    duplicates: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad_rows: list[RefusedRow] = field(default_factory=list)
    bad_by_reason: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    quarantine: Path | None = None

    @property
    def refused_by_reason(self) -> Counter[str]:
        """Refused field values by reason."""
        summed: Counter[str] = Counter()
        for (_, why), count in self.refused.items():
            summed[why] += count
        return summed

    def add_bad(self, row: RefusedRow) -> None:
        """Count a row that could not be used."""
        self.bad_by_reason[str(row.reason)] += 1
        if len(self.bad_rows) < SHOWN_BAD_ROWS:
            self.bad_rows.append(row)

    def take(self, counts: Mapping[str, int]) -> None:
        """Take over what the chunks of the batch have summed up."""
        self.stored_records = counts.get("stored_records", 0)
        self.stored_fields = counts.get("stored_fields", 0)
        self.duplicates = counts.get("duplicates", 0)
        for name, count in counts.items():
            if name.startswith("refused."):
                _, code, why = name.split(".", 2)
                self.refused[code, why] = count

    def as_json(self) -> dict[str, JsonValue]:
        """Return the report for programs."""
        return {
            "batch_id": self.batch_id,
            "repeated": self.repeated,
            "subjects": self.subjects,
            "stored_records": self.stored_records,
            "stored_fields": self.stored_fields,
            "duplicates": self.duplicates,
            "refused": dict(self.refused_by_reason),
            "refused_fields": {f"{code}: {why}": count for (code, why), count in sorted(self.refused.items())},
            "bad_rows": dict(self.bad_by_reason),
            "skipped": dict(self.skipped),
            "unmapped": dict(self.unmapped),
            "left_out": dict(self.left_out),
            "quarantine": None if self.quarantine is None else str(self.quarantine),
        }
