"""The demo of 2,000 subjects as ``make demo`` runs it, and the start of the command line."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.bare import load_in_clear
from benchmarks.figures import Bound, Figure, Target
from benchmarks.timing import run_child, seconds_of

SUBJECTS: Final = 2_000
MAX_SECONDS: Final = 90
MAX_PEAK_MB: Final = 800
MAX_HELP_SECONDS: Final = 0.4
"""Targets of the first release."""

_LIBRARIES: Final = "import presidio_analyzer, pandas, duckdb, pyarrow.parquet, sqlalchemy, fhir.resources"
_STARTS: Final = 7


def run(*, subjects: int = SUBJECTS) -> list[Figure]:
    """Return the figures of the demo and of ``consentry --help``."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_demo(Path(folder), subjects), _help(Path(folder))]


def _demo(folder: Path, subjects: int) -> list[Figure]:
    where = folder / "demo"
    command = (consentry(), "demo", "--subjects", str(subjects), "--folder", where)
    taken = run_child(command, log=folder / "demo.log")
    sources = sorted(file for file in (where / "sources").rglob("*") if file.suffix in {".csv", ".ndjson"})
    bare = seconds_of(lambda: load_in_clear(sources, folder / "bare.db"))
    libraries = run_child((sys.executable, "-c", _LIBRARIES), log=folder / "libraries.log")
    name = f"demo of {subjects:,} subjects"
    return [
        Figure(
            "demo", name, taken.seconds, "s", "its source files loaded in clear", bare,
            Target(Bound.AT_MOST, MAX_SECONDS),
        ),
        Figure("demo", f"{name}: processor", taken.cpu_seconds, "s"),
        Figure(
            "demo", f"{name}: peak memory", taken.peak_mb, "MB", "importing its libraries", libraries.peak_mb,
            Target(Bound.AT_MOST, MAX_PEAK_MB),
        ),
    ]  # fmt: skip


def _help(folder: Path) -> Figure:
    """Measure the start of the command line, in turns with the start of its framework alone."""
    ours, bare = [], []
    for _ in range(_STARTS):
        ours.append(run_child((consentry(), "--help"), log=folder / "help.log").seconds)
        bare.append(run_child((sys.executable, "-c", "import typer"), log=folder / "bare.log").seconds)
    target = Target(Bound.AT_MOST, MAX_HELP_SECONDS)
    return Figure("demo", "consentry --help", min(ours), "s", "python -c 'import typer'", min(bare), target)


def consentry() -> Path:
    """Return the installed command, beside the interpreter that measures."""
    return Path(sys.executable).with_name("consentry")
