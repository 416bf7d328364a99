"""``python -m benchmarks.page``: puts the last results and this machine into docs/reference/performance.md."""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import shown

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"
RESULTS: Final = Path(__file__).with_name("results.json")

BEGIN: Final = "<!-- figures: written by `python -m benchmarks.page` -->"
END: Final = "<!-- end of figures -->"

_GIB: Final = 1024**3
_HEADER: Final = ("group", "name", "value", "unit", "yardstick", "yardstick value", "ratio", "target", "met")
_MET: Final = {True: "yes", False: "**no**", None: ""}


def main(*, page: Path = PAGE, results: Path = RESULTS) -> int:
    """Rewrite what stands between the markers; returns 0.

    Raises:
        ValueError: the page has no markers.
    """
    figures = json.loads(results.read_text(encoding="utf-8"))
    measured = datetime.fromtimestamp(results.stat().st_mtime, UTC).date()
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no markers for the figures")
    page.write_text(f"{before}{BEGIN}\n{_machine(measured.isoformat())}\n\n{_table(figures)}\n{END}{after}", "utf-8")
    return 0


def _machine(day: str) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return (
        f"Measured {day} on {os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB of memory, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}."
    )


def _table(figures: Sequence[dict[str, Any]]) -> str:
    lines = [f"| {' | '.join(_HEADER)} |", "| --- | --- | ---: | --- | --- | ---: | ---: | --- | --- |"]
    for row in figures:
        cells = (
            row["group"], row["name"], shown(row["value"]), row["unit"], row["yardstick"] or "",
            shown(row["yardstick_value"]), shown(row["ratio"]), row["target"] or "", _MET[row["met"]],
        )  # fmt: skip
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
