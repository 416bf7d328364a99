"""Lists refused rows by place and reason, never by value, so that the source can be put right."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class RefusedRow(Protocol):
    """Where, why, and in which field."""

    @property
    def locator(self) -> str:
        """``file.csv:17``."""
        ...

    @property
    def reason(self) -> str:
        """Name of the rule."""
        ...

    @property
    def field(self) -> str | None:
        """The field at fault, or None."""
        ...


def write_quarantine(rows: Sequence[RefusedRow], near: Path) -> Path | None:
    """Write the list as NDJSON, whole or not at all.

    Args:
        rows: in the order of the input.
        near: the list's own path where it ends in ``.ndjson``, else the input that it belongs to.
    Returns:
        The file, or None when nothing was refused.
    """
    if not rows:
        return None
    path = (
        near
        if near.suffix == ".ndjson" and "quarantine" in near.name
        else near.with_name(f"{near.name}.quarantine.ndjson")
    )
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        for row in rows:
            listed = {"row": row.locator, "reason": str(row.reason), "field": row.field}
            file.write(json.dumps({k: v for k, v in listed.items() if v is not None}, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path
