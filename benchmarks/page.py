"""``python -m benchmarks.page``: puts the last results and this machine into docs/reference/performance.md.

Each group has a table of its own; that of a group which was not measured stays as it is.
"""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import shown

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"
RESULTS: Final = Path(__file__).with_name("results.json")

BEGIN: Final = "<!-- figures: written by `python -m benchmarks.page` -->"
END: Final = "<!-- end of figures -->"

_HEADING: Final = "### "
_GIB: Final = 1024**3
_HEADER: Final = ("group", "name", "value", "unit", "yardstick", "yardstick value", "ratio", "target", "met")
_MET: Final = {True: "yes", False: "**no**", None: ""}


def main(*, page: Path = PAGE, results: Path = RESULTS) -> int:
    """Rewrite the tables of the measured groups between the markers; returns 0.

    Raises:
        ValueError: the page has no markers.
    """
    figures = json.loads(results.read_text(encoding="utf-8"))
    day = datetime.fromtimestamp(results.stat().st_mtime, UTC).date().isoformat()
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no markers for the figures")
    measured = {
        group: f"{_machine(day)}\n\n{_table(list(rows))}\n" for group, rows in groupby(figures, itemgetter("group"))
    }
    sections = "\n".join(f"{_HEADING}{group}\n\n{section}" for group, section in (_sections(old) | measured).items())
    page.write_text(f"{before}{BEGIN}\n{sections}{END}{after}", "utf-8")
    return 0


def _sections(text: str) -> dict[str, str]:
    """Return what stands below each group's heading."""
    parts = (part.partition("\n\n") for part in f"\n{text.strip()}\n".split(f"\n{_HEADING}")[1:])
    return {group: f"{section.strip()}\n" for group, _, section in parts}


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
