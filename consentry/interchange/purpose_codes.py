"""How the pack's purposes are called in HL7's PurposeOfUse: ``codes/purpose_of_use.csv`` of the pack's folder."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.errors import ConfigurationError

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
"""The code system behind the value set v3-PurposeOfUse (terminology.hl7.org, read in version 3.1.0)."""


@dataclass(frozen=True, slots=True)
class PurposeCodes:
    """The standard code of each purpose that has one."""

    by_purpose: Mapping[str, str]

    def purpose_of(self, code: str) -> str | None:
        """Return the one purpose that a standard code means here, or None where it means none or several."""
        found = [purpose for purpose, one in self.by_purpose.items() if one == code]
        return found[0] if len(found) == 1 else None


def load_purpose_codes(pack: Path) -> PurposeCodes:
    """Read the pack's table; empty where the pack has none.

    Raises:
        ConfigurationError: the table has other columns, or names a purpose twice.
    """
    path = pack / "codes" / "purpose_of_use.csv"
    if not path.is_file():
        return PurposeCodes({})
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row.get("purpose") or "": row.get("code") or "" for row in rows}
    if len(found) != len(rows) or "" in found or "" in found.values():
        raise ConfigurationError(
            "codes/purpose_of_use.csv is damaged", hint="It has the columns purpose and code, each purpose once."
        )
    return PurposeCodes(found)
