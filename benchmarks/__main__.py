"""``python -m benchmarks``: measures, prints a table, writes results.json; exit 1 when a target is missed."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.figures import Figure, shown

RESULTS: Final = Path(__file__).with_name("results.json")

_WIDTH: Final = 220
"""Where no terminal says how wide it is, one line a figure."""

Measure: TypeAlias = Callable[[], Iterable[Figure]]

MODULES: Final[Mapping[str, Sequence[str]]] = {
    "demo": ("demo", "outside_fhir"),
    "consent": ("consent", "gate", "cohort"),
    "vault": ("vault", "vault_rotation", "vault_values", "vault_bulk", "vault_memory", "vault_reveals"),
    "audit": ("audit_writing", "audit_proving", "audit_queries"),
    "text": ("text", "text_quality", "own_text", "names", "addresses", "english_text", "outside_dialogue"),
    "views": ("views",),
    "tags": ("tags",),
}
"""The modules of each group, each with a function ``run``; they are imported when their turn comes."""


PAGES: Final[Mapping[str, str]] = {"text": "quality_page"}
"""Groups with a page of their own, and the modules that write it with a function ``write``."""


def main(
    arguments: Sequence[str] | None = None, *, groups: Mapping[str, Measure] | None = None, results: Path = RESULTS
) -> int:
    """Measure all groups or one; returns 1 when a target is missed, else 0."""
    measures = _groups() if groups is None else groups
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=tuple(measures), help="measure this group alone")
    only = parser.parse_args(arguments).only
    figures: list[Figure] = []
    for group in (only,) if only else tuple(measures):
        sys.stderr.write(f"measuring {group} …\n")
        figures += measures[group]()
    results.write_text(json.dumps([figure.as_json() for figure in figures], ensure_ascii=False, indent=1) + "\n")
    _print(figures)
    return int(any(figure.met is False for figure in figures))


def _groups() -> dict[str, Measure]:
    return {group: _measuring(modules, PAGES.get(group)) for group, modules in MODULES.items()}


def _measuring(modules: Sequence[str], page: str | None) -> Measure:
    def measure() -> list[Figure]:
        figures = [figure for module in modules for figure in import_module(f"benchmarks.{module}").run()]
        if page is not None:
            import_module(f"benchmarks.{page}").write(figures)
        return figures

    return measure


def _print(figures: Sequence[Figure]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Figures", show_lines=False)
    for column in ("group", "name", "value", "unit", "yardstick", "yardstick value", "ratio", "target", "met"):
        table.add_column(column, justify="right" if column in {"value", "yardstick value", "ratio"} else "left")
    for figure in figures:
        table.add_row(
            figure.group, figure.name, shown(figure.value), figure.unit, figure.yardstick or "",
            shown(figure.yardstick_value), shown(figure.ratio), str(figure.target or ""),
            {True: "yes", False: "[bold red]NO[/]", None: ""}[figure.met],
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


if __name__ == "__main__":
    sys.exit(main())
